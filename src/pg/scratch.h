/*
 * A scratch cluster: a private PostgreSQL server made by initdb, reachable only through a unix socket in a 0700
 * folder, fast and unsafe by settings (its data is thrown away). When this program is root, the server runs as user
 * postgres, for PostgreSQL refuses root. It ends with this program, however that ends; the folder of one that was
 * killed is removed by the next.
 */
#pragma once

#include "pg/session.h"

struct scratch;
typedef struct scratch scratch;

struct scratch_options {
    const char *tmp_dir; /* NULL: the system's */
    const char *bindir;
    int major;             /* programs of that version or a newer one are used */
    const char *superuser; /* its first role (NULL: "postgres"); that of the backup's server makes the privileges on
                              system objects come out alike */
    const char *preload;   /* shared_preload_libraries of the backup's server; those are loaded that this host has, if
                              the server starts with them. NULL: none */
    const char *database;  /* the name of the database that will be filled, for extensions that are bound to one; NULL:
                              not known */
};

/* Makes and starts one. OT_PREREQUISITE if PostgreSQL's server programs are not installed. */
struct scratch *scratch_start(const struct scratch_options *options, GError **error);

/* Where to connect as its superuser; valid as long as the scratch cluster. */
const struct pg_target *scratch_target(const struct scratch *s);

/* Stops the server and removes its folder. */
void scratch_free(struct scratch *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(scratch, scratch_free)
