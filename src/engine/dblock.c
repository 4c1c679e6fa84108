/* The lock's place, and waiting for it. */
#include "engine/dblock.h"

#include "base/interrupt.h"

/* flock has no time limit of its own; nobody else's waiting is disturbed by a look each second. */
static struct lock *wait_for(const char *path, const char *act, guint wait_s, struct report *report, GError **error)
{
    gint64 until = g_get_monotonic_time() + (gint64)wait_s * G_USEC_PER_SEC;
    for (gboolean told = FALSE;; told = TRUE) {
        GError *problem = NULL;
        struct lock *held = lock_take(path, act, &problem);
        if (held)
            return held;
        gboolean busy = g_error_matches(problem, OT_ERROR, OT_BUSY);
        if (!busy || g_get_monotonic_time() >= until) {
            if (busy)
                g_prefix_error(&problem, "waited %u min in vain: ", wait_s / 60);
            g_propagate_error(error, problem);
            return NULL;
        }
        if (!told)
            report_info(report, "Waiting up to %u min: %s", wait_s / 60, problem->message);
        g_error_free(problem);
        if (!interrupt_wait(1, error))
            return NULL;
    }
}

static struct lock *take(const char *path, const char *act, guint wait_s, struct report *report, GError **error)
{
    if (wait_s > 0)
        return wait_for(path, act, wait_s, report, error);
    GError *problem = NULL;
    struct lock *held = lock_take(path, act, &problem);
    if (g_error_matches(problem, OT_ERROR, OT_BUSY))
        ot_fail(error, OT_BUSY, "%s; --wait waits for it", problem->message);
    else if (problem)
        g_propagate_error(error, g_steal_pointer(&problem));
    g_clear_error(&problem);
    return held;
}

struct lock *dblock_take(const char *dir, const char *name, const char *act, guint wait_s, struct report *report,
                         GError **error)
{
    g_autofree char *path = g_strdup_printf("%s/.%s.backup.lock", dir, name);
    return take(path, act, wait_s, report, error);
}

struct lock *dblock_take_upload(const char *dir, const char *name, const char *act, guint wait_s,
                                struct report *report, GError **error)
{
    g_autofree char *path = g_strdup_printf("%s/.%s.upload.lock", dir, name);
    return take(path, act, wait_s, report, error);
}
