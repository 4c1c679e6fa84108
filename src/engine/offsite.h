/*
 * How a backup gets to S3: its object while it is still being written, then its sidecars, the metadata last. An upload
 * is noted in the backup folder before it begins: see engine/leftover.h.
 */
#pragma once

#include "catalog/meta.h"
#include "catalog/tiers.h"
#include "engine/report.h"
#include "store/upload.h"

/* Where and how; borrowed strings. */
struct offsite {
    struct s3 *client;
    const char *prefix;           /* of keys */
    struct upload_options upload; /* without tags and lock_until: those are the backup's */
    struct tiers tiers;           /* with upload.props.lock_mode: how long objects stay locked */
};

/* How an object beside the dump is stored: as the dump, but in the standard class, for small objects cost more in the
 * others. */
struct s3_props offsite_sidecar_props(const struct offsite *o, const char *type);

/* What a backup's object is told about it. */
struct offsite_labels {
    const char *type, *tag, *database; /* tag may be NULL */
    gboolean held;                     /* see catalog/hold.h */
};

/* Its tags: name, value, ..., NULL. g_strfreev. Every object has hold=yes or hold=no: S3's own rules can only ask for
 * what a tag is, not for what it is not. */
char **offsite_tags(const struct offsite_labels *labels);
#define OFFSITE_HOLD_TAG "hold"

/* How the object of such a backup is stored, and how long it is locked from now on. tags must outlive it. */
struct s3_props offsite_props(const struct offsite *o, const struct offsite_labels *labels, char **tags);

/* Enters an object into m as its copy in S3, uploaded just now. */
void offsite_record_object(const struct offsite *o, const struct s3_object *object, const char *key, struct meta *m);

/* Takes an id for this run among all that write to the bucket, by an object beside where the backup will lie: two
 * hosts that begin in the same second get two. *ret_taken: another has it, or there is such a backup. Waits for S3 for
 * some seconds only. */
gboolean offsite_reserve(const struct offsite *o, const char *id, gboolean *ret_taken, GError **error);

/* Not needed any more. Where we may not delete, it stays: it is nothing that is looked at again. */
void offsite_release(const struct offsite *o, const char *id);

/* One upload. */
struct offsite_run;
typedef struct offsite_run offsite_run;

/* Begins one for backup id. path: the file that holds its bytes, and may still grow; NULL: the caller writes them to
 * offsite_sink. An object of that name that is there already is an error, unless replace. */
struct offsite_run *offsite_begin(const struct offsite *o, const char *dir, const char *id,
                                  const struct offsite_labels *labels, const char *path, guint64 expected_bytes,
                                  gboolean replace, GError **error);
struct sink *offsite_sink(struct offsite_run *r);

/* The file is complete: waits until its bytes are up, and makes the object. sha256: that the bytes which went up must
 * have, so that a file that was damaged since it was checked makes no object; NULL: not compared. */
gboolean offsite_finish(struct offsite_run *r, const char *sha256, GError **error);

/* For an upload without a file, before offsite_finish: notes what its metadata are, should this run be ended between
 * the object and them. m, of a dump that was not read back yet, is given the size. */
gboolean offsite_announce(struct offsite_run *r, struct meta *m, const char *globals_sql, GError **error);

/* The object has its metadata, or is gone again: nothing is left to be done by a later run. */
void offsite_settle(struct offsite_run *r);

/* Enters the finished object of a run into m. */
void offsite_record(const struct offsite_run *r, struct meta *m);

/* The object's key; valid as long as the run. */
const char *offsite_key(const struct offsite_run *r);

/* Not finished: nothing stays in S3. Announced and not settled: the next run looks what is there. */
void offsite_free(struct offsite_run *r);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(offsite_run, offsite_free)

/* Puts the sidecars beside the object that m's record names: globals (NULL: none), then m. */
gboolean offsite_put_sidecars(const struct offsite *o, const struct meta *m, const char *globals_sql, GError **error);

/* Holds the objects of a backup (key: the dump's) or lets them go: the tag, and where the bucket has Object Lock the
 * legal hold, of the dump and of the file with roles. *ret_binding (may be NULL): whether there are legal holds. */
gboolean offsite_hold(const struct offsite *o, const char *key, gboolean on, gboolean *ret_binding, GError **error);

/* Writes m's record of the copy in S3 into the metadata in dir. */
gboolean offsite_save_record(const char *dir, const struct meta *m, GError **error);

/* Uploads a backup that lies in dir: object, sidecars, its hold if it has one, and the record of it in its metadata
 * there. The caller holds the lock on uploads. OT_REFUSED: another host has a backup of that id there. */
gboolean offsite_send(const struct offsite *o, const char *dir, struct meta *m, struct report *report, GError **error);

/* "Failed to upload backup to S3", with what went wrong (takes problem): OT_UPLOAD if the backup is safe in the folder,
 * else OT_S3. Interrupts stay what they are. */
gboolean offsite_fail(GError *problem, enum ot_code code, GError **error);

/* A finished object that does not read back as it should (takes problem) must not stay as if it were good: it is
 * deleted. One that could not be read stays announced. */
gboolean offsite_fail_reading_back(struct offsite_run *r, GError *problem, GError **error);

/* Marks m's copy in S3 as not there yet. */
void offsite_mark_pending(const struct offsite *o, struct meta *m, const char *why);
