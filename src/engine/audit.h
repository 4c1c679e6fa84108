/* The act of auditing: the journal held against all that was kept of it elsewhere, and given out by time. */
#pragma once

#include "catalog/catalog.h"
#include "catalog/journal_check.h"
#include "store/s3.h"

struct audit_places {
    const char *dir;
    struct s3 *client;  /* NULL: what is in S3 is not asked */
    const char *prefix; /* of keys */
};

/* journal_check with every head that is kept with the backups in the folder and in S3, and with the journal's copy in
 * S3, of which every line is read and compared. NULL: it, or one of these places, cannot be read. */
struct journal_state *audit_check(const struct audit_places *places, GError **error);

/* journal_check_newest with these backups only (struct catalog_entry *), and nothing asked of S3. */
struct journal_state *audit_check_newest(const char *dir, const GPtrArray *backups, gsize max_bytes, GError **error);

/* A moment as a person writes it: 2026-01-31, or with a time, 2026-01-31T12:00[:00][Z or +08:00]; without a zone it is
 * local time. A day alone is its begin, or with to_end its end. Seconds since 1970. OT_USAGE. */
gboolean audit_parse_time(const char *text, gboolean to_end, gint64 *ret_time, GError **error);

/* The records of since <= time < until, oldest first: json_t *. NULL on failure. A record whose time cannot be read is
 * among them: nothing is hidden by damage. */
GPtrArray *audit_select(const char *dir, gint64 since, gint64 until, GError **error);

/* The columns' names, and a record, as one line of CSV (RFC 4180, with CRLF). To be freed. */
char *audit_csv_header(void);
char *audit_csv_line(const json_t *record);
