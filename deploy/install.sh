#!/usr/bin/env bash
# Installs Nave for the user who runs it, as user units of systemd. Idempotent.
#
#   deploy/install.sh [install] [--mode container|binary] [--binary FILE] [--hostname NAME]
#   deploy/install.sh upgrade VERSION|FILE     backup, change, wait for health, or go back
#   deploy/install.sh status
#   deploy/install.sh uninstall                keeps settings, data, backups and logs
#
# DRY_RUN=1 writes every file below DRY_RUN_DIR (a new temporary folder when unset) instead of the
# home, and runs and changes nothing else. ALLOW_ROOT=1 installs for root. From a checkout it also
# works as `bash -s < deploy/install.sh`. Exit: 0, 1 failed, 2 usage, 3 refused, 4 rolled back.
set -euo pipefail
shopt -s lastpipe

# The folder of this script, or deploy/ of the current one when it comes from a pipe.
find_source() {
    local candidate
    for candidate in "$(dirname "${BASH_SOURCE[0]:-/nowhere/x}")" "$PWD/deploy" "$PWD"; do
        if [ -f "$candidate/operator.sh" ] && [ -d "$candidate/systemd" ]; then
            (cd "$candidate" && pwd)
            return
        fi
    done
    echo "error: run this in a checkout of nave: deploy/operator.sh is not here" >&2
    return 1
}

usage() {
    die 2 "usage: install.sh [install [--mode container|binary] [--binary FILE] [--hostname NAME] |" \
        "upgrade VERSION|FILE | status | uninstall]"
}

# Where a file of the home is written: the home, or the folder of a dry run.
target() { printf '%s' "$root${1#"$HOME"}"; }

folder() { # folder PATH...
    local path
    for path; do
        [ -d "$(target "$path")" ] || mkdir -p "$(target "$path")"
    done
}

# Writes standard input to PATH with MODE, by renaming, only where it differs. Sets `changed`.
put() { # put PATH MODE
    local path new
    path=$(target "$1")
    new=$(mktemp "$path.XXXXXX")
    cat >"$new"
    chmod "$2" "$new"
    if cmp -s "$new" "$path" && [ "$(stat -c %a "$path")" = "$2" ]; then
        rm -f "$new"
    else
        mv -f "$new" "$path"
        changed=1
    fi
}

act() { # act COMMAND...: not in a dry run
    if [ "$dry" = 1 ]; then say "would run: ${*/#user_systemctl/systemctl --user}"; else "$@"; fi
}

check_user() {
    if [ "$(id -u)" = 0 ] && [ "${ALLOW_ROOT:-0}" != 1 ]; then
        die 3 "refusing to install for root: run as the user who shall own the server, or set ALLOW_ROOT=1"
    fi
    # systemd takes no quote or backslash in an executable's name; a dollar sign has a meaning of its
    # own in a command line, a star or bracket in EnvironmentFile=, a colon in BindPaths=.
    case "$HOME" in
        *[\"\'\\\$\`:*?[]* | *[[:cntrl:]]*)
            die 3 "cannot write units for the home folder $HOME: it has one of ' \" \\ \$ \` : * ? [" ;;
        /*) ;;
        *) die 3 "HOME must be an absolute path, not \"$HOME\"" ;;
    esac
}

# Nobody else's files are replaced, and nothing is written through somebody else's link.
check_owners() {
    local path me
    me=$(id -u)
    for path in "$base" "$base"/{data,logs,backups,deploy,.env} "$units" "$units"/nave-*; do
        [ -e "$path" ] || [ -L "$path" ] || continue
        case "$path" in
            */nave/data) continue ;; # the container's user owns it
            *.service | *.timer)
                if [ -L "$path" ] || [ ! -f "$path" ]; then
                    die 3 "$path is not a plain file; refusing to replace it"
                fi
                ;;
        esac
        if [ "$(stat -c %u "$path")" != "$me" ]; then
            die 3 "$path belongs to $(stat -c %U "$path"), not to $(id -un); refusing to touch it"
        fi
    done
}

check_env_file() {
    if [ ! -e "$env_file" ]; then
        if [ "$dry" = 1 ]; then
            warn "$env_file does not exist: the real run will refuse to start"
            return
        fi
        die 3 "$env_file does not exist: copy deploy/env.example and fill:" \
            "cp '$base/deploy/env.example' '$env_file' && chmod 600 '$env_file'"
    fi
    [ -f "$env_file" ] || die 3 "$env_file is not a file"
    local mode
    mode=$(stat -Lc %a "$env_file")
    if (((8#$mode & 8#077) != 0)); then
        warn "$env_file had mode $mode and may hold secrets: now 600"
        act chmod 600 "$env_file"
    fi
}

# Fills a template's placeholders. Quoted on both sides, the shell's replacement takes every
# character as it is, "&" too.
render() { # render TEMPLATE
    local line home exec_prefix stop_timeout
    home=${HOME//%/%%}
    exec_prefix=${compose[*]//%/%%}
    stop_timeout=$(setting NAVE_SHUTDOWN_SECONDS 10)
    [[ $stop_timeout =~ ^[0-9]{1,3}$ ]] || stop_timeout=10
    while IFS= read -r line; do
        if [[ $line == '#'* ]]; then
            printf '%s\n' "$line"
            continue
        fi
        line=${line//"<compose>"/"$exec_prefix"}
        line=${line//"<cloudflared>"/"${cloudflared//%/%%}"}
        line=${line//"<stop-timeout>"/"$((10#$stop_timeout + 10))"}
        line=${line//"<home>"/"$home"}
        printf '%s\n' "$line"
    done <"$1"
}

copy_own_files() {
    local file
    [ "$source" = "$(cd "$base/deploy" 2>/dev/null && pwd)" ] && return
    folder "$base/deploy/systemd" "$base/deploy/proxy"
    for file in "$source"/*.sh; do put "$base/deploy/${file##*/}" 755 <"$file"; done
    for file in "$source"/{env.example,*.yml,*.template,systemd/*,proxy/*}; do
        if [ -f "$file" ]; then put "$base/deploy${file#"$source"}" 644 <"$file"; fi
    done
}

install_binary() {
    local new=$1 candidate
    if [ -z "$new" ]; then
        for candidate in "$binary" "$source/../build/release/src/app/nave"; do
            if [ -x "$candidate" ]; then new=$candidate && break; fi
        done
    fi
    [ -n "$new" ] || die 1 "no binary: build one (scripts/build release nave) or name it with --binary FILE"
    new=$(readlink -f -- "$new")
    "$new" version >/dev/null </dev/null || die 1 "$new does not run on this machine"
    if [ -f "$env_file" ]; then
        run_binary "$new" config check >&2 || die 3 "settings in $env_file are wrong; nothing was started"
    fi
    if [ -x "$(target "$binary")" ] && [ -f "$(target "$units/nave-server.service")" ] &&
        ! cmp -s "$new" "$(target "$binary")"; then
        die 3 "another version is installed: use install.sh upgrade '$new', which makes a backup first"
    fi
    folder "$HOME/.local/bin"
    put "$binary" 755 <"$new"
}

# The container runs as 10001 and must own its data; the operator's group may pass and remove old
# backups, not read them.
prepare_container() {
    folder "$base/data/backups"
    [ "$dry" = 1 ] && return
    docker info >/dev/null 2>&1 </dev/null ||
        die 1 "Docker does not answer: is it running, and is $(id -un) in the group docker?"
    run_compose config -q || die 1 "$base/deploy/compose.yml and $env_file do not fit together"
    [ "$(stat -c %u "$base/data")" = 10001 ] && return
    local group
    group=$(id -g)
    if ! own_data "$group" >/dev/null 2>&1; then
        warn "$base/data must belong to the container's user: sudo chown 10001:$group '$base/data' '$base/data/backups' &&" \
            "sudo chmod 710 '$base/data' && sudo chmod 2770 '$base/data/backups'"
    fi
}

own_data() { # own_data GROUP, by a container of the image, with the one capability it needs
    local image
    image="ghcr.io/$(setting NAVE_IMAGE_OWNER nave)/nave:${NAVE_VERSION:-$(setting NAVE_VERSION latest)}"
    docker run --rm --network none --user 0:0 --cap-drop ALL --cap-add CHOWN --cap-add FOWNER \
        --volume "$base/data:/data" --entrypoint /bin/sh "$image" -c \
        "chmod 2770 /data/backups && chown 10001:$1 /data/backups && chmod 710 /data && chown 10001:$1 /data" </dev/null
}

# The tunnel is set up when its UUID is known; without one everything else still is.
install_tunnel() {
    local uuid_file="$HOME/.cloudflared/NAVE_TUNNEL_UUID" host_file="$HOME/.cloudflared/NAVE_HOSTNAME"
    local uuid host=$1 line credentials
    if [ ! -f "$uuid_file" ]; then
        say "no tunnel: $uuid_file does not exist"
        return
    fi
    tunnel=1
    uuid=$(tr -d '[:space:]' <"$uuid_file")
    [[ $uuid =~ ^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$ ]] ||
        die 3 "$uuid_file must hold the tunnel's UUID, not \"$uuid\""
    if [ -z "$host" ] && [ -f "$host_file" ]; then host=$(tr -d '[:space:]' <"$host_file"); fi
    [ -n "$host" ] || die 3 "the tunnel needs a hostname: --hostname nave.example.org, or one line in $host_file"
    [[ $host =~ ^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}$ ]] ||
        die 3 "\"$host\" is not a hostname"
    credentials="$HOME/.cloudflared/nave-backend-$uuid.json"
    if [ ! -f "$credentials" ]; then
        warn "$credentials does not exist; 'cloudflared tunnel create --credentials-file' writes it"
    elif (((8#$(stat -Lc %a "$credentials") & 8#077) != 0)); then
        warn "$credentials is readable for others: chmod 600 '$credentials'"
    fi
    folder "$HOME/.cloudflared"
    while IFS= read -r line; do
        line=${line//"/home/{{USER}}"/"$HOME"}
        line=${line//"{{USER}}"/"$(id -un)"}
        line=${line//"{{TUNNEL_UUID}}"/"$uuid"}
        line=${line//"{{HOSTNAME}}"/"$host"}
        line=${line//"http://127.0.0.1:8081"/"$(origin "$mode")"}
        printf '%s\n' "$line"
    done <"$source/cloudflared-config.yml.template" | put "$HOME/.cloudflared/nave-config.yml" 600
    printf '%s\n' "$host" | put "$host_file" 600
}

# Lingering first: it is what starts a manager for a user without a login.
prepare_manager() {
    local end=$((SECONDS + 10))
    if ! act loginctl enable-linger "$(id -un)"; then
        warn "lingering could not be enabled, so the server ends with your last login: sudo loginctl enable-linger $(id -un)"
    fi
    [ "$dry" = 1 ] && return
    until find_runtime_dir && user_systemctl show-environment >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] ||
            die 1 "no service manager for $(id -un): enable lingering as root, or log in as this user (not by su)"
        sleep 0.5
    done
}

backup_folder() { if [ "$mode" = container ]; then echo "$base/data/backups"; else echo "$base/backups"; fi; }

start_units() {
    local other unit was_active="" enabled=("$(main_unit "$mode")" nave-backup.timer)
    if [ "$mode" = container ]; then other=$(main_unit binary); else other=$(main_unit container); fi
    if [ "$tunnel" = 1 ]; then enabled+=(nave-cloudflared.service); fi
    act user_systemctl daemon-reload
    if [ -f "$(target "$units/$other")" ]; then
        act user_systemctl disable --now "$other"
        rm -f "$(target "$units/$other")"
    fi
    if [ "$dry" != 1 ] && [ $changed = 1 ]; then
        for unit in "${enabled[@]}"; do
            if user_systemctl is-active --quiet "$unit"; then was_active+="$unit "; fi
        done
    fi
    act user_systemctl enable --now "${enabled[@]}"
    # What ran before this installation runs with the old files.
    # shellcheck disable=SC2086
    if [ -n "$was_active" ]; then user_systemctl restart $was_active; fi
}

check_health() {
    local url
    url=$(origin "$mode")
    if becomes_ready "$(main_unit "$mode")" "$url" "${HEALTH_DEADLINE:-60}" 0; then
        say "healthy: $url/ready answers"
    elif answers "$url/healthz"; then
        warn "$url runs but is not ready; see $url/health and $base/logs"
    else
        warn "$url/healthz does not answer; see $base/logs and: systemctl --user status $(main_unit "$mode")"
    fi
}

next_steps() {
    say "
Next steps:
  - Status: $base/deploy/install.sh status. Logs: $base/logs. Backups, nightly: $(backup_folder)"
    if [ "$mode" = binary ] && [ -z "$(setting SHADE_TRUSTED_PROXIES "")" ]; then
        say "  - Behind the tunnel or a proxy set SHADE_TRUSTED_PROXIES=127.0.0.1 in $env_file,
    or all clients share one address and its limits"
    fi
    if [ "$tunnel" = 1 ]; then
        say "  - Cloudflare Access: create a policy for the hostname, or everyone can reach the server:
    https://one.dash.cloudflare.com/ > Access > Applications
  - Tunnel: cloudflared tunnel route dns nave-backend HOSTNAME; cloudflared tunnel info nave-backend"
    else
        say "  - To reach it from elsewhere: a tunnel (README.md, \"Tunnel\") or a reverse proxy"
    fi
}

install_command() {
    local new_binary="" hostname="" unit mode_asked="" file
    while [ $# -gt 0 ]; do
        case "$1" in
            --mode | --binary | --hostname) [ $# -ge 2 ] || usage ;;
        esac
        case "$1" in
            --mode) mode_asked=$2 ;;
            --binary) new_binary=$2 ;;
            --hostname) hostname=$2 ;;
            *) usage ;;
        esac
        shift 2
    done
    mode=${mode_asked:-$(mode_installed)}
    if [ -z "$mode" ]; then
        if [ -n "$new_binary" ]; then mode=binary; else mode=container; fi
    fi
    case "$mode" in container | binary) ;; *) die 2 "--mode must be container or binary, not \"$mode\"" ;; esac
    if [ "$mode" = container ] && [ -n "$new_binary" ]; then die 2 "--binary goes with --mode binary"; fi
    check_owners
    folder "$base"
    if [ "$dry" != 1 ]; then take_turn; fi
    folder "$base/data" "$base/logs" "$base/backups" "$base/deploy" "$units"
    copy_own_files
    check_env_file
    compose=()
    changed=0
    if [ "$mode" = container ]; then
        if [ "$dry" = 1 ]; then compose=(docker compose); else find_compose; fi
        prepare_container
    else
        install_binary "$new_binary"
    fi
    cloudflared="$HOME/.local/bin/cloudflared"
    if [ ! -x "$cloudflared" ]; then cloudflared=$(command -v cloudflared || echo "$cloudflared"); fi
    tunnel=0
    install_tunnel "$hostname"
    printf '%s\n' "$mode" | put "$base/mode" 644
    for unit in "$(main_unit "$mode")" nave-cloudflared.service nave-backup.service nave-backup.timer; do
        if [ "$unit" = nave-cloudflared.service ] && [ "$tunnel" = 0 ]; then continue; fi
        file=$source/systemd/$unit
        render "$file" | put "$units/$unit" 644
    done
    if [ "$tunnel" = 1 ] && [ ! -x "$cloudflared" ]; then
        warn "cloudflared is not installed: expected at $cloudflared"
    fi
    prepare_manager
    start_units
    if [ "$dry" = 1 ]; then
        say "dry run: files are in $root"
        return
    fi
    check_health
    next_steps
}

status_command() {
    local unit
    mode=$(mode_installed)
    [ -n "$mode" ] || die 1 "nave is not installed for $(id -un)"
    find_runtime_dir
    say "mode:    $mode"
    if [ "$mode" = binary ]; then
        say "version: $("$binary" version </dev/null 2>&1 || true)"
    else
        say "version: $(cat "$base/version.env" 2>/dev/null || echo "NAVE_VERSION=$(setting NAVE_VERSION latest)")"
    fi
    for unit in "$(main_unit "$mode")" nave-cloudflared.service nave-backup.timer; do
        [ -f "$units/$unit" ] || continue
        say "$unit: $(user_systemctl is-active "$unit" 2>/dev/null || true)"
    done
    local last
    last=$(find "$(backup_folder)" -maxdepth 1 -name '*.backup' -printf '%T@ %f\n' 2>/dev/null | sort -rn | head -n 1)
    say "backup:  ${last:+${last#* }}"
    if answers "$(origin "$mode")/ready"; then
        say "health:  ready"
    else
        say "health:  not ready"
        return 1
    fi
}

uninstall_command() {
    local unit found=()
    find_runtime_dir
    check_owners
    [ -d "$base" ] || die 1 "nave is not installed for $(id -un)"
    take_turn
    for unit in nave-backup.timer nave-backup.service nave-cloudflared.service nave-server.service nave-backend.service; do
        if [ -f "$units/$unit" ]; then found+=("$unit"); fi
    done
    if [ ${#found[@]} -gt 0 ]; then
        user_systemctl disable --now "${found[@]}" || warn "systemd did not stop the units; check with ps"
        for unit in "${found[@]}"; do rm -f "$units/$unit"; done
        user_systemctl daemon-reload || true
        user_systemctl reset-failed "${found[@]}" 2>/dev/null || true
    fi
    if [ "$(mode_installed)" = binary ]; then
        rm -f "$binary"
    else
        (find_compose && remove_container) || warn "the container could not be removed: docker rm --force nave-backend"
    fi
    rm -rf "${base:?}/deploy"
    rm -f "$base/mode" "$base/version.env" "$HOME/.cloudflared/nave-config.yml"
    say "Nave is uninstalled. Kept: $base (settings, data, backups, logs) and the tunnel's credentials.
Lingering stays on: loginctl disable-linger $(id -un)"
}

main() {
    source=$(find_source)
    # shellcheck source-path=SCRIPTDIR source=operator.sh
    . "$source/operator.sh"
    command -v systemctl >/dev/null || die 1 "this machine has no systemd"
    dry=${DRY_RUN:-0}
    case "$dry" in 0 | 1) ;; *) die 2 "DRY_RUN must be 0 or 1, not \"$dry\"" ;; esac
    root=$HOME
    local command=install
    case "${1:-}" in
        install | upgrade | status | uninstall) command=$1 && shift ;;
        -* | "") ;;
        *) usage ;;
    esac
    if [ "$dry" = 1 ]; then
        [ "$command" = install ] || die 2 "DRY_RUN=1 works with install only"
        root=${DRY_RUN_DIR:-$(mktemp -d "${TMPDIR:-/tmp}/nave-install.XXXXXX")}
        mkdir -p "$root"
    fi
    check_user
    case "$command" in
        install) install_command "$@" ;;
        upgrade) exec "$source/upgrade.sh" "$@" ;;
        status) status_command ;;
        uninstall) uninstall_command ;;
    esac
}

# Nothing runs before this line, so that a script cut short in a pipe does nothing.
main "$@"
