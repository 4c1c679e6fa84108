/* A stretch of the journal and its copy: the first line that differs, and which of the two was changed. */
#include "catalog/journal_compare.h"

#include <string.h>

#include "base/files.h"
#include "catalog/journal_line.h"

#define LINES 12
#define FIRST 5 /* line of the journal with which the copy begins, from 0 */

/* A journal as lines, with torn ones in front of records 3 and 8. */
static GPtrArray *journal_lines(void)
{
    GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *prev = g_strnfill(JOURNAL_DIGEST_LENGTH, '0');
    g_autofree char *last = NULL;
    for (gint64 seq = 1; seq <= LINES; seq++) {
        gboolean torn = seq == 3 || seq == 8;
        json_t *record = json_pack("{ss sI}", "act", "backup", "size", (json_int_t)seq);
        if (torn) {
            g_autofree char *whole = g_strconcat(last, "{\"se", NULL);
            g_free(prev);
            prev = journal_line_digest(whole, strlen(whole));
            g_ptr_array_add(lines, g_strdup("{\"se\n"));
        }
        char *line = journal_line_make(record, seq, prev, torn ? 4 : 0);
        json_decref(record);
        g_ptr_array_add(lines, line);
        g_free(prev);
        prev = journal_line_digest(line, strlen(line) - 1);
        g_free(last);
        last = g_strdup(line);
    }
    return lines;
}

static GPtrArray *copied_lines(const GPtrArray *lines)
{
    GPtrArray *copy = g_ptr_array_new_with_free_func(g_free);
    for (guint i = FIRST; i < lines->len; i++)
        g_ptr_array_add(copy, g_strdup(lines->pdata[i]));
    return copy;
}

static char *text_of(const GPtrArray *lines)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < lines->len; i++)
        g_string_append(text, lines->pdata[i]);
    return g_string_free(text, FALSE);
}

static gsize bytes_before(const GPtrArray *lines, guint count)
{
    gsize bytes = 0;
    for (guint i = 0; i < count; i++)
        bytes += strlen(lines->pdata[i]);
    return bytes;
}

struct outcome {
    struct journal_state state;
    gint64 same_seq;
    const struct journal_finding *found; /* NULL: none */
};

static void finding_free(gpointer data)
{
    struct journal_finding *f = data;
    g_free(f->text);
    g_free(f);
}

static struct outcome compare(const GPtrArray *here, const GPtrArray *copy)
{
    struct outcome o = {.state = {.last_seq = LINES}};
    g_autofree char *journal = text_of(here), *copied = text_of(copy);
    struct journal_copied c = {"the copy", copied, strlen(copied), 5, LINES};
    o.state.findings = g_ptr_array_new_with_free_func(finding_free);
    journal_compare(&o.state, journal, strlen(journal), journal + bytes_before(here, FIRST), &c, &o.same_seq);
    g_assert_cmpuint(o.state.findings->len, <=, 1);
    o.found = o.state.findings->len ? o.state.findings->pdata[0] : NULL;
    return o;
}

static void assert_found(const GPtrArray *here, const GPtrArray *copy, gint64 seq, const char *what)
{
    struct outcome o = compare(here, copy);
    g_assert_nonnull(o.found);
    if (seq > 0)
        g_assert_cmpint(o.found->seq, ==, seq);
    if (!strstr(o.found->text, what))
        g_error("\"%s\" does not say \"%s\"", o.found->text, what);
    g_ptr_array_unref(o.state.findings);
}

static void assert_same(const GPtrArray *here, const GPtrArray *copy, gint64 up_to)
{
    struct outcome o = compare(here, copy);
    g_assert_cmpstr(o.found ? o.found->text : "", ==, "");
    g_assert_cmpint(o.same_seq, ==, up_to);
    g_ptr_array_unref(o.state.findings);
}

static gint64 seq_of(const GPtrArray *lines, guint i)
{
    return journal_line_seq(lines->pdata[i], strlen(lines->pdata[i]) - 1);
}

static void test_the_same(void)
{
    g_autoptr(GPtrArray) here = journal_lines();
    g_autoptr(GPtrArray) copy = copied_lines(here);
    assert_same(here, copy, LINES);
}

/* An edited, removed or doubled line, in the one or the other, wherever it is. */
static void test_every_change_is_found_and_whose_it_is(void)
{
    g_autoptr(GPtrArray) lines = journal_lines();
    for (guint i = FIRST; i + 1 < lines->len; i++) {
        g_autoptr(GPtrArray) whole = copied_lines(lines), edited = copied_lines(lines), removed = copied_lines(lines);
        g_autoptr(GPtrArray) edited_here = journal_lines(), removed_here = journal_lines();
        gboolean torn = seq_of(lines, i) == 0;
        ((char *)edited->pdata[i - FIRST])[2] ^= 1;
        assert_found(lines, edited, torn ? 0 : seq_of(lines, i), "the copy was changed");
        g_ptr_array_remove_index(removed, i - FIRST);
        assert_found(lines, removed, 0, "the copy was changed");
        ((char *)edited_here->pdata[i])[2] ^= 1;
        assert_found(edited_here, whole, seq_of(lines, i), "it was changed here");
        g_ptr_array_remove_index(removed_here, i);
        assert_found(removed_here, whole, seq_of(lines, i), "it was changed here");
    }
}

/* Made anew with right sums and digests from record 10 on. */
static void test_two_chains_that_both_hold(void)
{
    g_autoptr(GPtrArray) here = journal_lines(), anew = journal_lines();
    g_autoptr(GPtrArray) copy = copied_lines(here);
    guint tenth = here->len - 3;
    g_autofree char *before = anew->pdata[tenth - 1];
    anew->pdata[tenth - 1] = g_strdup(before);
    g_autofree char *prev = journal_line_digest(before, strlen(before) - 1);
    for (guint i = tenth; i < anew->len; i++) {
        json_t *record = json_pack("{ss}", "act", "forged");
        g_free(anew->pdata[i]);
        char *line = journal_line_make(record, seq_of(here, i), prev, 0);
        anew->pdata[i] = line;
        g_free(prev);
        prev = journal_line_digest(line, strlen(line) - 1);
        json_decref(record);
    }
    assert_found(anew, copy, 10, "does not tell which");
    g_autoptr(GPtrArray) anew_copy = copied_lines(anew);
    assert_found(here, anew_copy, 10, "does not tell which");
}

static void test_ends(void)
{
    g_autoptr(GPtrArray) here = journal_lines(), shorter = journal_lines();
    g_autoptr(GPtrArray) copy = copied_lines(here), cut = copied_lines(here), none = copied_lines(here);
    g_ptr_array_set_size(cut, (int)cut->len - 2);
    g_ptr_array_set_size(none, 0);
    g_ptr_array_set_size(shorter, (int)shorter->len - 2);
    assert_found(here, cut, LINES - 1, "cut: seq 11 to 12 are missing at the end of the copy");
    assert_found(here, none, 5, "cut: seq 5 to 12 are missing at the end of the copy");
    assert_found(shorter, copy, LINES - 1, "missing here: the copy has it");
}

/* A copy may lag behind: what was added since is no difference. */
static void test_a_copy_that_lags(void)
{
    g_autoptr(GPtrArray) here = journal_lines();
    g_autoptr(GPtrArray) copy = copied_lines(here);
    g_autofree char *journal = text_of(here);
    g_ptr_array_set_size(copy, (int)copy->len - 2);
    g_autofree char *copied = text_of(copy);
    struct journal_state state = {.last_seq = LINES};
    struct journal_copied c = {"the copy", copied, strlen(copied), 5, LINES - 2};
    gint64 same;
    journal_compare(&state, journal, strlen(journal), journal + bytes_before(here, FIRST), &c, &same);
    g_assert_cmpint(same, ==, LINES - 2);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/journal_compare/the_same", test_the_same);
    g_test_add_func("/journal_compare/every_change_is_found_and_whose_it_is",
                    test_every_change_is_found_and_whose_it_is);
    g_test_add_func("/journal_compare/two_chains_that_both_hold", test_two_chains_that_both_hold);
    g_test_add_func("/journal_compare/ends", test_ends);
    g_test_add_func("/journal_compare/a_copy_that_lags", test_a_copy_that_lags);
    return g_test_run();
}
