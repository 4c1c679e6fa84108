/* Parameters that pg_restore sets unasked. */
#include "pg/skew.h"

#include <string.h>

/* Those that PostgreSQL 12, the oldest server there is support for, does not have. */
static const struct parameter {
    const char *name;
    int since_major; /* of the server that knows it, and of the pg_restore that sets it */
} parameters[] = {
    {"transaction_timeout", 17},
};

static gboolean is_unknown(const char *line, int server_major)
{
    for (gsize i = 0; i < G_N_ELEMENTS(parameters); i++) {
        g_autofree char *set = g_strdup_printf("SET %s = ", parameters[i].name);
        if (parameters[i].since_major > server_major && g_str_has_prefix(line, set))
            return TRUE;
    }
    return FALSE;
}

void skew_strip_settings(GString *sql, int server_major)
{
    const char *first = g_str_has_prefix(sql->str, "SET ") ? sql->str : strstr(sql->str, "\nSET ");
    gsize at = !first ? sql->len : (gsize)(first - sql->str) + (*first == '\n');
    while (at < sql->len && sql->str[at] != '\n') { /* the head ends with an empty line */
        const char *line = sql->str + at;
        gsize length = strcspn(line, "\n");
        length += line[length] == '\n';
        if (is_unknown(line, server_major))
            g_string_erase(sql, (gssize)at, (gssize)length);
        else
            at += length;
    }
}

/* Sequences can be unlogged since 15. Of older servers, the identity sequence of an unlogged table is not, and pg_dump
 * says so in words that they do not know. */
#define UNLOGGED_SEQUENCES_SINCE 15
#define LOGGED_LINE "\n    LOGGED"
#define LINE_AFTER "\n    START WITH "

gboolean skew_mend_definition(char *sql, const char *desc, int server_major)
{
    char *at = strstr(sql, LOGGED_LINE LINE_AFTER);
    if (server_major < 1 || server_major >= UNLOGGED_SEQUENCES_SINCE || !g_str_equal(desc, "SEQUENCE") || !at ||
        !g_str_has_prefix(sql, "ALTER TABLE "))
        return FALSE;
    memmove(at, at + strlen(LOGGED_LINE), strlen(at + strlen(LOGGED_LINE)) + 1);
    return TRUE;
}

gboolean skew_can_connect(int client_major, int server_major)
{
    for (gsize i = 0; i < G_N_ELEMENTS(parameters); i++)
        if (client_major >= parameters[i].since_major && server_major < parameters[i].since_major)
            return FALSE;
    return TRUE;
}

#define COMPLAINT "pg_restore: error: "

/* Of a parameter, whose name the server quotes, in whatever language; length: of the line. */
static gboolean is_about_parameter(const char *line, gsize length, int server_major)
{
    for (gsize i = 0; i < G_N_ELEMENTS(parameters); i++) {
        g_autofree char *name = g_strdup_printf("\"%s\"", parameters[i].name);
        if (parameters[i].since_major > server_major && g_strstr_len(line, (gssize)length, name))
            return TRUE;
    }
    return FALSE;
}

gboolean skew_strip_complaints(char *said, int server_major)
{
    gboolean others = FALSE;
    for (char *at = strstr(said, COMPLAINT); at; at = strstr(at, COMPLAINT)) {
        gsize length = strcspn(at, "\n");
        if (is_about_parameter(at, length, server_major))
            memmove(at, at + length, strlen(at + length) + 1);
        else {
            others = TRUE;
            at += length;
        }
    }
    return !others;
}
