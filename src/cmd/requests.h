/* From settings to what the engine is asked: the same for every command that asks it. */
#pragma once

#include "catalog/copy.h"
#include "cmd/console.h"
#include "engine/backup.h"
#include "engine/choose.h"
#include "engine/health.h"
#include "engine/prune.h"

/* Borrows from the console's settings. *ret_request: places follow from --local-only, --s3-only and BACKUP_S3_BUCKET.
 */
gboolean request_backup(struct console *c, struct backup_request *ret_request, GError **error);

/* The region that is set, or the profile's; NULL: none is. To be freed. */
char *request_s3_region(const struct settings *s);

/* The client of the bucket in the settings, made at the first call; the console's. OT_USAGE if there is no bucket. */
struct s3 *request_s3(struct console *c, GError **error);

/* A client of its own, which gives a request up after RETRY_S seconds; the caller's. */
struct s3 *request_s3_for(struct console *c, guint retry_s, GError **error);

/* How small objects beside the backups are stored. */
struct s3_props request_sidecar_props(const struct settings *s);

/* How backups are stored, but for what is each one's own. */
struct s3_props request_s3_props(const struct settings *s);

/* Where copies in S3 go; the console's. *ret_offsite becomes NULL if the settings name no bucket. */
gboolean request_offsite(struct console *c, const struct offsite **ret_offsite, GError **error);

/* The tier table with what the settings change of it. */
struct tiers request_tiers(const struct settings *s);

/* What retention is to look at: the folder and, if there is a bucket and --local-only is not given, the bucket. name:
 * of the database, encoded; NULL: all. */
gboolean request_prune(struct console *c, const char *name, struct prune_request *ret_request, GError **error);

/* Which server the settings mean, if they mean one; the console's. */
struct server_identity *request_identity(struct console *c);

/* The path of the backup that a person named (a path, id, timestamp, "latest" or "latest-good"; NULL: the one of --at),
 * or with offsite its key in the bucket. purpose: see engine/choose.h. To be freed. */
char *request_find(struct console *c, const char *what, const struct offsite *offsite, enum choose_purpose purpose,
                   GError **error);

/* The same as a copy that can be read; in the bucket with --from-s3. */
struct copy *request_copy(struct console *c, const char *what, enum choose_purpose purpose, GError **error);

/* The backups that a list is of: of the database that the settings name, or with --all of every one; in the folder, and
 * in S3 unless --local-only. */
struct listing {
    GPtrArray *list;    /* struct catalog_entry * */
    char *name;         /* the database's, encoded; NULL: of all */
    gboolean looked;    /* S3 was looked at */
    GError *s3_problem; /* why what is there is missing in the list; NULL */
};
typedef struct listing listing;
void listing_clear(struct listing *l);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(listing, listing_clear)

/* If S3 does not answer, what lies here is listed all the same. */
gboolean request_list(struct console *c, struct listing *ret_listing, GError **error);

/* The same of that database, whatever the settings say of it. */
gboolean request_list_of(struct console *c, const char *database, struct listing *ret_listing, GError **error);

/* FALSE with the error if something in S3 is missing in the list. */
gboolean request_list_complete(struct listing *l, GError **error);

/* A look at the backups of database (borrowed); S3 is asked for a short while only. Never fails: a client that cannot
 * be made is S3 that cannot be asked. */
void request_health(struct console *c, const char *database, struct health_request *ret_request);
