/* SMTP by libcurl, which speaks the protocol, doubles dots and picks the way to log in. */
#include "net/smtp.h"

#include <curl/curl.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/secrets.h"
#include "net/uri.h"

#define MAX_ANSWER_TEXT 200 /* of the server's words, in an error */

typedef struct curl_slist curl_slist;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(curl_slist, curl_slist_free_all)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CURLU, curl_url_cleanup)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CURL, curl_easy_cleanup)

/* What the URL says. */
struct place {
    char *scheme, *host, *port, *user, *password; /* curl's */
    gboolean loopback;
};

struct call {
    const struct smtp_server *server;
    const struct smtp_mail *mail;
    struct place place;
    gsize sent;
    gboolean despite_interrupt; /* there was one before we began */
    GString *refusal;           /* the server's last answer of 400 or more; "": none */
    guint asked;                /* receivers that were named to the server */
    gboolean asking;            /* the next answer is about the last of these */
    struct smtp_outcome *outcome;
    char said[CURL_ERROR_SIZE];
};

static void place_clear(struct place *p)
{
    curl_free(p->scheme);
    curl_free(p->host);
    curl_free(p->port);
    curl_free(p->user);
    curl_free(p->password);
    memset(p, 0, sizeof *p);
}

gboolean smtp_is_address(const char *text)
{
    const char *at = strchr(text, '@');
    if (!at || at == text || !at[1] || strchr(at + 1, '@') || strlen(text) > 254)
        return FALSE;
    for (const char *p = text; *p; p++)
        if (!g_ascii_isgraph(*p) || strchr("<>()[]\",:;\\", *p))
            return FALSE;
    return TRUE;
}

static void get_part(CURLU *url, CURLUPart part, char **ret_text, unsigned flags)
{
    if (curl_url_get(url, part, ret_text, flags) != CURLUE_OK)
        *ret_text = NULL;
}

/* A path, a query or a fragment would have no meaning: most likely the password has a / that is not escaped. */
static gboolean read_url(const char *text, struct place *ret_place, GError **error)
{
    g_autoptr(CURLU) url = curl_url();
    char *path = NULL, *query = NULL, *fragment = NULL;
    gboolean ok = url && curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK;
    if (ok) {
        get_part(url, CURLUPART_SCHEME, &ret_place->scheme, 0);
        get_part(url, CURLUPART_HOST, &ret_place->host, 0);
        get_part(url, CURLUPART_PORT, &ret_place->port, 0);
        get_part(url, CURLUPART_USER, &ret_place->user, CURLU_URLDECODE);
        get_part(url, CURLUPART_PASSWORD, &ret_place->password, CURLU_URLDECODE);
        get_part(url, CURLUPART_PATH, &path, 0);
        get_part(url, CURLUPART_QUERY, &query, 0);
        get_part(url, CURLUPART_FRAGMENT, &fragment, 0);
        ok = (g_strcmp0(ret_place->scheme, "smtp") == 0 || g_strcmp0(ret_place->scheme, "smtps") == 0) &&
             ret_place->host && *ret_place->host && (!path || strcmp(path, "/") == 0) && !query && !fragment;
    }
    curl_free(path);
    curl_free(query);
    curl_free(fragment);
    if (!ok)
        return ot_fail(error, OT_USAGE,
                       "the address of the mail server cannot be used: it is written smtp://USER:PASSWORD@HOST:PORT or "
                       "smtps://..., with %%40 for @, %%2F for / and %%3A for : in user and password");
    g_autofree char *bare = g_strdup(*ret_place->host == '[' ? ret_place->host + 1 : ret_place->host);
    ret_place->loopback = uri_is_loopback(g_strdelimit(bare, "]", '\0'));
    return TRUE;
}

static const char *port_of(const struct place *p)
{
    if (p->port)
        return p->port;
    return strcmp(p->scheme, "smtps") == 0 ? "465" : p->user ? "587" : "25";
}

static gboolean check_addresses(const struct smtp_mail *mail, GError **error)
{
    if (!smtp_is_address(mail->from))
        return ot_fail(error, OT_USAGE, "\"%s\" is not a mail address", mail->from);
    for (const char *const *to = mail->to; *to; to++)
        if (!smtp_is_address(*to))
            return ot_fail(error, OT_USAGE, "\"%s\" is not a mail address", *to);
    return TRUE;
}

/* Whether TLS is demanded of an smtp:// server. */
static gboolean choose_tls(const struct call *call, gboolean *ret_demanded, GError **error)
{
    const struct place *p = &call->place;
    gboolean safe = p->loopback || !p->user || strcmp(p->scheme, "smtps") == 0;
    if (call->server->tls == SMTP_TLS_NEVER && !safe)
        return ot_fail(error, OT_USAGE, "the password for the mail server %s would be sent without TLS; it is not",
                       p->host);
    *ret_demanded = call->server->tls == SMTP_TLS_ALWAYS ||
                    (call->server->tls == SMTP_TLS_AUTO && (p->user != NULL || !p->loopback));
    return TRUE;
}

static size_t on_read(char *buffer, size_t size, size_t count, void *data)
{
    struct call *call = data;
    gsize n = MIN(size * count, call->mail->length - call->sent);
    if (n > 0)
        memcpy(buffer, call->mail->text + call->sent, n);
    call->sent += n;
    return n;
}

struct smtp_refusal *smtp_refusal_new(const char *to, const char *said, gboolean final)
{
    struct smtp_refusal *r = g_new0(struct smtp_refusal, 1);
    r->to = g_strdup(to);
    r->said = g_strdup(said);
    r->final = final;
    return r;
}

static void refusal_free(gpointer data)
{
    struct smtp_refusal *r = data;
    g_free(r->to);
    g_free(r->said);
    g_free(r);
}

GPtrArray *smtp_refusals_new(void)
{
    return g_ptr_array_new_with_free_func(refusal_free);
}

void smtp_outcome_clear(struct smtp_outcome *o)
{
    g_clear_pointer(&o->refusals, g_ptr_array_unref);
}

/* Of an answer of several lines the first says most. */
static void note_refusal(struct call *call)
{
    g_autofree char *text = g_utf8_make_valid(call->refusal->str, -1);
    struct smtp_refusal *r =
        smtp_refusal_new(call->mail->to[call->asked - 1], g_strchomp(text), *call->refusal->str == '5');
    g_ptr_array_add(call->outcome->refusals, r);
    call->asking = FALSE;
}

/* What we say to the server: which receiver its next answer is about. */
static int on_talk(CURL *curl, curl_infotype type, char *bytes, size_t size, void *data)
{
    (void)curl;
    struct call *call = data;
    if (type != CURLINFO_HEADER_OUT || (size >= 4 && g_ascii_strncasecmp(bytes, "QUIT", 4) == 0))
        return 0;
    call->asking = size > 8 && g_ascii_strncasecmp(bytes, "RCPT TO:", 8) == 0;
    call->asked += call->asking ? 1 : 0;
    if (size >= 4 && g_ascii_strncasecmp(bytes, "DATA", 4) == 0)
        call->outcome->was_offered = TRUE;
    return 0;
}

/* The server's answers come here, line by line; the last of all is the one to our QUIT. */
static size_t on_answer(char *bytes, size_t size, size_t count, void *data)
{
    struct call *call = data;
    gsize n = size * count;
    if (n < 3 || (*bytes != '4' && *bytes != '5') || !g_ascii_isdigit(bytes[1]) || !g_ascii_isdigit(bytes[2]))
        return n;
    g_string_truncate(call->refusal, 0);
    g_string_append_len(call->refusal, bytes, (gssize)MIN(n, MAX_ANSWER_TEXT));
    if (call->asking)
        note_refusal(call);
    return n;
}

static int on_progress(void *data, curl_off_t to_receive, curl_off_t received, curl_off_t to_send, curl_off_t sent)
{
    (void)to_receive, (void)received, (void)to_send, (void)sent;
    const struct call *call = data;
    return interrupt_ends(call->despite_interrupt);
}

static void set_server(CURL *curl, const struct call *call, const char *url, gboolean demanded)
{
    const struct place *p = &call->place;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(curl, CURLOPT_USE_SSL, (long)(demanded ? CURLUSESSL_ALL : CURLUSESSL_NONE));
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    if (call->server->ca_file) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, call->server->ca_file);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    if (p->user)
        curl_easy_setopt(curl, CURLOPT_USERNAME, p->user);
    if (p->user)
        curl_easy_setopt(curl, CURLOPT_PASSWORD, p->password ? p->password : "");
}

static void set_mail(CURL *curl, struct call *call, struct curl_slist *to)
{
    curl_easy_setopt(curl, CURLOPT_MAIL_FROM, call->mail->from);
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, to);
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L);
    curl_easy_setopt(curl, CURLOPT_VERBOSE, 1L); /* to on_talk, and nowhere else */
    curl_easy_setopt(curl, CURLOPT_DEBUGFUNCTION, on_talk);
    curl_easy_setopt(curl, CURLOPT_DEBUGDATA, call);
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->mail->length);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(curl, CURLOPT_READDATA, call);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_answer);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, call);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, call->said);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)call->server->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
}

/* What was refused will be refused again; anything else may pass. */
static enum http_failure kind_of(CURLcode code, const char *refusal)
{
    static const CURLcode final_codes[] = {CURLE_PEER_FAILED_VERIFICATION,
                                           CURLE_SSL_CACERT_BADFILE,
                                           CURLE_USE_SSL_FAILED,
                                           CURLE_URL_MALFORMAT,
                                           CURLE_SSL_CIPHER,
                                           CURLE_NOT_BUILT_IN};
    for (gsize i = 0; i < G_N_ELEMENTS(final_codes); i++)
        if (code == final_codes[i])
            return HTTP_FINAL;
    return *refusal == '5' ? HTTP_FINAL : HTTP_TRANSIENT;
}

/* One receiver that was put off is worth another try, whatever was said of the others. */
static gboolean is_one_put_off(const struct call *call)
{
    for (guint i = 0; i < call->outcome->refusals->len; i++)
        if (!((const struct smtp_refusal *)call->outcome->refusals->pdata[i])->final)
            return TRUE;
    return FALSE;
}

static gboolean fail(struct call *call, CURLcode code, GError **error)
{
    g_autofree char *valid = g_utf8_make_valid(g_strchomp(call->refusal->str), -1);
    g_autofree char *refusal = secrets_clean(valid);
    const char *host = call->place.host, *port = port_of(&call->place);
    call->outcome->failure = is_one_put_off(call) ? HTTP_TRANSIENT : kind_of(code, refusal);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return interrupt_check(error);
    if (code == CURLE_USE_SSL_FAILED)
        return ot_fail(error, OT_FAILED, "the mail server %s:%s offers no STARTTLS", host, port);
    if (code == CURLE_LOGIN_DENIED)
        return ot_fail(error, OT_FAILED, "the mail server %s:%s refuses the login: %s", host, port,
                       *refusal ? refusal : "it knows no way to log in that we know");
    const char *said = *call->said ? call->said : curl_easy_strerror(code);
    if (call->asking) /* the connection ended with the receiver's name */
        g_ptr_array_add(call->outcome->refusals, smtp_refusal_new(call->mail->to[call->asked - 1], said, FALSE));
    return ot_fail(error, OT_FAILED, "the mail server %s:%s did not take the mail: %s", host, port,
                   *refusal ? refusal : said);
}

static gboolean run(struct call *call, GError **error)
{
    gboolean demanded = FALSE;
    if (!choose_tls(call, &demanded, error))
        return FALSE;
    g_autoptr(CURL) curl = curl_easy_init();
    if (!curl)
        g_error("libcurl: out of memory");
    const struct place *p = &call->place;
    g_autofree char *url = g_strdup_printf("%s://%s:%s", p->scheme, p->host, port_of(p));
    g_autoptr(curl_slist) to = NULL;
    for (const char *const *each = call->mail->to; *each; each++)
        to = curl_slist_append(to, *each);
    set_server(curl, call, url, demanded);
    set_mail(curl, call, to);
    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK)
        return fail(call, code, error);
    if (call->sent < call->mail->length)
        return ot_fail(error, OT_FAILED, "the mail server %s:%s took a part of the mail only", p->host, port_of(p));
    call->outcome->failure = HTTP_NONE;
    return TRUE;
}

gboolean smtp_send(const struct smtp_server *server, const struct smtp_mail *mail, struct smtp_outcome *ret,
                   GError **error)
{
    *ret = (struct smtp_outcome){.failure = HTTP_FINAL, .refusals = smtp_refusals_new()};
    struct call call = {.server = server,
                        .mail = mail,
                        .refusal = g_string_new(NULL),
                        .outcome = ret,
                        .despite_interrupt = interrupt_signal() != 0};
    gboolean ok = check_addresses(mail, error) && read_url(server->url, &call.place, error) && run(&call, error);
    place_clear(&call.place);
    g_string_free(call.refusal, TRUE);
    return ok;
}
