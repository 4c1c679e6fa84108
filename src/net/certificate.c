/* The certificates of one handshake. */
#include "net/certificate.h"

#include <curl/curl.h>
#include <string.h>

#include "net/uri.h"

#define END_FIELD "Expire date:"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(CURL, curl_easy_cleanup)

static gboolean is_here(const char *url)
{
    struct uri_parts parts;
    if (!uri_parse(url, &parts))
        return FALSE;
    gboolean here = uri_is_loopback(parts.host);
    uri_parts_clear(&parts);
    return here;
}

/* All is asked for at once and not looked at one by one: what could fail here is memory only, and then the handshake
 * fails as well. */
static CURL *prepare(const char *url, guint timeout_ms)
{
    CURL *curl = curl_easy_init();
    if (!curl)
        return NULL;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(curl, CURLOPT_CERTINFO, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    if (is_here(url))
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
    return curl;
}

/* As "Expire date:Nov 25 12:00:00 2026 GMT"; 0: none was shown that can be read. */
static gint64 earliest_end(const struct curl_certinfo *shown)
{
    gint64 earliest = 0;
    for (int i = 0; shown && i < shown->num_of_certs; i++)
        for (const struct curl_slist *field = shown->certinfo[i]; field; field = field->next) {
            if (!g_str_has_prefix(field->data, END_FIELD))
                continue;
            gint64 end = curl_getdate(field->data + strlen(END_FIELD), NULL);
            if (end > 0 && (earliest == 0 || end < earliest))
                earliest = end;
        }
    return earliest;
}

gboolean certificate_until(const char *url, guint timeout_ms, gint64 *ret_until, GError **error)
{
    g_autoptr(CURL) curl = prepare(url, timeout_ms);
    if (!curl)
        return ot_fail(error, OT_S3, "cannot look at the certificate of %s: libcurl cannot be used", url);
    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK)
        return ot_fail(error, OT_S3, "cannot look at the certificate of %s: %s", url, curl_easy_strerror(code));
    struct curl_certinfo *shown = NULL;
    curl_easy_getinfo(curl, CURLINFO_CERTINFO, &shown);
    *ret_until = earliest_end(shown);
    return *ret_until > 0 || ot_fail(error, OT_S3, "%s shows no certificate whose end can be read", url);
}
