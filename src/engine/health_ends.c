/* Checks of what ends: holds, credentials, certificates; and whether the database server answers. */
#include "engine/health_ends.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "catalog/hold.h"
#include "net/certificate.h"
#include "pg/encryption.h"
#include "store/s3.h"

#define DAY (24 * 3600)
#define HOLD_WARNING_S (7.0 * DAY)
#define CERTIFICATE_WARNING_S (14.0 * DAY)
#define CERTIFICATE_CRITICAL_S (3.0 * DAY)
#define ASK_TIMEOUT_S 5

/* ---- asking ---- */

static void ask_database(struct health_servers *s, const struct pg_target *target, const char *database)
{
    g_autoptr(GError) problem = NULL;
    struct pg_target hurried = pg_target_copy(target);
    hurried.timeout_s = ASK_TIMEOUT_S;
    g_autoptr(session) there = session_open(&hurried, database, &problem);
    pg_target_clear(&hurried);
    s->database_asked = TRUE;
    if (!there) {
        s->database_problem = g_strdup(problem->message);
        return;
    }
    int version = session_version(there);
    s->database_version = g_strdup_printf("%d.%d", version / 10000, version % 10000);
    s->exposed_to = session_exposed_to(there);
    s->database_certificate = session_certificate_until(there);
    pg_system_read(there, &s->system, NULL);
}

static void ask_s3(struct health_servers *s, struct s3 *client)
{
    g_autoptr(GError) problem = NULL, unseen = NULL;
    s->s3_asked = TRUE;
    g_autoptr(credentials) found = s3_credentials(client, &problem);
    s->credentials_problem = found ? NULL : g_strdup(problem->message);
    s->credentials_source = found ? g_strdup(found->source) : NULL;
    s->credentials_borrowed = found && found->session_token && found->expires_at == 0;
    const char *url = s3_endpoint(client);
    s->s3_tls = g_str_has_prefix(url, "https:");
    if (s->s3_tls && !certificate_until(url, ASK_TIMEOUT_S * 1000, &s->s3_certificate, &unseen))
        s->certificate_problem = g_strdup(unseen->message);
}

void health_ask_servers(struct health_data *d)
{
    const struct health_request *q = d->request;
    if (q->look_away)
        return;
    if (q->target)
        ask_database(&d->servers, q->target, q->database);
    if (q->offsite)
        ask_s3(&d->servers, q->offsite->client);
}

void health_servers_clear(struct health_servers *s)
{
    pg_system_clear(&s->system);
    g_free(s->database_problem);
    g_free(s->database_version);
    g_free(s->exposed_to);
    g_free(s->credentials_source);
    g_free(s->credentials_problem);
    g_free(s->certificate_problem);
}

/* ---- the server ---- */

gboolean health_check_database(const struct health_data *d, struct health_check *c)
{
    const struct health_servers *s = &d->servers;
    if (!s->database_asked)
        return FALSE;
    c->target = g_strdup("answers");
    c->threshold = g_strdup("warning if it does not: the next backup will fail");
    health_measure(c, s->database_problem ? 0 : 1, "", HEALTH_BELOW, 1, NAN);
    c->value = s->database_problem ? g_strdup(s->database_problem)
                                   : g_strdup_printf("PostgreSQL %s answers%s", s->database_version,
                                                     s->exposed_to ? ", but the connection is not encrypted" : "");
    health_advise(c, "Check that the server runs, and DATABASE_URL or DATABASE_HOST, _PORT, _NAME, _USER, _PASSWORD.");
    return TRUE;
}

/* ---- holds ---- */

struct holds {
    guint active;
    gint64 first_end; /* 0: none ends */
    const struct catalog_entry *first;
};

static struct holds count_holds(const struct health_data *d)
{
    struct holds h = {0};
    for (guint i = 0; i < d->backups->len; i++) {
        const struct catalog_entry *e = d->backups->pdata[i];
        if (!e->meta || !hold_is_active(e->meta, d->now))
            continue;
        gint64 end = 0;
        const char *until = hold_text(e->meta, "until");
        h.active++;
        if (!until || !text_parse_iso_time(until, &end) || (h.first && end >= h.first_end))
            continue;
        h.first = e;
        h.first_end = end;
    }
    return h;
}

gboolean health_check_holds(const struct health_data *d, struct health_check *c)
{
    struct holds h = count_holds(d);
    if (h.active == 0)
        return FALSE;
    c->target = g_strdup("none ends unnoticed");
    c->threshold = g_strdup("warning under 7 d");
    health_measure(c, h.first ? (double)(h.first_end - d->now) : NAN, "s", HEALTH_BELOW, HOLD_WARNING_S, NAN);
    g_autofree char *left = h.first ? health_duration(c->number) : NULL;
    c->value = h.first
                   ? g_strdup_printf("%u held; %s until %s", h.active, h.first->id, hold_text(h.first->meta, "until"))
                   : g_strdup_printf("%u held, without an end", h.active);
    if (h.first)
        health_advise(c, "It is held for: %s. In %s retention may delete it; `opstower hold add %s` extends the hold.",
                      hold_text(h.first->meta, "reason"), left, h.first->id);
    return TRUE;
}

/* ---- credentials ---- */

gboolean health_check_credentials(const struct health_data *d, struct health_check *c)
{
    const struct health_servers *s = &d->servers;
    if (!s->s3_asked)
        return FALSE;
    c->target = g_strdup("there, and renewed by themselves or without an end");
    c->threshold = g_strdup("warning if nobody renews them, critical if there are none");
    if (s->credentials_problem) {
        health_raise(c, HEALTH_CRITICAL);
        c->value = g_strdup(s->credentials_problem);
    } else {
        c->value =
            g_strdup_printf("%s%s", s->credentials_source, s->credentials_borrowed ? ", with a session token" : "");
        if (s->credentials_borrowed)
            health_raise(c, HEALTH_WARNING);
    }
    health_advise(c, "%s",
                  s->credentials_problem
                      ? "`opstower bucket check` says what is missing."
                      : "A session token ends within hours or days. Give the backup host a role, or keys of "
                        "its own (`opstower bucket policy writer`).");
    return TRUE;
}

/* ---- certificates ---- */

gboolean health_check_certificates(const struct health_data *d, struct health_check *c)
{
    const struct health_servers *s = &d->servers;
    gboolean of_database =
        s->database_certificate && (!s->s3_certificate || s->database_certificate <= s->s3_certificate);
    gint64 end = of_database ? s->database_certificate : s->s3_certificate;
    if (!end && !s->s3_tls)
        return FALSE;
    c->target = g_strdup("valid for weeks");
    c->threshold = g_strdup("warning under 14 d, critical under 3 d");
    health_measure(c, end ? (double)(end - d->now) : NAN, "s", HEALTH_BELOW, CERTIFICATE_WARNING_S,
                   CERTIFICATE_CRITICAL_S);
    if (end) {
        g_autofree char *left = health_duration(fabs(c->number));
        c->value = g_strdup_printf("%s's %s %s", of_database ? "the database server" : "S3",
                                   end < d->now ? "ended, since" : "ends in", left);
    } else {
        health_raise(c, HEALTH_UNKNOWN);
        c->value = g_strdup(s->certificate_problem);
    }
    health_advise(c, end ? "Have the server's certificate renewed; once it has ended, connections are refused."
                         : "It cannot be seen while S3 does not answer.");
    return TRUE;
}
