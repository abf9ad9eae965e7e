#!/bin/bash
# Measures sealift beside skopeo, docker load, docker save and sha256sum on the same images, in one run
# on one machine, and prints Markdown for docs/performance.md. Times of separate runs are not to be
# compared: only the ratios within one are.
# Usage: benches/side-by-side.sh PATH-TO-SEALIFT [--quick]
#   --quick  only the smallest corpus, and no daemon
# SEALIFT_BENCH overrides target/bench, where the corpora are kept.
set -euo pipefail
cd "$(dirname "$0")/.."
for part in servers blobs measure sizes times deltas; do
    # shellcheck source=/dev/null
    . "benches/$part.sh"
done

sealift=$(realpath "${1:?usage: $0 PATH-TO-SEALIFT [--quick]}")
quick=${2:-}
bench=$(realpath -m "${SEALIFT_BENCH:-target/bench}")
work=$bench/run
kinds=(main lean podman)
[[ -z $quick ]] || kinds=(lean)

# ── the corpora ─────────────────────────────────────────────────────────────────────────────────

missing=()
for kind in "${kinds[@]}"; do [[ -e $bench/$kind/complete ]] || missing+=("$kind"); done
echo "bench: corpora are kept in $bench" >&2
[[ ${#missing[@]} -eq 0 ]] ||
    echo "bench: to be made first, once: ${missing[*]} (about 7 minutes each on two processors; 4 GB kept, 10 GB on the way)" >&2
echo "bench: measuring takes about $([[ -n $quick ]] && echo 2 || echo 30) minutes on two processors" >&2

mkdir -p "$bench"
for kind in "${missing[@]}"; do
    if [[ $kind = podman ]] && ! find_podman "$bench/podman"; then
        echo 'bench: NO PODMAN on PATH or in the tree that SEALIFT_TRIXIE names: ITS IMAGES ARE LEFT OUT' >&2
        kinds=(main lean)
        continue
    fi
    benches/corpus.sh "$kind" "$bench/$kind" >&2
done

rm -rf "$work"
mkdir -p "$work"/{tmp,home}
# A build in the meantime must not change what is measured.
cp "$sealift" "$work/sealift"
sealift=$work/sealift
trap 'stop_all; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
export HOME=$work/home TMPDIR=$work/tmp
unset XDG_CONFIG_HOME SEALIFT_PASSPHRASE DOCKER_HOST DOCKER_CONFIG

"$sealift" key generate >/dev/null
mkdir -p "$HOME/.config/sealift/trust"
cp "$HOME/.config/sealift/signing.pub" "$HOME/.config/sealift/trust/"
# Everything starts from a warm cache.
for kind in "${kinds[@]}"; do find "$bench/$kind" -type f -exec cat {} + >/dev/null; done

# plain_gb KIND [NAME...]: GB of the distinct layers of these images, or of all, when unpacked.
plain_gb() {
    local kind=$1
    shift
    if [[ $# -gt 0 ]]; then
        printf '%s\n' "$@" | grep --fixed-strings --word-regexp --file - "$bench/$kind/plain"
    else
        cat "$bench/$kind/plain"
    fi | awk '!seen[$2]++ { s += $3 } END { print s / 1e9 }'
}

# ── the runs ────────────────────────────────────────────────────────────────────────────────────

model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
echo "## $(date -u +%Y-%m-%d), $(nproc) processors (${model:-unknown}), $(awk '/MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)"
echo
echo "$("$sealift" --version), $(skopeo --version), $(/usr/sbin/dockerd --version | cut -d , -f 1). Warm cache, one run."
echo "The sealift measured has the SHA-256 $(sha256sum "$sealift" | cut -c -16)…."
echo 'MB and GB are powers of ten, MiB are not.'

bundles() { # KIND LEVEL...
    local kind=$1 level
    shift
    for level in "$@"; do echo "$level=$work/$kind-$level.sealift"; done
}

for kind in "${kinds[@]}"; do
    levels=(balanced)
    [[ $kind != main && -z $quick ]] || levels=(balanced fast max)
    time_exports "$kind" "${levels[@]}"
    mapfile -t made < <(bundles "$kind" "${levels[@]}")
    sizes_table "$kind" "$bench/$kind" "${made[@]}"
done

timed=main
[[ -z $quick ]] || timed=lean
time_rest "$timed"
times_table "$timed" "$timed"
[[ -n $quick ]] || {
    time_daemon
    daemon_table
    deltas_table
}
