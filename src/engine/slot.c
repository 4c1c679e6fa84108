/* Reserving a timestamp. */
#include "engine/slot.h"

#include "base/text.h"
#include "catalog/names.h"

#define TRIES 600

static gboolean backup_exists(const char *folder, const char *name, const char *timestamp)
{
    static const char *const endings[] = {NAMES_DUMP, NAMES_META, NAMES_GLOBALS};
    gboolean found = FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(endings) && !found; i++) {
        g_autofree char *path = g_strdup_printf("%s/%s_%s%s", folder, name, timestamp, endings[i]);
        found = g_file_test(path, G_FILE_TEST_EXISTS);
    }
    return found;
}

char *slot_take(const char *folder, const char *act, const char *name, const struct slot_claim *claim,
                struct report *report, GError **error)
{
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    for (int i = 0; i < TRIES; i++) {
        g_autofree char *timestamp = text_timestamp(now + i);
        g_autofree char *log = g_strdup_printf("%s/%s_%s.log", folder, act, timestamp);
        if (g_file_test(log, G_FILE_TEST_EXISTS) || (name && backup_exists(folder, name, timestamp)))
            continue;
        GError *problem = NULL;
        gboolean taken = FALSE;
        if (claim && !claim->take(timestamp, &taken, claim->data, error))
            return NULL;
        if (taken)
            continue;
        if (report_open_log(report, log, &problem))
            return g_steal_pointer(&timestamp);
        if (claim)
            claim->give_back(timestamp, claim->data);
        /* Another run, of another database in this folder, may have been quicker. */
        if (!g_file_test(log, G_FILE_TEST_EXISTS)) {
            g_propagate_error(error, problem);
            return NULL;
        }
        g_error_free(problem);
    }
    ot_fail(error, OT_IO, "%s holds a run for each of the next %d seconds: is the clock right?", folder, TRIES);
    return NULL;
}
