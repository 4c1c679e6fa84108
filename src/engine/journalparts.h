/*
 * The journal cut into segments as they lie in S3, and where they lie there: PREFIX/journal/HOST-ID/, where HOST is
 * that of its first record and ID the begin of its first line's digest. Only engine/journal*.c include it.
 */
#pragma once

#include <jansson.h>

#include "store/s3_objects.h"

#define JOURNALPARTS_HEAD "head.json"
#define JOURNALPARTS_ID_LENGTH 12

struct journalpart {
    gint64 number; /* from 0 */
    const char *start, *end;
};

struct journalparts {
    char *all; /* the whole text; NULL: there is no journal */
    gsize length;
    char *id, *host;
    GArray *segments; /* struct journalpart */
    const char *last; /* line, with its length */
    gsize last_length;
    gint64 last_seq;
    gint64 sought_seq;   /* a record that is looked for: */
    char *sought_digest; /* NULL: there is none */
};

/* Reads the journal in DIR; *p is to be cleared in any case. FALSE: it cannot be read; or, without error, there is
 * none. */
gboolean journalparts_read(const char *dir, struct journalparts *p, GError **error);
/* Finds segments, the last record, and that of sought_seq. */
void journalparts_cut(struct journalparts *p);
void journalparts_clear(struct journalparts *p);

/* The host's name as it stands in keys, from an object with "host". g_free. */
char *journalparts_host(const json_t *record);

/* Keys, as PREFIX/journal/ and below it. g_free. */
char *journalparts_folder(const char *prefix);
char *journalparts_key(const struct journalparts *p, const char *prefix, const char *name);
char *journalparts_segment_key(const struct journalparts *p, const char *prefix, gint64 number);

/* What head.json says; NULL without error: there is none. OT_TAMPERED: it is not ours. New reference. */
json_t *journalparts_get_head(struct s3 *client, const char *key, GError **error);
