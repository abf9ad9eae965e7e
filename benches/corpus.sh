#!/bin/bash
# Makes the images that are measured: real Debian packages in real layers, pushed by a real dockerd
# to a real registry. About 1.2 GB compressed; made once and kept.
# Usage: benches/corpus.sh FOLDER; fills FOLDER/registry (a registry's storage), FOLDER/names
# (repository:tag, one a line) and FOLDER/save.tar (all of them, as docker save writes them).
set -euo pipefail
. "$(dirname "$0")/servers.sh"

corpus=$(realpath -m "${1:?usage: $0 FOLDER}")
[[ -e $corpus/complete ]] && exit 0
[[ $(id -u) -eq 0 ]] || { echo 'the corpus needs root: debootstrap and dockerd do' >&2; exit 2; }
rm -rf "$corpus"
mkdir -p "$corpus"/{debs/partial,registry,work}
trap stop_all EXIT

# name: packages. Each is one layer on the base; `app` adds a small one on top of python.
declare -A layers=(
    [python]='python3-scipy python3-pandas python3-matplotlib'
    [java]='openjdk-17-jdk-headless maven'
    [web]='nginx redis-server postgresql nodejs npm'
    [build]='build-essential git clang cmake golang-go rustc'
    [browser]='chromium fonts-noto-cjk'
)

echo 'corpus: base system'
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' "Release: $release" | head -n 1)
# shellcheck disable=SC2086 # no mirror is no argument
debootstrap --variant=minbase "$release" "$corpus/work/base" $mirror >"$corpus/work/debootstrap.log"
rm -rf "$corpus"/work/base/var/cache/apt/archives/*.deb "$corpus"/work/base/var/lib/apt/lists/*
tar --create --file "$corpus/work/base.tar" --directory "$corpus/work/base" --numeric-owner \
    --one-file-system --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' .

for name in "${!layers[@]}"; do
    echo "corpus: layer $name"
    mkdir -p "$corpus/work/$name/debs/partial" "$corpus/work/$name/root"
    # What these packages need beyond the base, as apt itself works it out.
    # shellcheck disable=SC2086 # several packages
    apt-get install --yes --quiet --quiet --download-only --no-install-recommends \
        -o Dir::State::status="$corpus/work/base/var/lib/dpkg/status" \
        -o Dir::Cache::archives="$corpus/work/$name/debs" \
        -o Debug::NoLocking=1 -o APT::Sandbox::User=root ${layers[$name]} >/dev/null
    for package in "$corpus/work/$name/debs"/*.deb; do
        dpkg-deb --extract "$package" "$corpus/work/$name/root"
    done
    tar --create --file "$corpus/work/$name/layer.tar" --directory "$corpus/work/$name/root" \
        --numeric-owner --sort=name .
    rm -rf "$corpus/work/$name/root" "$corpus/work/$name/debs"
    printf 'FROM bench/base:1\nADD layer.tar /\n' >"$corpus/work/$name/Dockerfile"
done
mkdir "$corpus/work/app"
head -c 3000000 /dev/urandom >"$corpus/work/app/data"
printf 'FROM bench/python:1\nCOPY data /srv/data\n' >"$corpus/work/app/Dockerfile"

echo 'corpus: build, push, save'
start_dockerd "$corpus/work/docker"
start_registry "$corpus/registry"
docker -H "unix://$docker_socket" import --change 'CMD ["/bin/sh"]' "$corpus/work/base.tar" bench/base:1 >/dev/null
for name in python java web build browser app; do
    DOCKER_BUILDKIT=0 docker -H "unix://$docker_socket" build --quiet --tag "bench/$name:1" \
        "$corpus/work/$name" >/dev/null
    echo "bench/$name:1" >>"$corpus/names"
done
while read -r name; do
    docker -H "unix://$docker_socket" tag "$name" "$registry/$name"
    docker -H "unix://$docker_socket" push --quiet "$registry/$name" >/dev/null
done <"$corpus/names"
mapfile -t names <"$corpus/names"
docker -H "unix://$docker_socket" save --output "$corpus/save.tar" "${names[@]}"
stop_all
rm -rf "$corpus/work" "$corpus/debs"
touch "$corpus/complete"
