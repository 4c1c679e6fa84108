/*
 * The record of all acts: BACKUP_DIR/journal.jsonl, one JSON object per line, only ever appended to. Each line carries
 * the SHA-256 of the line before it, so that an edited, removed or reordered one is noticed.
 *
 * A line: {"seq": 1, "time": "2026-02-07T12:00:00+08:00", "act": "backup", "result": "ok" | "failed", "code": 0,
 * "error": "...", ...facts..., "who": "postgres", "login": "alice", "host": "db1", "pid": 1234, "version": "1.0.0",
 * "prev": "<64 hex>", "sum": "<64 hex>"}
 * seq counts from 1; code is the exit code; error only where there is one. who is the user it ran as; login, where they
 * are known, the user of the login session (kernel) and sudo_user the one who called sudo (environment). prev of the
 * first line is 64 zeros. sum is the SHA-256 of the line up to before `,"sum"`: it tells which line was changed where
 * prev only tells that one was. Facts are the act's own: database, id, size, duration_seconds, phases...
 *
 * The act "delete" (id, database, place, file, type, reason) is written before it is done; if it then fails, a second
 * line says so with "result": "failed".
 *
 * A line that a crash cut off stays as it is, and is none of the records. The next one says "torn_before": how many
 * bytes lie between the last record and it, and its prev is the digest of all from the last record's first byte to
 * there; so they cannot be changed or made up later.
 */
#pragma once

#include <jansson.h>

#include "base/error.h"

#define JOURNAL_FILE "journal.jsonl"
#define JOURNAL_MAX_LINE (64u << 10) /* a longer record loses its facts */
#define JOURNAL_MAX_BYTES (1ull << 30)
#define JOURNAL_DIGEST_LENGTH 64

/* Where a journal ends. All empty: there is none yet. */
struct journal_head {
    char id[JOURNAL_DIGEST_LENGTH + 1];     /* the digest of its first line: which journal it is */
    char digest[JOURNAL_DIGEST_LENGTH + 1]; /* of its last line */
    gint64 seq;                             /* of its last record */
};

/* Appends one line to FOLDER/journal.jsonl: RECORD (an object with "act", "result" and facts; borrowed), to which seq,
 * time, who, host, pid, version, prev and sum are added. It is on disk when this returns TRUE; if not, nothing was
 * added. Safe among processes. */
gboolean journal_append(const char *folder, const json_t *record, GError **error);

/* LISTENER is called with each record that this process added, whoever did it. Once, before the first. */
void journal_listen(void (*listener)(const json_t *record));

/* The end of the journal, which is read from there. */
gboolean journal_head(const char *folder, struct journal_head *ret_head, GError **error);

/* The same as it is kept with a backup, so that a cut or replaced journal is noticed: {"id", "seq", "head"}. NULL:
 * there is no journal yet, or it cannot be read. New reference. */
json_t *journal_head_json(const char *folder);

/* All records, oldest first: json_t * (objects). Lines that are not JSON objects are left out: journal_check names
 * them. A journal that is not there has none. */
GPtrArray *journal_load(const char *folder, GError **error);

/* The newest max records of those whose line is wanted (NULL: all are), oldest first: a journal of many years costs no
 * more memory than these. The line ends with no NUL. */
typedef gboolean (*journal_wanted)(const char *line, gsize length, void *data);
GPtrArray *journal_load_recent(const char *folder, journal_wanted wanted, void *data, guint max, GError **error);

/* The newest lines, of at most max_bytes in all, as they stand when no line is half written; *ret_first is the first line
 * of the journal where that is not among them, else NULL. NULL without error if there is no journal. To be freed. */
char *journal_text_newest(const char *folder, gsize max_bytes, char **ret_first, gsize *ret_length, GError **error);

/* The whole text as it stands when no line is half written; NULL without error if there is no journal. To be freed. */
char *journal_text(const char *folder, gsize *ret_length, GError **error);
