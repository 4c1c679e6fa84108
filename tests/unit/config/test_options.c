/*
 * Tests of the option table itself, and of what is made from it: help and redaction.
 * Where values come from is tested in test_settings.c.
 */
#include "config/option_row.h"

#include <string.h>

static void test_table(void)
{
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
    OPTION_ROWS_EACH (row) {
        const char *name = row->flag ? row->flag : row->env;
        g_assert_nonnull(name);
        g_assert_true(g_hash_table_add(names, (gpointer)name));
        g_assert_true(!row->flag || !row->env || g_hash_table_add(names, (gpointer)row->env));
        g_assert_cmpuint(row->commands, !=, 0);
        gboolean is_switch = row->type == OPTION_ON || row->type == OPTION_OFF;
        g_assert_true(is_switch == (row->arg == NULL));
        g_assert_true(!is_switch || (row->flag && !row->env && !row->standard));
        g_assert_true(row->type != OPTION_LIST || !row->flag || !row->env);
        g_assert_true(row->type != OPTION_NUMBER || row->min < row->max);
        g_assert_true(row->type != OPTION_CHOICE || (row->choices && row->standard));
        g_assert_true((row->type != OPTION_URL && row->type != OPTION_CONNECTION) || row->secret);
        g_assert_true(!row->secret || row->env); /* or there would be no safe way to give it */
        g_assert_true(strlen(name) <= 40);
    }
}

/* ---- help ---- */

static gboolean has_word(char **all, const char *word)
{
    return g_strv_contains((const char *const *)all, word);
}

static void test_help(void)
{
    for (unsigned command = CMD_BACKUP; command <= CMD_SERVE; command <<= 1) {
        g_autofree char *help = options_help(command);
        g_auto(GStrv) lines = g_strsplit(help, "\n", -1);
        g_auto(GStrv) all = g_strsplit_set(help, " \n[]()", -1);
        for (char **line = lines; *line; line++) {
            g_assert_cmpuint(strlen(*line), <=, 100);
            g_assert_false(g_str_has_suffix(*line, " "));
        }
        OPTION_ROWS_EACH (row) {
            g_autofree char *flag = g_strconcat("--", row->flag ? row->flag : "", NULL);
            gboolean ours = (row->commands & command) != 0;
            g_assert_true(!row->flag || has_word(all, flag) == ours);
            g_assert_true(!ours || !row->env || has_word(all, row->env));
            g_assert_true(!ours || !row->standard || has_word(all, row->standard));
        }
    }
}

static void test_help_aligned(void)
{
    g_autofree char *help = options_help(CMD_RESTORE);
    g_auto(GStrv) lines = g_strsplit(help, "\n", -1);
    const char *first = strstr(lines[1], "Read the copy");
    g_assert_nonnull(first);
    gsize column = (gsize)(first - lines[1]);
    for (char **line = lines; *line; line++) {
        if (!g_str_has_prefix(*line, "  "))
            continue;
        g_assert_cmpuint(strlen(*line), >, column);
        g_assert_true((*line)[column] != ' ' && (*line)[column - 1] == ' ');
    }
}

/* ---- redaction ---- */

static const struct {
    const char *name, *password, *url, *text, *expected;
} redactions[] = {
    {"nothing", NULL, NULL, "a b", "a b"},
    {"empty_text", "hunter22", NULL, "", ""},
    {"password", "hunter22", NULL, "x hunter22 yhunter22z", "x *** y***z"},
    {"empty_password", "", NULL, "abc", "abc"},
    {"a_word", "password", NULL, "password authentication failed", "password authentication failed"},
    {"a_word_of_ours", "wrong", NULL, "the wrong word", "the wrong word"},
    {"words", "pre-deployment backup", NULL, "pre-deployment backup", "pre-deployment backup"},
    {"short", "a1!", NULL, "a1! ba1!", "a1! ba1!"},
    {"telling_only", "hunter2", NULL, "x hunter2", "x hunter2"},
    {"number", "12345678", NULL, "12345678 rows", "12345678 rows"},
    {"url", NULL, "postgresql://u:hunter22@h:5432/d", "connecting to postgresql://u:hunter22@h:5432/d: hunter22",
     "connecting to postgresql://u:***@h:5432/d: ***"},
    {"url_encoded", NULL, "postgres://u:p%40ss%2fword@h/d", "p%40ss%2fword p@ss/word p%40ss/word",
     "*** *** p%40ss/word"},
    {"url_no_password", NULL, "postgres://user12345@host/d", "user12345 host postgres://user12345@host/d",
     "user12345 host postgres://user12345@host/d"},
    {"url_empty_password", NULL, "postgres://user:@host/d", "user: host @", "user: host @"},
    {"url_port_only", NULL, "postgres://host:5432/d", "host:5432/d", "host:5432/d"},
    {"url_colon_in_password", NULL, "postgres://u:a:bcd123@h/d", "a:bcd123", "***"},
    {"url_query", NULL, "postgres://h/d?user=u&password=hun%21ter&x=y", "hun%21ter hun!ter y", "*** hun!ter y"},
    {"url_sslpassword", NULL, "postgres://h/d?sslpassword=hunter22", "hunter22", "***"},
    {"name_of_the_user", NULL, "postgres://shop2026:shop2026@h/d", "role shop2026", "role shop2026"},
    {"name_of_the_database", NULL, "postgres://u:shop2026@h/shop2026", "shop2026_20260101", "shop2026_20260101"},
    {"conninfo", NULL, "host=h password=hunter22 user=u", "host=h password=hunter22 user=u",
     "host=h password=*** user=u"},
    {"conninfo_quoted", NULL, "password = 'hunt \\'er\\\\' host=h", "hunt 'er\\ host", "*** host"},
    {"longest_first", "hunter22", "postgres://u:hunter22345@h/d", "hunter22345 hunter22", "*** ***"},
    {"stars_stay", "****", NULL, "**** ***", "**** ***"},
};

static void test_redaction(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    struct settings s = {.database_password = (char *)redactions[i].password,
                         .database_url = (char *)redactions[i].url};
    g_autofree char *got = options_redact(&s, redactions[i].text);
    g_assert_cmpstr(got, ==, redactions[i].expected);
    struct settings other = {.test_url = s.database_url, .database_password = s.database_password};
    g_autofree char *same = options_redact(&other, redactions[i].text);
    g_assert_cmpstr(same, ==, redactions[i].expected);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/options/table", test_table);
    g_test_add_func("/options/help", test_help);
    g_test_add_func("/options/help_aligned", test_help_aligned);
    for (gsize i = 0; i < G_N_ELEMENTS(redactions); i++) {
        g_autofree char *path = g_strconcat("/options/redaction/", redactions[i].name, NULL);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_redaction);
    }
    return g_test_run();
}
