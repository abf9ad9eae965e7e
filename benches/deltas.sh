# What a new version takes where the old one is already; to be sourced. Needs the corpus `main`.

# title = the old images > the new ones
deltas=(
    'app: flask bumped, its pip layer rebuilt = bench/app:1 > bench/app:2'
    'app: pandas bumped = bench/app:2 > bench/app:3'
    'nginx and postgresql rebuilt = bench/nginx:1 bench/postgresql:1 > bench/nginx:2 bench/postgresql:2'
    'coredns rebuilt after one edit = bench/coredns:1 > bench/coredns:2'
)

deltas_table() {
    local line title old new blobs delta gb
    echo
    echo '### Deltas'
    echo
    echo '| | new gzip blobs, MB | delta, MB | of the blobs | export: wall | processor | for each GB plain | peak memory | verify: wall | peak memory |'
    echo '|---|---|---|---|---|---|---|---|---|---|'
    start_registry "$bench/main/registry"
    for line in "${deltas[@]}"; do
        title=${line%% = *} line=${line#* = }
        read -ra old <<<"${line% > *}"
        read -ra new <<<"${line#* > }"
        "$sealift" export --quiet --plain-http --compression balanced "${old[@]/#/$registry/}" \
            --output "$work/old.sealift" >/dev/null
        measure "delta-$title" "$sealift" export --plain-http --compression balanced --base "$work/old.sealift" \
            "${new[@]/#/$registry/}" --output "$work/new.sealift"
        measure "delta-verify-$title" "$sealift" verify --base "$work/old.sealift" "$work/new.sealift"
        blobs=$(new_blobs)
        delta=$(bytes_of "$work/new.sealift")
        gb=$(plain_gb main "${new[@]}")
        awk -v title="$title" -v blobs="$blobs" -v delta="$delta" -v gb="$gb" \
            -v wall="${wall[delta-$title]}" -v cpu="${cpu[delta-$title]}" -v peak="${peak[delta-$title]}" \
            -v vwall="${wall[delta-verify-$title]}" -v vpeak="${peak[delta-verify-$title]}" 'BEGIN {
            printf "| %s | %.1f | %.2f | %.3f | %.1f s | %.1f s | %.1f s | %.0f MiB | %.1f s | %.0f MiB |\n", title,
                blobs / 1e6, delta / 1e6, delta / blobs, wall, cpu, cpu / gb, peak / 1024, vwall, vpeak / 1024 }'
        rm "$work"/{old,new}.sealift
    done
    stop_server "$registry_pid"
}

# The bytes of the blobs of ${new[@]} that ${old[@]} do not have.
new_blobs() {
    local name
    for name in "${old[@]}"; do blobs_of "$name"; done | sort --unique >"$work/old.blobs"
    for name in "${new[@]}"; do blobs_of "$name"; done | sort --unique |
        comm -13 "$work/old.blobs" - | awk '{ s += $3 } END { printf "%d\n", s }'
}
