#!/bin/sh
# Restores a database, or single tables, from a backup: opstower restore "$@".
set -eu
self=$(readlink -f -- "$0")
root=$(dirname -- "$(dirname -- "$self")")

if [ -n "${OPSTOWER:-}" ]; then
    program=$OPSTOWER
elif [ -x "$root/build/opstower" ]; then
    program=$root/build/opstower
else
    program=opstower
fi
if ! command -v "$program" >/dev/null; then
    echo "[ERROR] $program was not found: run make in $root, install opstower, or set OPSTOWER to its path." >&2
    exit 3
fi

# The project's own .env, wherever this is started: a .env of the home folder may be another program's.
if [ -z "${OPSTOWER_ENV_FILE:-}" ] && [ -e "$root/.env" ]; then
    export OPSTOWER_ENV_FILE="$root/.env"
fi
exec "$program" restore "$@"
