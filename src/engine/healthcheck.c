/* Polling one URL. A redirection is not followed: it is no word about health. */
#include "engine/healthcheck.h"

#include "base/interrupt.h"
#include "net/http.h"
#include "net/uri.h"

#define PAUSE_MS 1000
#define ONE_TRY_MS 10000
#define MAX_ANSWER_BYTES (1u << 20)

gboolean healthcheck_check_url(const char *url, GError **error)
{
    return g_str_has_prefix(url, "http://") || g_str_has_prefix(url, "https://") ||
           ot_fail(error, OT_USAGE, "HEALTHCHECK_URL is no http or https URL, as http://localhost:4000/api/health");
}

/* TRUE if it is well. Else *ret_why says why not, unless *error is set: then there is no sense in asking again. */
static gboolean ask(const char *url, guint left_ms, char **ret_why, GError **error)
{
    guint limit_ms = MIN(left_ms, ONE_TRY_MS);
    struct http_options options = {.connect_timeout_ms = limit_ms, .total_timeout_ms = limit_ms};
    g_autoptr(http_client) client = http_client_new(&options);
    struct http_request request = {.method = "GET", .url = url, .max_answer_bytes = MAX_ANSWER_BYTES};
    struct http_response r = {0};
    enum http_failure failure;
    GError *problem = NULL;
    gboolean answered = http_perform(client, &request, &r, &failure, &problem);
    gboolean well = answered && r.status / 100 == 2;
    g_free(*ret_why);
    *ret_why = answered ? g_strdup_printf("HTTP %ld", r.status) : g_strdup(problem->message);
    http_response_clear(&r);
    if (g_error_matches(problem, OT_ERROR, OT_INTERRUPTED))
        g_propagate_error(error, g_steal_pointer(&problem));
    g_clear_error(&problem);
    return well;
}

static gboolean pause_a_little(GError **error)
{
    for (int waited = 0; waited < PAUSE_MS; waited += 100) {
        if (!interrupt_check(error))
            return FALSE;
        g_usleep(100000);
    }
    return TRUE;
}

gboolean healthcheck_wait(const char *url, guint timeout_s, struct report *report, char **ret_outcome, GError **error)
{
    gint64 start = g_get_monotonic_time(), end = start + (gint64)timeout_s * G_USEC_PER_SEC;
    g_autofree char *why = NULL, *shown = uri_without_secrets(url);
    GError *problem = NULL;
    gboolean well = FALSE;
    report_info(report, "Checking the application's health (%s)...", shown);
    for (gint64 now = start; !well && !problem && now < end; now = g_get_monotonic_time()) {
        well = ask(url, (guint)((end - now) / 1000) + 1, &why, &problem);
        if (!well && !problem)
            pause_a_little(&problem);
    }
    gint64 took_s = (g_get_monotonic_time() - start) / G_USEC_PER_SEC;
    *ret_outcome = well      ? g_strdup_printf("ok after %" G_GINT64_FORMAT " s", took_s)
                   : problem ? g_strdup("interrupted")
                             : g_strdup_printf("failed: %s for %u s", why, timeout_s);
    report_fact_text(report, "healthcheck", *ret_outcome);
    if (well)
        report_info(report, "Health check: %s", *ret_outcome);
    else if (problem)
        g_propagate_error(error, problem);
    else
        ot_fail(error, OT_FAILED, "%s does not say that the application is well (%s)", shown, *ret_outcome);
    return well;
}
