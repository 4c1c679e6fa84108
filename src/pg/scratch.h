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

/* Makes and starts one under tmp_dir with the programs of that major version or a newer one. OT_PREREQUISITE if
 * PostgreSQL's server programs are not installed. superuser: its first role (NULL: "postgres"); that of the backup's
 * server makes the privileges on system objects come out alike. */
struct scratch *scratch_start(const char *tmp_dir, const char *bindir, int major, const char *superuser,
                              GError **error);

/* Where to connect as its superuser; valid as long as the scratch cluster. */
const struct pg_target *scratch_target(const struct scratch *s);

/* Stops the server and removes its folder. */
void scratch_free(struct scratch *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(scratch, scratch_free)
