/*
 * The dashboard: pages for people, /metrics for Prometheus, /healthz, JSON under /api. It only reads: no request
 * changes anything. It knows the engine and the catalog, never cmd.
 */
#pragma once

#include "engine/health.h"
#include "engine/prune.h"
#include "engine/report.h"

/* Borrowed; must outlive web_serve. */
struct web_config {
    const char *listen;                      /* ADDRESS:PORT */
    const char *token, *user, *password;     /* NULL: none. User and password go together */
    const char *certificate_file, *key_file; /* PEM; both or none: without, plain HTTP */
    const char *const *hosts;                /* further names by which browsers may ask for it; NULL: none */
    const char *name;                        /* the database as in file names; NULL: backups of all are listed */
    struct s3 *s3;                           /* NULL: no bucket is set. Its retries should be short */
    const char *s3_prefix;
    const struct health_request *health;   /* also says the folder and the database */
    const struct prune_request *retention; /* what retention would look at, without apply; its now is not used */
    struct report *report;                 /* says where it listens, and what it refuses; redacts */
};

/* Serves until SIGINT or SIGTERM, then TRUE. FALSE: OT_USAGE (settings that are not safe or cannot be read),
 * OT_PREREQUISITE (cannot listen). */
gboolean web_serve(const struct web_config *config, GError **error);
