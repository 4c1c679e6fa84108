/* Which server's each backup is, by what its metadata says. */
#include "catalog/lineage.h"

#include <string.h>

#define MAX_DIGITS 20
#define MAX_SHOWN 200

void lineage_server_clear(struct lineage_server *s)
{
    g_free(s->system);
    g_free(s->host);
    memset(s, 0, sizeof *s);
}

const char *lineage_name(enum lineage l)
{
    static const char *const names[] = {"unknown", "this", "adopted", "unsure", "other"};
    return names[l];
}

/* Metadata comes from outside: what is no identifier is none. */
static const char *system_of(const char *text)
{
    gsize length = text ? strlen(text) : 0;
    return length > 0 && length <= MAX_DIGITS && strspn(text, "0123456789") == length ? text : NULL;
}

/* Ways to write this machine itself. */
static const char *plain_host(const char *host)
{
    static const char *const loopback[] = {"localhost", "127.0.0.1", "::1", NULL};
    return host && g_strv_contains(loopback, host) ? "localhost" : host;
}

static gboolean same_address(const char *host, int port, const char *other, int other_port)
{
    return host && other && port == other_port && g_ascii_strcasecmp(plain_host(host), plain_host(other)) == 0;
}

char *lineage_key(const char *system, const char *host, int port)
{
    if (system_of(system))
        return g_strdup(system);
    return host ? g_strdup_printf("%s:%d", plain_host(host), port) : NULL;
}

static char *printable(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, (gssize)strnlen(text, MAX_SHOWN));
    GString *out = g_string_new(NULL);
    for (const char *c = valid; *c; c = g_utf8_next_char(c))
        g_string_append_unichar(out, g_unichar_isprint(g_utf8_get_char(c)) ? g_utf8_get_char(c) : '?');
    return g_string_free(out, FALSE);
}

char *lineage_server_text(const char *system, const char *host, int port)
{
    g_autofree char *shown = host ? printable(host) : NULL;
    g_autofree char *address = shown ? g_strdup_printf("%s:%d", shown, port) : g_strdup("an unknown address");
    return system_of(system) ? g_strdup_printf("%s (system %s)", address, system) : g_steal_pointer(&address);
}

/* ---- whose it is ---- */

static gboolean is_adopted_by(const struct meta *m, const struct lineage_server *self)
{
    g_autofree char *key = lineage_key(self->system, self->host, self->port);
    gsize i;
    json_t *each;
    json_array_foreach(m->adopted_by, i, each)
    {
        if (key && g_strcmp0(json_string_value(each), key) == 0)
            return TRUE;
    }
    return FALSE;
}

/* Of one backup by itself. */
static enum lineage judge(const struct meta *m, const struct lineage_server *self)
{
    if (!m)
        return LINEAGE_UNKNOWN;
    const char *system = system_of(m->system_identifier);
    if (!self)
        return system ? LINEAGE_UNSURE : LINEAGE_UNKNOWN;
    if (is_adopted_by(m, self))
        return LINEAGE_ADOPTED;
    if (system && self->system)
        return g_str_equal(system, self->system) ? LINEAGE_THIS : LINEAGE_OTHER;
    if (same_address(m->host, m->port, self->host, self->port))
        return LINEAGE_THIS;
    gboolean older = !system && m->database_oid == 0; /* made before servers were told apart, or by others */
    return older || !self->host ? LINEAGE_UNKNOWN : LINEAGE_OTHER;
}

gboolean lineage_fits(const struct meta *m, const struct lineage_server *self)
{
    return judge(m, self) != LINEAGE_OTHER;
}

static char *address_key(const struct meta *m)
{
    g_autofree char *key = lineage_key(NULL, m->host, m->port);
    return key ? g_ascii_strdown(key, -1) : NULL;
}

/* The addresses of the other servers in the list, and whose each is. */
static GHashTable *addresses_of_others(const GPtrArray *entries)
{
    GHashTable *addresses = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < entries->len; i++) {
        const struct catalog_entry *e = entries->pdata[i];
        char *address = e->lineage == LINEAGE_OTHER ? address_key(e->meta) : NULL;
        if (address)
            g_hash_table_insert(addresses, address, e->server_key);
    }
    return addresses;
}

static void set(struct catalog_entry *e, enum lineage l, const char *key)
{
    e->lineage = l;
    g_free(e->server_key);
    e->server_key = g_strdup(key);
}

/* An older backup that has the address of another server in the list is that one's. */
void lineage_mark(const GPtrArray *entries, const struct lineage_server *self)
{
    for (guint i = 0; i < entries->len; i++) {
        struct catalog_entry *e = entries->pdata[i];
        enum lineage l = judge(e->meta, self);
        g_autofree char *key = l == LINEAGE_UNKNOWN || l == LINEAGE_THIS
                                   ? NULL
                                   : lineage_key(e->meta->system_identifier, e->meta->host, e->meta->port);
        set(e, l, key);
    }
    g_autoptr(GHashTable) others = addresses_of_others(entries);
    for (guint i = 0; i < entries->len && g_hash_table_size(others) > 0; i++) {
        struct catalog_entry *e = entries->pdata[i];
        g_autofree char *address = e->meta && e->lineage == LINEAGE_UNKNOWN ? address_key(e->meta) : NULL;
        const char *key = address ? g_hash_table_lookup(others, address) : NULL;
        if (key)
            set(e, LINEAGE_OTHER, key);
    }
}

gboolean lineage_is_ours(const struct catalog_entry *e)
{
    return e->lineage != LINEAGE_OTHER;
}

gboolean lineage_is_certain(const struct catalog_entry *e)
{
    return e->lineage != LINEAGE_OTHER && e->lineage != LINEAGE_UNSURE;
}

/* ---- all of them ---- */

struct lineage_others lineage_find_others(const GPtrArray *entries, gboolean with_unsure)
{
    struct lineage_others o = {0};
    g_autoptr(GHashTable) keys = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < entries->len; i++) {
        const struct catalog_entry *e = entries->pdata[i];
        if (e->lineage != LINEAGE_OTHER && !(with_unsure && e->lineage == LINEAGE_UNSURE))
            continue;
        if (e->server_key)
            g_hash_table_add(keys, e->server_key);
        o.backups++;
        o.newest = o.newest && o.newest->taken_at >= e->taken_at ? o.newest : e;
    }
    o.servers = g_hash_table_size(keys);
    return o;
}

char *lineage_last_known(const GPtrArray *entries, const char *host, int port)
{
    const struct catalog_entry *newest = NULL;
    for (guint i = 0; i < entries->len; i++) {
        const struct catalog_entry *e = entries->pdata[i];
        if (e->meta && system_of(e->meta->system_identifier) &&
            same_address(e->meta->host, e->meta->port, host, port) &&
            (!newest || e->taken_at > newest->taken_at))
            newest = e;
    }
    return newest ? g_strdup(newest->meta->system_identifier) : NULL;
}

char *lineage_only_known(const GPtrArray *entries)
{
    const char *only = NULL;
    for (guint i = 0; i < entries->len; i++) {
        const struct meta *m = ((const struct catalog_entry *)entries->pdata[i])->meta;
        const char *system = m ? system_of(m->system_identifier) : NULL;
        if (system && only && !g_str_equal(system, only))
            return NULL;
        only = system ? system : only;
    }
    return g_strdup(only);
}

gboolean lineage_is_plain(const GPtrArray *entries, const char *host, int port)
{
    g_autofree char *here = lineage_last_known(entries, host, port);
    for (guint i = 0; i < entries->len; i++) {
        const struct meta *m = ((const struct catalog_entry *)entries->pdata[i])->meta;
        const char *system = m ? system_of(m->system_identifier) : NULL;
        if (m && m->adopted_by)
            return FALSE; /* by whom, the server must say */
        if (system ? g_strcmp0(system, here) != 0 : m && m->database_oid && !same_address(m->host, m->port, host, port))
            return FALSE;
    }
    return TRUE;
}
