/*
 * AWS Signature Version 4, as S3 wants it: the path is escaped once and never normalised. A tree, sorted by name, is
 * the canonical form of the headers: sorting whole lines would put "a-b:" before "a:".
 */
#include "net/sigv4.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/digest.h"
#include "net/uri.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define KEY_BYTES 32

char *sigv4_sha256(const void *data, gsize length)
{
    g_autoptr(digest) d = digest_new();
    digest_add(d, data, length);
    return digest_text(d);
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char *sigv4_query(char **query)
{
    g_autoptr(GPtrArray) pairs = g_ptr_array_new_with_free_func(g_free);
    for (char **at = query; at && at[0] && at[1]; at += 2) {
        g_autofree char *name = uri_escape(at[0], FALSE);
        g_autofree char *value = uri_escape(at[1], FALSE);
        /* For sorting, a separator that is less than any escaped character: "a" comes before "a-b". */
        g_ptr_array_add(pairs, g_strconcat(name, "\001", value, NULL));
    }
    g_ptr_array_sort(pairs, compare_text);
    g_ptr_array_add(pairs, NULL);
    return g_strdelimit(g_strjoinv("&", (char **)pairs->pdata), "\001", '=');
}

/* Without blanks around it, and with one in the place of several. */
static char *trim_value(const char *value)
{
    GString *trimmed = g_string_new(NULL);
    for (const char *at = value; *at; at++)
        if (!g_ascii_isspace(*at))
            g_string_append_c(trimmed, *at);
        else if (trimmed->len > 0 && trimmed->str[trimmed->len - 1] != ' ')
            g_string_append_c(trimmed, ' ');
    return g_strchomp(g_string_free(trimmed, FALSE));
}

/* A name that is there already gets the value behind its own, as the receiver reads it. */
static void add_header(GTree *headers, const char *name, gsize name_length, const char *value)
{
    char *key = g_strstrip(g_ascii_strdown(name, (gssize)name_length));
    char *trimmed = trim_value(value);
    const char *before = g_tree_lookup(headers, key);
    if (before) {
        char *both = g_strconcat(before, ",", trimmed, NULL);
        g_free(trimmed);
        trimmed = both;
    }
    g_tree_replace(headers, key, trimmed);
}

static void add_line(GTree *headers, const char *line)
{
    gsize name_length = strcspn(line, ":");
    add_header(headers, line, name_length, line[name_length] ? line + name_length + 1 : "");
}

static char *format_time(gint64 now)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(now);
    g_assert(time);
    return g_date_time_format(time, "%Y%m%dT%H%M%SZ");
}

/* The headers that signing itself brings, as lines; host is none of them: curl sends it. */
static GPtrArray *own_headers(const struct sigv4_request *r)
{
    GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *time = format_time(r->now);
    g_ptr_array_add(lines, g_strconcat("x-amz-date: ", time, NULL));
    if (strcmp(r->service, "s3") == 0)
        g_ptr_array_add(lines, g_strconcat("x-amz-content-sha256: ", r->payload_sha256, NULL));
    if (r->session_token && *r->session_token)
        g_ptr_array_add(lines, g_strconcat("x-amz-security-token: ", r->session_token, NULL));
    return lines;
}

static int compare_names(const void *a, const void *b, void *unused)
{
    (void)unused;
    return strcmp(a, b);
}

static GTree *all_headers(const struct sigv4_request *r)
{
    GTree *headers = g_tree_new_full(compare_names, NULL, g_free, g_free);
    add_header(headers, "host", strlen("host"), r->host);
    for (const char *const *at = r->headers; at && *at; at++)
        add_line(headers, *at);
    g_autoptr(GPtrArray) own = own_headers(r);
    for (guint i = 0; i < own->len; i++)
        add_line(headers, own->pdata[i]);
    return headers;
}

static gboolean append_line(void *name, void *value, void *lines)
{
    g_string_append_printf(lines, "%s:%s\n", (const char *)name, (const char *)value);
    return FALSE;
}

static gboolean append_name(void *name, void *value, void *names)
{
    (void)value;
    GString *list = names;
    g_string_append_printf(list, "%s%s", list->len ? ";" : "", (const char *)name);
    return FALSE;
}

char *sigv4_canonical_request(const struct sigv4_request *r, char **ret_signed_headers)
{
    g_autoptr(GTree) headers = all_headers(r);
    g_autoptr(GString) lines = g_string_new(NULL);
    g_autoptr(GString) names = g_string_new(NULL);
    g_tree_foreach(headers, append_line, lines);
    g_tree_foreach(headers, append_name, names);
    g_autofree char *path = uri_escape(r->path, TRUE);
    g_autofree char *query = sigv4_query(r->query);
    char *text = g_strjoin("\n", r->method, *path ? path : "/", query, lines->str, names->str, r->payload_sha256, NULL);
    if (ret_signed_headers)
        *ret_signed_headers = g_string_free(g_steal_pointer(&names), FALSE);
    return text;
}

static char *make_scope(const struct sigv4_request *r, const char *time)
{
    return g_strdup_printf("%.8s/%s/%s/aws4_request", time, r->region, r->service);
}

static char *string_to_sign(const struct sigv4_request *r, const char *canonical)
{
    g_autofree char *time = format_time(r->now);
    g_autofree char *scope = make_scope(r, time);
    g_autofree char *hash = sigv4_sha256(canonical, strlen(canonical));
    return g_strjoin("\n", ALGORITHM, time, scope, hash, NULL);
}

char *sigv4_string_to_sign(const struct sigv4_request *r)
{
    g_autofree char *canonical = sigv4_canonical_request(r, NULL);
    return string_to_sign(r, canonical);
}

/* key becomes HMAC(key, text). OpenSSL's own failures here leave no way on: they abort. */
static void hmac_step(guchar key[KEY_BYTES], const char *text)
{
    guchar next[KEY_BYTES];
    if (!HMAC(EVP_sha256(), key, KEY_BYTES, (const guchar *)text, strlen(text), next, NULL))
        g_error("HMAC-SHA-256 failed in OpenSSL");
    memcpy(key, next, KEY_BYTES);
    OPENSSL_cleanse(next, sizeof next);
}

static void hmac_first(guchar key[KEY_BYTES], const char *secret, const char *text)
{
    char *seed = g_strconcat("AWS4", secret, NULL);
    gsize length = strlen(seed);
    if (!HMAC(EVP_sha256(), seed, (int)length, (const guchar *)text, strlen(text), key, NULL))
        g_error("HMAC-SHA-256 failed in OpenSSL");
    OPENSSL_cleanse(seed, length);
    g_free(seed);
}

static char *make_signature(const struct sigv4_request *r, const char *to_sign)
{
    g_autofree char *time = format_time(r->now);
    g_autofree char *day = g_strndup(time, 8);
    const char *const steps[] = {r->region, r->service, "aws4_request", to_sign};
    guchar key[KEY_BYTES];
    hmac_first(key, r->secret_key, day);
    for (gsize i = 0; i < G_N_ELEMENTS(steps); i++)
        hmac_step(key, steps[i]);
    /* Past the last step it is no key any more but the signature, which everyone may see. */
    GString *hex = g_string_new(NULL);
    for (gsize i = 0; i < KEY_BYTES; i++)
        g_string_append_printf(hex, "%02x", key[i]);
    return g_string_free(hex, FALSE);
}

static char *authorization(const struct sigv4_request *r)
{
    g_autofree char *names = NULL;
    g_autofree char *canonical = sigv4_canonical_request(r, &names);
    g_autofree char *to_sign = string_to_sign(r, canonical);
    g_autofree char *signature = make_signature(r, to_sign);
    g_autofree char *time = format_time(r->now);
    g_autofree char *scope = make_scope(r, time);
    return g_strdup_printf("Authorization: " ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s",
                           r->access_key, scope, names, signature);
}

char **sigv4_sign(const struct sigv4_request *r)
{
    g_autoptr(GPtrArray) own = own_headers(r);
    g_ptr_array_add(own, authorization(r));
    g_autoptr(GPtrArray) lines = g_ptr_array_new();
    for (const char *const *at = r->headers; at && *at; at++)
        g_ptr_array_add(lines, g_strdup(*at));
    g_ptr_array_extend_and_steal(lines, g_steal_pointer(&own));
    g_ptr_array_add(lines, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&lines), FALSE);
}
