/* One backup from prerequisites to retention. */
#include "engine/backup.h"

#include <string.h>
#include <unistd.h>

#include "archive/check.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "base/version.h"
#include "catalog/catalog.h"
#include "catalog/journal.h"
#include "catalog/names.h"
#include "catalog/select.h"
#include "engine/dblock.h"
#include "engine/dump.h"
#include "engine/followup.h"
#include "engine/leftover.h"
#include "engine/others.h"
#include "engine/slot.h"
#include "pg/encryption.h"
#include "pg/facts.h"
#include "pg/snapshot.h"
#include "pg/tools.h"

#define MIN_SPACE_BYTES (16ull << 20)

struct backup {
    const struct backup_request *request;
    struct report *report;
    char *database, *name; /* name: as in file names */
    char *timestamp, *id;
    struct pg_system system;
    struct server_identity identity;
    int server_version;
    char *newest_id; /* of this server's backups in the folder so far; NULL: none */
    gint64 newest_at;
    struct lock *held;      /* on the database's backups here: until this one is complete */
    struct lock *uploading; /* on its way to S3: to the end */
    gboolean later;         /* another run's upload is still going on: ours is done by it, or by a later run */
    gboolean unclaimed;     /* nobody in the bucket knows of this id */
    gint64 started_us;
    guint64 expected_bytes; /* of the file, by what is known before */
    guint64 required_bytes; /* that must be free */
    struct dump_result dump;
    struct file_sink *file;  /* NULL: nothing is kept in the folder */
    struct offsite_run *run; /* NULL: nothing goes to S3 now */
    GError *upload_problem;  /* what kept it from S3 while it is complete here */
    char *s3_url;            /* once it is there */
};

void backup_result_clear(struct backup_result *r)
{
    g_free(r->id);
    g_free(r->path);
    g_free(r->s3_url);
    g_free(r->database);
    memset(r, 0, sizeof *r);
}

static void backup_clear(struct backup *b)
{
    g_clear_pointer(&b->held, lock_free);
    g_clear_pointer(&b->uploading, lock_free);
    g_free(b->database);
    g_free(b->name);
    g_free(b->timestamp);
    g_free(b->id);
    pg_system_clear(&b->system);
    server_identity_clear(&b->identity);
    g_free(b->newest_id);
    g_free(b->s3_url);
    g_clear_error(&b->upload_problem);
    dump_result_clear(&b->dump);
}

/* ---- prerequisites ---- */

/* The newest of this server's, whatever became of it. */
static const struct catalog_entry *note_newest(struct backup *b, const GPtrArray *list)
{
    struct select_wish wish = {.kind = SELECT_LATEST, .now = b->started_us / G_USEC_PER_SEC};
    struct select_passed passed;
    const struct catalog_entry *newest = select_backup(list, &wish, &passed);
    b->newest_id = newest && !catalog_is_pre_restore(newest) ? g_strdup(newest->id) : NULL;
    b->newest_at = b->newest_id ? newest->taken_at : 0;
    return newest;
}

/* From the last backup of this database and its growth since; the first time, from the database's size: text is
 * about as large as tables without indexes, and packs to less than half. What must be free is never more than the
 * database has by now: it may have become small. */
static gboolean estimate(struct backup *b, guint64 database_bytes, GError **error)
{
    g_autoptr(GPtrArray) list = catalog_list(b->request->dir, b->name, error);
    if (!list)
        return FALSE;
    b->expected_bytes = b->required_bytes = MAX(database_bytes / 3, MIN_SPACE_BYTES);
    server_identity_mark(&b->identity, list);
    others_warn(list, b->request->dir, b->report);
    const struct catalog_entry *last = note_newest(b, list);
    if (last) {
        b->expected_bytes = MAX(last->size_bytes + last->size_bytes / 4, MIN_SPACE_BYTES);
        b->required_bytes = MIN(b->expected_bytes, MAX(database_bytes, MIN_SPACE_BYTES));
    }
    return TRUE;
}

static gboolean check_space(struct backup *b, guint64 database_bytes, GError **error)
{
    guint64 available = 0;
    if (!estimate(b, database_bytes, error) || !files_free_space(b->request->dir, &available, error))
        return FALSE;
    guint64 required = b->request->places == BACKUP_S3_ONLY ? 0 : b->required_bytes;
    if (available >= required)
        return TRUE;
    g_autofree char *need = text_size(required, "B");
    g_autofree char *have = text_size(available, "B");
    return ot_fail(error, OT_SPACE, "Insufficient disk space. Required: %s, Available: %s", need, have);
}

/* A pooler may have a name of its own for a database. */
static void warn_of_other_name(struct backup *b, struct session *s)
{
    g_autofree char *name = NULL;
    if (session_get_text(s, NULL, "SELECT pg_catalog.current_database()", 0, NULL, &name) &&
        g_strcmp0(name, b->database) != 0)
        report_warn(b->report,
                    "the server calls this database \"%s\", but its backups are named after \"%s\", and a restore would "
                    "make a database of that name; set DATABASE_NAME, or connect without the pooler",
                    name, b->database);
}

static void warn_if_exposed(struct backup *b, struct session *s)
{
    g_autofree char *host = session_exposed_to(s);
    if (host)
        report_warn(b->report,
                    "the connection to %s is not encrypted: every row can be read on the way. Set sslmode=verify-full (or "
                    "require) in DATABASE_URL, or BACKUP_REQUIRE_SSL=true",
                    host);
}

static gboolean check_server(struct backup *b, GError **error)
{
    g_autoptr(session) s = session_open(b->request->target, NULL, error);
    gint64 bytes = 0;
    /* A database of many files takes its time to say its size: limits of its own are not for us. */
    if (!s || !session_get_number(s, error, "SELECT pg_catalog.pg_database_size(pg_catalog.current_database())", 0,
                                  NULL, &bytes))
        return FALSE;
    warn_of_other_name(b, s);
    warn_if_exposed(b, s);
    b->server_version = session_version(s);
    if (!pg_system_read(s, &b->system, error))
        return FALSE;
    server_identity_set(&b->identity, &b->system);
    report_fact_text(b->report, "system_identifier", b->system.identifier);
    return tools_check_for_dump(b->request->bindir, b->server_version / 10000, error) &&
           check_space(b, (guint64)bytes, error);
}

/* ---- dump ---- */

/* What a failed try has made so far is gone, here and in S3. */
static void discard(struct backup *b)
{
    g_clear_pointer(&b->file, file_sink_free);
    g_clear_pointer(&b->run, offsite_free);
}

/* That S3 cannot be reached is no reason not to take the backup, as long as it has another place. */
static gboolean begin_upload(struct backup *b, GError **error)
{
    const struct backup_request *q = b->request;
    if (q->places != BACKUP_BOTH && q->places != BACKUP_S3_ONLY)
        return TRUE;
    struct offsite_labels labels = {q->type, q->tag, b->database, FALSE};
    GError *problem = NULL;
    g_clear_error(&b->upload_problem);
    if (b->later)
        return ot_fail(&b->upload_problem, OT_S3, "an earlier backup is still on its way to S3") || TRUE;
    b->run = offsite_begin(q->offsite, q->dir, b->id, &labels, b->file ? file_sink_path(b->file) : NULL,
                           b->expected_bytes, FALSE, &problem);
    if (b->run || (b->file && !g_error_matches(problem, OT_ERROR, OT_INTERRUPTED))) {
        b->upload_problem = problem;
        return TRUE;
    }
    return offsite_fail(problem, OT_S3, error);
}

static gboolean dump_once(struct backup *b, GError **error)
{
    const struct backup_request *q = b->request;
    struct dump_request request = {q->target, q->bindir, q->jobs, q->compress_level, q->lock_timeout_ms, q->globals};
    g_autofree char *file = g_strconcat(b->id, NAMES_DUMP, NULL);
    if (q->places != BACKUP_S3_ONLY && !(b->file = file_sink_new(q->dir, file, error)))
        return FALSE;
    if (!begin_upload(b, error))
        return FALSE;
    struct sink *to = b->file ? file_sink_stream(b->file) : offsite_sink(b->run);
    GError *problem = NULL;
    if (dump_take(&request, to, b->report, &b->dump, &problem))
        return TRUE;
    if (g_error_matches(problem, OT_ERROR, OT_S3))
        return offsite_fail(problem, OT_S3, error);
    g_propagate_error(error, problem);
    return FALSE;
}

static gboolean dump_politely(struct backup *b, GError **error)
{
    for (guint attempt = 1;; attempt++) {
        GError *problem = NULL;
        if (dump_once(b, &problem))
            return TRUE;
        discard(b);
        if (!g_error_matches(problem, OT_ERROR, OT_LOCK_TIMEOUT) || attempt >= b->request->lock_attempts) {
            if (g_error_matches(problem, OT_ERROR, OT_LOCK_TIMEOUT))
                g_prefix_error(&problem, "no backup after %u attempts: ", attempt);
            g_propagate_error(error, problem);
            return FALSE;
        }
        report_warn(b->report, "%s; trying again (attempt %u of %u)", problem->message, attempt + 1,
                    b->request->lock_attempts);
        g_error_free(problem);
        if (!interrupt_wait(MIN(30u, 1u << MIN(attempt, 5u)), error)) /* longer each time */
            return FALSE;
    }
}

/* ---- re-reading and publishing ---- */

static void check_progress(guint64 done_bytes, void *data)
{
    struct report *r = data;
    __atomic_store_n(&r->progress.done_bytes, (gint64)done_bytes, __ATOMIC_RELAXED);
}

/* From the file, or where there is none from S3. */
static gboolean read_back(struct backup *b, GError **error)
{
    g_autoptr(source) file = b->file ? source_open_file(file_sink_path(b->file), error)
                                     : s3_open(b->request->offsite->client, offsite_key(b->run), error);
    if (!file)
        return FALSE;
    b->dump.size_bytes = file->size_bytes;
    g_autoptr(archive_reader) reader = archive_reader_open(file, error);
    if (!reader)
        return FALSE;
    file = NULL; /* the reader's now */
    struct archive_check_options options = {
        .jobs = b->request->jobs,
        .written = b->dump.contents,
        .progress = check_progress,
        .progress_data = b->report,
    };
    report_progress_start(b->report, "verifying", b->dump.size_bytes, 0);
    gint64 start = g_get_monotonic_time();
    gboolean ok = archive_check(reader, &options, error);
    report_phase(b->report, "verify", start);
    report_progress_end(b->report);
    if (!ok)
        g_prefix_error(error, "the backup was written but does not read back as it should: ");
    return ok;
}

static guint64 recovered_bytes(const struct archive_contents *c)
{
    guint64 bytes = 0;
    for (guint i = 0; i < c->tables->len; i++) {
        const struct archive_table *t = c->tables->pdata[i];
        bytes += names_is_recovered(t->def->schema) ? t->plain_bytes : 0;
    }
    return bytes;
}

/* Of a dump that was not read back yet. */
static struct meta *make_meta(struct backup *b)
{
    const struct backup_request *q = b->request;
    json_t *facts = b->dump.contents->facts;
    struct meta *m = g_new0(struct meta, 1);
    m->id = g_strdup(b->id);
    m->timestamp = g_strdup(b->timestamp);
    m->date = text_iso_time(b->started_us / G_USEC_PER_SEC);
    m->database = g_utf8_make_valid(b->database, -1);
    m->host = g_strdup(b->system.host);
    m->port = b->system.port;
    m->system_identifier = g_strdup(facts_text(facts, "system_identifier"));
    m->database_oid = b->system.database_oid;
    m->backup_file = g_strconcat(b->id, NAMES_DUMP, NULL);
    m->plain_bytes = b->dump.plain_bytes;
    m->rows = archive_contents_rows(b->dump.contents);
    m->database_size = g_strdup(facts_text(facts, "size_text"));
    m->table_count = b->dump.table_count;
    const char *version = facts_text(facts, "server_version"); /* Debian's goes on: "15.20 (Debian 15.20-0...)" */
    m->postgresql_version = g_strdup_printf("PostgreSQL %.*s", (int)strcspn(version, " "), version);
    m->tool_version = g_strdup(TOOL_VERSION);
    m->retention_days = tiers_days(&q->tiers, q->type, q->places == BACKUP_S3_ONLY ? TIER_S3 : TIER_LOCAL);
    m->type = g_strdup(q->type);
    m->tag = g_strdup(q->tag);
    m->format = ARCHIVE_FORMAT;
    m->sha256 = g_strdup(b->dump.sha256);
    m->snapshot_time = text_iso_time(b->dump.snapshot_time);
    m->level = q->compress_level ? g_strdup_printf("%d", q->compress_level) : g_strdup("fast");
    m->log = g_strdup_printf("backup_%s.log", b->timestamp);
    m->state = META_UNVERIFIED;
    m->omitted = json_incref(json_object_get(facts, "omitted"));
    m->facts = json_incref(facts);
    m->tables = meta_tables(b->dump.contents);
    m->recovered_bytes = recovered_bytes(b->dump.contents);
    m->journal = journal_head_json(q->dir);
    return m;
}

static void now_it_was_read_back(struct backup *b, struct meta *m)
{
    m->size_bytes = b->dump.size_bytes;
    m->duration_s = (g_get_real_time() - b->started_us) / G_USEC_PER_SEC;
    m->state = META_VERIFIED;
    m->verified_at = text_iso_time(g_get_real_time() / G_USEC_PER_SEC);
}

/* A clock that was ahead may have made one that shows a later moment. */
static gboolean set_latest(struct backup *b, GError **error)
{
    gboolean later = b->newest_id && b->newest_at > b->dump.snapshot_time;
    return catalog_set_latest(b->request->dir, b->name, later ? b->newest_id : b->id, error);
}

/* The dump comes last: while it is not there, nothing of this backup counts, and the next run clears the rest. */
static gboolean publish(struct backup *b, const struct meta *m, GError **error)
{
    const char *dir = b->request->dir;
    g_autofree char *globals = g_strconcat(b->id, NAMES_GLOBALS, NULL);
    const char *roles = b->dump.globals_sql;
    return (!roles || files_write(dir, globals, roles, strlen(roles), FALSE, error)) &&
           meta_save(m, dir, FALSE, error) && file_sink_publish(b->file, FALSE, error) &&
           (g_str_equal(b->request->type, "pre-restore") || set_latest(b, error));
}

/* ---- the whole ---- */

static void say_size(struct backup *b)
{
    g_autofree char *plain = text_size(b->dump.plain_bytes, "");
    report_info(b->report, "Backup size: %s", plain);
    report_info(b->report, "Compressing backup... (done while dumping)");
}

static void say_omitted(struct backup *b)
{
    for (guint i = 0; i < b->dump.omitted->len; i++)
        report_warn(b->report, "Left out of the backup: %s", (char *)b->dump.omitted->pdata[i]);
}

static void say_proof(struct backup *b)
{
    struct report *r = b->report;
    g_autofree char *size = text_size(b->dump.size_bytes, "");
    report_info(r, "Compressed size: %s", size);
    report_info(r, "Creating backup metadata...");
    report_info(r, "Verifying backup integrity...");
    report_info(r, "Backup file integrity verified (gzip test passed)");
    report_info(r, "Read back: %u tables, %" G_GUINT64_FORMAT " rows, every member and count as in the proof",
                b->dump.table_count, archive_contents_rows(b->dump.contents));
}

static gboolean upload_rest(struct backup *b, struct meta *m, GError **error)
{
    const struct offsite *o = b->request->offsite;
    if (b->upload_problem) {
        g_propagate_error(error, g_steal_pointer(&b->upload_problem));
        return FALSE;
    }
    if (!offsite_finish(b->run, b->dump.sha256, error))
        return FALSE;
    offsite_record(b->run, m);
    return offsite_put_sidecars(o, m, b->dump.globals_sql, error) && offsite_save_record(b->request->dir, m, error);
}

static void say_uploaded(struct backup *b)
{
    b->s3_url = s3_url(b->request->offsite->client, offsite_key(b->run));
    report_info(b->report, "Backup uploaded to S3: %s", b->s3_url);
}

/* The backup is complete here: whatever happens to its way to S3 is kept for the end of the run. */
static void upload_too(struct backup *b, struct meta *m)
{
    GError *problem = NULL;
    report_info(b->report, "Uploading backup to S3...");
    if (upload_rest(b, m, &problem)) {
        say_uploaded(b);
        return;
    }
    offsite_mark_pending(b->request->offsite, m, problem->message);
    offsite_save_record(b->request->dir, m, NULL); /* it is marked as pending already; this adds why */
    b->upload_problem = problem;
}

static gboolean keep_here(struct backup *b, GError **error)
{
    const struct backup_request *q = b->request;
    if (!read_back(b, error))
        return FALSE;
    say_proof(b);
    g_autoptr(meta) m = make_meta(b);
    now_it_was_read_back(b, m);
    if (q->places != BACKUP_HERE)
        offsite_mark_pending(q->offsite, m, NULL);
    if (!interrupt_check(error) || !publish(b, m, error))
        return FALSE;
    gint64 start = g_get_monotonic_time();
    g_clear_pointer(&b->held, lock_free); /* however long S3 takes, the next backup can be taken */
    if (q->places == BACKUP_BOTH) {
        upload_too(b, m);
        report_phase(b->report, "upload", start);
    }
    return TRUE;
}

static gboolean make_object(struct backup *b, struct meta *m, GError **error)
{
    gint64 start = g_get_monotonic_time();
    report_info(b->report, "Uploading backup to S3... (done while dumping)");
    gboolean ok = offsite_announce(b->run, m, b->dump.globals_sql, error) && offsite_finish(b->run, NULL, error);
    if (ok)
        report_phase(b->report, "upload", start);
    return ok;
}

static gboolean keep_in_s3(struct backup *b, GError **error)
{
    GError *problem = NULL;
    g_autoptr(meta) m = make_meta(b);
    if (!make_object(b, m, &problem))
        return offsite_fail(problem, OT_S3, error);
    if (!read_back(b, &problem))
        return offsite_fail_reading_back(b->run, problem, error);
    say_proof(b);
    now_it_was_read_back(b, m);
    offsite_record(b->run, m);
    if (!offsite_put_sidecars(b->request->offsite, m, b->dump.globals_sql, &problem))
        return offsite_fail(problem, OT_S3, error);
    offsite_settle(b->run);
    say_uploaded(b);
    return TRUE;
}

static gboolean dump_and_publish(struct backup *b, GError **error)
{
    const struct backup_request *q = b->request;
    report_info(b->report, "Starting database backup...");
    if (q->places == BACKUP_S3_ONLY)
        report_info(b->report, "Dumping database to: s3://%s", s3_bucket(q->offsite->client));
    else
        report_info(b->report, "Dumping database to: %s/%s" NAMES_DUMP, q->dir, b->id);
    gint64 start = g_get_monotonic_time();
    if (!dump_politely(b, error))
        return FALSE;
    report_phase(b->report, "dump", start);
    say_size(b);
    say_omitted(b);
    return q->places == BACKUP_S3_ONLY ? keep_in_s3(b, error) : keep_here(b, error);
}

static gboolean is_in_s3(const struct backup *b)
{
    return b->request->places == BACKUP_BOTH || b->request->places == BACKUP_S3_ONLY;
}

static void clean_s3(struct backup *b)
{
    const struct backup_request *q = b->request;
    if (b->uploading)
        leftover_clean(q->offsite, q->dir, b->name, b->report);
}

/* The id is this run's in the bucket too. If S3 does not answer, a backup that is kept here is taken all the same. */
static gboolean claim_in_s3(const char *timestamp, gboolean *ret_taken, void *data, GError **error)
{
    struct backup *b = data;
    const struct backup_request *q = b->request;
    GError *problem = NULL;
    g_autofree char *id = g_strdup_printf("%s_%s", b->name, timestamp);
    if (!is_in_s3(b) || b->unclaimed || offsite_reserve(q->offsite, id, ret_taken, &problem))
        return TRUE;
    b->unclaimed = q->places == BACKUP_BOTH && !g_error_matches(problem, OT_ERROR, OT_INTERRUPTED);
    if (!b->unclaimed)
        return offsite_fail(problem, OT_S3, error);
    g_error_free(problem); /* the upload tells it */
    return TRUE;
}

static void give_back(const char *timestamp, void *data)
{
    struct backup *b = data;
    g_autofree char *id = g_strdup_printf("%s_%s", b->name, timestamp);
    if (is_in_s3(b) && !b->unclaimed)
        offsite_release(b->request->offsite, id);
}

static gboolean take_slot(struct backup *b, GError **error)
{
    struct slot_claim claim = {claim_in_s3, give_back, b};
    b->timestamp = slot_take(b->request->dir, "backup", b->name, &claim, b->report, error);
    return b->timestamp != NULL;
}

static gboolean run_locked(struct backup *b, GError **error)
{
    if (!take_slot(b, error))
        return FALSE;
    b->id = g_strdup_printf("%s_%s", b->name, b->timestamp);
    clean_s3(b);
    gboolean ok =
        catalog_clean(b->request->dir, b->name, error) && check_server(b, error) && dump_and_publish(b, error);
    discard(b);
    give_back(b->timestamp, b);
    g_clear_pointer(&b->held, lock_free); /* what follows takes it again */
    if (ok)
        return followup_run(b->request, b->name, &b->identity, b->started_us / G_USEC_PER_SEC, g_steal_pointer(&b->upload_problem),
                            b->report, error);
    if (b->upload_problem)
        report_warn(b->report, "Failed to upload backup to S3: %s", b->upload_problem->message);
    catalog_clean(b->request->dir, b->name, NULL); /* sidecars of a backup that did not come to be */
    return FALSE;
}

/* A backup that is kept here waits for no upload. */
static gboolean take_upload_lock(struct backup *b, GError **error)
{
    const struct backup_request *q = b->request;
    guint wait_s = q->places == BACKUP_BOTH ? 0 : q->wait_s;
    GError *problem = NULL;
    b->uploading = dblock_take_upload(q->dir, b->name, "backup", wait_s, b->report, &problem);
    b->later = q->places == BACKUP_BOTH && g_error_matches(problem, OT_ERROR, OT_BUSY);
    b->unclaimed = b->later;
    if (b->later)
        g_clear_error(&problem);
    if (problem)
        g_propagate_error(error, problem);
    return b->uploading || b->later;
}

/* One that goes to S3 alone may wait for an upload, and does so before it keeps others from their backups. */
static gboolean take_locks(struct backup *b, GError **error)
{
    const struct backup_request *q = b->request;
    gboolean first = q->places == BACKUP_S3_ONLY;
    if (first && !take_upload_lock(b, error))
        return FALSE;
    b->held = dblock_take(q->dir, b->name, "backup", q->wait_s, b->report, error);
    return b->held && (first || !is_in_s3(b) || take_upload_lock(b, error));
}

static gboolean run(struct backup *b, GError **error)
{
    report_info(b->report, "OpsTower Database Backup - Started");
    report_info(b->report, "Checking prerequisites...");
    b->database = pg_target_database(b->request->target, error);
    if (!b->database || !files_need_folder(b->request->dir, error))
        return FALSE;
    b->name = names_encode(b->database);
    report_fact_text(b->report, "database", b->database);
    others_note_address(b->request->target, b->report);
    if (!take_locks(b, error))
        return FALSE;
    b->started_us = g_get_real_time(); /* whatever it waited for */
    return (!b->request->begin || b->request->begin(b->request->begin_data, error)) && run_locked(b, error);
}

/* What the journal is to say of a backup that is there. */
static void note_facts(struct backup *b)
{
    const struct backup_request *q = b->request;
    struct report *r = b->report;
    const char *there = q->places == BACKUP_HERE ? "none" : b->s3_url ? "uploaded" : "pending";
    report_fact_text(r, "id", b->id);
    report_fact_text(r, "type", q->type);
    report_fact_text(r, "tag", q->tag);
    report_fact(r, "size", json_integer((json_int_t)b->dump.size_bytes));
    report_fact(r, "uncompressed_size", json_integer((json_int_t)b->dump.plain_bytes));
    report_fact(r, "tables", json_integer(b->dump.table_count));
    report_fact(r, "rows", json_integer((json_int_t)archive_contents_rows(b->dump.contents)));
    report_fact(r, "s3", json_string(there));
    if (b->dump.omitted->len > 0)
        report_fact(r, "omitted", json_incref(json_object_get(b->dump.contents->facts, "omitted")));
}

gboolean backup_run(const struct backup_request *request, struct report *report, struct backup_result *ret_result,
                    GError **error)
{
    struct backup b = {.request = request, .report = report, .started_us = g_get_real_time()};
    GError *problem = NULL;
    gboolean ok = run(&b, &problem);
    gboolean here = !ok && request->places != BACKUP_S3_ONLY && g_error_matches(problem, OT_ERROR, OT_UPLOAD);
    if (ok || here) {
        gint64 seconds = (g_get_real_time() - b.started_us) / G_USEC_PER_SEC;
        note_facts(&b);
        report_info(report, "OpsTower Database Backup - %s",
                    ok ? "Completed Successfully" : "Completed, BUT NOT ALL IS IN S3");
        report_info(report, "Duration: %" G_GINT64_FORMAT " seconds", seconds);
        *ret_result = (struct backup_result){
            .id = g_strdup(b.id),
            .path = request->places == BACKUP_S3_ONLY ? NULL : g_strdup_printf("%s/%s" NAMES_DUMP, request->dir, b.id),
            .s3_url = g_strdup(b.s3_url),
            .database = g_strdup(b.database),
            .plain_bytes = b.dump.plain_bytes,
            .size_bytes = b.dump.size_bytes,
            .rows = archive_contents_rows(b.dump.contents),
            .tables = b.dump.table_count,
            .duration_s = seconds,
        };
    }
    if (problem)
        g_propagate_error(error, problem);
    backup_clear(&b);
    return ok;
}
