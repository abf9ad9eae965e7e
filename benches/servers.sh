# Real servers and engines for benches/*.sh, to be sourced: on loopback or a socket, in folders of
# their own, stopped by process id.
# start_dockerd FOLDER sets $docker_socket and $dockerd_pid; start_registry STORAGE sets $registry and
# $registry_pid; stop_server PID and stop_all end them; find_podman FOLDER makes run_podman work.

server_pids=()
server_folders=()

wait_for() { # SECONDS COMMAND...
    local patience=$1 began=$SECONDS
    shift
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS - began >= patience)); then
            echo "did not come up within $patience s: $*" >&2
            return 1
        fi
        sleep 0.1
    done
}

start_dockerd() {
    local folder=$1
    mkdir -p "$folder"
    docker_socket=$folder/docker.sock
    /usr/sbin/dockerd --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/pid" \
        --host "unix://$docker_socket" --bridge=none --iptables=false --ip6tables=false \
        --ip-forward=false --ip-masq=false --storage-driver=overlay2 >"$folder/log" 2>&1 &
    dockerd_pid=$!
    server_pids+=("$dockerd_pid")
    wait_for 30 curl --silent --fail --unix-socket "$docker_socket" http://docker/_ping
}

start_registry() {
    local storage=$1 folder port
    folder=$(mktemp -d)
    server_folders+=("$folder")
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    registry=127.0.0.1:$port
    printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: "%s"}}\nhttp: {addr: "%s"}\nlog: {level: error}\n' \
        "$storage" "$registry" >"$folder/config.yml"
    OTEL_TRACES_EXPORTER=none docker-registry serve "$folder/config.yml" >"$folder/log" 2>&1 &
    registry_pid=$!
    server_pids+=("$registry_pid")
    wait_for 30 curl --silent --fail "http://$registry/v2/"
}

stop_server() {
    kill "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

stop_all() {
    local pid
    for pid in "${server_pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${server_pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    [[ ${#server_folders[@]} -eq 0 ]] || rm -rf "${server_folders[@]}"
    server_pids=()
    server_folders=()
}

# Podman needs no server. It is the one on PATH or, where there is none, the one of the Debian tree
# that SEALIFT_TRIXIE names. Its storage is FOLDER/podman, and it sees only files below FOLDER.
find_podman() {
    podman_folder=$1
    podman_tree=
    if ! command -v podman >/dev/null; then
        podman_tree=${SEALIFT_TRIXIE:-/var/lib/sealift-trixie}
        [[ -x $podman_tree/usr/bin/podman ]] || return 1
    fi
    mkdir -p "$podman_folder/podman"
}

run_podman() {
    local options=(--storage-driver overlay)
    if [[ -z $podman_tree ]]; then
        podman --root "$podman_folder/podman/data" --runroot "$podman_folder/podman/run" "${options[@]}" "$@"
        return
    fi
    # The mounts are in a namespace of their own and end with the command. Podman wants a root that
    # is a mount.
    # shellcheck disable=SC2016 # the inner shell expands
    unshare --mount --propagation private sh -c '
        tree=$1 folder=$2
        shift 2
        mount --bind "$tree" "$tree"
        for place in proc sys dev; do mount --rbind "/$place" "$tree/$place"; done
        mount --bind "$folder" "$tree/mnt"
        exec chroot "$tree" env HOME=/mnt/podman podman "$@"' \
        sh "$podman_tree" "$podman_folder" --root /mnt/podman/data --runroot /mnt/podman/run \
        "${options[@]}" "${@/#"$podman_folder"//mnt}"
}
