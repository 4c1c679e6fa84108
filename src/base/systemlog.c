/* journald's own socket, or /dev/log. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "base/systemlog.h"

#include <glib.h>
#include <string.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

/* libsystemd takes a journald that is not there for success. */
#define JOURNALD_SOCKET "/run/systemd/journal/socket"

static gboolean send_to_journald(const char *identifier, int priority, const char *message, const char *const *fields)
{
    if (access(JOURNALD_SOCKET, F_OK) != 0)
        return FALSE;
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(all, g_strdup_printf("SYSLOG_IDENTIFIER=%s", identifier));
    g_ptr_array_add(all, g_strdup_printf("SYSLOG_FACILITY=%d", LOG_DAEMON >> 3));
    g_ptr_array_add(all, g_strdup_printf("SYSLOG_PID=%d", (int)getpid()));
    g_ptr_array_add(all, g_strdup_printf("PRIORITY=%d", priority));
    g_ptr_array_add(all, g_strdup_printf("MESSAGE=%s", message));
    for (; *fields; fields++)
        g_ptr_array_add(all, g_strdup(*fields));
    g_autofree struct iovec *parts = g_new0(struct iovec, all->len);
    for (guint i = 0; i < all->len; i++)
        parts[i] = (struct iovec){all->pdata[i], strlen(all->pdata[i])};
    return sd_journal_sendv(parts, (int)all->len) == 0;
}

void systemlog_send(const char *identifier, int priority, const char *message, const char *const *fields)
{
    if (send_to_journald(identifier, priority, message, fields))
        return; /* which passes it on to a syslog beside it */
    openlog(identifier, LOG_PID, LOG_DAEMON);
    syslog(priority, "%s", message);
    closelog();
}
