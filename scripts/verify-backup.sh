#!/bin/sh
# Checks a backup, and with --full-test restores and compares it: opstower verify "$@".
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

# cron starts this in the home folder: then the project's own .env counts.
if [ -z "${OPSTOWER_ENV_FILE:-}" ] && [ ! -e .env ] && [ -e "$root/.env" ]; then
    export OPSTOWER_ENV_FILE="$root/.env"
fi
exec "$program" verify "$@"
