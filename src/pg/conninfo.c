/* The override, the URL, the parts; then what a connection needs to notice that the other end is gone. */
#include "pg/conninfo.h"

#include <string.h>

#include "base/secrets.h"
#include "pg/encryption.h"

#define STANDARD_PORT 5432

/* A server that is not there any more is noticed within two minutes, by the kernel. */
static const char *const keepalives[][2] = {
    {"keepalives", "1"},       {"keepalives_idle", "60"},      {"keepalives_interval", "10"},
    {"keepalives_count", "6"}, {"tcp_user_timeout", "120000"},
};

void pg_target_clear(struct pg_target *t)
{
    secrets_wipe(t->url);
    g_free(t->host);
    g_free(t->name);
    g_free(t->user);
    secrets_wipe(t->password);
    g_free(t->database);
    memset(t, 0, sizeof *t);
}

struct pg_target pg_target_copy(const struct pg_target *t)
{
    return (struct pg_target){
        .url = g_strdup(t->url),
        .host = g_strdup(t->host),
        .name = g_strdup(t->name),
        .user = g_strdup(t->user),
        .password = g_strdup(t->password),
        .port = t->port,
        .database = g_strdup(t->database),
        .timeout_s = t->timeout_s,
    };
}

static void end_pairs(struct conninfo *c)
{
    g_ptr_array_add(c->keywords, NULL);
    g_ptr_array_add(c->values, NULL);
}

static void set(struct conninfo *c, const char *keyword, const char *value)
{
    for (guint i = 0; i < c->keywords->len; i++)
        if (g_str_equal(c->keywords->pdata[i], keyword))
            return;
    if (!value || !*value)
        return;
    g_ptr_array_add(c->keywords, g_strdup(keyword));
    g_ptr_array_add(c->values, g_strdup(value));
}

static void begin(struct conninfo *c)
{
    c->keywords = g_ptr_array_new_with_free_func(g_free);
    c->values = g_ptr_array_new_with_free_func((GDestroyNotify)secrets_wipe);
}

static gboolean set_from_url(struct conninfo *c, const char *url, GError **error)
{
    PQconninfoOption *options = PQconninfoParse(url, NULL);
    /* libpq's message quotes what it could not read, which may be a part of the password. */
    if (!options)
        return ot_fail(error, OT_USAGE,
                       "the database's URL cannot be read: libpq does not know one of its parameters, or its password "
                       "is not escaped; write %%40, %%2F, %%23, or use DATABASE_PASSWORD");
    for (PQconninfoOption *o = options; o->keyword; o++)
        set(c, o->keyword, o->val);
    PQconninfoFree(options);
    return TRUE;
}

/* A service's file may name them, and would lose against ours. */
static void set_keepalives(struct conninfo *c)
{
    gboolean service = g_getenv("PGSERVICE") != NULL;
    for (guint i = 0; i < c->keywords->len; i++)
        service |= g_str_equal(c->keywords->pdata[i], "service");
    for (gsize i = 0; !service && i < G_N_ELEMENTS(keepalives); i++)
        set(c, keepalives[i][0], keepalives[i][1]);
}

gboolean conninfo_fill(struct conninfo *c, const struct pg_target *t, const char *dbname, GError **error)
{
    begin(c);
    set(c, "dbname", dbname ? dbname : t->database);
    if (t->url && !set_from_url(c, t->url, error)) {
        end_pairs(c);
        return FALSE;
    }
    g_autofree char *port = t->port ? g_strdup_printf("%d", t->port) : NULL;
    set(c, "host", t->host);
    set(c, "port", port);
    set(c, "dbname", t->name);
    set(c, "user", t->user);
    set(c, "password", t->password);
    set(c, "fallback_application_name", "opstower");
    set_keepalives(c);
    end_pairs(c);
    encryption_apply(c);
    return TRUE;
}

void conninfo_clear(struct conninfo *c)
{
    g_clear_pointer(&c->keywords, g_ptr_array_unref);
    g_clear_pointer(&c->values, g_ptr_array_unref);
}

const char *conninfo_get(const struct conninfo *c, const char *keyword)
{
    for (guint i = 0; i + 1 < c->keywords->len; i++)
        if (g_str_equal(c->keywords->pdata[i], keyword))
            return c->values->pdata[i];
    return NULL;
}

void conninfo_replace(struct conninfo *c, const char *keyword, const char *value)
{
    guint i = 0;
    while (i + 1 < c->keywords->len && !g_str_equal(c->keywords->pdata[i], keyword))
        i++;
    if (i + 1 < c->keywords->len) {
        secrets_wipe(c->values->pdata[i]);
        c->values->pdata[i] = g_strdup(value);
        return;
    }
    g_ptr_array_insert(c->keywords, (int)i, g_strdup(keyword));
    g_ptr_array_insert(c->values, (int)i, g_strdup(value));
}

void conninfo_add_options(struct conninfo *c, const char *more)
{
    const char *given = conninfo_get(c, "options");
    if (!given)
        given = g_getenv("PGOPTIONS");
    g_autofree char *all = g_strdup_printf("%s %s", given ? given : "", more);
    conninfo_replace(c, "options", g_strstrip(all));
}

struct conninfo conninfo_copy(const struct conninfo *from)
{
    struct conninfo c;
    begin(&c);
    for (guint i = 0; i < from->keywords->len; i++) {
        g_ptr_array_add(c.keywords, g_strdup(from->keywords->pdata[i]));
        g_ptr_array_add(c.values, g_strdup(from->values->pdata[i]));
    }
    return c;
}

static char *value_in(PQconninfoOption *options, const char *keyword)
{
    char *result = NULL;
    for (PQconninfoOption *o = options; o && o->keyword; o++)
        if (g_str_equal(o->keyword, keyword))
            result = g_strdup(o->val);
    PQconninfoFree(options);
    return result;
}

static char *default_value(const char *keyword)
{
    return value_in(PQconndefaults(), keyword);
}

static gboolean has_service(const struct conninfo *c)
{
    return conninfo_get(c, "service") || g_getenv("PGSERVICE");
}

/* What libpq itself makes of the parameters, a service's file included, in *RET_TEXT (NULL: nothing). Nobody is
 * connected to: libpq looks at sslmode before it looks for the server, and after all that names it. */
static gboolean resolve(const struct conninfo *c, const char *keyword, char **ret_text, GError **error)
{
    struct conninfo copy = conninfo_copy(c);
    conninfo_replace(&copy, "sslmode", "not to be connected");
    PGconn *pg =
        PQconnectStartParams((const char *const *)copy.keywords->pdata, (const char *const *)copy.values->pdata, 0);
    conninfo_clear(&copy);
    gboolean ok = PQuser(pg) && *PQuser(pg);
    g_autofree char *said = g_strchomp(g_strdup(PQerrorMessage(pg)));
    *ret_text = ok ? value_in(PQconninfo(pg), keyword) : NULL;
    PQfinish(pg);
    return ok || ot_fail(error, OT_USAGE, "the database's service cannot be looked up: %s", said);
}

/* The value of KEYWORD, from the parameters, a service, or libpq's defaults. */
static gboolean find_value(const struct conninfo *c, const char *keyword, char **ret_text, GError **error)
{
    *ret_text = g_strdup(conninfo_get(c, keyword));
    if (*ret_text)
        return TRUE;
    if (has_service(c))
        return resolve(c, keyword, ret_text, error);
    *ret_text = default_value(keyword);
    return TRUE;
}

char *conninfo_find(const struct conninfo *c, const char *keyword)
{
    char *value = NULL;
    find_value(c, keyword, &value, NULL);
    return value;
}

/* As libpq does: without a name, that of the user. */
static gboolean find_database(const struct conninfo *c, char **ret_name, GError **error)
{
    if (!find_value(c, "dbname", ret_name, error) || *ret_name)
        return *ret_name != NULL;
    if (!find_value(c, "user", ret_name, error))
        return FALSE;
    return *ret_name || ot_fail(error, OT_USAGE, "no database is named: set DATABASE_URL or DATABASE_NAME");
}

char *pg_target_database(const struct pg_target *t, GError **error)
{
    struct conninfo c = {0};
    char *name = NULL;
    if (conninfo_fill(&c, t, NULL, error))
        find_database(&c, &name, error);
    conninfo_clear(&c);
    return name;
}

/* The first of several; a server that is named by its address alone has that as its name. */
static char *first_of(const struct conninfo *c, const char *keyword)
{
    g_autofree char *all = NULL;
    find_value(c, keyword, &all, NULL);
    g_auto(GStrv) parts = all ? g_strsplit(all, ",", 2) : NULL;
    return parts && parts[0] && *parts[0] ? g_strdup(parts[0]) : NULL;
}

gboolean pg_target_address(const struct pg_target *t, char **ret_host, int *ret_port, GError **error)
{
    struct conninfo c = {0};
    gboolean ok = conninfo_fill(&c, t, NULL, error);
    if (ok) {
        g_autofree char *port = first_of(&c, "port");
        *ret_host = first_of(&c, "host");
        *ret_host = *ret_host ? *ret_host : first_of(&c, "hostaddr");
        *ret_port = port ? (int)g_ascii_strtoll(port, NULL, 10) : STANDARD_PORT;
    }
    conninfo_clear(&c);
    return ok;
}
