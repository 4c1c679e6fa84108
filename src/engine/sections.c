/*
 * pg_restore prints each section as a dump of its own: header, \restrict KEY, statements, "dump complete",
 * \unrestrict KEY. Joined, one \restrict must span everything: psql refuses its meta-commands in between, so that
 * data cannot smuggle any in.
 */
#include "engine/sections.h"

#include <string.h>

#include "archive/contents.h"

#define COMPLETE "--\n-- PostgreSQL database dump complete\n--\n"

/* Rows are written with these settings, whatever the database's own are; they are read with the same. */
#define DATA_SETTINGS "SET lc_monetary = 'C';\nSET intervalstyle = 'postgres';\nSET datestyle = 'ISO';\n\n"

/* The key of the \restrict line in the header (before any statement); NULL if this pg_restore writes none. */
static char *restrict_key(const char *sql)
{
    const char *set = strstr(sql, "\nSET ");
    const char *line = g_strstr_len(sql, set ? set - sql : -1, "\n\\restrict ");
    if (!line)
        return NULL;
    line += strlen("\n\\restrict ");
    return g_strndup(line, strcspn(line, "\n"));
}

/* Where the closing lines begin: the last "dump complete". */
static gsize body_length(const char *sql)
{
    const char *complete = g_strrstr(sql, COMPLETE);
    return complete ? (gsize)(complete - sql) : strlen(sql);
}

char *sections_head(const char *pre_data)
{
    g_autofree char *body = g_strndup(pre_data, body_length(pre_data));
    return g_strconcat(ARCHIVE_FIRST_LINE, body, DATA_SETTINGS, NULL);
}

char *sections_tail(const char *post_data, const char *pre_data)
{
    g_autofree char *key = restrict_key(pre_data);
    g_autofree char *own_key = restrict_key(post_data);
    g_autofree char *body = g_strndup(post_data, body_length(post_data));
    GString *tail = g_string_new(body);
    if (own_key) {
        g_autofree char *line = g_strdup_printf("\\restrict %s\n", own_key);
        char *at = strstr(tail->str, line);
        g_string_erase(tail, at - tail->str, (gssize)strlen(line));
    }
    g_string_append(tail, COMPLETE "\n");
    if (key)
        g_string_append_printf(tail, "\\unrestrict %s\n\n", key);
    return g_string_free(tail, FALSE);
}

char *sections_sequences(const struct toc *t)
{
    GString *sql = g_string_new(NULL);
    for (guint i = 0; i < t->entries->len; i++) {
        const struct toc_entry *e = t->entries->pdata[i];
        if (g_str_equal(e->desc, "SEQUENCE SET") && e->definition)
            g_string_append(sql, e->definition);
    }
    if (sql->len > 0 && sql->str[sql->len - 1] != '\n')
        g_string_append_c(sql, '\n');
    return g_string_free(sql, FALSE);
}

void sections_use_key(GString *pre_data, const char *head)
{
    g_autofree char *own = restrict_key(pre_data->str);
    g_autofree char *key = restrict_key(head);
    if (!own || !key || strspn(key, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS) != strlen(key))
        return;
    char *at = strstr(pre_data->str, "\n\\restrict ") + strlen("\n\\restrict ");
    gsize position = (gsize)(at - pre_data->str);
    g_string_erase(pre_data, (gssize)position, (gssize)strlen(own));
    g_string_insert(pre_data, (gssize)position, key);
}
