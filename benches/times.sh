# What the commands take beside the usual tools on the same images; to be sourced.
# Everything that a function measures it also removes, but for bundles.

# time_exports KIND LEVEL...: exports a corpus to $work/KIND-LEVEL.sealift and to OCI archives.
time_exports() {
    local kind=$1 level name
    shift
    start_registry "$bench/$kind/registry"
    mapfile -t names <"$bench/$kind/names"
    for level in "$@"; do
        server=$registry_pid measure "$kind-export-$level" "$sealift" export --plain-http \
            --compression "$level" "${names[@]/#/$registry/}" --output "$work/$kind-$level.sealift"
    done
    stop_server "$registry_pid"
}

# time_rest KIND: everything else that needs no daemon, with $work/KIND-balanced.sealift.
time_rest() {
    local kind=$1 name bundle=$work/$1-balanced.sealift
    mapfile -t names <"$bench/$kind/names"
    mkdir "$work/archives"

    start_registry "$bench/$kind/registry"
    for name in "${names[@]}"; do
        server=$registry_pid measure "$kind-skopeo-export" skopeo copy --quiet --src-tls-verify=false \
            "docker://$registry/$name" "oci-archive:$(archive_of "$name")"
    done
    stop_server "$registry_pid"

    measure "$kind-sha256sum" sha256sum "$bundle"
    measure "$kind-verify-quick" "$sealift" verify --quick "$bundle"
    measure "$kind-verify" "$sealift" verify "$bundle"

    start_registry "$work/registry"
    server=$registry_pid measure "$kind-import-registry" "$sealift" import --plain-http "$bundle" --to "$registry"
    stop_server "$registry_pid"
    rm -r "$work/registry"
    start_registry "$work/registry"
    for name in "${names[@]}"; do
        server=$registry_pid measure "$kind-skopeo-registry" skopeo copy --quiet --dest-tls-verify=false \
            "oci-archive:$(archive_of "$name")" "docker://$registry/$name"
    done
    stop_server "$registry_pid"

    measure "$kind-import-layout" "$sealift" import "$bundle" --to "oci:$work/layout"
    for name in "${names[@]}"; do
        measure "$kind-skopeo-layout" skopeo copy --quiet "oci-archive:$(archive_of "$name")" \
            "oci:$work/layout-skopeo:${name//[:\/]/-}"
    done
    rm -r "$work"/{archives,registry,layout,layout-skopeo}
}
archive_of() { echo "$work/archives/${1//[:\/]/-}.tar"; }

# time_daemon: into dockerd and out of it, a fresh one for each tool.
time_daemon() {
    local from new=bench/app:3 old=bench/app:2
    mapfile -t names <"$bench/main/names"

    start_dockerd "$work/docker"
    server=$dockerd_pid measure docker-load docker --host "unix://$docker_socket" load --quiet \
        --input "$bench/main/save.tar"
    stop_dockerd
    start_dockerd "$work/docker"
    server=$dockerd_pid measure import-daemon env "DOCKER_HOST=unix://$docker_socket" \
        "$sealift" import "$work/main-balanced.sealift" --to docker-daemon:
    mapfile -t names < <(docker --host "unix://$docker_socket" images --format '{{.Repository}}:{{.Tag}}')
    server=$dockerd_pid measure docker-save docker --host "unix://$docker_socket" save \
        --output "$work/save.tar" "${names[@]}"
    rm "$work/save.tar"
    server=$dockerd_pid measure export-daemon env "DOCKER_HOST=unix://$docker_socket" \
        "$sealift" export --compression balanced "${names[@]/#/docker-daemon:}" --output "$work/daemon.sealift"
    from=$(printf '%s\n' "${names[@]}" | grep "$new\$")
    docker --host "unix://$docker_socket" save --output "$work/new.tar" "$from"
    stop_dockerd

    # One new version where the one before it is.
    start_registry "$bench/main/registry"
    "$sealift" export --quiet --plain-http --compression balanced "$registry/$old" \
        --output "$work/old.sealift" >/dev/null
    "$sealift" export --quiet --plain-http --compression balanced --base "$work/old.sealift" \
        "$registry/$new" --output "$work/new.sealift" >/dev/null
    stop_server "$registry_pid"
    start_dockerd "$work/docker"
    DOCKER_HOST=unix://$docker_socket "$sealift" import --quiet "$work/old.sealift" --to docker-daemon: >/dev/null
    server=$dockerd_pid measure import-daemon-delta env "DOCKER_HOST=unix://$docker_socket" \
        "$sealift" import --base "$work/old.sealift" "$work/new.sealift" --to docker-daemon:
    stop_dockerd
    start_dockerd "$work/docker"
    DOCKER_HOST=unix://$docker_socket "$sealift" import --quiet "$work/old.sealift" --to docker-daemon: >/dev/null
    server=$dockerd_pid measure docker-load-new docker --host "unix://$docker_socket" load --quiet \
        --input "$work/new.tar"
    stop_dockerd
    rm "$work"/{new.tar,old.sealift,new.sealift}
}
stop_dockerd() {
    stop_server "$dockerd_pid"
    rm -rf "$work/docker"
}

# times_table TITLE KIND: what of all this was measured.
times_table() {
    local kind=$2 level gb
    gb=$(plain_gb "$kind")
    echo
    echo "### Times: $1"
    echo
    times_head
    times_row '`skopeo copy` to OCI archives' "$kind-skopeo-export" "$gb"
    for level in balanced fast max; do
        times_row "\`sealift export\`, $level" "$kind-export-$level" "$gb" "$kind-skopeo-export"
    done
    times_row '`sha256sum` of the bundle' "$kind-sha256sum" "$gb"
    times_row '`sealift verify --quick`' "$kind-verify-quick" "$gb" "$kind-sha256sum"
    times_row '`sealift verify`' "$kind-verify" "$gb" "$kind-sha256sum"
    times_row '`skopeo copy`, OCI archives to registry' "$kind-skopeo-registry" "$gb"
    times_row '`sealift import` to registry' "$kind-import-registry" "$gb" "$kind-skopeo-registry"
    times_row '`skopeo copy`, OCI archives to OCI layout' "$kind-skopeo-layout" "$gb"
    times_row '`sealift import` to OCI layout' "$kind-import-layout" "$gb" "$kind-skopeo-layout"
}
daemon_table() {
    local gb new
    gb=$(plain_gb main)
    new=$(plain_gb main bench/app:3)
    echo
    echo '### Times: with dockerd'
    echo
    times_head
    times_row '`docker load`' docker-load "$gb"
    times_row '`sealift import`' import-daemon "$gb" docker-load
    times_row '`docker save`' docker-save "$gb"
    times_row '`sealift export`, balanced' export-daemon "$gb" docker-save
    times_row 'pandas bumped: `docker load` of the whole image' docker-load-new "$new"
    times_row 'pandas bumped: `sealift import` of the delta' import-daemon-delta "$new" docker-load-new
}
