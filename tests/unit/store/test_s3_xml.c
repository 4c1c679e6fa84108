/* S3's XML answers: errors, lists, and what is none of them. */
#include "store/s3_xml.h"

#include <string.h>

static const struct {
    const char *name, *text, *code, *message; /* code NULL: it is no error document */
} answers[] = {
    {"denied", "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>No &amp; no</Message></Error>",
     "AccessDenied", "No & no"},
    {"no_message", "<Error><Code>NoSuchKey</Code></Error>", "NoSuchKey", NULL},
    {"namespace", "<Error xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Code>SlowDown</Code></Error>", "SlowDown",
     NULL},
    {"result", "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>", NULL, NULL},
    {"inner_error", "<Result><Error><Code>AccessDenied</Code></Error></Result>", NULL, NULL},
    {"cut", "<Error><Code>AccessDenied</Co", NULL, NULL},
    {"html", "<html><body>502 Bad Gateway</body>", NULL, NULL},
    {"empty", "", NULL, NULL},
    {"entity", "<!DOCTYPE e [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><Error><Code>&x;</Code></Error>", NULL, NULL},
    {"nested_entities",
     "<?xml version=\"1.0\"?><!DOCTYPE e [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]>"
     "<Error><Code>&b;</Code></Error>",
     NULL, NULL},
    {"attribute_default",
     "<!DOCTYPE Error [<!ENTITY a \"aa\"><!ATTLIST Error x CDATA \"&a;\">]><Error><Code>AccessDenied</Code></Error>", NULL,
     NULL},
    {"empty_doctype", "<!DOCTYPE Error><Error><Code>AccessDenied</Code></Error>", NULL, NULL},
};

static void test_error(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    g_autofree char *code = NULL, *message = NULL, *region = NULL;
    gboolean found = s3_xml_error(answers[i].text, strlen(answers[i].text), &code, &message, &region);
    g_assert_cmpint(found, ==, answers[i].code != NULL);
    if (!found)
        return;
    g_assert_cmpstr(code, ==, answers[i].code);
    g_assert_cmpstr(message, ==, answers[i].message);
    g_assert_null(region);
}

static void test_read(void)
{
    const char *text = "<List><Key>a</Key><Key>b</Key><Empty/></List>";
    g_autoptr(GError) error = NULL;
    xmlDoc *doc = s3_xml_read(text, strlen(text), "List", &error);
    g_assert_no_error(error);
    const xmlNode *root = xmlDocGetRootElement(doc);
    g_autofree char *first = s3_xml_text(root, "Key"), *empty = s3_xml_text(root, "Empty");
    g_assert_cmpstr(first, ==, "a");
    g_assert_cmpstr(empty, ==, "");
    g_assert_null(s3_xml_text(root, "Other"));
    g_assert_null(s3_xml_text(NULL, "Key"));
    xmlFreeDoc(doc);
    g_assert_null(s3_xml_read(text, strlen(text), "OtherList", &error));
    g_assert_error(error, OT_ERROR, OT_S3);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(answers); i++) {
        g_autofree char *path = g_strconcat("/s3_xml/error/", answers[i].name, NULL);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_error);
    }
    g_test_add_func("/s3_xml/read", test_read);
    return g_test_run();
}
