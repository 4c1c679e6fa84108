/* Numbers, times and names as people read them. All results are newly allocated. */
#pragma once

#include <glib.h>

/* "245M", "5GB": one unit letter (K, M, G, T) for 1024s, rounded up from 10, else one decimal at most.
 * suffix is put behind the unit letter ("" or "B"); plain bytes read "12" or "12B". */
char *text_size(guint64 bytes, const char *suffix);

/* As PostgreSQL's pg_size_pretty: "245 MB", "8192 bytes". */
char *text_size_pretty(guint64 bytes);

/* "3 h 12 min", "4 min 5 s", "7 s", "2 d 4 h". */
char *text_duration(gint64 seconds);

/* Local time as YYYYMMDD_HHMMSS. */
char *text_timestamp(gint64 unix_seconds);

/* Reads YYYYMMDD_HHMMSS as local time; FALSE if it is not one. */
gboolean text_parse_timestamp(const char *text, gint64 *ret_unix_seconds);

/* Local time as ISO 8601 with its offset: 2026-02-07T12:00:00+08:00. */
char *text_iso_time(gint64 unix_seconds);

/* Reads a date of HTTP (RFC 9110's preferred form): Sun, 22 Nov 2026 23:42:34 GMT. */
gboolean text_parse_http_date(const char *text, gint64 *ret_unix_seconds);

/* Reads ISO 8601 with an offset or Z. */
gboolean text_parse_iso_time(const char *text, gint64 *ret_unix_seconds);

/* Text of a database of that encoding (PostgreSQL's name for it, NULL: UTF8) as valid UTF-8. What cannot be converted
 * is replaced. */
char *text_to_utf8(const char *text, const char *pg_encoding);
