/* Tests of what is taken out of texts: by what a secret is made of, and by where it stands. */
#include "base/secrets.h"

#include <string.h>

static const struct {
    const char *secret;
    enum secret_kind kind;
} kinds[] = {
    {"", SECRET_WORD},
    {"password", SECRET_WORD},
    {"Wrong", SECRET_WORD},
    {"PostgreSQL", SECRET_WORD},
    {"pre-backup", SECRET_WORD},
    {"correct horse battery staple", SECRET_TELLING},
    {"pg_dump", SECRET_WORD},
    {"/var/backups/opstower", SECRET_TELLING},
    {"123456", SECRET_WORD},
    {"2026-02", SECRET_WORD},
    {"a1!", SECRET_WORD},
    {"***", SECRET_WORD},
    {"w\xc3\xb6rter", SECRET_WORD},
    {"p@ss", SECRET_TELLING},
    {"hunter2", SECRET_TELLING},
    {"2026-02-07T12", SECRET_STRONG},
    {"2026-02-07 12:00", SECRET_TELLING},
    {"************", SECRET_TELLING},
    {"hunter22", SECRET_STRONG},
    {"pass@word", SECRET_STRONG},
    {"abcdefghijklmnopqrstuvwxyz", SECRET_STRONG},
    {"1234567890123456", SECRET_STRONG},
    {"/services/T000/B000/abcd", SECRET_STRONG},
};

static void test_kinds(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_test_message("%s", kinds[i].secret);
        g_assert_cmpint(secrets_kind(kinds[i].secret), ==, kinds[i].kind);
    }
}

static const struct {
    const char *secrets, *text, *expected; /* secrets: with | between */
} cleanings[] = {
    {NULL, "", ""},
    {"password", "FATAL: password authentication failed", "FATAL: password authentication failed"},
    {"hunter2", "it is hunter2, not hunter", "it is ***, not hunter"},
    {"abc1|abc123", "abc123 abc1", "*** ***"},
    {"word", "at postgresql://u:word@h/d", "at postgresql://u:***@h/d"},
    {"word", "at postgresql://word:word@word/word", "at postgresql://word:***@word/word"},
    {NULL, "at https://u:foreign@h/x and smtp://u:p@h", "at https://u:***@h/x and smtp://u:***@h"},
    {NULL, "at http://h:80/a@b, http://u@h", "at http://h:80/a@b, http://u@h"},
    {NULL, "http://:@h", "http://:@h"},
    {"word", "host=h password=word user=u", "host=h password=*** user=u"},
    {"a b", "password='a b' user=u", "password=*** user=u"},
    {"word", "PGPASSWORD=word; x", "PGPASSWORD=***; x"},
    {"word", "?user=u&password=word&x=y", "?user=u&password=***&x=y"},
    {NULL, "password= user=u", "password= user=u"},
    {NULL, "password='open", "password=***"},
};

static void test_clean(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cleanings); i++) {
        g_auto(GStrv) words = g_strsplit(cleanings[i].secrets ? cleanings[i].secrets : "", "|", -1);
        g_autoptr(GPtrArray) secrets = g_ptr_array_new();
        for (char **word = words; *word; word++)
            g_ptr_array_add(secrets, *word);
        secrets_set(secrets);
        g_autofree char *clean = secrets_clean(cleanings[i].text);
        g_assert_cmpstr(clean, ==, cleanings[i].expected);
        g_autofree char *twice = secrets_clean(clean);
        g_assert_cmpstr(twice, ==, clean);
    }
}

static void test_mask(void)
{
    g_autoptr(GPtrArray) secrets = g_ptr_array_new();
    g_ptr_array_add(secrets, (gpointer) "hunter2");
    g_ptr_array_add(secrets, (gpointer) "hunter2345");
    g_autofree char *strong = secrets_mask("hunter2 hunter2345", secrets, SECRET_STRONG);
    g_assert_cmpstr(strong, ==, "hunter2 ***");
    g_autofree char *telling = secrets_mask("hunter2 hunter2345", secrets, SECRET_TELLING);
    g_assert_cmpstr(telling, ==, "*** ***");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/secrets/kinds", test_kinds);
    g_test_add_func("/secrets/clean", test_clean);
    g_test_add_func("/secrets/mask", test_mask);
    return g_test_run();
}
