/* Settings become engine requests. */
#include "cmd/requests.h"

#include "catalog/catalog.h"

struct backup_request request_backup(struct console *c)
{
    const struct settings *s = &c->settings;
    return (struct backup_request){
        .target = &c->target,
        .dir = s->backup_dir,
        .type = s->type,
        .tag = s->tag,
        .bindir = s->pg_bindir,
        .jobs = (guint)s->jobs,
        .compress_level = s->compress_level,
        .lock_timeout_ms = (guint)s->lock_timeout_s * 1000,
        .lock_attempts = (guint)s->lock_attempts,
        .retention_days = s->retention_days,
        .keep_min = s->keep_min,
        .globals = s->globals,
        .prune = TRUE,
    };
}

char *request_path(struct console *c, const char *what, GError **error)
{
    g_autofree char *database = pg_target_database(&c->target, error);
    return database ? catalog_resolve(c->settings.backup_dir, database, what, error) : NULL;
}
