/* Keys out of answers: JSON as metadata services and programs give it, XML as STS does. It asks nobody. */
#include "store/aws_keys.h"

#include <jansson.h>
#include <libxml/parser.h>
#include <string.h>

#include "base/files.h"

#define TOKEN_MAX 20000 /* STS takes no longer web identity token; session tokens are far shorter */
#define TIDY_MAX 400

void aws_secret_free(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    g_free(text);
}

void aws_response_clear(struct http_response *r)
{
    if (r->body && r->body->len)
        explicit_bzero(r->body->data, r->body->len);
    http_response_clear(r);
}

gboolean aws_is_token(const char *text)
{
    gsize length = 0;
    for (; text[length]; length++)
        if (!g_ascii_isgraph(text[length]) || length == TOKEN_MAX)
            return FALSE;
    return length > 0;
}

char *aws_secret_from_file(const char *path, GError **error)
{
    g_autoptr(aws_secret) text = NULL;
    gsize length = 0;
    g_autoptr(GError) problem = NULL;
    if (!files_read(path, AWS_MAX_BYTES, &text, &length, &problem))
        ot_fail(error, OT_PREREQUISITE, "%s", problem->message);
    else if (length == 0 || strlen(text) != length)
        ot_fail(error, OT_PREREQUISITE, "%s is empty, or not a text file", path);
    else
        return g_strstrip(g_steal_pointer(&text));
    return NULL;
}

char *aws_tidy(const char *text)
{
    char *tidy = g_utf8_make_valid(text, -1);
    for (char *p = tidy; *p; p++)
        if (g_ascii_iscntrl(*p))
            *p = ' ';
    if (strlen(tidy) > TIDY_MAX)
        *g_utf8_find_prev_char(tidy, tidy + TIDY_MAX) = '\0';
    return g_strstrip(tidy);
}

static gboolean read_time(const char *text, gint64 *ret_seconds)
{
    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    g_autoptr(GDateTime) when = g_date_time_new_from_iso8601(text, utc);
    if (when)
        *ret_seconds = g_date_time_to_unix(when);
    return when != NULL;
}

/* Why these are no keys; NULL if they are. They go into headers: a line break would begin another one. */
static const char *fault_of_keys(const char *access_key, const char *secret_key, const char *session_token)
{
    if (!aws_is_set(access_key))
        return "there is no access key";
    if (!aws_is_set(secret_key))
        return "there is no secret key";
    if (!aws_is_token(access_key))
        return "the access key is not one word of ASCII";
    if (!aws_is_token(secret_key))
        return "the secret key is not one word of ASCII";
    if (aws_is_set(session_token) && !aws_is_token(session_token))
        return "the session token is not one word of ASCII";
    return NULL;
}

struct credentials *aws_keys_new(const char *access_key, const char *secret_key, const char *session_token,
                                 const char *expiration, const char *origin, GError **error)
{
    gint64 expires_at = 0;
    const char *fault = fault_of_keys(access_key, secret_key, session_token);
    if (!fault && aws_is_set(expiration) && !read_time(expiration, &expires_at))
        fault = "the time at which they expire is not in ISO 8601";
    if (fault) {
        ot_fail(error, OT_PREREQUISITE, "%s", fault);
        return NULL;
    }
    struct credentials *c = g_new0(struct credentials, 1);
    c->access_key = g_strdup(access_key);
    c->secret_key = g_strdup(secret_key);
    c->session_token = aws_is_set(session_token) ? g_strdup(session_token) : NULL;
    c->expires_at = expires_at;
    c->source = g_strdup(origin);
    return c;
}

struct credentials *aws_environment_credentials(struct aws_context *ctx, GError **error)
{
    const struct credentials_config *config = ctx->config;
    gboolean access_key = aws_is_set(config->access_key), secret_key = aws_is_set(config->secret_key);
    if (access_key && secret_key)
        return aws_keys_new(config->access_key, config->secret_key, config->session_token, NULL, "environment", error);
    if (!access_key && !secret_key)
        ot_fail(error, OT_NOT_FOUND, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set");
    else
        ot_fail(error, OT_PREREQUISITE, "%s is set, but %s is not",
                access_key ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                access_key ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
    return NULL;
}

struct credentials *aws_keys_copy(const struct credentials *c)
{
    struct credentials *copy = g_memdup2(c, sizeof *c);
    copy->access_key = g_strdup(c->access_key);
    copy->secret_key = g_strdup(c->secret_key);
    copy->session_token = g_strdup(c->session_token);
    copy->source = g_strdup(c->source);
    return copy;
}

static const char *member(json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static void wipe_json(json_t *object)
{
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(object, name, value)
    {
        if (json_is_string(value))
            explicit_bzero((char *)json_string_value(value), json_string_length(value));
    }
    json_decref(object);
}

static struct credentials *keys_from_object(json_t *object, const char *token_name, const char *origin, GError **error)
{
    const char *code = member(object, "Code");
    if (code && strcmp(code, "Success") != 0) {
        g_autofree char *tidy_code = aws_tidy(code);
        g_autofree char *message = aws_tidy(member(object, "Message") ? member(object, "Message") : "no more is said");
        ot_fail(error, OT_PREREQUISITE, "%s: %s", tidy_code, message);
        return NULL;
    }
    json_t *version = json_object_get(object, "Version");
    if (version && json_integer_value(version) != 1) {
        ot_fail(error, OT_PREREQUISITE, "the answer's Version is not 1");
        return NULL;
    }
    return aws_keys_new(member(object, "AccessKeyId"), member(object, "SecretAccessKey"), member(object, token_name),
                        member(object, "Expiration"), origin, error);
}

struct credentials *aws_keys_from_json(const char *text, gsize length, const char *token_name, const char *origin,
                                       GError **error)
{
    /* What jansson says of an error quotes the text around it: a secret, for all we know. */
    json_t *root = json_loadb(text, length, 0, NULL);
    struct credentials *c = NULL;
    if (json_is_object(root))
        c = keys_from_object(root, token_name, origin, error);
    else
        ot_fail(error, OT_PREREQUISITE, "the answer is not a JSON object");
    wipe_json(root);
    return c;
}

/* The first element of that name, wherever it stands: the wrappers around it are named after the action. */
static xmlNode *find_element(xmlNode *node, const char *name)
{
    for (; node; node = node->next) {
        if (node->type != XML_ELEMENT_NODE)
            continue;
        xmlNode *found = strcmp((const char *)node->name, name) == 0 ? node : find_element(node->children, name);
        if (found)
            return found;
    }
    return NULL;
}

/* The text of a child; NULL if it is not there. aws_secret_free. */
static char *child_text(xmlNode *node, const char *name)
{
    xmlNode *child = node ? find_element(node->children, name) : NULL;
    xmlChar *content = child ? xmlNodeGetContent(child) : NULL;
    if (!content)
        return NULL;
    char *copy = g_strstrip(g_strdup((const char *)content));
    explicit_bzero(content, strlen((const char *)content));
    xmlFree(content);
    return copy;
}

static void wipe_xml(xmlNode *node)
{
    for (; node; node = node->next) {
        if (node->type == XML_TEXT_NODE && node->content)
            explicit_bzero(node->content, strlen((const char *)node->content));
        else if (node->type == XML_ELEMENT_NODE)
            wipe_xml(node->children);
    }
}

/* NULL if it is no XML, or brings declarations of its own: STS never sends any, and entities come from there. */
static xmlDoc *read_xml(const char *text, gsize length)
{
    if (length == 0 || length > AWS_MAX_BYTES)
        return NULL;
    xmlDoc *doc = xmlReadMemory(text, (int)length, "sts.xml", NULL,
                                XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA);
    if (!doc || !doc->intSubset)
        return doc;
    xmlFreeDoc(doc);
    return NULL;
}

static struct credentials *keys_from_element(xmlNode *node, const char *origin, GError **error)
{
    g_autoptr(aws_secret) access_key = child_text(node, "AccessKeyId");
    g_autoptr(aws_secret) secret_key = child_text(node, "SecretAccessKey");
    g_autoptr(aws_secret) session_token = child_text(node, "SessionToken");
    g_autofree char *expiration = child_text(node, "Expiration");
    return aws_keys_new(access_key, secret_key, session_token, expiration, origin, error);
}

struct credentials *aws_keys_from_xml(const char *text, gsize length, const char *origin, GError **error)
{
    xmlDoc *doc = read_xml(text, length);
    xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    xmlNode *keys = find_element(root, "Credentials");
    struct credentials *c = NULL;
    if (keys)
        c = keys_from_element(keys, origin, error);
    else
        ot_fail(error, OT_PREREQUISITE, "the answer holds no credentials");
    wipe_xml(root);
    xmlFreeDoc(doc);
    return c;
}

char *aws_problem_from_xml(const char *text, gsize length)
{
    xmlDoc *doc = read_xml(text, length);
    xmlNode *problem = find_element(doc ? xmlDocGetRootElement(doc) : NULL, "Error");
    g_autofree char *code = child_text(problem, "Code");
    g_autofree char *message = child_text(problem, "Message");
    xmlFreeDoc(doc);
    if (!code)
        return NULL;
    g_autofree char *both = message ? g_strdup_printf("%s: %s", code, message) : g_strdup(code);
    return aws_tidy(both);
}
