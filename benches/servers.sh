# Real servers for benches/*.sh, to be sourced: on loopback or a socket, stopped by process id.
# start_dockerd FOLDER sets $docker_socket; start_registry STORAGE sets $registry; stop_all.

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
    server_pids+=("$!")
    wait_for 30 curl --silent --fail "http://$registry/v2/"
}

stop_all() {
    local pid
    for pid in "${server_pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${server_pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    [[ ${#server_folders[@]} -eq 0 ]] || rm -rf "${server_folders[@]}"
    server_pids=()
    server_folders=()
}
