#!/bin/bash
# Makes a corpus, once: real images of Debian packages, Python wheels and Go programs, pushed by a real
# daemon to a real registry.
# Usage: benches/corpus.sh main|lean|podman FOLDER
#   main    eleven images that share much, as versions of the same things do; pushed by dockerd
#   lean    a base system and two Go programs, which share nothing; pushed by dockerd
#   podman  three images, pushed by podman, whose gzip encoder is another
# Fills FOLDER/registry (a registry's storage), FOLDER/names (repository:tag, one a line),
# FOLDER/sizes (what the alternatives to sealift need) and FOLDER/complete, last. The folder above
# holds base.tar, which all corpora share.
set -euo pipefail
cd "$(dirname "$0")"
. ./servers.sh
. ./layers.sh

kind=${1:?usage: $0 main|lean|podman FOLDER}
corpus=$(realpath -m "${2:?usage: $0 main|lean|podman FOLDER}")
[[ ! -e $corpus/complete ]] || exit 0
[[ $(id -u) -eq 0 ]] || { echo 'a corpus needs root: debootstrap and dockerd do' >&2; exit 2; }
for tool in debootstrap dpkg-deb go python3 docker docker-registry skopeo; do
    command -v "$tool" >/dev/null || { echo "a corpus needs $tool" >&2; exit 2; }
done

parts=$corpus/parts
rm -rf --one-file-system "$corpus"
mkdir -p "$corpus/registry" "$parts" "$corpus/images"
trap 'stop_all; remove_scaffold' EXIT
trap 'exit 130' INT TERM

remove_scaffold() { rm -rf --one-file-system "$parts" "$corpus/images" "$corpus/podman"; }

# ── building ────────────────────────────────────────────────────────────────────────────────────

# The engine that builds and pushes: docker or podman with its own folder.
engine=()

# image NAME:TAG FROM [ADD|COPY FILE TARGET]...: builds it and notes its name. FILE is in $parts.
image() {
    local name=$1 folder=$corpus/images/build
    echo "corpus: image $name" >&2
    mkdir -p "$folder"
    echo "FROM $2" >"$folder/Dockerfile"
    shift 2
    while [[ $# -gt 0 ]]; do
        ln "$parts/$2" "$folder/$2"
        echo "$1 $2 $3" >>"$folder/Dockerfile"
        shift 3
    done
    # The builder of the daemon itself: the other one would need a plugin.
    DOCKER_BUILDKIT=0 "${engine[@]}" build --quiet --tag "$name" "$folder" >"$parts/build.log" 2>&1 ||
        { cat "$parts/build.log" >&2; return 1; }
    rm -rf "$folder"
    echo "$name" >>"$corpus/names"
}

# layer FILE.tar PACKAGE...: a layer of Debian packages on the base.
layer() {
    local file=$1
    shift
    echo "corpus: layer $file" >&2
    package_tree "$parts/tree" "$@"
    pack_layer "$parts/tree" "$parts/$file"
}

build_app() { # three versions: first a small package is bumped, then pandas
    local version python
    layer python.tar python3 libgomp1
    mkdir "$parts/python"
    tar --extract --file "$parts/base.tar" --directory "$parts/python"
    tar --extract --file "$parts/python.tar" --directory "$parts/python"
    python=$(chroot "$parts/python" /usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    printf '%s\n' 'import flask, pandas' 'app = flask.Flask(__name__)' '@app.get("/")' \
        'def columns():' '    return list(pandas.read_csv("/srv/data.csv").columns)' >"$parts/app.py"
    for version in 1 2 3; do
        [[ $version -ne 2 ]] || python_app=("${python_app[@]/#flask==3.0.2/flask==3.0.3}")
        [[ $version -ne 3 ]] || python_app=("${python_app[@]/#pandas==2.2.2/pandas==2.2.3}")
        echo "corpus: layer pip.tar, version $version" >&2
        wheel_tree "$parts/tree" "$python" "${python_app[@]}"
        pack_layer "$parts/tree" "$parts/pip.tar"
        image "bench/app:$version" bench/base:1 ADD python.tar / ADD pip.tar / COPY app.py /srv/app.py
        rm "$parts/pip.tar"
    done
    rm -rf --one-file-system "$parts/python" "$parts/python.tar"
}

build_java() { # the second layer stands on the first
    layer java.tar default-jre-headless
    installed=$parts/status.then layer tomcat.tar tomcat10 maven
    image bench/java:1 bench/base:1 ADD java.tar / ADD tomcat.tar /
    rm "$parts/java.tar" "$parts/tomcat.tar"
}

build_servers() { # two of the three once more, as a later build of the same Dockerfile
    layer nginx.tar nginx
    layer redis.tar redis-server
    layer postgresql.tar postgresql
    for name in nginx redis postgresql; do
        image "bench/$name:1" bench/base:1 ADD "$name.tar" /
        rm "$parts/$name.tar"
    done

    package_tree "$parts/tree" nginx
    echo 'server_tokens off;' >"$parts/tree/etc/nginx/conf.d/tokens.conf"
    rebuilt nginx
    package_tree "$parts/tree" postgresql less
    rebuilt postgresql
}

rebuilt() { # NAME: the tree as a later build writes it, with other times everywhere
    find "$parts/tree" -exec touch --no-dereference --date '2025-06-01 12:00:00' {} +
    pack_layer "$parts/tree" "$parts/$1.tar"
    image "bench/$1:2" bench/base:1 ADD "$1.tar" /
    rm "$parts/$1.tar"
}

build_go() { # NAME MODULE@VERSION [FILE EDIT]: one image; with a sed script for a source, one more
    local name=$1 module=$2
    echo "corpus: compiling $module" >&2
    go_source "$parts/source" "$module"
    go_binary "$parts/source" "$parts/$name"
    image "bench/$name:1" scratch COPY "$name" "/$name"
    if [[ $# -gt 2 ]]; then
        cp "$parts/$name" "$parts/unedited"
        sed -i "$4" "$parts/source/$3"
        go_binary "$parts/source" "$parts/$name"
        if cmp --quiet "$parts/$name" "$parts/unedited"; then
            echo "the edit of $name changed nothing" >&2
            return 1
        fi
        image "bench/$name:2" scratch COPY "$name" "/$name"
    fi
    rm -rf "$parts/source" "$parts/$name" "$parts/unedited"
}

# ── the corpus ──────────────────────────────────────────────────────────────────────────────────

shared=${corpus%/*}
mkdir -p "$shared/base"
(parts=$shared/base base_layer)
ln "$shared/base/base.tar" "$shared/base/status" "$parts/"
installed=$parts/status

start_registry "$corpus/registry"
if [[ $kind = podman ]]; then
    find_podman "$corpus" || { echo 'this corpus needs podman' >&2; exit 2; }
    engine=(run_podman)
    push() { run_podman push --quiet --tls-verify=false "$1" >/dev/null; }
else
    start_dockerd "$corpus/images/docker"
    engine=(docker --host "unix://$docker_socket")
    push() { "${engine[@]}" push --quiet "$1" >/dev/null; }
fi
"${engine[@]}" import --change 'CMD ["/bin/sh"]' "$parts/base.tar" bench/base:1 >/dev/null

coredns=github.com/coredns/coredns@v1.10.1
nats=github.com/nats-io/nats-server/v2@v2.9.25
case $kind in
    main)
        build_go coredns "$coredns" plugin/pkg/log/log.go 's/golog.Print(level, fmt/golog.Print(level, len(v), fmt/'
        build_servers
        build_java
        build_app
        ;;
    lean)
        echo bench/base:1 >>"$corpus/names"
        build_go coredns "$coredns"
        build_go nats "$nats"
        ;;
    podman)
        echo bench/base:1 >>"$corpus/names"
        build_go coredns "$coredns"
        layer web.tar nginx redis-server postgresql
        image bench/web:1 bench/base:1 ADD web.tar /
        layer java.tar default-jre-headless
        image bench/java:1 bench/base:1 ADD java.tar /
        ;;
    *) echo "no such corpus: $kind" >&2; exit 2 ;;
esac

echo 'corpus: push' >&2
while read -r name; do
    "${engine[@]}" tag "$name" "$registry/$name"
    push "$registry/$name"
done <"$corpus/names"
stop_all
remove_scaffold

./alternatives.sh "$corpus"
[[ $kind = main ]] || rm "$corpus/save.tar" # what docker load reads
touch "$corpus/complete"
