#!/usr/bin/env bash
# shellcheck disable=SC2034  # the scripts that source this use its variables
# What install.sh, upgrade.sh and backup.sh know about one operator's installation: where things
# are, how settings are read, who answers. Sourced, never run.
#
#   ~/nave/.env              settings, 0600, written by the operator
#   ~/nave/mode              "container" or "binary", written by install.sh
#   ~/nave/version.env       NAVE_VERSION of the last upgrade of a container
#   ~/nave/{data,logs,backups,deploy}
#   ~/.local/bin/nave        the binary, in binary mode

umask 077
base="$HOME/nave"
units="$HOME/.config/systemd/user"
binary="$HOME/.local/bin/nave"
env_file="$base/.env"
# Services in the order of `nave serve`; a backup holds one database, and each may have its own.
services=(prekeys broker)

say() { printf '%s\n' "$*"; }
warn() { printf 'WARNING: %s\n' "$*" >&2; }
die() { # die STATUS MESSAGE...
    local status=$1
    shift
    printf 'error: %s\n' "$*" >&2
    exit "$status"
}

mode_installed() { cat "$base/mode" 2>/dev/null || true; }

main_unit() { # main_unit MODE
    if [ "$1" = container ]; then echo nave-backend.service; else echo nave-server.service; fi
}

# `su` and cron leave this unset, and systemctl --user finds no manager without it.
find_runtime_dir() {
    if [ -z "${XDG_RUNTIME_DIR:-}" ] && [ -d "/run/user/$(id -u)" ]; then
        XDG_RUNTIME_DIR="/run/user/$(id -u)"
        export XDG_RUNTIME_DIR
    fi
}

user_systemctl() { systemctl --user "$@" </dev/null 9>&-; }

# One installation or upgrade at a time.
take_turn() {
    exec 9>"$base/.lock"
    flock -n 9 || die 1 "another installation or upgrade is at work"
}

# Exports the settings of an environment file as systemd and compose read it: NAME=VALUE lines,
# comments, one pair of quotes around a value. Nothing in it is executed.
load_settings() { # load_settings FILE
    local line name value
    while IFS= read -r line || [ -n "$line" ]; do
        line=${line%$'\r'}
        [[ $line =~ ^[[:space:]]*([A-Za-z_][A-Za-z0-9_]*)=(.*)$ ]] || continue
        name=${BASH_REMATCH[1]}
        value=${BASH_REMATCH[2]}
        value=${value%"${value##*[![:space:]]}"}
        if [[ $value =~ ^\"(.*)\"$ || $value =~ ^\'(.*)\'$ ]]; then value=${BASH_REMATCH[1]}; fi
        export "$name=$value"
    done <"$1"
}

setting() { # setting NAME DEFAULT, of the operator's file
    (
        unset "$1"
        if [ -f "$env_file" ]; then load_settings "$env_file"; fi
        printf '%s' "${!1:-$2}"
    )
}

# Sets the array `compose` to the client that is installed: version 2's plugin or Debian's 1.29.
find_compose() {
    local docker
    docker=$(command -v docker || true)
    if [ -n "$docker" ] && "$docker" compose version >/dev/null 2>&1 </dev/null; then
        compose=("$docker" compose)
    elif command -v docker-compose >/dev/null; then
        compose=("$(command -v docker-compose)")
    else
        die 1 "neither 'docker compose' nor docker-compose is installed"
    fi
    # An upgrade's version; the environment wins over --env-file.
    if [ -f "$base/version.env" ]; then load_settings "$base/version.env"; fi
}

run_compose() {
    "${compose[@]}" --env-file "$env_file" -p nave -f "$base/deploy/compose.yml" "$@" </dev/null
}

# A container that failed is started again by Docker, and so outlives a unit that has given up.
remove_container() { run_compose down >/dev/null 2>&1; }

# Runs the installed nave with the operator's settings, beside the server or without one.
run_nave() { # run_nave MODE ARGUMENT...
    local mode=$1
    shift
    if [ "$mode" = container ]; then
        run_compose run --rm --no-deps -T backend "$@"
    else
        run_binary "$binary" "$@"
    fi
}

run_binary() { # run_binary PATH ARGUMENT...
    (
        export NAVE_LISTEN=127.0.0.1:8081 NAVE_DATA_DIR="$base/data"
        load_settings "$env_file"
        cd "$base" || exit 1
        exec "$@" </dev/null
    )
}

# Where the server answers, seen from this machine.
origin() { # origin MODE
    local address=127.0.0.1:8081
    if [ "$1" = binary ]; then address=$(setting NAVE_LISTEN "$address"); fi
    case "$address" in
        :* | 0.0.0.0:* | '[::]:'*) address="127.0.0.1:${address##*:}" ;;
    esac
    echo "http://$address"
}

answers() { # answers URL: 200 within five seconds
    if command -v curl >/dev/null; then
        curl -fsS -m 5 -o /dev/null "$1" 2>/dev/null </dev/null
    elif [ -x "$binary" ]; then
        run_binary "$binary" healthcheck --url "$1" >/dev/null 2>&1
    else
        return 1
    fi
}

main_pid() { user_systemctl show -p MainPID --value "$1" 2>/dev/null || echo 0; }

# True when the unit's own process gets ready before the deadline and still is it, and ready, a
# moment later: an address that answers may belong to somebody else, or to a server that dies again.
becomes_ready() { # becomes_ready UNIT URL SECONDS SETTLE_SECONDS
    local end=$((SECONDS + $3)) pid
    while [ $SECONDS -le $end ]; do
        pid=$(main_pid "$1")
        if [ "${pid:-0}" != 0 ] && answers "$2/ready"; then
            sleep "$4"
            if [ "$(main_pid "$1")" = "$pid" ] && answers "$2/ready"; then return 0; fi
        fi
        if [ "$(user_systemctl is-active "$1" 2>/dev/null)" = failed ]; then return 1; fi
        sleep 0.5
    done
    return 1
}
