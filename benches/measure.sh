# Runs commands and keeps what they took, to be sourced. Set $work (a folder) first; what commands
# put aside has to go to $TMPDIR.

declare -A wall cpu served peak aside

# measure NAME COMMAND...: runs it under time -v; called again with the same name, it adds up. With
# $server set to the process id of a server, the processor time of that counts apart.
measure() {
    local name=$1 report=$work/times/report before after=0 timer watcher
    shift
    mkdir -p "$work/times"
    echo "bench: $name: $(printf '%s ' "${@##*/}" | cut -c -160)" >&2
    before=$(server_ticks)
    echo 0 >"$work/times/aside"
    /usr/bin/time --verbose --output="$report" "$@" >"$work/times/out" 2>"$work/times/err" &
    timer=$!
    watch_aside "$timer" "$work/times/aside" &
    watcher=$!
    if ! wait "$timer"; then
        echo "bench: $name failed:" >&2
        tail -n 20 "$work/times/err" >&2
        exit 1
    fi
    wait "$watcher"
    after=$(server_ticks)
    wall[$name]=$(calc "${wall[$name]:-0} + $(awk -F ': ' '/Elapsed/ {
        n = split($NF, t, ":"); for (i = 1; i <= n; i++) s = s * 60 + t[i]; print s }' "$report")")
    cpu[$name]=$(calc "${cpu[$name]:-0} + $(awk -F ': ' '/User time|System time/ { s += $2 } END { print s }' "$report")")
    served[$name]=$(calc "${served[$name]:-0} + ($after - $before) / $(getconf CLK_TCK)")
    peak[$name]=$(largest "${peak[$name]:-0}" "$(awk -F ': ' '/Maximum resident/ { print $2 }' "$report")")
    aside[$name]=$(largest "${aside[$name]:-0}" "$(cat "$work/times/aside")")
}

calc() { awk "BEGIN { printf \"%.2f\", $1 }"; }
largest() { printf '%s\n' "$@" | sort --numeric-sort | tail -n 1; }

# Processor time of $server and of the children it has waited for, in ticks.
server_ticks() {
    [[ -n ${server:-} ]] || { echo 0; return; }
    sed 's/.*) //' "/proc/$server/stat" | awk '{ print $12 + $13 + $14 + $15 }'
}

# The most KiB that a command keeps in files of $TMPDIR at one time, whether they still have names or not.
watch_aside() { # PID-OF-TIME FILE
    local most=0 now child
    while kill -0 "$1" 2>/dev/null; do
        child=$(pgrep --parent "$1" | head -n 1 || true)
        now=$({
            find "$TMPDIR" -type f -printf '%i %k\n'
            find "/proc/${child:-0}/fd" -lname "$TMPDIR/*" -exec stat --dereference --format '%i %b' {} + |
                awk '{ print $1, $2 / 2 }'
        } 2>/dev/null | sort --unique --key=1,1 | awk '{ s += $2 } END { printf "%d\n", s }' ||
            true) # files and processes vanish
        if ((now > most)); then
            most=$now
            echo "$most" >"$2"
        fi
        sleep 0.2
    done
}

# What was measured, as Markdown. times_head, then a row for each: TITLE NAME GB-PLAIN [PEER-NAME].
times_head() {
    echo '| | wall | against the peer | processor | for each GB plain | processor of the server | peak memory | temporary files |'
    echo '|---|---|---|---|---|---|---|---|'
}
times_row() {
    [[ -n ${wall[$2]:-} ]] || return 0
    awk -v title="$1" -v wall="${wall[$2]}" -v cpu="${cpu[$2]}" -v served="${served[$2]}" -v peak="${peak[$2]}" \
        -v aside="${aside[$2]}" -v plain="$3" -v peer="${wall[${4:-none}]:-}" 'BEGIN {
        printf "| %s | %.1f s | %s | %.1f s | %.1f s | %s | %.0f MiB | %.0f MiB |\n", title, wall,
            (peer > 0 ? sprintf("%.2f", wall / peer) : "–"), cpu, cpu / plain,
            (served > 0 ? sprintf("%.1f s", served) : "–"), peak / 1024, aside / 1024 }'
}

mb() { awk "BEGIN { printf \"%.1f\", $1 / 1e6 }"; }
ratio() { awk "BEGIN { printf \"%.3f\", $1 / $2 }"; }
bytes_of() { stat --format %s "$@" | awk '{ s += $1 } END { printf "%d\n", s }'; }
