/* A line scanner over a plain dump. */
#include "archive/plain.h"

#include <string.h>

#include "archive/gunzip.h"
#include "archive/sqllex.h"
#include "base/digest.h"
#include "base/interrupt.h"

#define STEP_BYTES (4u << 20) /* large, for each may be a request to S3 */
#define MAX_STATEMENT_LINE (256u << 20)

struct scan {
    struct plain_summary sum;
    GString *line;      /* the line being read; within COPY data, its beginning */
    GString *statement; /* the line that began a statement, and those that a quoted name goes on through */
    struct sqllex lex;
    guint64 *copy_rows; /* of the table being copied; in sum.copied */
    gboolean in_copy, has_header, complete;
};

static gboolean begins(const struct scan *s, const char *prefix)
{
    return g_str_has_prefix(s->line->str, prefix);
}

/* The roles of one-line statements, as pg_dump writes them: "ALTER ... OWNER TO x;", "GRANT ... TO x;". */
static void scan_role(struct scan *s)
{
    static const struct {
        const char *begin, *before;
    } forms[] = {{"ALTER ", " OWNER TO "}, {"GRANT ", " TO "}, {"REVOKE ", " FROM "}};
    for (gsize i = 0; i < G_N_ELEMENTS(forms); i++) {
        const char *at = begins(s, forms[i].begin) ? g_strrstr(s->line->str, forms[i].before) : NULL;
        if (!at || !g_str_has_suffix(at, ";"))
            continue;
        at += strlen(forms[i].before);
        g_autofree char *name = g_strndup(at, strlen(at) - 1);
        if (g_str_has_suffix(name, " WITH GRANT OPTION"))
            name[strlen(name) - strlen(" WITH GRANT OPTION")] = '\0';
        if (!g_str_equal(name, "PUBLIC") && !g_ptr_array_find_with_equal_func(s->sum.roles, name, g_str_equal, NULL))
            g_ptr_array_add(s->sum.roles, g_steal_pointer(&name));
    }
}

static void begin_copy(struct scan *s)
{
    const char *name = s->statement->str + strlen("COPY "), *end = name;
    for (gboolean quoted = FALSE; *end && (quoted || (*end != ' ' && *end != '(')); end++)
        quoted ^= *end == '"';
    char *key = g_strndup(name, (gsize)(end - name));
    s->copy_rows = g_hash_table_lookup(s->sum.copied, key);
    if (s->copy_rows) {
        g_free(key);
    } else {
        s->copy_rows = g_new0(guint64, 1);
        g_hash_table_insert(s->sum.copied, key, s->copy_rows);
    }
    s->in_copy = TRUE;
}

static gboolean acts_beyond(const struct scan *s)
{
    static const char *const verbs[] = {"CREATE", "ALTER", "DROP", NULL};
    static const char *const things[] = {"DATABASE", "ROLE", "USER", "GROUP", "TABLESPACE", NULL};
    g_auto(GStrv) words = g_strsplit(s->line->str, " ", 3);
    return g_strv_length(words) == 3 && g_strv_contains(verbs, words[0]) && g_strv_contains(things, words[1]) &&
           !g_str_has_prefix(words[2], "MAPPING ");
}

static void note_beyond(struct scan *s)
{
    if (!s->sum.beyond)
        s->sum.beyond = g_strndup(s->line->str, 80);
}

static void scan_statement(struct scan *s)
{
    static const char encoding[] = "SET client_encoding = '";
    static const char version[] = "-- Dumped from database version ";
    if (begins(s, "CREATE TABLE ") || begins(s, "CREATE UNLOGGED TABLE ")) {
        s->sum.tables++;
    } else if (begins(s, "-- PostgreSQL database dump complete")) {
        s->complete = TRUE;
        return;
    } else if (begins(s, "-- PostgreSQL database dump")) {
        s->has_header = TRUE;
    } else if (begins(s, version) && !s->sum.server_version) {
        s->sum.server_version = g_strdup(s->line->str + strlen(version));
    }
    if (acts_beyond(s))
        note_beyond(s);
    if (begins(s, encoding) && !s->sum.encoding)
        s->sum.encoding = g_strndup(s->line->str + strlen(encoding), strcspn(s->line->str + strlen(encoding), "'"));
    scan_role(s);
    /* After the last line of a dump only comments, blank lines and \unrestrict follow. */
    if (s->line->len > 0 && !begins(s, "--") && !begins(s, "\\unrestrict"))
        s->complete = FALSE;
}

/* Inside a function's body or a string, nothing is a statement, whatever it looks like. */
static void scan_sql_line(struct scan *s)
{
    if (s->lex.state == SQLLEX_PLAIN) {
        g_string_assign(s->statement, s->line->str);
        scan_statement(s);
    } else {
        s->complete = FALSE;
        g_string_append_printf(s->statement, "\n%s", s->lex.state == SQLLEX_NAME ? s->line->str : "");
    }
    gboolean ours = begins(s, "\\restrict ") || begins(s, "\\unrestrict ");
    s->lex.backslash = FALSE;
    if (!ours || s->lex.state != SQLLEX_PLAIN)
        sqllex_line(&s->lex, s->line->str, s->line->len);
    if (s->lex.backslash)
        note_beyond(s);
    if (s->lex.state == SQLLEX_PLAIN && g_str_has_prefix(s->statement->str, "COPY ") &&
        g_str_has_suffix(s->statement->str, " FROM stdin;"))
        begin_copy(s);
}

static void count_row(struct scan *s)
{
    s->sum.rows++;
    ++*s->copy_rows;
}

static void scan_line(struct scan *s)
{
    if (!s->in_copy)
        scan_sql_line(s);
    else if (g_str_equal(s->line->str, "\\."))
        s->in_copy = FALSE;
    else
        count_row(s);
    g_string_truncate(s->line, 0);
}

static void scan_text(struct scan *s, const char *text, gsize length)
{
    s->sum.plain_bytes += length;
    const char *end = text + length;
    while (text < end) {
        const char *newline = memchr(text, '\n', (gsize)(end - text));
        gsize piece = (gsize)((newline ? newline : end) - text);
        if (s->line->len < (s->in_copy ? 8 : MAX_STATEMENT_LINE))
            g_string_append_len(s->line, text, (gssize)(s->in_copy ? MIN(piece, 8) : piece));
        text += piece;
        if (!newline)
            return;
        text++;
        if (s->line->len > 0 && s->line->str[s->line->len - 1] == '\r')
            g_string_truncate(s->line, s->line->len - 1);
        scan_line(s);
    }
}

static gboolean judge(struct scan *s, GError **error)
{
    if (s->line->len > 0)
        scan_line(s);
    if (!s->has_header)
        return ot_fail(error, OT_CORRUPT, "this is not a plain-text PostgreSQL dump (its header is missing)");
    if (s->lex.state != SQLLEX_PLAIN)
        return ot_fail(error, OT_CORRUPT, "the dump is cut inside a statement");
    if (s->in_copy)
        return ot_fail(error, OT_CORRUPT, "the dump is cut inside a table's data");
    if (!s->complete)
        return ot_fail(error, OT_CORRUPT,
                       "the dump is cut: it does not end with \"PostgreSQL database dump complete\"");
    return TRUE;
}

static gboolean give(struct scan *s, const char *text, gsize length, plain_take take, void *data, GError **error)
{
    scan_text(s, text, length);
    if (take && s->sum.beyond)
        return ot_fail(error, OT_REFUSED,
                       "the dump acts beyond its own database (%s): make one without --create, or load it yourself",
                       s->sum.beyond);
    return !take || take(text, length, data, error);
}

static gboolean scan_gzip_step(struct scan *s, struct gunzip *unzip, const guint8 *packed, gsize length, char *buffer,
                               plain_take take, void *data, GError **error)
{
    gunzip_feed(unzip, packed, length);
    for (;;) {
        gsize made = 0;
        if (!gunzip_read(unzip, buffer, STEP_BYTES, &made, error))
            return FALSE;
        if (made == 0)
            return TRUE;
        if (!give(s, buffer, made, take, data, error))
            return FALSE;
    }
}

static gboolean scan_source(struct scan *s, struct source *from, enum archive_kind kind, plain_take take, void *data,
                            GError **error)
{
    g_autofree guint8 *packed = g_malloc(STEP_BYTES);
    g_autofree char *buffer = g_malloc(STEP_BYTES);
    g_autoptr(gunzip) unzip = gunzip_new();
    g_autoptr(digest) d = digest_new();
    for (guint64 at = 0; at < from->size_bytes;) {
        gsize n = (gsize)MIN(STEP_BYTES, from->size_bytes - at);
        if (!interrupt_check(error) || !from->read_at(from, at, packed, n, error))
            return FALSE;
        digest_add(d, packed, n);
        at += n;
        gboolean ok = kind == ARCHIVE_PLAIN_GZIP ? scan_gzip_step(s, unzip, packed, n, buffer, take, data, error)
                                                 : give(s, (const char *)packed, n, take, data, error);
        if (!ok)
            return FALSE;
    }
    if (kind == ARCHIVE_PLAIN_GZIP && !gunzip_at_end(unzip))
        return ot_fail(error, OT_CORRUPT, "gzip test failed: the file is cut");
    s->sum.sha256 = digest_text(d);
    return TRUE;
}

gboolean plain_scan(struct source *s, enum archive_kind kind, plain_take take, void *data,
                    struct plain_summary *ret_summary, GError **error)
{
    struct scan scan = {.line = g_string_new(NULL), .statement = g_string_new(NULL)};
    scan.sum.copied = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    scan.sum.roles = g_ptr_array_new_with_free_func(g_free);
    gboolean ok = scan_source(&scan, s, kind, take, data, error) && judge(&scan, error);
    g_string_free(scan.line, TRUE);
    g_string_free(scan.statement, TRUE);
    if (ok)
        *ret_summary = scan.sum;
    else
        plain_summary_clear(&scan.sum);
    return ok;
}

void plain_summary_clear(struct plain_summary *s)
{
    g_clear_pointer(&s->sha256, g_free);
    g_clear_pointer(&s->server_version, g_free);
    g_clear_pointer(&s->encoding, g_free);
    g_clear_pointer(&s->beyond, g_free);
    g_clear_pointer(&s->roles, g_ptr_array_unref);
    g_clear_pointer(&s->copied, g_hash_table_unref);
}
