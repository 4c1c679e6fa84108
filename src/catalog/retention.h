/*
 * The rules of retention, and nothing but the rules: what is known of the backups of one database in one place goes in,
 * with the time; whether each is kept, and why, comes out. No files, no network, no clock.
 *
 * What is promised of any history, whatever it holds:
 * - At least keep_min good backups stay, if there were so many, and the newest proven one.
 * - Good is what every byte of was held against its proof (META_VERIFIED or better). Pre-restore backups are not
 *   counted as good (they show a database as it was just before somebody had to replace it), nor are second copies of a
 *   backup in the same place, nor what is dated in the future.
 * - A backup goes only if keep_min good ones are newer. So failed and unverified backups are no reason to delete one.
 * - Time in which no backup was made does not age one: catalog/gaps.h says how much of it counts.
 * - What is another server's is neither counted nor deleted.
 * - What is held, pending upload, read by somebody, locked, or not ours stays.
 */
#pragma once

#include "catalog/gaps.h"
#include "catalog/meta.h"
#include "catalog/tiers.h"

/* In the order in which they are looked for: the first that fits is the backup's reason. */
enum retention_reason {
    RETENTION_NO_METADATA,  /* no metadata, or another backup's, or not readable: not ours to delete */
    RETENTION_OTHER_SERVER, /* another server's, or not known whose: not counted either. See catalog/lineage.h */
    RETENTION_UNKNOWN_TYPE, /* a type that is not in the tier table */
    RETENTION_ODD_DATE,     /* its name and its metadata disagree on when it was taken */
    RETENTION_FUTURE,       /* dated later than now: a clock is, or was, wrong */
    RETENTION_HELD,
    RETENTION_YOUNG,         /* its tier's days have not passed */
    RETENTION_PENDING,       /* still to be uploaded to S3 */
    RETENTION_IN_USE,        /* a restore or verification reads it */
    RETENTION_LOCKED,        /* by S3's Object Lock */
    RETENTION_MINIMUM,       /* one of the newest keep_min good ones */
    RETENTION_NEWEST_PROVEN, /* the newest that a test restore proved */
    RETENTION_NEWEST_MONTHLY,
    RETENTION_FEW_NEWER, /* fewer than keep_min good ones are newer */
    RETENTION_UNCOUNTED, /* they have passed, but there were days without backups */
    RETENTION_EXPIRED,   /* the only one that deletes */
};

struct retention_item {
    const char *id;
    enum tier tier;
    gint64 taken_at;       /* seconds since 1970 */
    enum meta_state state; /* META_FAILED too where its size is not what the metadata says */
    gboolean no_metadata, other_server, unknown_type, odd_date, held, pending, in_use;
    gboolean unread;              /* too young to go whatever its metadata says: it only counts as made */
    gboolean copy;                /* a second copy of a backup that is counted already: the monthly archive */
    gint64 lock_until;            /* 0: not locked */
    void *data;                   /* the caller's */
    gint64 uncounted_s;           /* out: of its age, in time without backups */
    enum retention_reason reason; /* out */
};

struct retention_policy {
    const struct tiers *tiers;
    enum tier_place place;
    int keep_min; /* at least 1 */
    gint64 now;
};

/* Two machines' clocks may differ by so much without a backup counting as dated in the future. */
#define RETENTION_SLACK_S 300

/* Sorts the items, newest first, and fills in what is out in each. */
void retention_judge(struct retention_item *items, guint n, const struct retention_policy *policy);

/* The gaps between those that have metadata and a sound date, whatever became of them; items in any order. */
struct gap_list *retention_gaps(const struct retention_item *items, guint n, const struct retention_policy *policy);

/* Whether it counts as one of the good ones. */
gboolean retention_counts(const struct retention_item *item, const struct retention_policy *policy);

/* A word for programs ("expired"), and a sentence for people. The latter is to be freed. */
const char *retention_word(enum retention_reason reason);
char *retention_text(const struct retention_item *item, const struct retention_policy *policy);

/* Whether its metadata and its name, read as local time, disagree on when it was taken by more than a day and two hours:
 * zones can differ by so much. */
struct catalog_entry;
gboolean retention_date_is_odd(const struct catalog_entry *e);

/* Which backup of each calendar month becomes its monthly archive: the first good one of every month (YYYYMM of
 * the timestamp in its id) that has none yet, and whose archive would not be expired. Marks them in chosen (n
 * gbooleans). Items with copy set are the monthly archives that there are. */
void retention_choose_monthly(const struct retention_item *items, guint n, const struct retention_policy *policy,
                              gboolean *chosen);

/* YYYYMM of an id's timestamp, in a buffer of 7 bytes. */
void retention_month(const char *id, char *ret_month);
