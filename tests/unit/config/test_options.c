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
        g_assert_true(row->type != OPTION_URL || row->secret);
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
    {"empty_text", "hunter2", NULL, "", ""},
    {"password", "hunter2", NULL, "x hunter2 yhunter2z", "x *** y***z"},
    {"empty_password", "", NULL, "abc", "abc"},
    {"short_words_only", "db", NULL, "db dbname my_db 'db' db1 /db\xc3\xa4 db",
     "*** dbname my_db '***' db1 /db\xc3\xa4 ***"},
    {"three_bytes", "pwd", NULL, "pwds pwd", "pwds ***"},
    {"four_bytes", "pass", NULL, "passwords pass", "***words ***"},
    {"short_with_signs", "a!", NULL, "a! ba! (a!)", "*** ba! (***)"},
    {"url", NULL, "postgresql://u:hunter2@h:5432/d", "connecting to postgresql://u:hunter2@h:5432/d: hunter2",
     "connecting to postgresql://u:***@h:5432/d: ***"},
    {"url_encoded", NULL, "postgres://u:p%40ss%2fword@h/d", "p%40ss%2fword p@ss/word p%40ss/word",
     "*** *** p%40ss/word"},
    {"url_bad_escape", NULL, "postgres://u:100%zz%4@h/d", "100%zz%4", "***"},
    {"url_no_password", NULL, "postgres://user@host/d", "user host postgres://user@host/d",
     "user host postgres://user@host/d"},
    {"url_empty_password", NULL, "postgres://user:@host/d", "user: host @", "user: host @"},
    {"url_port_only", NULL, "postgres://host:5432/d", "host:5432/d", "host:5432/d"},
    {"url_raw_at", NULL, "postgres://u:hunt@er22@h/d", "host \"er22@h\": u:hunt@er22@h", "host \"er22@h\": u:***@h"},
    {"url_raw_slash", NULL, "postgres://u:hun/ter2@h/d", "u:hun/ter2@h", "u:***@h"},
    {"url_colon_in_password", NULL, "postgres://u:a:bcd@h/d", "a:bcd", "***"},
    {"url_query", NULL, "postgres://h/d?user=u&password=hun%21ter&x=y", "hun%21ter hun!ter y", "*** *** y"},
    {"url_sslpassword", NULL, "postgres://h/d?sslpassword=hunter2", "hunter2", "***"},
    {"conninfo", NULL, "host=h password=hunter2 user=u", "host=h password=hunter2 user=u",
     "host=h password=*** user=u"},
    {"conninfo_quoted", NULL, "password = 'hunt \\'er\\\\' host=h", "hunt 'er\\ host", "*** host"},
    {"conninfo_unclosed", NULL, "password='hunter2", "hunter2", "***"},
    {"conninfo_backslash_end", NULL, "password=hunter2\\", "hunter2\\", "***"},
    {"longest_first", "hunter", "postgres://u:hunter22@h/d", "hunter22 hunter", "*** ***"},
    {"stars_stay", "****", NULL, "**** ***", "*** ***"},
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
