#!/bin/bash
# What a corpus takes without sealift: as blobs, as archives, as docker save writes it, and that
# compressed. It does not change, so that it is found out once.
# Usage: benches/alternatives.sh CORPUS; writes CORPUS/sizes (a name and a number of bytes a line),
# CORPUS/plain (image, layer and its bytes when unpacked) and CORPUS/save.tar, as docker save does.
set -euo pipefail
cd "$(dirname "$0")"
. ./servers.sh
. ./blobs.sh

corpus=$(realpath "${1:?usage: $0 CORPUS}")
work=$corpus/alternatives
rm -rf "$work"
mkdir "$work"
trap 'stop_all; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

start_registry "$corpus/registry"
start_dockerd "$work/docker"
docker=(docker --host "unix://$docker_socket")
mapfile -t names <"$corpus/names"

echo 'corpus: sizes of the alternatives' >&2
for name in "${names[@]}"; do
    blobs_of "$name" | sed "s|^|$name |"
done >"$work/blobs"
while read -r name kind digest _; do
    [[ $kind = layer ]] || continue
    echo "$name $digest $(gzip --decompress --stdout "$(blob_file "$corpus/registry" "$digest")" | wc --bytes)"
done <"$work/blobs" >"$corpus/plain"

for name in "${names[@]}"; do
    skopeo copy --quiet --src-tls-verify=false "docker://$registry/$name" "oci-archive:$work/image.tar"
    stat --format %s "$work/image.tar"
    rm "$work/image.tar"
done >"$work/archives"

for name in "${names[@]}"; do
    "${docker[@]}" pull --quiet "$registry/$name" >/dev/null
    "${docker[@]}" tag "$registry/$name" "$name"
done
"${docker[@]}" save --output "$corpus/save.tar" "${names[@]}"

sum() { awk '{ s += $1 } END { printf "%d\n", s }' "$@"; }
{
    echo "images ${#names[@]}"
    echo "layers $(awk '{ print $2 }' "$corpus/plain" | sort --unique | wc --lines)"
    echo "plain $(awk '{ print $3, $2 }' "$corpus/plain" | sort --unique | sum)"
    echo "blobs $(awk '{ print $4, $3 }' "$work/blobs" | sort --unique | sum)"
    echo "archives $(sum "$work/archives")"
    echo "save $(stat --format %s "$corpus/save.tar")"
    echo "save-gzip $(gzip -6 <"$corpus/save.tar" | wc --bytes)"
    echo "save-zstd $(zstd -3 --long=27 --threads=1 --quiet --stdout "$corpus/save.tar" | wc --bytes)"
} >"$work/sizes"
mv "$work/sizes" "$corpus/sizes"
