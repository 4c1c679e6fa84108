/* One comparison: rank first, then the moment. */
#include "catalog/select.h"

#include "catalog/lineage.h"

gboolean select_parse_word(const char *word, enum select_kind *ret_kind)
{
    *ret_kind = g_str_equal(word, "latest-good") ? SELECT_GOOD : SELECT_LATEST;
    return g_str_equal(word, "latest") || g_str_equal(word, "latest-good");
}

gboolean select_is_bad(const struct catalog_entry *e)
{
    const char *in_s3 = e->meta && !e->path ? meta_s3_text(e->meta, "state") : NULL;
    return e->meta && (e->meta->state == META_FAILED || g_strcmp0(in_s3, "failed") == 0 ||
                       (e->meta->size_bytes && e->size_bytes && e->meta->size_bytes != e->size_bytes));
}

gboolean select_is_known(const struct catalog_entry *e)
{
    return e->meta && g_strcmp0(e->meta->id, e->id) == 0;
}

static gboolean is_wanted(const struct catalog_entry *e, const struct select_wish *w)
{
    if (!lineage_is_ours(e) || catalog_is_future(e, w->now) || (w->until && e->taken_at > w->until))
        return FALSE;
    if (w->known && !select_is_known(e))
        return FALSE;
    if (w->kind == SELECT_GOOD && (!e->meta || e->meta->state < META_VERIFIED || select_is_bad(e)))
        return FALSE;
    return !w->skip_bad || !select_is_bad(e);
}

/* What shows a database just before it was replaced, and what nobody knows anything of, is meant last. */
static int rank(const struct catalog_entry *e)
{
    return !e->meta ? 0 : catalog_is_pre_restore(e) ? 1 : 2;
}

static gboolean is_before(const struct catalog_entry *a, const struct catalog_entry *b)
{
    if (!b || rank(a) != rank(b))
        return !b || rank(a) > rank(b);
    return catalog_compare(a, b) < 0;
}

static void note(const struct catalog_entry *e, const struct catalog_entry **newest, guint *count)
{
    *newest = *newest && (*newest)->taken_at >= e->taken_at ? *newest : e;
    (*count)++;
}

static struct select_passed passed_over(const GPtrArray *entries, const struct select_wish *w,
                                        const struct catalog_entry *chosen)
{
    struct select_passed p = {0};
    for (guint i = 0; i < entries->len; i++) {
        const struct catalog_entry *e = entries->pdata[i];
        gboolean older = chosen && e->taken_at < chosen->taken_at;
        if (w->known && !select_is_known(e))
            p.unknowns++;
        else if (lineage_is_ours(e) && catalog_is_future(e, w->now))
            note(e, &p.future, &p.futures);
        else if (lineage_is_ours(e) && !older && select_is_bad(e) && e != chosen && (!w->until || e->taken_at <= w->until))
            note(e, &p.bad, &p.bads);
    }
    return p;
}

const struct catalog_entry *select_backup(const GPtrArray *entries, const struct select_wish *wish,
                                          struct select_passed *ret_passed)
{
    const struct catalog_entry *chosen = NULL;
    for (guint i = 0; i < entries->len; i++) {
        const struct catalog_entry *e = entries->pdata[i];
        if (is_wanted(e, wish) && is_before(e, chosen))
            chosen = e;
    }
    *ret_passed = passed_over(entries, wish, chosen);
    return chosen;
}
