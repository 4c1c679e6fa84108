/*
 * compare_db URL DATABASE EMPTY FILE BINDIR: holds a database against a backup as the full test does after its load, so
 * that tests can alter it before. EMPTY is a second, empty database. Exit code 0 if nothing differs, else the error's
 * code; each difference is a line on stdout.
 */
#include <stdio.h>

#include "base/interrupt.h"
#include "engine/compare.h"

struct empty {
    const struct pg_target *target;
    const char *dbname;
};

static struct session *open_empty(void *data, GError **error)
{
    const struct empty *empty = data;
    return session_open(empty->target, empty->dbname, error);
}

static void print_line(enum report_level level, const char *text, void *data)
{
    (void)level;
    (void)data;
    puts(text);
}

static gboolean run(char **words, GError **error)
{
    struct pg_target target = {.url = words[0]};
    struct empty empty = {.target = &target, .dbname = words[2]};
    struct report report = {.line = print_line};
    struct compare_request request = {
        .target = &target,
        .dbname = words[1],
        .bindir = words[4],
        .jobs = 2,
        .open_empty = open_empty,
        .open_data = &empty,
    };
    struct source *file = source_open_file(words[3], error);
    g_autoptr(archive_reader) reader = file ? archive_reader_open(file, error) : NULL;
    g_autoptr(toc) t = reader ? toc_parse(reader->contents->toc, error) : NULL;
    return t && compare_with_proof(&request, reader, t, &report, error);
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    if (argc != 6)
        return OT_USAGE;
    interrupt_init();
    if (run(argv + 1, &error))
        return OT_OK;
    puts(error->message);
    return error->code;
}
