/* Tests of the words for backups: a table of histories, and which backup each word means. */
#include "catalog/select.h"

#include <string.h>

#include "base/text.h"
#include "catalog/lineage.h"

#define HOUR 3600
#define NOW 1770436800

/* A backup each, of some hours ago: p proven, v verified, u unverified, f failed, n without metadata, r a pre-restore
 * one, s another server's, ? one that may be another's, z one whose size is not that of its file. Expected: the place of
 * the chosen one in the row, from 0; -1: none. */
static const struct {
    const char *letters;
    int hours[6];
    int latest, restored, good;
} histories[] = {
    {"", {0}, -1, -1, -1},
    {"vv", {1, 2}, 0, 0, 0},
    {"vv", {2, 1}, 1, 1, 1},
    {"vvv", {3, 1, 2}, 1, 1, 1},
    {"fv", {1, 2}, 0, 1, 1},
    {"ffv", {1, 2, 3}, 0, 2, 2},
    {"fu", {1, 2}, 0, 1, -1},
    {"zv", {1, 2}, 0, 1, 1},
    {"uv", {1, 2}, 0, 0, 1},
    {"ff", {1, 2}, 0, -1, -1},
    {"rv", {1, 2}, 1, 1, 1},
    {"r", {1}, 0, 0, 0},
    {"rf", {1, 2}, 1, 0, 0},
    {"nv", {1, 200}, 1, 1, 1},
    {"nr", {1, 200}, 1, 1, 1},
    {"n", {1}, 0, 0, -1},
    {"sv", {1, 2}, 1, 1, 1},
    {"ss", {1, 2}, -1, -1, -1},
    {"?v", {1, 2}, 0, 0, 0},
    {"vv", {-8760, 2}, 1, 1, 1},
    {"vfv", {-1, 2, 3}, 1, 2, 2},
    {"v", {-1}, -1, -1, -1},
    {"np", {-1, 5}, 1, 1, 1},
};

static void entry_free(gpointer data)
{
    catalog_entry_free(data);
}

static struct catalog_entry *new_entry(char letter, gint64 at, int place)
{
    static const char states[] = "fuvtp"; /* in the order of enum meta_state */
    /* Names say nothing: the zone of each is another. */
    g_autofree char *timestamp = text_timestamp(at + (place % 3 - 1) * 11 * HOUR);
    g_autofree char *file = g_strdup_printf("app_%s.sql.gz", timestamp);
    struct catalog_entry *e = catalog_entry_new(file, NULL);
    const char *state = strchr(states, letter);
    e->size_bytes = 100;
    e->path = g_strdup_printf("/%d", place);
    if (letter == 'n') {
        e->taken_at = e->named_at = at;
        return e;
    }
    struct meta *m = g_new0(struct meta, 1);
    m->date = text_iso_time(at - 5);
    m->snapshot_time = text_iso_time(at);
    m->size_bytes = letter == 'z' ? 99 : 100;
    m->state = state ? (enum meta_state)(state - states) : META_VERIFIED;
    m->type = g_strdup(letter == 'r' ? "pre-restore" : "hourly");
    catalog_entry_set_meta(e, m);
    e->lineage = letter == 's' ? LINEAGE_OTHER : letter == '?' ? LINEAGE_UNSURE : LINEAGE_THIS;
    return e;
}

static int choose(const GPtrArray *list, struct select_wish wish)
{
    struct select_passed passed;
    guint place;
    wish.now = NOW;
    const struct catalog_entry *e = select_backup(list, &wish, &passed);
    return e && g_ptr_array_find((GPtrArray *)list, e, &place) ? (int)place : -1;
}

static GPtrArray *new_list(const char *letters, const int *hours)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(entry_free);
    for (int k = 0; letters[k]; k++)
        g_ptr_array_add(list, new_entry(letters[k], NOW - (gint64)hours[k] * HOUR, k));
    return list;
}

static void test_words(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(histories); i++) {
        g_autoptr(GPtrArray) list = new_list(histories[i].letters, histories[i].hours);
        g_test_message("history %zu: %s", i, histories[i].letters);
        g_assert_cmpint(choose(list, (struct select_wish){.kind = SELECT_LATEST}), ==, histories[i].latest);
        g_assert_cmpint(choose(list, (struct select_wish){.skip_bad = TRUE}), ==, histories[i].restored);
        g_assert_cmpint(choose(list, (struct select_wish){.kind = SELECT_GOOD}), ==, histories[i].good);
    }
}

/* At each moment, the newest of those that show it or an earlier one. */
static void test_at_a_moment(void)
{
    static const int hours[] = {2, 4, 6, 8};
    g_autoptr(GPtrArray) list = new_list("vfvv", hours);
    for (int ago = 0; ago < 10; ago++) {
        gint64 until = NOW - ago * HOUR;
        int newest = ago <= 2 ? 0 : ago <= 4 ? 1 : ago <= 6 ? 2 : ago <= 8 ? 3 : -1;
        g_assert_cmpint(choose(list, (struct select_wish){.until = until}), ==, newest);
        g_assert_cmpint(choose(list, (struct select_wish){.until = until, .skip_bad = TRUE}), ==,
                        newest == 1 ? 2 : newest);
        g_assert_cmpint(choose(list, (struct select_wish){.until = until - 1}), ==,
                        ago % 2 == 0 && newest == ago / 2 - 1 && newest >= 0 ? (newest == 3 ? -1 : newest + 1)
                                                                              : newest);
    }
}

static void test_what_was_passed_over(void)
{
    static const int hours[] = {-9000, -2, 1, 2, 3, 4};
    g_autoptr(GPtrArray) list = new_list("vvsfvf", hours);
    struct select_passed passed;
    struct select_wish wish = {.skip_bad = TRUE, .now = NOW};
    const struct catalog_entry *e = select_backup(list, &wish, &passed);
    g_assert_true(e == list->pdata[4]);
    g_assert_true(passed.future == list->pdata[0] && passed.futures == 2);
    g_assert_true(passed.bad == list->pdata[3] && passed.bads == 1);
}

static void test_parse(void)
{
    static const struct {
        const char *word;
        gboolean is;
        enum select_kind kind;
    } words[] = {
        {"latest", TRUE, SELECT_LATEST}, {"latest-good", TRUE, SELECT_GOOD}, {"Latest", FALSE, SELECT_LATEST},
        {"latest_good", FALSE, SELECT_LATEST}, {"", FALSE, SELECT_LATEST}, {"20260207_120000", FALSE, SELECT_LATEST},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(words); i++) {
        enum select_kind kind;
        g_assert_true(select_parse_word(words[i].word, &kind) == words[i].is);
        g_assert_cmpint(kind, ==, words[i].kind);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/select/words", test_words);
    g_test_add_func("/select/at_a_moment", test_at_a_moment);
    g_test_add_func("/select/what_was_passed_over", test_what_was_passed_over);
    g_test_add_func("/select/parse", test_parse);
    return g_test_run();
}
