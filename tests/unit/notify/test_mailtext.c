/* The text of mails: headers that nothing from outside can add to, encodings, line lengths; and cutting of texts. */
#include "notify/mailtext.h"

#include <string.h>

#include "notify/post.h"

#define TO ((const char *const[]){"ops@example.org", "second@example.org", NULL})

static struct notify_event event(const char *title, const char *text)
{
    return (struct notify_event){.severity = NOTIFY_WARNING,
                                 .state = NOTIFY_TRIGGER,
                                 .id = "0a1b",
                                 .key = "opstower/db1/app/x",
                                 .title = title,
                                 .text = text,
                                 .when = 1770000000,
                                 .host = "db1",
                                 .database = "app"};
}

static char *mail(const char *title, const char *text)
{
    struct notify_event e = event(title, text);
    return mailtext(&e, "backup@example.org", TO);
}

/* The value of a header, unfolded; NULL if it is not there. */
static char *header(const char *text, const char *name)
{
    g_autofree char *head = g_strndup(text, (gsize)(strstr(text, "\r\n\r\n") - text));
    g_auto(GStrv) parts = g_strsplit(head, "\r\n ", -1);
    g_autofree char *flat = g_strjoinv(" ", parts);
    g_auto(GStrv) lines = g_strsplit(flat, "\r\n", -1);
    for (char **line = lines; *line; line++)
        if (g_str_has_prefix(*line, name) && (*line)[strlen(name)] == ':')
            return g_strdup(*line + strlen(name) + 2);
    return NULL;
}

static void assert_header(const char *text, const char *name, const char *expected)
{
    g_autofree char *value = header(text, name);
    g_assert_cmpstr(value, ==, expected);
}

/* CRLF only, and no line too long. */
static void assert_lines(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\r\n", -1);
    for (char **line = lines; *line; line++) {
        g_assert_null(strpbrk(*line, "\r\n"));
        g_assert_cmpuint(strlen(*line), <=, 998);
    }
    g_assert_true(g_str_has_suffix(text, "\r\n"));
}

static void test_plain(void)
{
    g_autofree char *text = mail("Backup age: 5 h", "What to do.\n.\nsecond");
    g_test_message("%s", text);
    assert_header(text, "From", "<backup@example.org>");
    assert_header(text, "To", "<ops@example.org>, <second@example.org>");
    assert_header(text, "Subject", "[opstower app] WARNING: Backup age: 5 h");
    assert_header(text, "Message-ID", "<0a1b@example.org>");
    assert_header(text, "MIME-Version", "1.0");
    assert_header(text, "Content-Transfer-Encoding", "7bit");
    g_autofree char *date = header(text, "Date");
    g_assert_true(g_regex_match_simple("^(Sun|Mon), [12] Feb 2026 \\d\\d:\\d\\d:\\d\\d [+-]\\d{4}$", date, 0, 0));
    g_assert_nonnull(strstr(text, "\r\n\r\nWARNING: Backup age: 5 h\r\n\r\nWhat to do.\r\n.\r\nsecond\r\n\r\n"));
    g_assert_nonnull(strstr(text, "\r\ndatabase: app\r\nhost: db1\r\ntime: 2026-02-0"));
    assert_lines(text);
}

static void test_header_injection(void)
{
    g_autofree char *text = mail("x\r\nBcc: mallory@example.org\r\n\r\nbody\x01", "");
    assert_header(text, "Bcc", NULL);
    assert_header(text, "Subject", "[opstower app] WARNING: x  Bcc: mallory@example.org    body ");
    assert_lines(text);
}

/* Each encoded word decodes to whole characters. */
static char *decode(const char *subject)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_auto(GStrv) words = g_strsplit(subject, " ", -1);
    for (char **word = words; *word; word++) {
        g_assert_true(g_str_has_prefix(*word, "=?UTF-8?B?") && g_str_has_suffix(*word, "?="));
        g_assert_cmpuint(strlen(*word), <=, 75);
        g_autofree char *base64 = g_strndup(*word + 10, strlen(*word) - 12);
        gsize length;
        g_autofree guchar *bytes = g_base64_decode(base64, &length);
        g_assert_true(g_utf8_validate((char *)bytes, (gssize)length, NULL));
        g_string_append_len(out, (char *)bytes, (gssize)length);
    }
    return g_string_free(g_steal_pointer(&out), FALSE);
}

static void test_other_scripts(void)
{
    const char *title = "grün – \xf0\x9f\x94\xa5 ошибка ошибка ошибка ошибка ошибка ошибка ошибка";
    g_autofree char *text = mail(title, "тело");
    g_autofree char *subject = header(text, "Subject"), *plain = decode(subject);
    g_autofree char *expected = g_strconcat("[opstower app] WARNING: ", title, NULL);
    g_assert_cmpstr(plain, ==, expected);
    assert_header(text, "Content-Transfer-Encoding", "base64");
    for (const char *p = text; *p; p++)
        g_assert_cmpint(*p & 0x80, ==, 0);
    assert_lines(text);
}

static void test_what_looks_encoded_is_encoded(void)
{
    g_autofree char *text = mail("=?UTF-8?Q?x?=", "");
    g_autofree char *subject = header(text, "Subject"), *plain = decode(subject);
    g_assert_cmpstr(plain, ==, "[opstower app] WARNING: =?UTF-8?Q?x?=");
}

static void test_long_lines(void)
{
    g_autofree char *line = g_strnfill(5000, 'x'), *text = mail("t", line);
    assert_header(text, "Content-Transfer-Encoding", "base64");
    assert_lines(text);
    g_autofree char *title = g_strnfill(5000, 'y'), *second = mail(title, "");
    assert_lines(second);
    g_autofree char *subject = header(second, "Subject");
    g_assert_cmpuint(strlen(subject), <, 500);
}

static void test_threads(void)
{
    struct notify_event e = event("a", "");
    g_autofree char *first = mailtext(&e, "backup@example.org", TO);
    e.id = "2c3d";
    e.state = NOTIFY_RESOLVE;
    g_autofree char *second = mailtext(&e, "backup@example.org", TO);
    g_autofree char *one = header(first, "References"), *two = header(second, "References");
    g_assert_cmpstr(one, ==, two);
    assert_header(second, "Subject", "[opstower app] Resolved: a");
    assert_header(second, "Message-ID", "<2c3d@example.org>");
}

static void test_cutting(void)
{
    static const struct {
        const char *text;
        gsize most;
        const char *line, *lines;
    } rows[] = {
        {"short", 10, "short", "short"},
        {"exactly ten", 11, "exactly ten", "exactly ten"},
        {"exactly ten", 10, "exactly...", "exactly..."},
        {"a\nb\tc\r", 10, "a b c ", "a\nb c "},
        {"ääääää", 6, "ääääää", "ääääää"},
        {"ääääääb", 6, "äää...", "äää..."},
        {"", 5, "", ""},
        {"a\xff", 5, "a\xef\xbf\xbd", "a\xef\xbf\xbd"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *line = notify_line(rows[i].text, rows[i].most);
        g_autofree char *lines = notify_text(rows[i].text, rows[i].most);
        g_assert_cmpstr(line, ==, rows[i].line);
        g_assert_cmpstr(lines, ==, rows[i].lines);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mailtext/plain", test_plain);
    g_test_add_func("/mailtext/header injection", test_header_injection);
    g_test_add_func("/mailtext/other scripts", test_other_scripts);
    g_test_add_func("/mailtext/what looks encoded is encoded", test_what_looks_encoded_is_encoded);
    g_test_add_func("/mailtext/long lines", test_long_lines);
    g_test_add_func("/mailtext/threads", test_threads);
    g_test_add_func("/mailtext/cutting", test_cutting);
    return g_test_run();
}
