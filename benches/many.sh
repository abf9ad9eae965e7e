#!/bin/bash
# Measures many small images beside skopeo sync: registry, bundle or folder, another registry. Prints
# Markdown: time, memory, and the requests that the registries got.
# Usage: benches/many.sh PATH-TO-SEALIFT [IMAGES [REPOSITORIES]]
set -euo pipefail
cd "$(dirname "$0")/.."
for part in servers measure; do
    # shellcheck source=/dev/null
    . "benches/$part.sh"
done

sealift=$(realpath "${1:?usage: $0 PATH-TO-SEALIFT [IMAGES [REPOSITORIES]]}")
images=${2:-500}
repositories=${3:-50}
work=$(realpath -m "${SEALIFT_BENCH:-target/bench}")/many
rm -rf "$work"
mkdir -p "$work"/{tmp,home}
trap 'stop_all; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
export HOME=$work/home TMPDIR=$work/tmp
unset XDG_CONFIG_HOME SEALIFT_PASSPHRASE DOCKER_HOST DOCKER_CONFIG
cp "$sealift" "$work/sealift"
sealift=$work/sealift
"$sealift" key generate >/dev/null
mkdir -p "$HOME/.config/sealift/trust"
cp "$HOME/.config/sealift/signing.pub" "$HOME/.config/sealift/trust/"

echo "bench: making $images images" >&2
benches/many.py "$work/from" "$images" "$repositories" >"$work/names"
blobs=$(find "$work/from" -path '*/blobs/*' -name data | wc --lines)

# serve NAME STORAGE: a registry whose address is $NAME; what it is asked is in $NAME_log.
serve() {
    start_registry "$2"
    declare -g "$1=$registry" "$1_log=${server_folders[-1]}/log"
}
serve from "$work/from"
serve ours "$work/ours"
serve theirs "$work/theirs"

declare -A requests
# counted NAME LOG COMMAND...: measures a command and what it asks.
counted() {
    local name=$1 log=$2 before
    shift 2
    before=$(grep --count '"[A-Z]* /v2/' "$log" || true)
    measure "$name" "$@"
    sleep 1 # a request is logged after it was answered
    requests[$name]=$(($(grep --count '"[A-Z]* /v2/' "$log") - before))
}

mapfile -t names < <(sed "s|^|$from/|" "$work/names")
{
    echo "$from:"
    echo '  tls-verify: false'
    echo '  images:'
    awk -F : '{ tags[$1] = tags[$1] (tags[$1] ? ", " : "") "\"" $2 "\"" }
        END { for (name in tags) print "    " name ": [" tags[name] "]" }' "$work/names"
} >"$work/sync.yml"
sync=(skopeo --insecure-policy sync --keep-going)

counted export "$from_log" "$sealift" export --quiet --output "$work/b.sealift" "${names[@]}"
counted skopeo-from "$from_log" "${sync[@]}" --src yaml --dest dir "$work/sync.yml" "$work/dir"
counted inspect "$from_log" "$sealift" inspect "$work/b.sealift"
counted verify "$from_log" "$sealift" verify --quiet "$work/b.sealift"
counted import "$ours_log" "$sealift" import --quiet "$work/b.sealift" --to "$ours/m"
counted skopeo-to "$theirs_log" "${sync[@]}" --src dir --dest docker --dest-tls-verify=false "$work/dir" "$theirs/m"
counted again "$ours_log" "$sealift" import --quiet "$work/b.sealift" --to "$ours/m"
counted skopeo-again "$theirs_log" "${sync[@]}" --src dir --dest docker --dest-tls-verify=false "$work/dir" "$theirs/m"

row() { # TITLE NAME [PEER]
    awk -v title="$1" -v wall="${wall[$2]}" -v cpu="${cpu[$2]}" -v peak="${peak[$2]}" -v requests="${requests[$2]}" \
        -v peer="${wall[${3:-none}]:-}" 'BEGIN { printf "| %s | %.1f s | %s | %.1f s | %.0f MiB | %d |\n", title, wall,
            (peer > 0 ? sprintf("%.2f", wall / peer) : "–"), cpu, peak / 1024, requests }'
}
echo "### $(wc --lines <"$work/names") images in $repositories repositories, $blobs blobs and manifests"
echo
echo "$("$sealift" --version), $(skopeo --version), $(nproc) processors, load $(cut -d ' ' -f 1 /proc/loadavg) at the end"
echo
echo "Bundle: $(mb "$(bytes_of "$work/b.sealift")") MB; folder of skopeo: $(mb "$(find "$work/dir" -type f -printf '%s\n' | awk '{ s += $1 } END { print s }')") MB."
echo
echo '| | wall | against skopeo | processor | peak memory | requests |'
echo '|---|---|---|---|---|---|'
row '`sealift export`' export skopeo-from
row '`skopeo sync`, registry to folder' skopeo-from
row '`sealift inspect`' inspect
row '`sealift verify`' verify
row '`sealift import`' import skopeo-to
row '`skopeo sync`, folder to registry' skopeo-to
row '`sealift import` once more' again skopeo-again
row '`skopeo sync` once more' skopeo-again
