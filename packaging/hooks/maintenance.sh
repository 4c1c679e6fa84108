#!/bin/sh
# An example for HOOK_PRE_RESTORE and HOOK_POST_RESTORE: the application rests while its database is replaced.
# Before: maintenance mode on, application stopped (the guide's checklist, point 4). After: application started (step 6),
# maintenance mode off only if the restore went well, or left the database as it was and the application is to go on.
# Set what is yours here. A command that fails ends the script, and so the hook fails.
set -eu

FLAG=${MAINTENANCE_FLAG:-/var/lib/opstower/maintenance}   # a file that the web server looks for
SERVICE=${APP_SERVICE:-opstower}
RUNS_UNDER=${APP_RUNS_UNDER:-systemd}                     # or pm2

app() {
    case $RUNS_UNDER in
        systemd) systemctl "$1" "$SERVICE" ;;
        pm2) pm2 "$1" "$SERVICE" ;;
        *) echo "APP_RUNS_UNDER is systemd or pm2, not $RUNS_UNDER" >&2; exit 2 ;;
    esac
}

case ${OPSTOWER_EVENT-} in
    pre-restore)
        : > "$FLAG"
        echo "maintenance mode on for $OPSTOWER_DATABASE"
        app stop
        ;;
    post-restore)
        # A failed restore leaves the live database as it was (exit code 11, 12 and others) but for --in-place (1).
        app restart
        if [ "$OPSTOWER_RESULT" = ok ] || [ "$OPSTOWER_EXIT_CODE" != 1 ]; then
            rm -f "$FLAG"
            echo "maintenance mode off"
        else
            echo "maintenance mode STAYS ON: $OPSTOWER_ERROR" >&2
        fi
        ;;
    *)
        echo "this script is for HOOK_PRE_RESTORE and HOOK_POST_RESTORE" >&2
        exit 2
        ;;
esac
