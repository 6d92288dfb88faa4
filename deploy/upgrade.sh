#!/usr/bin/env bash
# Changes the installed version, and changes it back when the new one does not get healthy.
# install.sh upgrade runs it; its argument is a new binary (binary mode) or an image's tag.
#
#   1  the new version starts at all and accepts the settings; an image is there or is pulled
#   2  stop, so that the backup misses nothing; backup by the old version (backup.sh)
#   3  change, start, wait UPGRADE_DEADLINE (90) seconds for /ready, and once more after
#      UPGRADE_SETTLE (5)
#   4  otherwise: stop, put the old version back, and
#      - where it can read the data, keep them, with all that was written meanwhile. A restore would
#        burn every one-time key for nothing;
#      - where the new version has changed the schema, move those files aside and restore the backup
#        of step 2. On PostgreSQL that is left to the operator.
#
# Exit: 0 upgraded, 1 nothing was changed, 3 refused, 4 went back, 5 could not go back.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=operator.sh
. "$(dirname "${BASH_SOURCE[0]}")/operator.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

deadline=${UPGRADE_DEADLINE:-90}
settle=${UPGRADE_SETTLE:-5}
# `nave migrate --dry-run` and the server end so when the database is of a newer version.
schema_newer=15

stop_server() {
    user_systemctl stop "$unit"
    if [ "$mode" = container ]; then remove_container || return 1; fi
    [ "$(main_pid "$unit")" = 0 ]
}

check_binary() {
    new=$(readlink -f -- "$wanted") || new=
    if [ ! -f "$new" ] || [ ! -x "$new" ]; then die 3 "\"$wanted\" is not an executable file"; fi
    "$new" version </dev/null || die 3 "$new does not run on this machine; nothing was changed"
    if cmp -s "$new" "$binary"; then
        say "this version is installed already"
        exit 0
    fi
    run_binary "$new" config check >&2 ||
        die 3 "the new version does not accept the settings in $env_file; nothing was changed"
}

check_image() {
    [[ $wanted =~ ^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$ ]] || die 3 "\"$wanted\" is not an image's tag"
    find_compose
    old_tag=${NAVE_VERSION:-$(setting NAVE_VERSION latest)}
    # A name of this image is needed at the way back, and "latest" may move by the pull.
    local repository
    repository="ghcr.io/$(setting NAVE_IMAGE_OWNER nave)/nave"
    docker image inspect "$repository:$old_tag" >/dev/null 2>&1 </dev/null ||
        die 1 "the installed image $repository:$old_tag is not on this machine; nothing was changed"
    docker tag "$repository:$old_tag" "$repository:before-upgrade" </dev/null
    export NAVE_VERSION=$wanted
    if ! docker pull "$repository:$wanted" </dev/null; then
        docker image inspect "$repository:$wanted" >/dev/null 2>&1 </dev/null ||
            die 1 "there is no image $repository:$wanted; nothing was changed"
        warn "$repository:$wanted could not be pulled; taking the one on this machine"
    fi
    run_nave container config check >&2 ||
        die 3 "the new version does not accept the settings in $env_file; nothing was changed"
    NAVE_VERSION=$old_tag
}

put_new() {
    if [ "$mode" = binary ]; then
        cp -p "$binary" "$base/deploy/nave.previous"
        install -m 755 "$new" "$binary.new"
        mv -f "$binary.new" "$binary"
    else
        set_tag "$wanted"
    fi
}

put_old() {
    if [ "$mode" = binary ]; then
        install -m 755 "$base/deploy/nave.previous" "$binary.new"
        mv -f "$binary.new" "$binary"
    else
        set_tag before-upgrade
    fi
}

set_tag() {
    export NAVE_VERSION=$1
    printf 'NAVE_VERSION=%s\n' "$1" >"$base/version.env.new"
    mv -f "$base/version.env.new" "$base/version.env"
}

# The backup of a service from step 2: its own file, or the one of all.
backup_of() { # backup_of SERVICE
    local file
    for file in "${backups[@]}"; do
        case "${file##*/}" in upgrade-"$1"-* | upgrade-all-*) printf '%s' "$file" && return ;; esac
    done
    return 1
}

# The SQLite file of a service. Empty for PostgreSQL.
database_of() { # database_of SERVICE
    local own default url
    case "$1" in
        prekeys) own=SHADE_PREKEY_DB_PATH default=shade-prekeys.db url=$(setting SHADE_PREKEY_PG_URL "$(setting DATABASE_URL "")") ;;
        broker) own=BROKER_DB_PATH default=broker.db url=$(setting DATABASE_URL "") ;;
        *) return 1 ;;
    esac
    own=$(setting "$own" "")
    if [ -n "$own" ]; then
        printf '%s' "$own"
    elif [ -z "$url" ] && [ -z "$(setting DATABASE_URL_FILE "")$(setting SHADE_PREKEY_PG_URL_FILE "")" ]; then
        printf '%s/%s' "$data" "$default"
    fi
}

move_aside() { # move_aside DATABASE
    local suffix
    if [ "$mode" = container ]; then
        # shellcheck disable=SC2016  # for the container's shell
        run_compose run --rm --no-deps -T --entrypoint /bin/sh backend -c \
            'for s in "" -wal -shm; do if [ -e "$1$s" ]; then mv -f "$1$s" "$2$s"; fi; done' sh \
            "$1" "$1.newer-$stamp"
        return
    fi
    for suffix in "" -wal -shm; do
        if [ -e "$1$suffix" ]; then mv -f "$1$suffix" "$1.newer-$stamp$suffix"; fi
    done
}

# Makes the data readable for the old version again, by service. What is moved aside is kept.
mend_data() {
    local service status file database
    for service in "${services[@]}"; do
        status=0
        run_nave "$mode" migrate --dry-run "$service" >/dev/null 2>&1 || status=$?
        [ $status = $schema_newer ] || continue
        file=$(backup_of "$service")
        database=$(database_of "$service")
        if [ -z "$database" ] || ! move_aside "$database"; then
            warn "the new version has changed the schema of $service, and its database could not be moved aside." \
                "Empty it, then: nave restore '$file' $service, and start $unit"
            return 1
        fi
        say "$service: the new version has changed the schema; restoring $file"
        if [ "$mode" = container ]; then file="/data/backups/${file##*/}"; fi
        run_nave "$mode" restore "$file" "$service" || return 1
        say "$service: one-time keys handed out before are burnt; what the new version wrote is in $database.newer-$stamp"
    done
}

go_back() {
    warn "the new version did not become healthy within $deadline s; going back"
    stop_server || warn "$unit did not stop"
    put_old
    if ! mend_data; then
        warn "$unit is stopped and the old version is in place; backups: ${backups[*]}"
        exit 5
    fi
    user_systemctl start "$unit"
    if becomes_ready "$unit" "$url" "$deadline" "$settle"; then
        say "the old version runs again. Log of the attempt: $base/logs. Backups: ${backups[*]}"
        exit 4
    fi
    warn "the old version does not become healthy either; see $base/logs. Backups: ${backups[*]}"
    exit 5
}

main() {
    [ $# = 1 ] || die 2 "usage: install.sh upgrade VERSION|FILE"
    wanted=$1
    mode=$(mode_installed)
    [ -n "$mode" ] || die 1 "nave is not installed for $(id -un)"
    find_runtime_dir
    take_turn
    unit=$(main_unit "$mode")
    url=$(origin "$mode")
    if [ "$mode" = container ]; then data=/data; else data=$(setting NAVE_DATA_DIR "$base/data"); fi
    stamp=$(date -u +%Y%m%dT%H%M%SZ)
    user_systemctl show-environment >/dev/null 2>&1 || die 1 "no service manager for $(id -un)"
    if [ "$mode" = binary ]; then check_binary; else check_image; fi

    cd "$base"
    stop_server || die 1 "$unit did not stop; nothing was changed"
    local output
    if ! output=$("$here/backup.sh" --label upgrade); then
        user_systemctl start "$unit"
        die 1 "no backup could be made, so nothing was changed; the old version was started again"
    fi
    mapfile -t backups < <(sed -n 's/^backup: //p' <<<"$output")
    printf 'backup: %s\n' "${backups[@]}"
    put_new
    user_systemctl start "$unit" || true
    if becomes_ready "$unit" "$url" "$deadline" "$settle"; then
        say "upgraded. The server and its timers run; units and scripts are renewed by install.sh of the new version"
        exit 0
    fi
    go_back
}

main "$@"
