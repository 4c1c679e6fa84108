/* The journal: what is appended, what is found when it was changed. */
#include "catalog/journal_check.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/files.h"
#include "catalog/journal_line.h"

#define LINES 200

struct place {
    char *folder, *path;
};

static void set_up(struct place *p, gconstpointer data)
{
    (void)data;
    p->folder = g_dir_make_tmp("journal-XXXXXX", NULL);
    p->path = g_build_filename(p->folder, JOURNAL_FILE, NULL);
}

static void tear_down(struct place *p, gconstpointer data)
{
    (void)data;
    g_assert_true(files_remove_tree(p->folder, NULL));
    g_free(p->folder);
    g_free(p->path);
}

static void append(struct place *p, int number)
{
    GError *error = NULL;
    json_t *record = json_pack("{ss ss si si}", "act", "backup", "result", "ok", "code", 0, "size", number);
    g_assert_true(journal_append(p->folder, record, &error));
    g_assert_no_error(error);
    json_decref(record);
}

static void append_many(struct place *p, int count)
{
    for (int i = 0; i < count; i++)
        append(p, i);
}

static char *read_text(struct place *p, gsize *ret_length)
{
    g_autoptr(GMappedFile) file = g_mapped_file_new(p->path, FALSE, NULL);
    g_assert_nonnull(file);
    gsize length = g_mapped_file_get_length(file);
    if (ret_length)
        *ret_length = length;
    return g_strndup(g_mapped_file_get_contents(file), length);
}

static void write_text(struct place *p, const char *text, gssize length)
{
    g_assert_true(g_file_set_contents(p->path, text, length, NULL));
}

static struct journal_state *check(struct place *p, const GPtrArray *anchors)
{
    GError *error = NULL;
    struct journal_state *s = journal_check(p->folder, anchors, &error);
    g_assert_no_error(error);
    return s;
}

static guint findings(struct place *p, const GPtrArray *anchors)
{
    g_autoptr(journal_state) s = check(p, anchors);
    return s->findings->len;
}

static const struct journal_finding *finding(const struct journal_state *s, guint i)
{
    g_assert_cmpuint(i, <, s->findings->len);
    return s->findings->pdata[i];
}

/* The head as a backup would keep it. */
static GPtrArray *anchors_now(struct place *p)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(journal_anchor_free);
    json_t *head = journal_head_json(p->folder);
    struct journal_anchor *a = journal_anchor_new("backup x", head);
    g_assert_nonnull(a);
    g_ptr_array_add(list, a);
    json_decref(head);
    return list;
}

/* ---- appending ---- */

static void test_lines_are_chained(struct place *p, gconstpointer data)
{
    (void)data;
    append_many(p, 3);
    struct stat st;
    g_assert_cmpint(stat(p->path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 0777, ==, 0600);
    g_autoptr(GPtrArray) records = journal_load(p->folder, NULL);
    g_assert_cmpuint(records->len, ==, 3);
    for (guint i = 0; i < 3; i++) {
        json_t *r = records->pdata[i];
        g_assert_cmpint(json_integer_value(json_object_get(r, "seq")), ==, i + 1);
        g_assert_cmpint(json_integer_value(json_object_get(r, "size")), ==, i);
        g_assert_nonnull(json_string_value(json_object_get(r, "who")));
        g_assert_nonnull(json_string_value(json_object_get(r, "host")));
    }
    g_autofree char *zeros = g_strnfill(64, '0');
    g_assert_cmpstr(json_string_value(json_object_get(records->pdata[0], "prev")), ==, zeros);
    g_autoptr(journal_state) s = check(p, NULL);
    g_assert_cmpuint(s->findings->len + s->notes->len, ==, 0);
    g_assert_cmpint(s->last_seq, ==, 3);
}

static void test_a_record_cannot_pose_as_the_chain(struct place *p, gconstpointer data)
{
    (void)data;
    json_t *record = json_pack("{ss ss si ss ss ss}", "act", "hold-add", "result", "ok", "seq", 99, "prev", "x", "sum",
                               "y", "who", "nobody-at-all");
    g_assert_true(journal_append(p->folder, record, NULL));
    json_decref(record);
    append(p, 1);
    g_autoptr(journal_state) s = check(p, NULL);
    g_assert_cmpuint(s->findings->len, ==, 0);
    g_assert_cmpint(s->last_seq, ==, 2);
    g_autofree char *text = read_text(p, NULL);
    g_assert_null(strstr(text, "nobody-at-all"));
}

static void test_a_long_record_is_shortened(struct place *p, gconstpointer data)
{
    (void)data;
    g_autofree char *text = g_strnfill(100000, 'e');
    json_t *record = json_pack("{ss ss ss}", "act", "backup", "result", "failed", "error", text);
    for (int i = 0; i < 2; i++) {
        g_assert_true(journal_append(p->folder, record, NULL));
        for (int k = 0; k < 100; k++) {
            g_autofree char *key = g_strdup_printf("fact%d", k);
            json_object_set_new(record, key, json_string(text));
        }
    }
    json_decref(record);
    append(p, 1);
    g_autoptr(GPtrArray) records = journal_load(p->folder, NULL);
    g_assert_cmpuint(records->len, ==, 3);
    g_assert_cmpuint(strlen(json_string_value(json_object_get(records->pdata[0], "error"))), <, 5000);
    g_assert_true(json_is_true(json_object_get(records->pdata[1], "facts_left_out")));
    g_assert_null(json_object_get(records->pdata[1], "fact7"));
    g_assert_cmpuint(findings(p, NULL), ==, 0);
}

static void test_only_the_end_is_read(struct place *p, gconstpointer data)
{
    (void)data;
    append_many(p, 2);
    g_autofree char *tail = read_text(p, NULL);
    int fd = g_open(p->path, O_WRONLY | O_TRUNC, 0600);
    g_assert_cmpint(ftruncate(fd, (off_t)64 << 30), ==, 0); /* a hole: reading it all would be work, and is refused */
    g_assert_cmpint(lseek(fd, 0, SEEK_END), >, 0);
    g_assert_true(files_write_all(fd, "\n", 1, "x", NULL) && files_write_all(fd, tail, strlen(tail), "x", NULL));
    close(fd);
    clock_t start = clock(); /* work, not time: the disk may have other things to do */
    append(p, 3);
    g_assert_cmpint(clock() - start, <, CLOCKS_PER_SEC);
    GError *error = NULL;
    g_assert_null(journal_load(p->folder, &error));
    g_assert_nonnull(error);
    g_clear_error(&error);
}

static void test_what_is_no_file_is_an_error(struct place *p, gconstpointer data)
{
    (void)data;
    g_assert_cmpint(mkfifo(p->path, 0600), ==, 0);
    json_t *record = json_pack("{ss}", "act", "x");
    GError *error = NULL;
    g_assert_false(journal_append(p->folder, record, &error));
    g_assert_error(error, OT_ERROR, OT_IO);
    g_clear_error(&error);
    json_decref(record);
}

/* ---- torn lines ---- */

static void test_a_torn_line_is_kept_and_named(struct place *p, gconstpointer data)
{
    (void)data;
    append_many(p, 3);
    gsize length;
    g_autofree char *text = read_text(p, &length);
    gsize third = (gsize)(strstr(text, "{\"seq\":3") - text);
    for (gsize cut = third + 1; cut < length; cut += 7) {
        write_text(p, text, (gssize)cut);
        g_autoptr(journal_state) before = check(p, NULL);
        g_assert_cmpuint(before->findings->len, ==, 1);
        g_assert_cmpuint(finding(before, 0)->line, ==, 3);
        g_assert_nonnull(strstr(finding(before, 0)->text, "cannot be told apart"));
        append_many(p, 2);
        g_autoptr(journal_state) s = check(p, NULL);
        g_assert_cmpuint(s->findings->len, ==, 0);
        g_assert_cmpuint(s->notes->len, ==, 1);
        g_assert_cmpuint(((struct journal_finding *)s->notes->pdata[0])->line, ==, 3);
        g_assert_cmpint(s->last_seq, ==, 4);
    }
}

static void test_only_the_newline_missing_loses_nothing(struct place *p, gconstpointer data)
{
    (void)data;
    append_many(p, 3);
    gsize length;
    g_autofree char *text = read_text(p, &length);
    write_text(p, text, (gssize)length - 1);
    g_assert_cmpuint(findings(p, NULL), ==, 0);
    append(p, 4);
    g_autoptr(journal_state) s = check(p, NULL);
    g_assert_cmpuint(s->findings->len + s->notes->len, ==, 0);
    g_assert_cmpint(s->last_seq, ==, 4);
}

static void test_several_torn_lines_one_after_another(struct place *p, gconstpointer data)
{
    (void)data;
    append_many(p, 2);
    for (int i = 0; i < 3; i++) {
        g_autofree char *text = read_text(p, NULL);
        g_autofree char *torn = g_strconcat(text, "{\"seq\":3,\"ti\n{\"se", NULL);
        write_text(p, torn, -1);
    }
    append_many(p, 2);
    g_autoptr(journal_state) s = check(p, NULL);
    g_assert_cmpuint(s->findings->len, ==, 0);
    g_assert_cmpuint(s->notes->len, ==, 1);
    g_autofree char *text = read_text(p, NULL);
    strstr(text, "{\"se\n")[2] = 'x'; /* it is bound by the chain all the same */
    write_text(p, text, -1);
    g_autoptr(journal_state) changed = check(p, NULL);
    g_assert_nonnull(strstr(finding(changed, 0)->text, "edited"));
    g_assert_cmpuint(changed->notes->len, ==, 0);
}

/* ---- edits ---- */

/* A journal of LINES lines, made once. */
static void make_long(struct place *p)
{
    static char *text;
    if (text) {
        write_text(p, text, -1);
        return;
    }
    append_many(p, LINES);
    text = read_text(p, NULL);
}

static void test_every_edited_byte_is_found(struct place *p, gconstpointer data)
{
    (void)data;
    make_long(p);
    gsize length;
    g_autofree char *text = read_text(p, &length);
    g_autofree char *edited = g_memdup2(text, length);
    guint64 line = 1;
    for (gsize at = 0; at < length; at++) {
        /* Around the edited line only: the rest of the file is as it was. The whole file for every hundredth byte. */
        edited[at] = (char)(text[at] ^ (1 << (at % 7)));
        const char *from = text + at, *to = memchr(text + at, '\n', length - at);
        while (from > text && from[-1] != '\n')
            from--;
        gsize start = (gsize)(from - text), end = (gsize)(to - text);
        g_assert_false(journal_line_sum_is_right(edited + start, end - start) && at != end);
        if (at % 997 == 0 || at == end) {
            write_text(p, edited, (gssize)length);
            g_autoptr(journal_state) s = check(p, NULL);
            g_assert_cmpuint(s->findings->len, >, 0);
            g_assert_cmpuint(finding(s, 0)->line, ==, line);
        }
        line += text[at] == '\n';
        edited[at] = text[at];
    }
    g_assert_cmpuint(line, ==, LINES + 1);
}

/* Without sums the chain alone would hold, made anew by who knows the format. */
static void test_lines_without_a_sum_are_found(struct place *p, gconstpointer data)
{
    (void)data;
    g_autofree char *prev = g_strnfill(JOURNAL_DIGEST_LENGTH, '0');
    g_autoptr(GString) text = g_string_new(NULL);
    for (int seq = 1; seq <= 3; seq++) {
        g_autofree char *line = g_strdup_printf("{\"seq\":%d,\"act\":\"backup\",\"prev\":\"%s\"}", seq, prev);
        g_free(prev);
        prev = journal_line_digest(line, strlen(line));
        g_string_append_printf(text, "%s\n", line);
    }
    write_text(p, text->str, -1);
    append(p, 4);
    g_autoptr(journal_state) s = check(p, NULL);
    g_assert_cmpuint(s->findings->len, ==, 3);
    for (guint i = 0; i < 3; i++) {
        g_assert_cmpuint(finding(s, i)->line, ==, i + 1);
        g_assert_cmpstr(finding(s, i)->text, ==, "edited: it has no sum");
    }
}

/* Lines of the text, each with its newline. */
static GPtrArray *split(const char *text)
{
    GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
    for (const char *end; (end = strchr(text, '\n')); text = end + 1)
        g_ptr_array_add(lines, g_strndup(text, (gsize)(end - text) + 1));
    return lines;
}

static void write_lines(struct place *p, const GPtrArray *lines)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < lines->len; i++)
        g_string_append(text, lines->pdata[i]);
    write_text(p, text->str, (gssize)text->len);
}

static void test_every_removed_swapped_or_doubled_line_is_found(struct place *p, gconstpointer data)
{
    (void)data;
    make_long(p);
    g_autoptr(GPtrArray) anchors = anchors_now(p);
    g_autofree char *text = read_text(p, NULL);
    for (guint i = 0; i < LINES; i++) {
        g_autoptr(GPtrArray) lines = split(text);
        g_ptr_array_insert(lines, (int)i, g_strdup(lines->pdata[i])); /* doubled */
        write_lines(p, lines);
        g_autoptr(journal_state) doubled = check(p, NULL);
        g_assert_cmpuint(doubled->findings->len, ==, 1);
        g_assert_cmpuint(finding(doubled, 0)->line, ==, i + 2);
        g_ptr_array_remove_index(lines, i);
        g_ptr_array_remove_index(lines, i); /* removed */
        write_lines(p, lines);
        g_autoptr(journal_state) removed = check(p, anchors);
        g_assert_cmpuint(removed->findings->len, >, 0);
        g_assert_nonnull(strstr(finding(removed, 0)->text, i < LINES - 1 ? "removed" : "cut"));
        if (i < LINES - 1)
            g_assert_cmpuint(finding(removed, 0)->line, ==, i + 1);
        g_autoptr(GPtrArray) others = split(text);
        guint with = (i + 1) % LINES;
        char *one = others->pdata[i];
        others->pdata[i] = others->pdata[with];
        others->pdata[with] = one;
        write_lines(p, others);
        g_assert_cmpuint(findings(p, NULL), >, 0);
    }
    write_text(p, text, -1);
    g_assert_cmpuint(findings(p, anchors), ==, 0);
}

static void test_a_cut_tail_is_found_wherever_it_is_cut(struct place *p, gconstpointer data)
{
    (void)data;
    make_long(p);
    g_autoptr(GPtrArray) anchors = anchors_now(p);
    g_autofree char *text = read_text(p, NULL);
    g_autoptr(GPtrArray) lines = split(text);
    for (guint left = LINES; left-- > 0;) {
        g_ptr_array_set_size(lines, (int)left);
        write_lines(p, lines);
        g_assert_cmpuint(findings(p, NULL), ==, 0); /* the chain alone cannot know */
        g_autoptr(journal_state) s = check(p, anchors);
        g_assert_cmpuint(s->findings->len, ==, 1);
        g_assert_nonnull(strstr(finding(s, 0)->text, left ? "cut" : "gone"));
        g_assert_nonnull(strstr(finding(s, 0)->text, "backup x"));
    }
    g_assert_cmpint(g_unlink(p->path), ==, 0);
    g_autoptr(journal_state) gone = check(p, anchors);
    g_assert_cmpuint(gone->findings->len, ==, 1);
    append(p, 1);
    g_autoptr(journal_state) anew = check(p, anchors);
    g_assert_nonnull(strstr(finding(anew, 0)->text, "another journal"));
}

/* Who knows the format can make every sum and prev right again, but not what was kept elsewhere. */
static void test_a_forged_chain_is_found_by_what_was_kept(struct place *p, gconstpointer data)
{
    (void)data;
    append_many(p, 10);
    g_autoptr(GPtrArray) anchors = anchors_now(p);
    append_many(p, 5);
    g_autofree char *text = read_text(p, NULL);
    const char *fourth = strstr(text, "{\"seq\":4,");
    write_text(p, text, fourth - text);
    append_many(p, 12);
    g_assert_cmpuint(findings(p, NULL), ==, 0);
    g_autoptr(journal_state) s = check(p, anchors);
    g_assert_cmpuint(s->findings->len, ==, 1);
    g_assert_cmpint(finding(s, 0)->seq, ==, 10);
    g_assert_cmpint(s->vouched_seq, ==, 0);
}

static void test_an_inserted_line_is_found(struct place *p, gconstpointer data)
{
    (void)data;
    append_many(p, 10);
    g_autofree char *text = read_text(p, NULL);
    const char *sixth = strstr(text, "{\"seq\":6,");
    write_text(p, text, sixth - text);
    append(p, 77); /* a right one, as line 6 */
    g_autofree char *forged = read_text(p, NULL);
    g_autofree char *all = g_strconcat(forged, sixth, NULL);
    write_text(p, all, -1);
    g_autoptr(journal_state) s = check(p, NULL);
    g_assert_cmpuint(s->findings->len, ==, 1);
    g_assert_cmpuint(finding(s, 0)->line, ==, 7);
    g_assert_nonnull(strstr(finding(s, 0)->text, "inserted"));
}

/* With a right sum, and a right prev: only the line after it knows better. */
static void test_a_replaced_line_is_found(struct place *p, gconstpointer data)
{
    (void)data;
    append_many(p, 10);
    g_autofree char *text = read_text(p, NULL);
    const char *sixth = strstr(text, "{\"seq\":6,"), *seventh = strstr(text, "{\"seq\":7,");
    write_text(p, text, sixth - text);
    append(p, 77);
    g_autofree char *forged = read_text(p, NULL);
    g_autofree char *all = g_strconcat(forged, seventh, NULL);
    write_text(p, all, -1);
    g_autoptr(journal_state) s = check(p, NULL);
    g_assert_cmpuint(s->findings->len, ==, 1);
    g_assert_cmpuint(finding(s, 0)->line, ==, 7);
    g_assert_nonnull(strstr(finding(s, 0)->text, "replaced"));
}

/* ---- several at once ---- */

#define WRITERS 20
#define EACH 30

/* Writers in processes of their own; every fourth is killed while it writes. */
static void test_writers_at_once_with_some_killed(struct place *p, gconstpointer data)
{
    (void)data;
    GPid children[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            for (int k = 0; k < EACH || i % 4 == 0; k++)
                append(p, k);
            _exit(0);
        }
    }
    g_usleep(100000);
    int ended = 0;
    for (int i = 0; i < WRITERS; i++) {
        int status;
        if (i % 4 == 0)
            kill(children[i], SIGKILL);
        g_assert_cmpint(waitpid(children[i], &status, 0), ==, children[i]);
        ended += WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    g_assert_cmpint(ended, ==, WRITERS - WRITERS / 4);
    append(p, 0);
    g_autoptr(journal_state) s = check(p, NULL);
    g_assert_cmpuint(s->findings->len, ==, 0);
    g_assert_cmpint(s->last_seq, >, ended * EACH);
}

/* ---- from the end ---- */

static gboolean is_even(const char *line, gsize length, void *data)
{
    (void)data;
    const char *n = g_strstr_len(line, (gssize)length, "\"n\":");
    return n && atoi(n + 4) % 2 == 0;
}

/* A journal of lines of all lengths, with rubbish between: some is longer than what is read at once. */
static GString *odd_journal(GRand *rand, guint n)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < n; i++) {
        int kind = g_rand_int_range(rand, 0, 40);
        g_autofree char *filler = g_strnfill(kind == 0   ? 2500000
                                             : kind < 4  ? (gsize)g_rand_int_range(rand, 0, 60000)
                                             : kind == 4 ? 1u << 20
                                                         : (gsize)g_rand_int_range(rand, 0, 300),
                                             'x');
        if (kind == 0 || kind >= 38 || kind == 4)
            g_string_append_printf(text, "%s\n", filler);
        else
            g_string_append_printf(text, "{\"n\":%u,\"filler\":\"%s\"}%s", i, filler, i + 1 == n && kind % 2 ? "" : "\n");
    }
    return text;
}

static void test_the_newest_are_what_reading_all_gives(struct place *p, gconstpointer data)
{
    (void)data;
    g_autoptr(GRand) rand = g_rand_new_with_seed(7);
    for (guint round = 0; round < 12; round++) {
        g_autoptr(GString) text = odd_journal(rand, round * 15);
        write_text(p, text->str, (gssize)text->len);
        g_autoptr(GPtrArray) all = journal_load(p->folder, NULL);
        for (guint max = 1; max < 2000; max *= 3) {
            g_autoptr(GPtrArray) recent = journal_load_recent(p->folder, NULL, NULL, max, NULL);
            g_assert_cmpuint(recent->len, ==, MIN(max, all->len));
            for (guint i = 0; i < recent->len; i++)
                g_assert_true(json_equal(recent->pdata[i], all->pdata[all->len - recent->len + i]));
            g_autoptr(GPtrArray) even = journal_load_recent(p->folder, is_even, NULL, max, NULL);
            for (guint i = 0; i < even->len; i++)
                g_assert_cmpint(json_integer_value(json_object_get(even->pdata[i], "n")) % 2, ==, 0);
            g_assert_true(even->len == max || even->len >= (all->len > 2 ? 1u : 0u));
        }
    }
}

/* From wherever it is read, what is whole is found whole, and each edit, cut and exchange among the newest lines is found. */
static void test_the_newest_lines_are_checked_as_all_are(struct place *p, gconstpointer data)
{
    (void)data;
    append_many(p, 40);
    g_autoptr(GPtrArray) anchors = anchors_now(p);
    append_many(p, 20);
    gsize length;
    g_autofree char *text = read_text(p, &length);
    for (gsize newest = length / 60 + 300; newest < length + 100; newest += 411) {
        g_autoptr(journal_state) s = journal_check_newest(p->folder, anchors, newest, NULL);
        g_assert_cmpuint(s->findings->len, ==, 0);
        g_assert_true(s->partial == (newest < length) && s->last_seq == 60);
        g_assert_cmpint(s->vouched_seq, ==, s->lines > 20 ? 40 : 0);
    }
    gsize newest = length / 2;
    for (gsize at = length - newest / 2; at < length - 1; at += 5) {
        char was = text[at];
        text[at] = was == '5' ? '6' : '5';
        write_text(p, text, (gssize)length);
        g_autoptr(journal_state) s = journal_check_newest(p->folder, NULL, newest, NULL);
        g_assert_cmpuint(s->findings->len, >, 0);
        g_assert_cmpuint(((struct journal_finding *)s->findings->pdata[0])->line, ==, 0);
        text[at] = was;
    }
    char *line = memchr(text + length - newest / 2, '\n', newest / 2) + 1, *next = memchr(line, '\n', newest / 2) + 1;
    memmove(line, next, (gsize)(text + length - next));
    write_text(p, text, (gssize)(length - (gsize)(next - line)));
    g_autoptr(journal_state) s = journal_check_newest(p->folder, NULL, newest, NULL);
    g_assert_cmpuint(s->findings->len, >, 0);
}

static void add(const char *name, void (*test)(struct place *, gconstpointer))
{
    g_test_add(name, struct place, NULL, set_up, test, tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/journal/lines-are-chained", test_lines_are_chained);
    add("/journal/a-record-cannot-pose-as-the-chain", test_a_record_cannot_pose_as_the_chain);
    add("/journal/a-long-record-is-shortened", test_a_long_record_is_shortened);
    add("/journal/only-the-end-is-read", test_only_the_end_is_read);
    add("/journal/no-file", test_what_is_no_file_is_an_error);
    add("/journal/torn", test_a_torn_line_is_kept_and_named);
    add("/journal/newline-missing", test_only_the_newline_missing_loses_nothing);
    add("/journal/several-torn", test_several_torn_lines_one_after_another);
    add("/journal/every-byte", test_every_edited_byte_is_found);
    add("/journal/no-sum", test_lines_without_a_sum_are_found);
    add("/journal/removed-swapped-doubled", test_every_removed_swapped_or_doubled_line_is_found);
    add("/journal/cut", test_a_cut_tail_is_found_wherever_it_is_cut);
    add("/journal/forged", test_a_forged_chain_is_found_by_what_was_kept);
    add("/journal/inserted", test_an_inserted_line_is_found);
    add("/journal/replaced", test_a_replaced_line_is_found);
    add("/journal/recent", test_the_newest_are_what_reading_all_gives);
    add("/journal/newest-checked", test_the_newest_lines_are_checked_as_all_are);
    add("/journal/writers", test_writers_at_once_with_some_killed);
    return g_test_run();
}
