/* What the pages show: the last look at the folder, the journal, S3 and the checks, each as old as it had to be. */
#pragma once

#include "web/feed.h"
#include "web/web.h"

/* What lies in the folder, joined with the last look into the bucket. Immutable. */
struct sight_backups {
    GPtrArray *all; /* struct catalog_entry *, newest first; borrowed from own and there */
    GPtrArray *own; /* those of the folder */
    struct feed_value *there;
    gboolean s3_looked; /* whether all knows what is in S3 */
    char *s3_problem;   /* why not; NULL if there is no bucket */
    GPtrArray *journal; /* json_t *, oldest first; empty if it cannot be read */
    GPtrArray *ours;    /* of these, the acts on this database, and those that name none; borrowed */
    char *journal_problem;
};

struct sight_feeds;
struct sight_feeds *sight_feeds_new(const struct web_config *config);
void sight_feeds_free(struct sight_feeds *f);

/* One request's look. All references are its own. */
struct sight {
    struct feed_value *backups_value, *health_value;
    const struct sight_backups *backups; /* NULL: could not be read, see backups_problem */
    const struct health *health;         /* NULL: not known, see health_problem */
    char *backups_problem, *health_problem;
    struct feed_value *retention_value;
    const GPtrArray *retention; /* struct prune_verdict *; NULL: not asked for, or see retention_problem */
    char *retention_problem;
    enum health_verdict verdict; /* unknown if the checks could not be made, or are too old to be believed */
    gint64 now;
};

#define SIGHT_STALE_S 180 /* checks that are older say nothing any more */
#define SIGHT_MAX_RECORDS 10000 /* the newest of the journal; whoever wants older ones reads the file */

/* Asks for new looks where the last ones are too old, and waits for them a little. retention: also what it would do. */
void sight_look(struct sight_feeds *f, gboolean retention, struct sight *s);
void sight_clear(struct sight *s);
