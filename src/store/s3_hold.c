/* Tags are read, changed and written again: S3 knows no smaller step. */
#include "store/s3_hold.h"

#include <string.h>

#include "store/bucket.h"
#include "store/s3_objects.h"
#include "store/s3_optional.h"
#include "store/s3_xml.h"

#define MAX_TAGS_BYTES (64u << 10)

static xmlDoc *get_tags(struct s3 *s, const char *key, GError **error)
{
    struct http_response r = {0};
    struct s3_request request = {
        .method = "GET",
        .key = key,
        .query = (char *[]){(char *)"tagging", (char *)"", NULL},
        .max_answer_bytes = MAX_TAGS_BYTES,
    };
    struct s3_failure failure = {0};
    if (!s3_send(s, &request, &r, &failure, error)) {
        if (s3_is_not_implemented(&failure))
            s3_learn_missing(s, S3_TAGS);
        return NULL;
    }
    xmlDoc *doc = s3_xml_read(r.body->data, r.body->len, "Tagging", error);
    http_response_clear(&r);
    return doc;
}

GPtrArray *s3_tags(struct s3 *s, const char *key, const char *except, GError **error)
{
    xmlDoc *doc = get_tags(s, key, error);
    if (!doc)
        return NULL;
    GPtrArray *tags = g_ptr_array_new_with_free_func(g_free);
    const xmlNode *set = s3_xml_child(xmlDocGetRootElement(doc), "TagSet");
    for (const xmlNode *tag = set ? set->children : NULL; tag; tag = tag->next) {
        g_autofree char *name = s3_xml_text(tag, "Key"), *value = s3_xml_text(tag, "Value");
        if (!name || g_strcmp0(name, except) == 0)
            continue;
        g_ptr_array_add(tags, g_steal_pointer(&name));
        g_ptr_array_add(tags, value ? g_steal_pointer(&value) : g_strdup(""));
    }
    xmlFreeDoc(doc);
    return tags;
}

gboolean s3_set_tag(struct s3 *s, const char *key, const char *name, const char *value, GError **error)
{
    GError *problem = NULL;
    if (s3_missing(s) & S3_TAGS)
        return TRUE;
    g_autoptr(GPtrArray) tags = s3_tags(s, key, name, &problem);
    if (!tags && s3_missing(s) & S3_TAGS) {
        g_error_free(problem);
        return TRUE;
    }
    if (!tags) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_ptr_array_add(tags, g_strdup(name));
    g_ptr_array_add(tags, g_strdup(value));
    g_ptr_array_add(tags, NULL);
    return s3_put_tags(s, key, (char **)tags->pdata, error);
}

/* Whether the bucket says that it has no Object Lock; an answer that we may not have is no such word. */
static gboolean has_no_lock(struct s3 *s)
{
    struct s3_failure failure = {0};
    xmlDoc *doc = bucket_get(s, "object-lock", "ObjectLockConfiguration", &failure, NULL);
    xmlFreeDoc(doc);
    return g_str_equal(failure.code, "ObjectLockConfigurationNotFoundError") || failure.status == 501;
}

gboolean s3_set_legal_hold(struct s3 *s, const char *key, gboolean on, gboolean *ret_known, GError **error)
{
    g_autofree char *xml =
        g_strdup_printf("<LegalHold xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>%s</Status></LegalHold>",
                        on ? "ON" : "OFF");
    struct http_response r = {0};
    struct s3_failure failure = {0};
    GError *problem = NULL;
    struct s3_request request = {
        .method = "PUT",
        .key = key,
        .query = (char *[]){(char *)"legal-hold", (char *)"", NULL},
        .body = xml,
        .body_length = strlen(xml),
        .checksum = TRUE,
    };
    *ret_known = s3_send(s, &request, &r, &failure, &problem);
    http_response_clear(&r);
    if (*ret_known)
        return TRUE;
    /* Servers refuse it in several ways where there is no Object Lock, a missing permission among them. */
    gboolean refused = failure.status >= 400 && failure.status != 404 && has_no_lock(s);
    if (refused)
        g_error_free(problem);
    else
        g_propagate_error(error, problem);
    return refused;
}
