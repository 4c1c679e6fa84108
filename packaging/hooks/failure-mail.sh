#!/bin/sh
# An example for HOOK_ON_FAILURE: what failed, as a mail through the machine's sendmail. Alerts to Slack, PagerDuty and
# mail are built in (ALERT_EMAIL, SLACK_WEBHOOK_URL, PAGERDUTY_SERVICE_KEY); a hook is for everything else.
set -eu

: "${OPSTOWER_ACT:?this script is for HOOK_ON_FAILURE}"
TO=${FAILURE_MAIL_TO:-root}

{
    printf 'To: %s\nSubject: opstower %s failed (exit code %s)\n\n' "$TO" "$OPSTOWER_ACT" "$OPSTOWER_EXIT_CODE"
    printf 'Database: %s\nBackup: %s\n\n%s\n' "${OPSTOWER_DATABASE:--}" "${OPSTOWER_ID:--}" "$OPSTOWER_ERROR"
} | "${SENDMAIL:-/usr/sbin/sendmail}" -t
