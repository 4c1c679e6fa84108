/* Reader of pg_dump's custom-format table of contents. */
#include "pg/toc.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "pg/skew.h"

#define VERSION(major, minor) ((major)*1000 + (minor))
#define OLDEST VERSION(1, 14)
#define NEWEST VERSION(1, 16)
#define FORMAT_CUSTOM 1
#define MAX_STRING (1 << 30)
#define MAX_ENTRIES 50000000

/* Reads bytes and keeps them. Once failed, every read gives zeroes; the caller looks at error in the end. */
struct reader {
    int fd; /* -1: from memory */
    const guint8 *memory;
    gsize memory_left;
    GByteArray *kept;
    guint8 buffer[8192];
    gsize have, at;
    GError *error;
    int version, int_size, offset_size;
    int server_major;
};

static void fill_buffer(struct reader *r)
{
    ssize_t n = 0;
    if (r->fd >= 0) {
        do
            n = read(r->fd, r->buffer, sizeof r->buffer);
        while (n < 0 && errno == EINTR);
    } else {
        n = (ssize_t)MIN(r->memory_left, sizeof r->buffer);
        if (n > 0)
            memcpy(r->buffer, r->memory, (gsize)n);
        r->memory += n;
        r->memory_left -= (gsize)n;
    }
    if (n < 0)
        ot_fail_errno(&r->error, OT_DUMP, "cannot read pg_dump's table of contents");
    else if (n == 0)
        ot_fail(&r->error, OT_DUMP, "pg_dump's table of contents is cut");
    r->have = n > 0 ? (gsize)n : 0;
    r->at = 0;
}

static void read_bytes(struct reader *r, void *into, gsize length)
{
    guint8 *at = into;
    while (length > 0 && !r->error) {
        if (r->at == r->have) {
            fill_buffer(r);
            continue;
        }
        gsize n = MIN(length, r->have - r->at);
        memcpy(at, r->buffer + r->at, n);
        g_byte_array_append(r->kept, r->buffer + r->at, (guint)n);
        r->at += n;
        at += n;
        length -= n;
    }
    if (r->error)
        memset(at, 0, length);
}

static int read_byte(struct reader *r)
{
    guint8 byte;
    read_bytes(r, &byte, 1);
    return byte;
}

/* A sign byte, then the value from its least significant byte on. */
static int read_int(struct reader *r)
{
    int sign = read_byte(r);
    gint64 value = 0;
    for (int i = 0; i < r->int_size; i++)
        value |= (gint64)read_byte(r) << (8 * MIN(i, 7));
    if (value > G_MAXINT && !r->error)
        ot_fail(&r->error, OT_DUMP, "pg_dump's table of contents has a number out of range");
    return (int)(sign ? -value : value);
}

/* NULL if the length is negative. */
static char *read_string(struct reader *r)
{
    int length = read_int(r);
    if (length < 0 || r->error)
        return NULL;
    if (length > MAX_STRING) {
        ot_fail(&r->error, OT_DUMP, "pg_dump's table of contents has a string of %d bytes", length);
        return NULL;
    }
    g_autoptr(GString) text = g_string_new(NULL);
    char step[4096];
    for (int left = length; left > 0 && !r->error;) {
        int n = MIN(left, (int)sizeof step);
        read_bytes(r, step, (gsize)n);
        g_string_append_len(text, step, n);
        left -= n;
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static void skip_string(struct reader *r)
{
    g_free(read_string(r));
}

static void read_head(struct reader *r, struct toc *t)
{
    char magic[5];
    read_bytes(r, magic, sizeof magic);
    int major = read_byte(r), minor = read_byte(r);
    read_byte(r);
    r->version = VERSION(major, minor);
    r->int_size = read_byte(r);
    r->offset_size = read_byte(r);
    int format = read_byte(r);
    if (r->error)
        return;
    if (memcmp(magic, "PGDMP", 5) != 0 || format != FORMAT_CUSTOM || r->int_size != 4 || r->offset_size > 8)
        ot_fail(&r->error, OT_DUMP, "pg_dump did not write a custom-format archive");
    else if (r->version < OLDEST || r->version > NEWEST)
        ot_fail(&r->error, OT_DUMP, "pg_dump writes archive version %d.%d; this program knows 1.14 to 1.16", major,
                minor);
    t->reader_major = r->version >= VERSION(1, 16) ? 17 : r->version >= VERSION(1, 15) ? 16 : 12;
    if (r->version >= VERSION(1, 15))
        read_byte(r); /* compression algorithm */
    else
        read_int(r); /* compression level */
    for (int i = 0; i < 7; i++)
        read_int(r); /* creation time, a struct tm */
    skip_string(r);  /* database name */
    t->server_version = read_string(r);
    r->server_major = t->server_version ? (int)g_ascii_strtoll(t->server_version, NULL, 10) : 0;
    skip_string(r); /* pg_dump's version */
}

static void read_dependencies(struct reader *r, struct toc_entry *e)
{
    for (;;) {
        g_autofree char *text = read_string(r);
        if (!text)
            return;
        int id = (int)g_ascii_strtoll(text, NULL, 10);
        g_array_append_val(e->depends, id);
    }
}

static void keep_int(struct reader *r, int value)
{
    for (int i = -1; i < r->int_size; i++) { /* first the sign */
        guint8 byte = i < 0 ? value < 0 : (guint8)((guint)ABS(value) >> (8 * i));
        g_byte_array_append(r->kept, &byte, 1);
    }
}

/* What the server itself would refuse of it is not in the text, nor in the bytes that are kept. */
static char *read_definition(struct reader *r, const char *desc)
{
    guint from = r->kept->len;
    char *text = read_string(r);
    if (!text || r->error || !desc || !skew_mend_definition(text, desc, r->server_major))
        return text;
    g_byte_array_set_size(r->kept, from);
    keep_int(r, (int)strlen(text));
    g_byte_array_append(r->kept, (const guint8 *)text, (guint)strlen(text));
    return text;
}

static struct toc_entry *read_entry(struct reader *r)
{
    struct toc_entry *e = g_new0(struct toc_entry, 1);
    e->depends = g_array_new(FALSE, FALSE, sizeof(int));
    e->dump_id = read_int(r);
    read_int(r);    /* whether data follows for it */
    skip_string(r); /* oid of the catalog */
    g_autofree char *oid = read_string(r);
    e->oid = oid ? g_ascii_strtoull(oid, NULL, 10) : 0;
    e->tag = read_string(r);
    e->desc = read_string(r);
    e->section = (enum toc_section)read_int(r);
    e->definition = read_definition(r, e->desc);
    skip_string(r); /* DROP statement */
    e->copy_sql = read_string(r);
    e->schema = read_string(r);
    e->tablespace = read_string(r);
    e->access_method = read_string(r);
    if (r->version >= VERSION(1, 16))
        read_int(r); /* relkind */
    e->owner = read_string(r);
    skip_string(r); /* "withOids" of old servers */
    read_dependencies(r, e);
    for (int i = 0; i < 1 + r->offset_size; i++)
        read_byte(r); /* where its data would be */
    if (!r->error && (!e->tag || !e->desc))
        ot_fail(&r->error, OT_DUMP, "pg_dump's table of contents has an entry without a name");
    return e;
}

static void entry_free(gpointer data)
{
    struct toc_entry *e = data;
    g_free(e->desc);
    g_free(e->tag);
    g_free(e->schema);
    g_free(e->owner);
    g_free(e->tablespace);
    g_free(e->access_method);
    g_free(e->definition);
    g_free(e->copy_sql);
    g_array_unref(e->depends);
    g_free(e);
}

static struct toc *read_toc(struct reader *r, GError **error)
{
    struct toc *t = g_new0(struct toc, 1);
    t->entries = g_ptr_array_new_with_free_func(entry_free);
    r->kept = g_byte_array_new();
    read_head(r, t);
    int count = r->error ? 0 : read_int(r);
    if (!r->error && (count < 0 || count > MAX_ENTRIES))
        ot_fail(&r->error, OT_DUMP, "pg_dump's table of contents claims %d entries", count);
    for (int i = 0; i < count && !r->error; i++)
        g_ptr_array_add(t->entries, read_entry(r));
    t->bytes = g_byte_array_free_to_bytes(r->kept);
    if (!r->error)
        return t;
    g_propagate_error(error, r->error);
    toc_free(t);
    return NULL;
}

struct toc *toc_read(int fd, GError **error)
{
    struct reader r = {.fd = fd};
    return read_toc(&r, error);
}

struct toc *toc_parse(GBytes *bytes, GError **error)
{
    struct reader r = {.fd = -1};
    r.memory = g_bytes_get_data(bytes, &r.memory_left);
    return read_toc(&r, error);
}

void toc_free(struct toc *t)
{
    if (!t)
        return;
    g_ptr_array_unref(t->entries);
    g_free(t->server_version);
    g_bytes_unref(t->bytes);
    g_free(t);
}

guint toc_count(const struct toc *t, const char *desc)
{
    guint n = 0;
    for (guint i = 0; i < t->entries->len; i++)
        n += g_str_equal(((struct toc_entry *)t->entries->pdata[i])->desc, desc);
    return n;
}

char *toc_entry_label(const struct toc_entry *e)
{
    gboolean qualified = e->schema && *e->schema;
    return g_strdup_printf("%s %s%s%s", e->desc, qualified ? e->schema : "", qualified ? "." : "", e->tag);
}

gboolean toc_entry_depends_on(const struct toc_entry *e, int dump_id)
{
    for (guint i = 0; i < e->depends->len; i++)
        if (g_array_index(e->depends, int, i) == dump_id)
            return TRUE;
    return FALSE;
}
