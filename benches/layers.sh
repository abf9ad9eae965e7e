# Makes the plain layers of the corpora, to be sourced: trees of real files, as Dockerfiles lay them
# down. Set $parts (a folder that the corpora share) first. Every function writes one tar.

# What is pinned: the Python packages of an application, with everything that they need.
python_app=(
    numpy==2.2.6 pandas==2.2.2 pillow==11.0.0 lxml==5.3.0 cryptography==43.0.3 cffi==1.17.1
    pycparser==2.22 python-dateutil==2.9.0.post0 pytz==2024.2 tzdata==2024.2
    six==1.16.0 flask==3.0.2 werkzeug==3.0.6 jinja2==3.1.4 markupsafe==3.0.2 itsdangerous==2.2.0
    click==8.1.7 blinker==1.8.2 gunicorn==23.0.0 packaging==24.1 requests==2.32.3 urllib3==2.2.3
    idna==3.10 certifi==2024.8.30 charset-normalizer==3.4.0 sqlalchemy==2.0.36 greenlet==3.1.1
    typing-extensions==4.12.2
)

# base_layer: the Debian release of this machine as debootstrap makes it, in $parts/base.tar.
base_layer() {
    [[ ! -e $parts/base.tar ]] || return 0
    echo 'corpus: base system' >&2
    local release mirror root=$parts/base
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' "Release: $release" | head -n 1)
    # shellcheck disable=SC2086 # no mirror is no argument
    debootstrap --variant=minbase "$release" "$root" $mirror >"$parts/debootstrap.log"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    cp "$root/var/lib/dpkg/status" "$parts/status"
    tar --create --file "$parts/base.tar.partial" --directory "$root" --numeric-owner \
        --one-file-system --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' .
    rm -rf --one-file-system "$root"
    mv "$parts/base.tar.partial" "$parts/base.tar"
}

# package_tree FOLDER PACKAGE...: these packages and what they need beyond $installed (a file like
# /var/lib/dpkg/status), unpacked; $parts/status.then is that list with them.
package_tree() {
    local tree=$1 debs package link
    shift
    debs=$(mktemp -d "$parts/debs.XXXX")
    mkdir -p "$debs/partial" "$tree"
    # The base has /bin, /lib and so on as links into /usr; packages may still not know.
    for link in bin sbin lib lib64; do
        mkdir -p "$tree/usr/$link"
        ln -s "usr/$link" "$tree/$link"
    done
    # What is to be installed, as apt itself works it out.
    apt-get install --yes --quiet --quiet --download-only --no-install-recommends \
        -o Dir::State::status="$installed" -o Dir::Cache::archives="$debs" \
        -o Debug::NoLocking=1 -o APT::Sandbox::User=root "$@" >/dev/null
    cp "$installed" "$parts/status.next"
    for package in "$debs"/*.deb; do
        dpkg-deb --fsys-tarfile "$package" |
            tar --extract --preserve-permissions --keep-directory-symlink --directory "$tree"
        { echo 'Status: install ok installed'; dpkg-deb --field "$package"; echo; } >>"$parts/status.next"
    done
    mv "$parts/status.next" "$parts/status.then"
    rm -rf "$debs" "$tree"/{bin,sbin,lib,lib64}
    rmdir --ignore-fail-on-non-empty "$tree"/usr/{bin,sbin,lib,lib64}
}

# wheel_tree FOLDER PYTHON REQUIREMENT...: wheels for PYTHON (3.11) as pip installs them, compiled by
# the Python of the image itself, which stands unpacked in $parts/python.
wheel_tree() {
    local tree=$1 python=$2 site=usr/local/lib/python$2/dist-packages
    local inside=$parts/python/$site
    shift 2
    [[ -x $parts/venv/bin/pip ]] || python3 -m venv "$parts/venv"
    rm -rf "$inside"
    mkdir -p "$inside" "$tree/${site%/*}"
    "$parts/venv/bin/pip" install --quiet --no-deps --no-compile --only-binary=:all: --no-cache-dir \
        --platform "manylinux_2_17_$(uname -m)" --platform "manylinux_2_28_$(uname -m)" \
        --platform "manylinux2014_$(uname -m)" \
        --python-version "$python" --implementation cp --target "$inside" "$@"
    # Some packages bring files that are not meant to compile.
    chroot "$parts/python" "/usr/bin/python$python" -m compileall -q "/$site" >/dev/null || true
    [[ -d $inside/pandas/__pycache__ ]] || { echo 'the Python packages were not compiled' >&2; return 1; }
    mv "$inside" "$tree/$site"
}

# go_source FOLDER MODULE@VERSION: a module's source, writable, from the Go module proxy.
go_source() {
    local found
    found=$(cd / && go mod download -json "$2" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
    [[ -d $found ]] || { echo "the Go proxy does not have $2" >&2; return 1; }
    cp --recursive "$found" "$1"
    chmod --recursive u+w "$1"
}

# go_binary SOURCE FILE: a static binary of a module's main package.
go_binary() {
    (cd "$1" && CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags '-s -w' -o "$2" .)
}

# pack_layer TREE FILE.tar: the layer of a tree, which goes away.
pack_layer() {
    tar --create --file "$2" --directory "$1" --numeric-owner --sort=name .
    rm -rf --one-file-system "$1"
}
