#!/usr/bin/env bash
# A disaster drill: proves that backups can be brought back, without touching the server they came
# from. Restores each into a scratch folder on SQLite, whatever store it was made from, starts a
# server there on loopback, asks it, and throws everything away.
#
#   drill.sh [--key FILE] SERVICE=BACKUP...
#   drill.sh --key /safe/shade-kt.key prekeys=/backup/prekeys.backup broker=/backup/broker.backup
#
# --key is the copy of shade-kt.key that is kept apart from the backups; prekeys needs it. NAVE names
# the binary. Exit 0 when every step succeeded, 1 with the reason otherwise.
set -euo pipefail

nave=${NAVE:-nave}
key=
services=()
files=()

fail() { echo "drill: $*" >&2; exit 1; }
usage() { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }

while [ $# -gt 0 ]; do
    case $1 in
        --key) [ $# -ge 2 ] || usage; key=$2; shift ;;
        prekeys=?* | broker=?*) services+=("${1%%=*}"); files+=("${1#*=}") ;;
        *) usage ;;
    esac
    shift
done
[ ${#services[@]} -gt 0 ] || usage

# The settings of the real server must not lead here: nothing is inherited but the way to programs.
scratch=$(mktemp -d "${TMPDIR:-/tmp}/nave-drill-XXXXXX")
clean=(env -i PATH="$PATH" HOME="$scratch" NAVE_DATA_DIR="$scratch/data" "$nave")
run() { "${clean[@]}" "$@"; }
server=
clean_up() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" || true
    fi
    rm -rf "$scratch"
}
trap clean_up EXIT
mkdir -m 700 "$scratch/data"

for i in "${!services[@]}"; do
    [ -r "${files[i]}" ] || fail "cannot read ${files[i]}"
    if [ "${services[i]}" = prekeys ]; then
        [ -n "$key" ] || fail "prekeys needs --key, the copy of shade-kt.key"
        install -m 600 "$key" "$scratch/data/shade-kt.key" || fail "cannot copy $key"
    fi
    began=$SECONDS
    run restore "${files[i]}" "${services[i]}" >"$scratch/out" 2>&1 ||
        { cat "$scratch/out" >&2; fail "${files[i]} cannot be restored"; }
    echo "restored ${services[i]} from ${files[i]} in $((SECONDS - began)) s"
    grep -E ' [1-9][0-9]* rows$' "$scratch/out" || true
done

run doctor "${services[@]}" >"$scratch/out" 2>&1 ||
    { cat "$scratch/out" >&2; fail "doctor found something"; }
echo "doctor found nothing"

"${clean[@]}" serve "${services[@]}" --listen 127.0.0.1:0 2>"$scratch/log" &
server=$!
address=
for _ in $(seq 600); do
    address=$(sed -n 's/.*"msg":"listening","address":"\([^"]*\)".*/\1/p' "$scratch/log")
    if [ -n "$address" ] && run healthcheck --url "http://$address/ready" >/dev/null 2>&1; then break; fi
    kill -0 "$server" 2>/dev/null || { tail -n 5 "$scratch/log" >&2; fail "the server ended"; }
    sleep 0.1
done
run healthcheck --url "http://$address/ready" >/dev/null ||
    { tail -n 5 "$scratch/log" >&2; fail "the server does not become ready"; }
run healthcheck --url "http://$address/health" >/dev/null || fail "the server is not healthy"
if grep -q '"level":"error"\|key transparency signs nothing' "$scratch/log"; then
    grep '"level":"error"\|key transparency signs nothing' "$scratch/log" >&2
    fail "the server logged errors"
fi
echo "a server on it is ready and healthy"

prefix=
if [ ${#services[@]} -gt 1 ]; then prefix=/prekeys; fi
for service in "${services[@]}"; do
    case $service in
        prekeys)
            run healthcheck --url "http://$address$prefix/v1/kt/checkpoint" >/dev/null ||
                fail "the transparency log cannot be signed"
            echo "the transparency log is signed"
            ;;
        broker)
            run broker mesh list --json >"$scratch/meshes"
            while read -r mesh; do
                run broker audit verify "$mesh" >"$scratch/out" 2>&1 ||
                    { cat "$scratch/out" >&2; fail "the audit log of $mesh is broken"; }
                echo "the audit log of $mesh is whole"
            done < <(grep -o '"slug":"[^"]*"' "$scratch/meshes" | cut -d'"' -f4)
            ;;
    esac
done
kill "$server"
wait "$server" || fail "the server did not stop cleanly"
server=
echo "drill: passed"
