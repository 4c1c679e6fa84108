/*
 * The act of restoring: verify, preview, confirm, pre-restore backup, load into a side database, compare with the
 * proof, swap names. Whatever fails before the swap leaves the live database as it was.
 */
#pragma once

#include "engine/backup.h"
#include "engine/verify.h"

/* What a restore would do, shown before it is done. */
struct restore_preview {
    char *host, *port, *user, *version; /* of the server, and who we are there */
    char *database;  /* that will be replaced, or made */
    gboolean exists; /* it is there now */
    gboolean in_place;
    char *backup_database; /* of which the backup is; NULL if the file does not say */
    char *snapshot_time;   /* NULL if not known */
    gint64 age_s;          /* of the backup: what was written since then will not be in the result; -1: not known */
    guint64 live_bytes, backup_bytes; /* size of the live database; of the backed-up one (0: not known) */
    guint64 needed_bytes;             /* of the server's disk: the latter, or its rows' text */
    gint64 connections;               /* on the live database now */
    GPtrArray *missing;               /* char *: roles, extensions, tablespaces that the server lacks */
    GPtrArray *rows;                  /* char *: lines on each table's rows now and in the backup; may be NULL */
    GPtrArray *notes;                 /* char *: what changes beside the database itself */
    guint64 free_bytes;               /* on the server's disk; G_MAXUINT64: cannot be seen from here */
    gint64 estimated_s;               /* of loading; -1: not known */
};

struct restore_request {
    const struct pg_target *target;
    const struct copy *copy;
    const char *dir;                         /* where logs and the pre-restore backup go */
    const struct backup_request *pre_backup; /* how to take it; NULL: none */
    const char *target_db;                   /* restore beside, under this name; NULL: over the target's database */
    gboolean in_place, drop_replaced, tablespaces, create_roles;
    gboolean accept_incomplete; /* put it in place even if objects had to be left out */
    const char *bindir, *tmp_dir;
    guint jobs;
    char **critical_tables; /* whose rows are counted afterwards; NULL: the biggest */
    char **tables;          /* restore only these, beside the live ones; NULL: the whole */
    gboolean put_back;
    gboolean other_database; /* a backup of another database or server may replace it: see engine/restore_target.h */
    gboolean cannot_ask; /* there is nobody to confirm it, and no --force */
    /* Asks, and does what must come before all changes. FALSE ends the run before anything was changed. */
    gboolean (*confirm)(const struct restore_preview *preview, void *data, GError **error);
    void *confirm_data;
};

struct restore_result {
    char *database, *replaced; /* replaced: the old database's name now; NULL if there is none */
    guint64 rows, tables;
    gint64 duration_s;
    gboolean proven; /* compared with the backup's proof; a dump of others has none */
    json_t *left_out; /* array of text: what the server refused of it; NULL: nothing */
};
void restore_result_clear(struct restore_result *r);

/* TRUE only if the database is in place and its rows equal the backup's proof. OT_INCOMPLETE: all rows are back, but the
 * server refused some objects; it stands beside the live database, for nobody said that it may take its place. Opens report's log (restore_TIMESTAMP.log). */
gboolean restore_run(const struct restore_request *request, struct report *report, struct restore_result *ret_result,
                     GError **error);
