/* Trailer, contents, members: from the end of the file inwards. */
#include "archive/reader.h"

#include <string.h>

#include "archive/foreign.h"
#include "archive/gunzip.h"
#include "archive/trailer.h"
#include "archive/writer.h"

/* Contents larger than this are not ours: 2 GiB would describe a backup of more than 100 TB. */
#define MAX_CONTENTS_BYTES (2ull << 30)

/* That there is no trailer is no error; that it cannot be read is one. */
static gboolean read_trailer(struct source *s, struct archive_trailer *ret_trailer, gboolean *ret_found, GError **error)
{
    guint size = archive_trailer_size();
    *ret_found = FALSE;
    if (s->size_bytes < size)
        return TRUE;
    g_autofree guint8 *data = g_malloc(size);
    if (!s->read_at(s, s->size_bytes - size, data, size, error))
        return FALSE;
    *ret_found = archive_trailer_parse(data, ret_trailer);
    return TRUE;
}

/* TRUE if the beginning of the file unpacks to our first line. */
static gboolean has_first_line(const guint8 *data, gsize length)
{
    g_autoptr(gunzip) unzip = gunzip_new();
    char text[sizeof ARCHIVE_FIRST_LINE - 1];
    gsize made = 0;
    gunzip_feed(unzip, data, length);
    return gunzip_read(unzip, text, sizeof text, &made, NULL) && made == sizeof text &&
           memcmp(text, ARCHIVE_FIRST_LINE, made) == 0;
}

gboolean archive_detect(struct source *s, enum archive_kind *ret_kind, GError **error)
{
    guint8 head[4096];
    gsize length = (gsize)MIN(sizeof head, s->size_bytes);
    struct archive_trailer trailer;
    if (length == 0)
        return ot_fail(error, OT_CORRUPT, "%s is empty", s->name);
    gboolean found;
    if (!s->read_at(s, 0, head, length, error) || !read_trailer(s, &trailer, &found, error))
        return FALSE;
    if (found || has_first_line(head, length))
        *ret_kind = ARCHIVE_OURS;
    else if (length >= 2 && head[0] == 0x1f && head[1] == 0x8b)
        *ret_kind = ARCHIVE_PLAIN_GZIP;
    else
        *ret_kind = ARCHIVE_PLAIN_SQL;
    return *ret_kind == ARCHIVE_OURS || foreign_check(s->name, head, length, *ret_kind == ARCHIVE_PLAIN_GZIP, error);
}

static gboolean members_tile(const struct archive_contents *c, guint64 end, GError **error)
{
    guint64 at = 0;
    for (guint i = 0; i < c->members->len; i++) {
        const struct archive_member *m = &g_array_index(c->members, struct archive_member, i);
        if (m->offset != at || m->size < GZIP_HEADER_SIZE + GZIP_FOOTER_SIZE)
            return ot_fail(error, OT_CORRUPT, "member %u does not begin where the one before it ends", i);
        at += m->size;
    }
    if (at != end || c->members->len == 0)
        return ot_fail(error, OT_CORRUPT, "the members do not fill the file");
    return TRUE;
}

static struct archive_contents *read_contents(struct source *s, const struct archive_trailer *t, GError **error)
{
    guint64 sealed = s->size_bytes - archive_trailer_size();
    if (t->contents_offset > sealed || t->contents_size != sealed - t->contents_offset ||
        t->contents_size > MAX_CONTENTS_BYTES || t->contents_plain_size > MAX_CONTENTS_BYTES) {
        ot_fail(error, OT_CORRUPT, "the trailer does not fit the file: it was cut or lengthened");
        return NULL;
    }
    g_autofree guint8 *packed = g_try_malloc((gsize)t->contents_size);
    g_autoptr(GByteArray) plain = g_byte_array_new();
    g_autoptr(gzip_unpacker) unpacker = gzip_unpacker_new();
    if (!packed) {
        ot_fail(error, OT_FAILED, "not enough memory for the backup's contents");
        return NULL;
    }
    if (!s->read_at(s, t->contents_offset, packed, (gsize)t->contents_size, error) ||
        !gzip_unpack(unpacker, packed, (gsize)t->contents_size, (gsize)t->contents_plain_size, plain, error))
        return NULL;
    return archive_contents_parse((const char *)plain->data, plain->len, error);
}

struct archive_reader *archive_reader_open(struct source *s, GError **error)
{
    struct archive_trailer trailer;
    gboolean found;
    if (!read_trailer(s, &trailer, &found, error))
        return NULL;
    if (!found) {
        ot_fail(error, OT_CORRUPT, "the file does not end with a backup's trailer: it was cut or lengthened");
        return NULL;
    }
    g_autoptr(archive_contents) contents = read_contents(s, &trailer, error);
    if (!contents || !members_tile(contents, trailer.contents_offset, error))
        return NULL;
    struct archive_reader *r = g_new0(struct archive_reader, 1);
    r->source = s;
    r->contents = g_steal_pointer(&contents);
    r->contents_offset = trailer.contents_offset;
    r->sealed_bytes = s->size_bytes - archive_trailer_size();
    r->sealed_sha256 = g_strdup(trailer.sha256);
    return r;
}

void archive_reader_free(struct archive_reader *r)
{
    if (!r)
        return;
    source_free(r->source);
    archive_contents_free(r->contents);
    g_free(r->sealed_sha256);
    g_free(r);
}

struct member_reader {
    struct archive_reader *reader;
    struct gzip_unpacker *unpacker;
    GByteArray *packed, *plain;
};

struct member_reader *member_reader_new(struct archive_reader *r)
{
    struct member_reader *m = g_new0(struct member_reader, 1);
    m->reader = r;
    m->unpacker = gzip_unpacker_new();
    m->packed = g_byte_array_new();
    m->plain = g_byte_array_new();
    return m;
}

void member_reader_free(struct member_reader *m)
{
    if (!m)
        return;
    gzip_unpacker_free(m->unpacker);
    g_byte_array_unref(m->packed);
    g_byte_array_unref(m->plain);
    g_free(m);
}

gboolean member_reader_get(struct member_reader *m, guint i, const char **ret_plain, gsize *ret_length, GError **error)
{
    const struct archive_member *member = &g_array_index(m->reader->contents->members, struct archive_member, i);
    struct source *s = m->reader->source;
    g_byte_array_set_size(m->packed, (guint)member->size);
    if (!s->read_at(s, member->offset, m->packed->data, (gsize)member->size, error))
        return FALSE;
    if (!gzip_unpack(m->unpacker, m->packed->data, m->packed->len, (gsize)member->plain_size, m->plain, error)) {
        g_prefix_error(error, "member %u at byte %" G_GUINT64_FORMAT ": ", i, member->offset);
        return FALSE;
    }
    if (gzip_footer_crc(m->packed->data, m->packed->len) != member->crc)
        return ot_fail(error, OT_CORRUPT, "member %u at byte %" G_GUINT64_FORMAT " is not the one the contents name", i,
                       member->offset);
    *ret_plain = (const char *)m->plain->data;
    *ret_length = m->plain->len;
    return TRUE;
}

const GByteArray *member_reader_packed(const struct member_reader *m)
{
    return m->packed;
}

gboolean member_reader_get_rows(struct member_reader *m, guint i, const char **ret_rows, gsize *ret_length,
                                GError **error)
{
    const char *text = NULL;
    gsize length = 0;
    const struct archive_contents *c = m->reader->contents;
    const struct archive_member *member = &g_array_index(c->members, struct archive_member, i);
    if (member->kind != MEMBER_DATA)
        return ot_fail(error, OT_CORRUPT, "member %u holds no rows", i);
    if (!member_reader_get(m, i, &text, &length, error))
        return FALSE;
    const struct archive_table *t = c->tables->pdata[member->table];
    gsize head = strlen(t->def->copy_sql) + 1, tail = strlen(COPY_END);
    if (length < head + tail || memcmp(text, t->def->copy_sql, head - 1) != 0 || text[head - 1] != '\n' ||
        memcmp(text + length - tail, COPY_END, tail) != 0)
        return ot_fail(error, OT_CORRUPT, "member %u is not a complete COPY statement of %s.%s", i, t->def->schema,
                       t->def->name);
    *ret_rows = text + head;
    *ret_length = length - head - tail;
    return TRUE;
}
