/* The list of backups with their copies and proof, and the page of a single one. */
#include <string.h>

#include "base/text.h"
#include "catalog/copy.h"
#include "catalog/describe.h"
#include "web/pages.h"

#define PAGE_ROWS 100
#define MAX_TABLES 500 /* that the page of one backup lists */

/* ---- words with colours ---- */

static const char *tone_of_state(const struct catalog_entry *e)
{
    if (!e->meta)
        return "is-warning";
    return e->meta->state == META_FAILED ? "is-critical" : e->meta->state == META_UNVERIFIED ? "is-warning" : "is-ok";
}

static void write_state(const struct catalog_entry *e, GString *out)
{
    g_autofree char *state = describe_state(e);
    html(out, "<span class=\"tag %s\">%s</span>", tone_of_state(e), state);
}

static gboolean is_good_copy(const char *state)
{
    return g_str_equal(state, "present") || g_str_equal(state, "uploaded");
}

static void write_copies(const struct catalog_entry *e, gboolean looked, GString *out)
{
    const char *there = describe_s3(e, looked);
    if (e->path)
        g_string_append(out, "<span class=\"tag is-ok\">here</span> ");
    if (there)
        html(out, "<span class=\"tag %s\">S3%s%s</span>", is_good_copy(there) ? "is-ok" : "is-warning",
             is_good_copy(there) ? "" : ": ", is_good_copy(there) ? "" : there);
    if (!e->path && !there)
        g_string_append(out, "\u2013");
}

/* ---- the list ---- */

static void write_row(const struct view *v, const struct catalog_entry *e, GString *out)
{
    const struct meta *m = e->meta;
    g_autofree char *uri = html_uri(e->id);
    html(out, "<tr><th scope=\"row\"><a href=\"/backups/%s\">", uri);
    html_time(out, e->taken_at);
    html(out, "</a><span class=\"id\"><bdi>%s</bdi></span></th><td data-label=\"Age\">", e->id);
    html_ago(out, e->taken_at, v->sight.now);
    html(out,
         "</td><td data-label=\"Type\"><span>%s%s<bdi>%s</bdi></span></td><td data-label=\"Size\" class=\"number\">",
         m && m->type ? m->type : "\u2013", m && m->tag ? ", " : "", m && m->tag ? m->tag : "");
    html_size(out, e->size_bytes);
    g_string_append(out, "</td><td data-label=\"Took\" class=\"number\">");
    g_autofree char *took = m && m->duration_s > 0 ? text_duration(m->duration_s) : g_strdup("\u2013");
    html(out, "%s</td><td data-label=\"Copies\"><span>", took);
    write_copies(e, v->sight.backups->s3_looked, out);
    g_string_append(out, "</span></td><td data-label=\"Proof\">");
    write_state(e, out);
    g_string_append(out, "</td></tr>");
}

static void write_list(const struct view *v, GString *out)
{
    const GPtrArray *all = v->sight.backups->all;
    guint last_page = MAX(1, (all->len + PAGE_ROWS - 1) / PAGE_ROWS);
    guint page = view_number(v, "page", 1, last_page, 1);
    html(out,
         "<p class=\"quiet\">%u backup%s, newest first. Proven: a test restore equalled it row by row. Verified: "
         "every byte was read back and held against its proof.</p>",
         all->len, all->len == 1 ? "" : "s");
    g_string_append(out, "<table class=\"cards\"><caption class=\"hidden\">Backups</caption><thead><tr>"
                         "<th scope=\"col\">Taken</th><th scope=\"col\">Age</th><th scope=\"col\">Type</th>"
                         "<th scope=\"col\" class=\"number\">Size</th><th scope=\"col\" class=\"number\">Took</th>"
                         "<th scope=\"col\">Copies</th><th scope=\"col\">Proof</th></tr></thead><tbody>");
    for (guint i = (page - 1) * PAGE_ROWS; i < all->len && i < page * PAGE_ROWS; i++)
        write_row(v, all->pdata[i], out);
    g_string_append(out, "</tbody></table>");
    view_pages(v, page, all->len, PAGE_ROWS, "", out);
}

guint page_backups(struct view *v, GString *out)
{
    const struct sight_backups *b = v->sight.backups;
    view_begin(v, "Backups", out);
    view_problem("The list of backups could not be read:", v->sight.backups_problem, out);
    if (b)
        view_problem("S3 could not be asked, so its copies are as noted here:", b->s3_problem, out);
    if (b && b->all->len > 0)
        write_list(v, out);
    else if (b)
        html(out, "<p class=\"empty\">There is no backup in %s%s yet. <code>opstower backup</code> takes one.</p>",
             v->config->health->dir, b->s3_looked ? " or S3" : "");
    view_end(v, out);
    return 200;
}

/* ---- one backup ---- */

static const struct catalog_entry *find(const struct view *v)
{
    const GPtrArray *all = v->sight.backups ? v->sight.backups->all : NULL;
    for (guint i = 0; all && i < all->len; i++)
        if (g_str_equal(((struct catalog_entry *)all->pdata[i])->id, v->rest))
            return all->pdata[i];
    return NULL;
}

static void fact(const char *name, const char *value, GString *out)
{
    if (value && *value)
        html(out, "<div><dt>%s</dt><dd><bdi>%s</bdi></dd></div>", name, value);
}

static void fact_time(const char *name, const char *iso, GString *out)
{
    gint64 at;
    if (!iso || !text_parse_iso_time(iso, &at))
        return;
    html(out, "<div><dt>%s</dt><dd>", name);
    html_time(out, at);
    g_string_append(out, "</dd></div>");
}

static void write_omitted(const struct meta *m, GString *out)
{
    size_t i;
    json_t *what;
    json_array_foreach(m->omitted, i, what) fact("Left out", json_string_value(what), out);
}

static void write_meta(const struct catalog_entry *e, GString *out)
{
    const struct meta *m = e->meta;
    g_autofree char *size = text_size_pretty(e->size_bytes);
    g_autofree char *plain = text_size_pretty(m->plain_bytes);
    g_autofree char *rows = g_strdup_printf("%" G_GUINT64_FORMAT " in %u tables", m->rows, m->table_count);
    g_autofree char *took = text_duration(m->duration_s);
    fact_time("Snapshot", m->snapshot_time, out);
    fact("Database", m->database, out);
    fact("Type", m->type, out);
    fact("Tag", m->tag, out);
    fact("Size", size, out);
    fact("Size as SQL", plain, out);
    fact("Database's size", m->database_size, out);
    fact("Rows", rows, out);
    fact("Took", took, out);
    fact("Server", m->postgresql_version, out);
    fact_time("Verified", m->verified_at, out);
    fact_time("Tested on another major version", m->tested_at, out);
    fact_time("Proven by a full test", m->proven_at, out);
    write_omitted(m, out);
    fact("SHA-256", m->sha256, out);
}

static void write_places(const struct view *v, const struct catalog_entry *e, GString *out)
{
    const struct meta *m = e->meta;
    g_string_append(out, "<section aria-labelledby=\"copies\"><h2 id=\"copies\">Copies</h2><dl class=\"list\">");
    fact("On this machine", e->path ? e->path : "no copy", out);
    const char *state = describe_s3(e, v->sight.backups->s3_looked);
    const char *key = e->object ? e->object->key : m ? meta_s3_text(m, "key") : NULL;
    fact("In S3", state ? state : v->config->s3 ? "no copy" : "no bucket is set", out);
    fact("Key", key, out);
    fact("Storage class", e->object ? e->object->storage_class : NULL, out);
    fact_time("Uploaded", m ? meta_s3_text(m, "uploaded_at") : NULL, out);
    fact_time("Locked until", m ? meta_s3_text(m, "lock_until") : NULL, out);
    fact("What went wrong", m ? meta_s3_text(m, "error") : NULL, out);
    g_string_append(out, "</dl></section>");
}

static void write_commands(const struct catalog_entry *e, GString *out)
{
    const char *from = e->path ? "" : " --from-s3";
    g_string_append(out, "<section aria-labelledby=\"use\"><h2 id=\"use\">Use it</h2>");
    html(out, "<p>Check every byte:</p><pre><code>opstower verify %s%s</code></pre>", e->id, from);
    html(out, "<p>Prove it by a test restore:</p><pre><code>opstower verify %s%s --full-test</code></pre>", e->id,
         from);
    html(out,
         "<p>Restore it; this asks first, and the live database is only replaced when all is loaded and equal to "
         "the proof:</p><pre><code>opstower restore %s%s</code></pre></section>",
         e->id, from);
}

static void write_tables(const json_t *tables, GString *out)
{
    gsize n = json_array_size(tables);
    if (n == 0)
        return;
    g_string_append(out, "<section aria-labelledby=\"tables\"><h2 id=\"tables\">Proof: rows and fingerprint of each "
                         "table</h2><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"tables\">"
                         "<table><thead><tr><th scope=\"col\">Table</th><th scope=\"col\" class=\"number\">Rows</th>"
                         "<th scope=\"col\">Fingerprint</th></tr></thead><tbody>");
    for (gsize i = 0; i < MIN(n, MAX_TABLES); i++) {
        const json_t *t = json_array_get(tables, i);
        const char *schema = json_string_value(json_object_get(t, "schema"));
        const char *name = json_string_value(json_object_get(t, "name"));
        const char *print = json_string_value(json_object_get(t, "fingerprint"));
        html(out,
             "<tr><th scope=\"row\"><bdi>%s.%s</bdi></th><td class=\"number\">%" JSON_INTEGER_FORMAT
             "</td><td><code>%s</code></td></tr>",
             schema ? schema : "?", name ? name : "?", json_integer_value(json_object_get(t, "rows")),
             print ? print : "");
    }
    g_string_append(out, "</tbody></table></div>");
    if (n > MAX_TABLES)
        html(out, "<p class=\"quiet\">These are the first %d of %u; the metadata file has all.</p>", MAX_TABLES,
             (guint)n);
    g_string_append(out, "</section>");
}

/* The list has its metadata without them. New reference, or NULL. */
static json_t *tables_of(const struct catalog_entry *e)
{
    g_autoptr(copy) here = e->path ? copy_local(e->path) : NULL;
    g_autoptr(meta) m = here ? copy_meta(here, NULL) : NULL;
    if (m)
        return json_incref(m->tables);
    return e->meta ? meta_read_tables(e->meta) : NULL;
}

guint page_backup(struct view *v, GString *out)
{
    const struct catalog_entry *e = find(v);
    if (!e) {
        view_begin(v, "No such backup", out);
        view_problem("The list of backups could not be read:", v->sight.backups_problem, out);
        g_string_append(out, "<p>It may have been deleted by retention. <a href=\"/backups\">All backups</a></p>");
        view_end(v, out);
        return 404;
    }
    view_begin(v, e->id, out);
    g_string_append(out, "<p>");
    write_state(e, out);
    g_string_append(out, " taken ");
    html_ago(out, e->taken_at, v->sight.now);
    g_string_append(out, "</p>");
    view_problem("Its metadata cannot be read:", e->meta_error ? e->meta_error->message : NULL, out);
    g_string_append(out, "<section aria-labelledby=\"about\"><h2 id=\"about\">About it</h2><dl class=\"list\">");
    if (e->meta)
        write_meta(e, out);
    else
        fact("Metadata", "none: a file of others, or one whose sidecar is gone", out);
    g_string_append(out, "</dl></section>");
    write_places(v, e, out);
    write_commands(e, out);
    json_t *tables = tables_of(e);
    write_tables(tables, out);
    json_decref(tables);
    view_end(v, out);
    return 200;
}
