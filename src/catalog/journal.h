/*
 * The record of all acts: BACKUP_DIR/journal.jsonl, one JSON object per line, only ever appended to. Each line carries
 * the SHA-256 of the line before it, so that an edited, removed or reordered one is noticed.
 *
 * A line: {"seq": 1, "time": "2026-02-07T12:00:00+08:00", "act": "backup", "result": "ok" | "failed", "code": 0,
 * "error": "...", "who": "postgres", "host": "db1", "pid": 1234, "version": "1.0.0", ...facts..., "prev": "<64 hex>"}
 * seq counts from 1; code is the exit code; error only where there is one; prev of the first line is 64 zeros. Facts
 * are the act's own: database, id, size, duration_seconds, phases...
 */
#pragma once

#include <jansson.h>

#include "base/error.h"

#define JOURNAL_FILE "journal.jsonl"

/* Appends one line to FOLDER/journal.jsonl: RECORD (an object with "act", "result" and facts; borrowed), to which seq,
 * time, who, host, pid, version and prev are added. It is on disk when this returns TRUE. Safe among processes. */
gboolean journal_append(const char *folder, const json_t *record, GError **error);

/* All lines, oldest first: json_t * (objects). Lines that are not JSON objects are left out: journal_check names them.
 * A journal that is not there has none. */
GPtrArray *journal_load(const char *folder, GError **error);
