/*
 * Tests of the .env parser: a table of texts and what they must become, a table of bad ones, and files.
 */
#include "base/error.h"
#include "config/dotenv.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* EXPECTED: "LINE KEY=[VALUE]" per entry, each followed by a newline. */
static const struct {
    const char *name, *text, *expected;
} good[] = {
    {"empty", "", ""},
    {"blank_lines", "\n \n\t\n", ""},
    {"plain", "A=b\n", "1 A=[b]\n"},
    {"no_last_newline", "A=b", "1 A=[b]\n"},
    {"key_signs", "_a.b-C9=x", "1 _a.b-C9=[x]\n"},
    {"blanks", "  A \t= \t b c \t\n", "1 A=[b c]\n"},
    {"empty_value", "A=\nB= \nC=''\nD=\"\"", "1 A=[]\n2 B=[]\n3 C=[]\n4 D=[]\n"},
    {"equals_in_value", "A=b=c==", "1 A=[b=c==]\n"},
    {"export", "export A=b\n\texport \t B = c\n", "1 A=[b]\n2 B=[c]\n"},
    {"key_is_export", "export=1", "1 export=[1]\n"},
    {"key_is_export_with_blanks", "export = 1", "1 export=[1]\n"},
    {"key_begins_with_export", "exported=1", "1 exported=[1]\n"},
    {"comments", "# A=1\n  # B=2\nC=3 # note\nD=4\t#note", "3 C=[3]\n4 D=[4]\n"},
    {"hash_inside", "A=b#c\nB=#c\nC= # note\nD=#", "1 A=[b#c]\n2 B=[#c]\n3 C=[]\n4 D=[#]\n"},
    {"comment_at_end_of_file", "A=1\n#", "1 A=[1]\n"},
    {"quotes_in_bare", "A=it's\nB=a\"b\"", "1 A=[it's]\n2 B=[a\"b\"]\n"},
    {"backslash_in_bare", "A=a\\nb", "1 A=[a\\nb]\n"},
    {"single", "A=' b # \\n \"$C\" '", "1 A=[ b # \\n \"$C\" ]\n"},
    {"double", "A=\" b # 'c' \"", "1 A=[ b # 'c' ]\n"},
    {"escapes", "A=\"1\\n2\\r3\\t4\\\\5\\\"6\\$7\"", "1 A=[1\n2\r3\t4\\5\"6$7]\n"},
    {"unknown_escape", "A=\"a\\xb\\'\"", "1 A=[a\\xb\\']\n"},
    {"backslash_before_closing", "A=\"a\\\\\"\nB=2", "1 A=[a\\]\n2 B=[2]\n"},
    {"variables", "A=1\nB=${A}$A\nC=\"<${A}>\"\nD='${A}'", "1 A=[1]\n2 B=[1$A]\n3 C=[<1>]\n4 D=[${A}]\n"},
    {"variable_escaped", "A=1\nB=\"\\${A}\"", "1 A=[1]\n2 B=[${A}]\n"},
    {"variable_of_environment", "HOST=file\nA=${HOST}:${ONLY}", "1 HOST=[file]\n2 A=[env:there]\n"},
    {"variable_empty_in_environment", "EMPTY=file\nA=x${EMPTY}", "1 EMPTY=[file]\n2 A=[xfile]\n"},
    {"variable_is_not_read_again", "A='${B} # \"'\nC=${A}\nD=\"${A}\"", "1 A=[${B} # \"]\n2 C=[${B} # \"]\n3 D=[${B} # \"]\n"},
    {"variable_default", "E=\nA=${N:-x y}\nB=${N-z}\nC=${E:-e}\nD=[${E-e}]\nF=\"${N:-}\"",
     "1 E=[]\n2 A=[x y]\n3 B=[z]\n4 C=[e]\n5 D=[[]]\n6 F=[]\n"},
    {"variable_and_blanks", "A= ${ONLY} \nB=${E:- x } # c", "1 A=[there]\n2 B=[ x ]\n"},
    {"variable_of_itself", "A=1\nA=${A}2", "2 A=[12]\n"},
    {"dollars", "A=a$b$$c$\nB=\"$x $1\"", "1 A=[a$b$$c$]\n2 B=[$x $1]\n"},
    {"after_quote", "A='b' # c\nB=\"b\"\t\nC='d'", "1 A=[b]\n2 B=[b]\n3 C=[d]\n"},
    {"multi_line_double", "A=\"1\n2\n\"\nB=x", "1 A=[1\n2\n]\n4 B=[x]\n"},
    {"multi_line_single", "A='1\n#2\nB=3'\nC=x", "1 A=[1\n#2\nB=3]\n4 C=[x]\n"},
    {"crlf", "A=b\r\n\r\nB='c'\r\nC=\"d\re\r\nf\"\r\n", "1 A=[b]\n3 B=[c]\n4 C=[d\ne\nf]\n"},
    {"bom",
     "\xef\xbb\xbf"
     "A=b",
     "1 A=[b]\n"},
    {"only_bom", "\xef\xbb\xbf", ""},
    {"duplicate", "A=1\nB=2\nA=3\n", "3 A=[3]\n2 B=[2]\n"},
    {"keys_have_case", "a=1\nA=2", "1 a=[1]\n2 A=[2]\n"},
    {"bytes_over_127", "A=p\xc3\xa4ss\xff", "1 A=[p\xc3\xa4ss\xff]\n"},
};

static char *environment[] = {(char *)"HOST=env", (char *)"ONLY=there", (char *)"EMPTY=", NULL};

static void test_good(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) entries = dotenv_parse(good[i].text, strlen(good[i].text), "f", environment, &error);
    g_assert_no_error(error);
    g_autoptr(GString) got = g_string_new(NULL);
    for (guint k = 0; k < entries->len; k++) {
        const struct dotenv_entry *entry = entries->pdata[k];
        g_string_append_printf(got, "%u %s=[%s]\n", entry->line, entry->key, entry->value);
    }
    g_assert_cmpstr(got->str, ==, good[i].expected);
}

static const struct {
    const char *name, *text, *message;
} bad[] = {
    {"variable_not_set", "\nA=pa${hunter2}", "f:2: a ${...} names a variable that is not set; a value with ${ in it stands in single quotes"},
    {"variable_not_set_in_quotes", "A=\"\n${hunter2}\"", "f:2: a ${...} names a variable that is not set; a value with ${ in it stands in single quotes"},
    {"variable_later", "A=${B}\nB=1", "f:1: a ${...} names a variable that is not set; a value with ${ in it stands in single quotes"},
    {"variable_open", "A=hunter2${A", "f:1: a ${...} is not the name of a variable; a value with ${ in it stands in single quotes"},
    {"variable_empty", "A=${}", "f:1: a ${...} is not the name of a variable; a value with ${ in it stands in single quotes"},
    {"variable_digit", "A=${1}", "f:1: a ${...} is not the name of a variable; a value with ${ in it stands in single quotes"},
    {"variable_sign", "A=${A!}", "f:1: a ${...} is not the name of a variable; a value with ${ in it stands in single quotes"},
    {"variable_length", "A=${#A}", "f:1: a ${...} is not the name of a variable; a value with ${ in it stands in single quotes"},
    {"variable_demanded", "A=${HOST:?hunter2}", "f:1: a ${...} is not the name of a variable; a value with ${ in it stands in single quotes"},
    {"variable_blank", "A=${ HOST}", "f:1: a ${...} is not the name of a variable; a value with ${ in it stands in single quotes"},
    {"variable_line_end", "A=${HOST\n}", "f:1: a ${...} is not the name of a variable; a value with ${ in it stands in single quotes"},
    {"no_equals", "A=1\nhunter2\n", "f:2: KEY=VALUE is wanted here"},
    {"export_alone", "export A", "f:1: KEY=VALUE is wanted here"},
    {"no_key", "=hunter2", "f:1: KEY=VALUE is wanted here"},
    {"digit_first", "1A=b", "f:1: KEY=VALUE is wanted here"},
    {"two_words", "A B=c", "f:1: KEY=VALUE is wanted here"},
    {"bad_sign", "A$B=c", "f:1: KEY=VALUE is wanted here"},
    {"umlaut", "\xc3\xa4=c", "f:1: KEY=VALUE is wanted here"},
    {"after_multi_line", "A='1\n2\n'\nhunter2", "f:4: KEY=VALUE is wanted here"},
    {"crlf_counts_once", "A=1\r\n\r\nhunter2", "f:3: KEY=VALUE is wanted here"},
    {"open_single", "\nA='hunter2\nB=1\n", "f:2: the quote that begins here is never closed"},
    {"open_double", "A=\"hunter2\\\"", "f:1: the quote that begins here is never closed"},
    {"open_at_end", "A=\"", "f:1: the quote that begins here is never closed"},
    {"backslash_at_end", "A=\"\\", "f:1: the quote that begins here is never closed"},
    {"text_after_quote", "A='hunter'2", "f:1: there is text after the closing quote"},
    {"word_after_quote", "A=\"hunter\n\" 2", "f:2: there is text after the closing quote"},
    {"hash_after_quote", "A='hunter2'#x", "f:1: there is text after the closing quote"},
};

static void test_bad(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) entries = dotenv_parse(bad[i].text, strlen(bad[i].text), "f", environment, &error);
    g_assert_error(error, OT_ERROR, OT_USAGE);
    g_assert_null(entries);
    g_assert_cmpstr(error->message, ==, bad[i].message);
}

static void test_nul(void)
{
    static const char text[] = "A=1\r\nB='2\n3'\nC=x\0y\n";
    g_autoptr(GError) error = NULL;
    g_assert_null(dotenv_parse(text, sizeof text - 1, "f", environment, &error));
    g_assert_error(error, OT_ERROR, OT_USAGE);
    g_assert_cmpstr(error->message, ==, "f:4: a NUL byte; this is not a text file");
}

/* The text need not end with NUL: what stands behind LENGTH is not looked at. */
static void test_length(void)
{
    static const char text[] = {'A', '=', '1', '2', '3'};
    g_autofree char *exact = g_memdup2(text, sizeof text);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) entries = dotenv_parse(exact, sizeof text, "f", environment, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(((struct dotenv_entry *)entries->pdata[0])->value, ==, "123");
    g_autoptr(GPtrArray) none = dotenv_parse(NULL, 0, "f", environment, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(none->len, ==, 0);
}

/* Every cut of a text either parses or is an error, and under ASan never reads past the end. */
static void test_every_cut(void)
{
    static const char text[] = "\xef\xbb\xbf# c\r\nexport A = \"x\\n\\\"y\n\\\" # z\" # c\r\nB='1\n2'\nC=d # e\n";
    for (gsize length = 0; length < sizeof text; length++) {
        g_autofree char *cut = g_memdup2(text, length ? length : 1);
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) entries = dotenv_parse(cut, length, "f", environment, &error);
        g_assert_true((entries == NULL) == (error != NULL));
    }
}

static void test_size_limit(void)
{
    g_autofree char *text = g_strnfill(DOTENV_MAX_BYTES + 1, '\n');
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) entries = dotenv_parse(text, DOTENV_MAX_BYTES, "f", environment, &error);
    g_assert_no_error(error);
    g_assert_null(dotenv_parse(text, DOTENV_MAX_BYTES + 1, "f", environment, &error));
    g_assert_error(error, OT_ERROR, OT_USAGE);
}

/* The largest number of keys that fits must not take minutes. */
static void test_many_keys(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (int i = 0; text->len + 16 < DOTENV_MAX_BYTES; i++)
        g_string_append_printf(text, "K%d=\n", i);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) entries = dotenv_parse(text->str, text->len, "f", environment, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(entries->len, >, 100000);
}

static void expect_load_error(const char *path, int code)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(dotenv_load(path, FILE_NAMED, NULL, NULL, &error));
    g_assert_error(error, OT_ERROR, code);
    g_assert_nonnull(strstr(error->message, path));
}

static void test_load(void)
{
    g_autofree char *folder = g_dir_make_tmp("dotenv-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "x.env", NULL);
    g_autofree char *below = g_build_filename(path, "y", NULL);
    expect_load_error(path, OT_NOT_FOUND);
    expect_load_error(folder, OT_NOT_FOUND);
    g_assert_true(g_file_set_contents(path, "\nA=1\n", -1, NULL));
    expect_load_error(below, OT_NOT_FOUND);
    g_assert_cmpint(g_chmod(path, 0640), ==, 0);
    g_autoptr(GError) error = NULL;
    struct dotenv_notes notes = {0};
    g_autoptr(GPtrArray) entries = dotenv_load(path, FILE_NAMED, NULL, &notes, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(entries->len, ==, 1);
    g_assert_true(notes.shared && !notes.warning);
    g_assert_true(g_file_set_contents(path, "A=1\nB", -1, NULL));
    expect_load_error(path, OT_USAGE);
    g_remove(path);
    g_rmdir(folder);
}

/* /dev/zero is endless: reading must stop at the limit by itself. */
static void test_load_endless(void)
{
    expect_load_error("/dev/zero", OT_USAGE);
}

/* Opens, but cannot be read from its beginning: address 0 is mapped nowhere. */
static void test_load_unreadable(void)
{
    expect_load_error("/proc/self/mem", OT_IO);
}

/* `--env-file <(vault ...)` hands us a pipe. */
static void test_load_pipe(void)
{
    int ends[2];
    g_assert_cmpint(pipe(ends), ==, 0);
    g_assert_cmpint(write(ends[1], "A=1\nB=2\n", 8), ==, 8);
    close(ends[1]);
    g_autofree char *path = g_strdup_printf("/dev/fd/%d", ends[0]);
    g_autoptr(GError) error = NULL;
    struct dotenv_notes notes = {0};
    g_autoptr(GPtrArray) entries = dotenv_load(path, FILE_NAMED, NULL, &notes, &error);
    close(ends[0]);
    g_assert_no_error(error);
    g_assert_cmpuint(entries->len, ==, 2);
    g_assert_false(notes.shared || notes.warning);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autofree char *path = g_strconcat("/dotenv/good/", good[i].name, NULL);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_good);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *path = g_strconcat("/dotenv/bad/", bad[i].name, NULL);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_bad);
    }
    g_test_add_func("/dotenv/nul", test_nul);
    g_test_add_func("/dotenv/length", test_length);
    g_test_add_func("/dotenv/every_cut", test_every_cut);
    g_test_add_func("/dotenv/size_limit", test_size_limit);
    g_test_add_func("/dotenv/many_keys", test_many_keys);
    g_test_add_func("/dotenv/load", test_load);
    g_test_add_func("/dotenv/load_endless", test_load_endless);
    g_test_add_func("/dotenv/load_unreadable", test_load_unreadable);
    g_test_add_func("/dotenv/load_pipe", test_load_pipe);
    return g_test_run();
}
