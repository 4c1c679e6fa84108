/* The check of the journal's chain. What each act says of itself is other checks' business. */
#include "catalog/journal_check.h"
#include "engine/audit.h"
#include "engine/health_data.h"

/* It runs every few minutes. Journals of up to some 30,000 acts are read whole; of longer ones `opstower audit check`
 * reads the rest. */
#define NEWEST_BYTES (16u << 20)

static char *describe(const struct journal_state *s)
{
    const struct journal_finding *f = s->findings->pdata[0];
    guint64 more = s->findings->len - 1 + s->findings_more;
    g_autofree char *line = f->line ? g_strdup_printf("line %" G_GUINT64_FORMAT ": ", f->line) : g_strdup("");
    return more > 0 ? g_strdup_printf("%s%s (and %" G_GUINT64_FORMAT " more)", line, f->text, more)
                    : g_strdup_printf("%s%s", line, f->text);
}

static void judge(const struct journal_state *s, struct health_check *c)
{
    c->number = (double)(s->findings->len + s->findings_more);
    if (s->findings->len > 0) {
        c->value = describe(s);
        health_raise(c, HEALTH_CRITICAL);
        health_advise(
            c, "`opstower audit check` names every line. Keep the journal as it is, and find out who changed it.");
    } else if (!s->there) {
        c->value = g_strdup("there is none, though there are backups");
        health_raise(c, HEALTH_WARNING);
        health_advise(c, "Find out who removed journal.jsonl. The next backup begins another one.");
    } else {
        c->value = g_strdup_printf("%s%" G_GUINT64_FORMAT " lines, each in its place", s->partial ? "the newest " : "", s->lines);
    }
}

gboolean health_check_journal(const struct health_data *d, struct health_check *c)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(journal_state) s = audit_check_newest(d->request->dir, d->backups, NEWEST_BYTES, &problem);
    if (s && !s->there && d->backups->len == 0)
        return FALSE;
    c->target = g_strdup("every line as it was written");
    if (s) {
        judge(s, c);
        return TRUE;
    }
    c->value = g_strdup_printf("cannot be read: %s", problem->message);
    health_raise(c, HEALTH_UNKNOWN);
    health_advise(c, "See that the journal can be read; without it nobody knows what was done.");
    return TRUE;
}
