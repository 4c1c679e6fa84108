/* What a test server has, held against what the backed-up one had. */
#include "engine/testhost.h"

#include "pg/facts.h"
#include "pg/preload.h"

/* A dump names extensions without their version: the server's own default is what is created. */
#define EXTENSIONS_SQL                                                                                                 \
    "SELECT e.name, e.version, a.default_version"                                                                      \
    " FROM pg_catalog.jsonb_to_recordset($1::pg_catalog.jsonb) AS e (name text, version text)"                         \
    " LEFT JOIN pg_catalog.pg_available_extensions a ON a.name = e.name"                                               \
    " WHERE a.default_version IS DISTINCT FROM e.version ORDER BY e.name"

static gboolean check_extensions(struct testhost *h, struct session *s, const json_t *facts, GError **error)
{
    const json_t *list = json_object_get(facts, "extensions");
    g_autofree char *text = json_is_array(list) ? json_dumps(list, JSON_COMPACT) : g_strdup("[]");
    const char *params[] = {text};
    g_autoptr(PGresult) rows = session_query(s, error, EXTENSIONS_SQL, 1, params);
    if (!rows)
        return FALSE;
    g_autoptr(GString) missing = g_string_new(NULL);
    g_autoptr(GString) other = g_string_new(NULL);
    for (int i = 0; i < PQntuples(rows); i++) {
        const char *name = PQgetvalue(rows, i, 0), *version = PQgetvalue(rows, i, 1);
        if (PQgetisnull(rows, i, 2))
            g_string_append_printf(missing, "%s%s (version %s)", missing->len ? ", " : "", name, version);
        else
            g_string_append_printf(other, "%s%s (version %s in the backup, %s here)", other->len ? ", " : "", name,
                                   version, PQgetvalue(rows, i, 2));
    }
    if (other->len > 0)
        h->versions = g_string_free(g_steal_pointer(&other), FALSE);
    return missing->len == 0 ||
           ot_fail(error, OT_PREREQUISITE,
                   "the backup cannot be tested here: the test server lacks extension %s. Install its package on this "
                   "host, or name a server that has it with --test-url",
                   missing->str);
}

gboolean testhost_check(struct testhost *h, struct session *s, const json_t *facts, struct report *report,
                        GError **error)
{
    GError *problem = NULL;
    if (!check_extensions(h, s, facts, error))
        return FALSE;
    h->preload = preload_missing(s, facts_text(facts, "shared_preload_libraries"), &problem);
    if (problem) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    if (h->versions)
        report_warn(report, "Test restore with other versions of extensions: %s", h->versions);
    if (h->preload)
        report_warn(report, "Test restore without libraries that the backup's server preloads: %s", h->preload);
    return TRUE;
}

void testhost_explain(const struct testhost *h, GError **error)
{
    if (!error || !*error || (*error)->domain != OT_ERROR || (!h->versions && !h->preload))
        return;
    gboolean differs = (*error)->code == OT_MISMATCH;
    if (!differs && (*error)->code != OT_RESTORE)
        return;
    g_autofree char *versions =
        h->versions ? g_strdup_printf("other versions of extensions: %s", h->versions) : g_strdup("");
    g_autofree char *preload =
        h->preload ? g_strdup_printf("libraries that are not preloaded here: %s", h->preload) : g_strdup("");
    g_prefix_error(error, "the backup cannot be judged on this test server (%s%s%s): ", versions,
                   h->versions && h->preload ? "; " : "", preload);
    (*error)->code = OT_PREREQUISITE;
}

void testhost_clear(struct testhost *h)
{
    g_free(h->versions);
    g_free(h->preload);
}
