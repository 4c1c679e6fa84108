/* The environment and the connection parameters of children; the watch over them. */
#include "pg/child.h"

#include <string.h>
#include <unistd.h>

#include "pg/session_parts.h"
#include "pg/silence.h"

const char *session_run_name(void)
{
    static char *name;
    static gsize made;
    if (g_once_init_enter(&made)) {
        name = g_strdup_printf("opstower %d-%08x", (int)getpid(), g_random_int());
        g_once_init_leave(&made, 1);
    }
    return name;
}

/* The server lets the last one win. */
static char *join_options(const char *given, const char *needed, const char *more)
{
    g_autofree char *all = g_strdup_printf("%s %s %s", given ? given : "", needed ? needed : "", more ? more : "");
    return g_strdup(g_strstrip(all));
}

char **session_child_environment(struct session *s, const char *helpful_options)
{
    char **environment = g_get_environ();
    PQconninfoOption *options = PQconninfo(session_pg(s));
    for (PQconninfoOption *o = options; o && o->keyword; o++)
        if (o->envvar && o->val && *o->val)
            environment = g_environ_setenv(environment, o->envvar, o->val, TRUE);
    PQconninfoFree(options);
    const char *given = g_environ_getenv(environment, "PGOPTIONS");
    /* A pooler may refuse all options: only what is needed then. */
    const char *more = session_is_pooled(s) ? NULL : helpful_options;
    g_autofree char *all = join_options(given, session_child_options(s), more);
    if (*all)
        environment = g_environ_setenv(environment, "PGOPTIONS", all, TRUE);
    environment = g_environ_setenv(environment, "PGAPPNAME", session_run_name(), TRUE);
    environment = g_environ_unsetenv(environment, "PGDATABASE");
    environment = g_environ_unsetenv(environment, "LC_ALL"); /* it would win over LC_MESSAGES */
    environment =
        g_environ_setenv(environment, "PGTZ", "UTC", TRUE); /* times as SQL text, whatever the server's zone */
    return g_environ_setenv(environment, "LC_MESSAGES", "C", TRUE);
}

static void append_conninfo(GString *out, const char *keyword, const char *value)
{
    g_string_append_printf(out, "%s%s='", out->len ? " " : "", keyword);
    for (const char *c = value; *c; c++) {
        if (*c == '\'' || *c == '\\')
            g_string_append_c(out, '\\');
        g_string_append_c(out, *c);
    }
    g_string_append_c(out, '\'');
}

/* Options that no variable carries go here; secrets all have a variable or are left out. */
char *session_child_conninfo(struct session *s, const char *dbname)
{
    GString *out = g_string_new(NULL);
    append_conninfo(out, "dbname", dbname ? dbname : session_database(s));
    PQconninfoOption *options = PQconninfo(session_pg(s));
    for (PQconninfoOption *o = options; o && o->keyword; o++) {
        gboolean shown = o->dispchar[0] == '\0' && !strstr(o->keyword, "password");
        if (!o->envvar && o->val && *o->val && shown && !g_str_equal(o->keyword, "fallback_application_name"))
            append_conninfo(out, o->keyword, o->val);
    }
    PQconninfoFree(options);
    return g_string_free(out, FALSE);
}

/* ---- the watch ---- */

static void give_up(void *data, const char *why)
{
    subprocess_give_up(data, why);
}

static void end_watch(void *data)
{
    silence_free(data);
}

void session_watch_child(struct subprocess *p, void *data)
{
    struct silence_subject subject = {.conninfo = session_conninfo(data), .end = give_up, .data = p};
    struct silence *w = silence_new(&subject);
    silence_begin(w);
    subprocess_attach(p, w, end_watch);
}
