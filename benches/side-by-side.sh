#!/bin/bash
# Measures sealift beside skopeo, docker load and sha256sum on the same images, in one run on one
# machine, and prints a Markdown table for docs/performance.md. Times of separate runs are not to be
# compared: only the ratios within one table are.
# Usage: benches/side-by-side.sh PATH-TO-SEALIFT; SEALIFT_BENCH overrides target/bench.
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/servers.sh

sealift=$(realpath "${1:?usage: $0 PATH-TO-SEALIFT}")
bench=$(realpath -m "${SEALIFT_BENCH:-target/bench}")
corpus=$bench/corpus
work=$bench/run
mkdir -p "$bench"
benches/corpus.sh "$corpus" >&2
rm -rf "$work"
mkdir -p "$work"/{tmp,home,times}

trap 'stop_all; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

export HOME=$work/home TMPDIR=$work/tmp
unset XDG_CONFIG_HOME SEALIFT_PASSPHRASE DOCKER_HOST DOCKER_CONFIG

# ── measuring ───────────────────────────────────────────────────────────────────────────────────

declare -A wall cpu peak temporary

# The largest temporary file that a process and its children have in $TMPDIR while they run, whether
# it still has a name or not.
watch_temporary() { # PID FILE
    local largest=0 size fd
    while kill -0 "$1" 2>/dev/null; do
        for size in $(find "$TMPDIR" -type f -printf '%s\n' 2>/dev/null); do
            ((size <= largest)) || largest=$size
        done
        for fd in $(find /proc/"$(pgrep -P "$1" | head -n 1)"/fd -lname "$TMPDIR/*" 2>/dev/null); do
            size=$(stat --dereference --format=%s "$fd" 2>/dev/null || echo 0)
            ((size <= largest)) || largest=$size
        done
        echo "$largest" >"$2"
        sleep 0.1
    done
}

# measure NAME COMMAND...: runs it under time -v; called again with the same name, it adds up.
measure() {
    local name=$1 report=$work/times/report
    shift
    echo "bench: $name: ${*##*/}" >&2
    : >"$work/times/temporary"
    /usr/bin/time --verbose --output="$report" "$@" >"$work/times/out" 2>"$work/times/err" &
    local timer=$!
    watch_temporary "$timer" "$work/times/temporary" &
    local watcher=$!
    if ! wait "$timer"; then
        echo "bench: $name failed:" >&2
        tail -n 20 "$work/times/err" >&2
        exit 1
    fi
    wait "$watcher"
    local seconds busy rss temp
    seconds=$(awk -F ': ' '/Elapsed/ { n = split($NF, t, ":"); s = 0; for (i = 1; i <= n; i++) s = s * 60 + t[i]; print s }' "$report")
    busy=$(awk -F ': ' '/User time|System time/ { s += $2 } END { print s }' "$report")
    rss=$(awk -F ': ' '/Maximum resident/ { print $2 }' "$report")
    temp=$(cat "$work/times/temporary")
    wall[$name]=$(awk "BEGIN { print ${wall[$name]:-0} + $seconds }")
    cpu[$name]=$(awk "BEGIN { print ${cpu[$name]:-0} + $busy }")
    peak[$name]=$(awk "BEGIN { a = ${peak[$name]:-0}; print (a > $rss ? a : $rss) }")
    temporary[$name]=$(awk "BEGIN { a = ${temporary[$name]:-0}; b = ${temp:-0}; print (a > b ? a : b) }")
}

# ── the runs ────────────────────────────────────────────────────────────────────────────────────

mapfile -t names <"$corpus/names"
"$sealift" key generate >/dev/null
mkdir -p "$HOME/.config/sealift/trust"
cp "$HOME/.config/sealift/signing.pub" "$HOME/.config/sealift/trust/"
# Everything starts from a warm cache.
find "$corpus" -type f -exec cat {} + >/dev/null

start_registry "$corpus/registry"
from=$registry
bundle=$work/images.sealift

measure export "$sealift" export --plain-http "${names[@]/#/$from/}" --output "$bundle"
for name in "${names[@]}"; do
    archive=$work/$(tr '/:' '--' <<<"$name").tar
    measure skopeo-archive skopeo copy --quiet --src-tls-verify=false "docker://$from/$name" "oci-archive:$archive"
done

measure sha256sum sha256sum "$bundle"
measure verify-quick "$sealift" verify --quick "$bundle"
measure verify "$sealift" verify "$bundle"

start_registry "$work/registry-sealift"
measure import-registry "$sealift" import --plain-http "$bundle" --to "$registry"
start_registry "$work/registry-skopeo"
for name in "${names[@]}"; do
    archive=$work/$(tr '/:' '--' <<<"$name").tar
    measure skopeo-registry skopeo copy --quiet --dest-tls-verify=false "oci-archive:$archive" "docker://$registry/$name"
done

measure import-layout "$sealift" import "$bundle" --to "oci:$work/layout"
for name in "${names[@]}"; do
    archive=$work/$(tr '/:' '--' <<<"$name").tar
    measure skopeo-layout skopeo copy --quiet "oci-archive:$archive" "oci:$work/layout-skopeo:${name//[:\/]/-}"
done

# A fresh daemon for each; what it does itself is in the time, not in the processor time and memory.
start_dockerd "$work/docker-sealift"
measure import-daemon env DOCKER_HOST="unix://$docker_socket" "$sealift" import "$bundle" --to docker-daemon:
measure export-daemon env DOCKER_HOST="unix://$docker_socket" "$sealift" export \
    "${names[@]/#/docker-daemon:$from/}" --output "$work/daemon.sealift"
measure docker-save docker -H "unix://$docker_socket" save --output "$work/save.tar" "${names[@]/#/$from/}"
kill "$dockerd_pid" && wait "$dockerd_pid" || true
start_dockerd "$work/docker-load"
measure docker-load docker -H "unix://$docker_socket" load --quiet --input "$corpus/save.tar"

# ── the table ───────────────────────────────────────────────────────────────────────────────────

mib() { awk "BEGIN { printf \"%.0f\", $1 / 1048576 }"; }
bytes_of() { stat --format=%s "$@" | awk '{ s += $1 } END { print s }'; }
blobs=$(find "$work/layout/blobs" -type f -printf '%s\n')
blob_bytes=$(awk '{ s += $1 } END { print s }' <<<"$blobs")
largest=$(sort -n <<<"$blobs" | tail -n 1)
archives=$(bytes_of "$work"/bench-*.tar)

row() { # TITLE NAME BESIDE-TITLE BESIDE
    awk -v title="$1" -v wall="${wall[$2]}" -v cpu="${cpu[$2]}" -v peak="${peak[$2]}" \
        -v temp="${temporary[$2]}" -v beside="$3" -v bwall="${wall[$4]}" -v bcpu="${cpu[$4]}" \
        -v bpeak="${peak[$4]}" 'BEGIN {
        printf "| %s | %.1f s | %.1f s | %.0f MiB | %.0f MiB | %s | %.1f s | %.1f s | %.0f MiB | **%.2f** |\n",
            title, wall, cpu, peak / 1024, temp / 1048576, beside, bwall, bcpu, bpeak / 1024,
            (bwall > 0 ? wall / bwall : 0) }'
}

model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
cat <<TABLE
## $(date -u +%Y-%m-%d), $(nproc) processors (${model:-unknown}), $(awk '/MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)

$("$sealift" --version), $(skopeo --version), $(/usr/sbin/dockerd --version | cut -d , -f 1). ${#names[@]} images
of Debian packages: $(wc -l <<<"$blobs") blobs, $(mib "$blob_bytes") MiB, the largest $(mib "$largest") MiB. Warm cache, one run.

| | wall | processor | peak memory | largest temporary file | beside | wall | processor | peak memory | ratio of wall |
|---|---|---|---|---|---|---|---|---|---|
$(row 'export from registry' export '`skopeo copy` to OCI archives' skopeo-archive)
$(row 'verify' verify '`sha256sum` of the bundle' sha256sum)
$(row 'verify --quick' verify-quick '`sha256sum` of the bundle' sha256sum)
$(row 'import to registry' import-registry '`skopeo copy` from OCI archives' skopeo-registry)
$(row 'import to OCI layout' import-layout '`skopeo copy` from OCI archives' skopeo-layout)
$(row 'import to dockerd' import-daemon '`docker load`' docker-load)
$(row 'export from dockerd' export-daemon '`docker save`' docker-save)

| | size | of the blobs |
|---|---|---|
| bundle, from registry | $(mib "$(bytes_of "$bundle")") MiB | $(awk "BEGIN { printf \"%.2f\", $(bytes_of "$bundle") / $blob_bytes }") |
| OCI archives, one for each image | $(mib "$archives") MiB | $(awk "BEGIN { printf \"%.2f\", $archives / $blob_bytes }") |
| bundle, from dockerd (plain layers) | $(mib "$(bytes_of "$work/daemon.sealift")") MiB | $(awk "BEGIN { printf \"%.2f\", $(bytes_of "$work/daemon.sealift") / $blob_bytes }") |
| \`docker save\` of all images | $(mib "$(bytes_of "$work/save.tar")") MiB | $(awk "BEGIN { printf \"%.2f\", $(bytes_of "$work/save.tar") / $blob_bytes }") |
TABLE
