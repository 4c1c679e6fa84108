/* opstower serve */
#include "catalog/names.h"
#include "cmd/command.h"
#include "cmd/requests.h"
#include "web/web.h"

static gboolean run(struct console *c, char **words, GError **error)
{
    (void)words;
    const struct settings *s = &c->settings;
    g_autofree char *database = pg_target_database(&c->target, error);
    struct health_request health;
    if (!database)
        return FALSE;
    request_health(c, database, &health);
    if (s->s3_bucket && !request_s3(c, error)) /* a setting that is wrong, not a server that does not answer */
        return FALSE;
    g_autofree char *name = names_encode(database);
    struct prune_request retention;
    if (!request_prune(c, name, &retention, error))
        return FALSE;
    retention.thorough = FALSE; /* that would read every metadata file in the bucket */
    struct web_config config = {
        .listen = s->listen,
        .token = s->dashboard_token,
        .user = s->dashboard_user,
        .password = s->dashboard_password,
        .certificate_file = s->tls_cert,
        .key_file = s->tls_key,
        .hosts = (const char *const *)s->dashboard_hosts,
        .name = name,
        .s3 = c->s3,
        .s3_prefix = s->s3_prefix,
        .health = &health,
        .retention = &retention,
        .report = &c->report,
    };
    return web_serve(&config, error);
}

const struct command cmd_serve = {
    .name = "serve",
    .mask = CMD_SERVE,
    .usage = "[--listen ADDRESS:PORT] [--tls-cert FILE --tls-key FILE] [OPTION]...",
    .summary = "Show the dashboard: health, backups, history, journal, retention; and /metrics.",
    .details =
        "Serves web pages until SIGINT or SIGTERM, which end it with 0. They only show, nothing can be changed.\n"
        "Listening on another address than this machine's own needs DASHBOARD_TOKEN, or DASHBOARD_USER and\n"
        "DASHBOARD_PASSWORD; both are asked for wherever they are set. /healthz says that the server is\n"
        "alive, /metrics is for Prometheus, /api/status, /api/backups and /api/journal are JSON.",
    .min_words = 0,
    .max_words = 0,
    .run = run,
};
