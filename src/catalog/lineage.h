/*
 * Lineages: the backups of one database of one server. A folder or bucket may hold those of several servers, for
 * instance of production and staging, or of the machine before a migration. A server is known by its system identifier,
 * which initdb makes and a standby shares; where it may not be read, by host and port.
 *
 * Backups of another lineage are never "latest" of this one, never counted or deleted by its retention, and no part of
 * its health. Adopted ones (adopted_by in their metadata) are part of both.
 */
#pragma once

#include "catalog/catalog.h"

/* A server. */
struct lineage_server {
    char *system; /* its system identifier, digits; NULL: not known */
    char *host;   /* NULL: not known */
    int port;
};
void lineage_server_clear(struct lineage_server *s);

/* Decides of each entry whose it is, as this server sees it (NULL: not known which one it is), and notes it in it. An
 * entry without metadata, or whose metadata does not tell, counts as this server's unless it has the address of one of
 * the others in the list. */
void lineage_mark(const GPtrArray *entries, const struct lineage_server *self);

/* Not another server's. */
gboolean lineage_is_ours(const struct catalog_entry *e);

/* And that is certain: only such may be deleted, or change in S3. */
gboolean lineage_is_certain(const struct catalog_entry *e);

/* Whether a server is the one that the metadata names, or has adopted its history. TRUE too if nobody can tell. */
gboolean lineage_fits(const struct meta *m, const struct lineage_server *self);

/* The name by which a server is adopted: its system identifier, else HOST:PORT. NULL: not known. To be freed. */
char *lineage_key(const char *system, const char *host, int port);

/* "db1:5432 (system 7301234567890123456)", as far as it is known; fit for a terminal. To be freed. */
char *lineage_server_text(const char *system, const char *host, int port);

/* "this", "adopted", "unknown", "unsure", "other". Static. */
const char *lineage_name(enum lineage l);

/* Those of other servers, or of which it is not certain: how many, how many servers, and the newest. */
struct lineage_others {
    guint backups, servers;
    const struct catalog_entry *newest; /* by the moment that it shows */
};
struct lineage_others lineage_find_others(const GPtrArray *entries, gboolean with_unsure);

/* What the entries say of the server at that address: the identifier in the newest backup that was made there. NULL:
 * none. To be freed. */
char *lineage_last_known(const GPtrArray *entries, const char *host, int port);

/* The identifier of the only server that the entries name; NULL: none, or several. To be freed. */
char *lineage_only_known(const GPtrArray *entries);

/* Whether the entries name one server at most, and that with this address: then nobody need be asked which is meant. */
gboolean lineage_is_plain(const GPtrArray *entries, const char *host, int port);
