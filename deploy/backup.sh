#!/usr/bin/env bash
# One backup of every database, then old backups removed and logs cut. nave-backup.timer runs it
# each night, upgrade.sh before an upgrade; by hand it may run at any time, also beside a server.
#
#   backup.sh                     ~/nave/backups/SERVICE-TIME.backup, BACKUP_KEEP (14) of each kept
#   backup.sh --label LABEL       ~/nave/backups/LABEL-SERVICE-TIME.backup, three of each kept
#
# In container mode the files lie in ~/nave/data/backups, which the container sees.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=operator.sh
. "$(dirname "${BASH_SOURCE[0]}")/operator.sh"

keep=${BACKUP_KEEP:-14}
label=
stamp=$(date -u +%Y%m%dT%H%M%SZ)
log_bytes_max=$((10 * 1024 * 1024))

# One file for each service, or one for all where they share a database. Names go to `written`.
write_backups() {
    local service file complaint status=0
    file="${label}all-$stamp.backup"
    complaint=$(run_nave "$mode" backup "$inside/$file" 2>&1) || status=$?
    if [ $status = 0 ]; then
        written+=("$file")
        return 0
    fi
    # 2: the services are stored in different databases, and want one file each.
    if [ $status != 2 ]; then
        printf '%s\n' "$complaint" >&2
        return $status
    fi
    for service in "${services[@]}"; do
        file="$label$service-$stamp.backup"
        run_nave "$mode" backup "$inside/$file" "$service"
        written+=("$file")
    done
}

remove_old() {
    local service file
    for service in all "${services[@]}"; do
        find "$folder" -maxdepth 1 -type f -name "$label$service-*.backup" -printf '%f\n' | sort -r |
            tail -n "+$((keep + 1))" | while IFS= read -r file; do
            rm -f -- "$folder/$file"
        done
    done
}

# The units append to these files for good, so they are copied and emptied in place.
rotate_logs() {
    local log number
    for log in "$base"/logs/*.log; do
        [ -f "$log" ] || continue
        [ "$(stat -c %s "$log")" -gt $log_bytes_max ] || continue
        for number in 2 1; do
            if [ -f "$log.$number" ]; then mv -f "$log.$number" "$log.$((number + 1))"; fi
        done
        cp "$log" "$log.1"
        : >"$log"
    done
}

main() {
    local file
    if [ "${1:-}" = --label ] && [[ ${2:-} =~ ^[a-z]+$ ]]; then
        label="$2-"
        keep=3
    elif [ $# -gt 0 ]; then
        die 2 "usage: backup.sh [--label LABEL]"
    fi
    [[ $keep =~ ^[1-9][0-9]*$ ]] || die 2 "BACKUP_KEEP must be a number from 1, not \"$keep\""
    mode=$(mode_installed)
    case "$mode" in
        container)
            find_compose
            folder="$base/data/backups"
            inside=/data/backups
            ;;
        binary)
            folder="$base/backups"
            inside=$folder
            ;;
        *) die 1 "nave is not installed: $base/mode is missing; run deploy/install.sh" ;;
    esac
    written=()
    write_backups
    # Made once and never again; without it a restored log cannot be continued.
    if [ "$mode" = binary ] && [ -f "$base/data/shade-kt.key" ] && [ ! -f "$folder/shade-kt.key" ]; then
        cp "$base/data/shade-kt.key" "$folder/shade-kt.key"
    fi
    remove_old
    rotate_logs
    for file in "${written[@]}"; do printf 'backup: %s\n' "$folder/$file"; done
}

main "$@"
