#!/usr/bin/env bash
# Makes the secrets that the compose files name, each a file of its own; keeps those that are there.
#
#   make-secrets.sh FOLDER              what compose.postgres.yml needs
#   make-secrets.sh FOLDER NAME...      a token of each name, such as nova_observer_token
#
# The folder is for its owner alone (0700). The files in it can be read by anybody (0444), because the
# containers' users are others than the operator and each container sees only the files it was given.
set -euo pipefail
umask 077

fail() { echo "make-secrets: $*" >&2; exit 1; }
[ $# -ge 1 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
folder=$1
shift
for name in "$@"; do
    [[ $name =~ ^[a-z][a-z0-9_]*$ ]] || fail "$name: a name is lower-case letters, digits and _"
done

mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"

random() { od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n'; } # 64 hex digits

# keep NAME: the content comes on stdin; written as a whole, and only when there is no such file.
keep() {
    local content
    content=$(cat)
    if [ -e "$1" ]; then return; fi
    [ -n "$content" ] || fail "no content for $1"
    printf '%s' "$content" >"$1.new"
    chmod 444 "$1.new"
    mv "$1.new" "$1"
    echo "made $folder/$1"
}

if [ $# -gt 0 ]; then
    for name in "$@"; do random | keep "$name"; done
    exit 0
fi

# A URL and the password in it belong together: half of a pair would be locked out.
for pair in postgres_password:database_url redis_users:redis_url; do
    one=${pair%%:*} other=${pair#*:}
    if [ -e "$one" ] && [ ! -e "$other" ]; then fail "$other is gone, $one is there: restore it, or remove both"; fi
    if [ ! -e "$one" ] && [ -e "$other" ]; then fail "$one is gone, $other is there: restore it, or remove both"; fi
done

if [ ! -e database_url ]; then
    password=$(random)
    printf '%s' "$password" | keep postgres_password
    printf 'postgres://nave:%s@postgres:5432/nave' "$password" | keep database_url
fi
if [ ! -e redis_url ]; then
    password=$(random)
    # The one user, and all it may do.
    printf 'user default off resetpass resetchannels -@all\nuser nave on >%s resetchannels &nave:* -@all +ping +publish +subscribe +unsubscribe\n' \
        "$password" | keep redis_users
    printf 'redis://nave:%s@redis:6379/0' "$password" | keep redis_url
fi
random | keep kt_key
random | keep observer_token
random | keep admin_token
