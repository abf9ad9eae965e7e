#!/bin/sh
# Carries a real image from end to end on one machine: no network, no daemon.
# Usage: tests/demo.sh PATH-TO-SEALIFT
# Every step is checked; the first that does not do what it says ends the demo with a failure.
set -eu

# One stream, so that messages stand where they were said.
exec 2>&1
sealift=$(realpath "${1:?usage: $0 PATH-TO-SEALIFT}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cd "$work"

# A home of its own: neither the keys nor the trust of whoever runs this are touched.
HOME=$work/home
export HOME
unset XDG_CONFIG_HOME SEALIFT_PASSPHRASE SOURCE_DATE_EPOCH 2>/dev/null || true
mkdir -p "$HOME"

step() { printf '\n\033[1m%s\033[0m\n' "$1"; }
[ -t 1 ] || step() { printf '\n%s\n' "$1"; }
fail() { printf 'demo: %s\n' "$1" >&2; exit 1; }

# Shows a command as a user would type it, and runs it.
run() {
    printf '$ sealift'
    printf ' %s' "$@"
    printf '\n'
    "$sealift" "$@"
}

# The same for one that must be refused with the given exit code.
refused() {
    expected=$1
    shift
    code=0
    run "$@" || code=$?
    echo "exit code $code"
    [ "$code" -eq "$expected" ] || fail "expected exit code $expected"
}

# ── an image, made by hand ──────────────────────────────────────────────────────────────────────

layout=source
blobs=$layout/blobs/sha256
mkdir -p "$blobs"

# Puts a file into the layout; sets $digest and $size.
blob() {
    digest=$(sha256sum <"$1" | cut -d ' ' -f 1)
    size=$(wc -c <"$1" | tr -d ' ')
    mv "$1" "$blobs/$digest"
}

# Makes a gzip layer of a folder; sets $digest, $size and $diff.
layer() {
    tar --create --file layer.tar --directory "$1" --sort=name --owner=0 --group=0 \
        --numeric-owner --mtime=@0 .
    diff=$(sha256sum <layer.tar | cut -d ' ' -f 1)
    gzip --no-name layer.tar
    blob layer.tar.gz
}

# Makes an image of the shared layer and one of its own, for an architecture; sets $digest, $size.
image() {
    architecture=$1
    mkdir -p "own/$architecture/etc"
    echo "$architecture" >"own/$architecture/etc/architecture"
    # Something that gzip cannot shrink, so that it has the weight of a program.
    head -c 300000 /dev/urandom >"own/$architecture/etc/ballast"
    layer "own/$architecture"
    own_digest=$digest own_size=$size own_diff=$diff
    printf '{"architecture":"%s","os":"linux","config":{"Entrypoint":["/bin/sealift"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s","sha256:%s"]}}' \
        "$architecture" "$base_diff" "$own_diff" >config
    blob config
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:%s","size":%s},{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:%s","size":%s}]}' \
        "$digest" "$size" "$base_digest" "$base_size" "$own_digest" "$own_size" >manifest
    blob manifest
}

step 'An image for two architectures, with sealift itself in it, as an OCI layout'
mkdir -p base/bin base/etc
cp "$sealift" base/bin/sealift
echo 'NAME="sealift demo"' >base/etc/os-release
ln -s bin/sealift base/entry
layer base
base_digest=$digest base_size=$size base_diff=$diff
image amd64
amd64_digest=$digest amd64_size=$size
image arm64
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s,"platform":{"os":"linux","architecture":"amd64"}},{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s,"platform":{"os":"linux","architecture":"arm64"}}]}' \
    "$amd64_digest" "$amd64_size" "$digest" "$size" >index
blob index
root=sha256:$digest
printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"%s","size":%s,"annotations":{"org.opencontainers.image.ref.name":"registry.example/demo:1.0"}}]}' \
    "$root" "$size" >$layout/index.json
printf '{"imageLayoutVersion":"1.0.0"}' >$layout/oci-layout
echo "registry.example/demo:1.0 is $root, $(find "$blobs" -type f | wc -l) blobs, $(du -sh $layout | cut -f 1)"

# ── the journey ─────────────────────────────────────────────────────────────────────────────────

step 'Keys: the sender signs, the receiver trusts the public half'
run key generate
mkdir -p "$HOME/.config/sealift/trust"
cp "$HOME/.config/sealift/signing.pub" "$HOME/.config/sealift/trust/sender.pub"
run key show "$HOME/.config/sealift/trust/sender.pub"

step 'Export: what would be carried, then carry it'
run export oci:$layout --dry-run
run export oci:$layout -o demo.sealift
[ -s demo.sealift ] || fail 'there is no bundle'

step 'Anyone can look inside with tar alone'
echo '$ tar tf demo.sealift'
tar tf demo.sealift

step 'Inspect: what is in it'
run inspect demo.sealift --layers

step 'Verify: who sealed it, and that every byte is there'
run verify demo.sealift

step 'A copy with one byte changed in the middle is refused (4: damaged)'
cp demo.sealift damaged.sealift
middle=$(($(wc -c <damaged.sealift) / 2))
byte=$(dd if=damaged.sealift bs=1 skip=$middle count=1 2>/dev/null | od -An -tu1 | tr -d ' ')
printf "\\$(printf %03o $(((byte + 1) % 256)))" |
    dd of=damaged.sealift bs=1 seek=$middle conv=notrunc 2>/dev/null
cmp -s demo.sealift damaged.sealift && fail 'the copy was not changed'
refused 4 verify damaged.sealift

step 'So is a copy that was cut short, and nothing reaches the destination'
head -c $middle demo.sealift >cut.sealift
refused 4 import cut.sealift --to oci:nowhere
[ ! -e nowhere ] || fail 'the destination was touched'

step 'So is one that somebody else signed (5: untrusted)'
run key generate -o stranger.pem
run export oci:$layout -o stranger.sealift --key stranger.pem
refused 5 import stranger.sealift --to oci:nowhere
[ ! -e nowhere ] || fail 'the destination was touched'

step 'Import: the plan, then the deed'
run import demo.sealift --to oci:arrived --dry-run
[ ! -e arrived ] || fail 'a dry run changed the destination'
run import demo.sealift --to oci:arrived

step 'Compare: every blob has arrived with its bytes, and so its digest'
for blob in "$blobs"/*; do
    name=${blob##*/}
    cmp "$blob" "arrived/blobs/sha256/$name" || fail "sha256:$name differs"
    [ "$(sha256sum <"arrived/blobs/sha256/$name" | cut -d ' ' -f 1)" = "$name" ] ||
        fail "sha256:$name has other content"
    echo "same  sha256:$name"
done
[ "$(find arrived/blobs -type f | wc -l)" -eq "$(find "$blobs" -type f | wc -l)" ] ||
    fail 'the destination holds more than the source'
grep -q "$root" arrived/index.json || fail "the index does not name $root"
grep -q 'demo:1.0' arrived/index.json || fail 'the index lost the name'

step 'A second import finds everything there'
run import demo.sealift --to oci:arrived

printf '\nThe image arrived as it left: %s\n' "$root"
