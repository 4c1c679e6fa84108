/* pg_dump, pg_restore and pg_dumpall as children. */
#include "pg/pgdump.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/environment.h"
#include "base/files.h"
#include "base/subprocess.h"
#include "pg/child.h"
#include "pg/message.h"
#include "pg/said.h"
#include "pg/skew.h"
#include "pg/tools.h"

#define MAX_SQL_BYTES (1u << 30)

static int server_major(struct session *s)
{
    return session_version(s) / 10000;
}

static void take_warnings(struct subprocess *p, GPtrArray *warnings)
{
    g_autofree char *said = warnings ? subprocess_stderr(p) : NULL;
    if (said)
        said_add_warnings(said, warnings);
}

/* The pg_restore that reads this table of contents, and knows a server of that version. */
char *pgdump_find_restore(const struct toc *t, const char *bindir, int major, GError **error)
{
    if (t->reader_major <= major)
        return tools_find_for(bindir, "pg_restore", major, error);
    g_autofree char *why = g_strdup_printf("the backup was taken with pg_dump %d or later, and an older pg_restore "
                                           "cannot read it",
                                           t->reader_major);
    return tools_find_at_least(bindir, "pg_restore", t->reader_major, why, error);
}

/* Ours, but what children say is English whatever the caller's locale. */
static char **english_environment(void)
{
    return g_environ_setenv(environment_for_others(), "LC_ALL", "C", TRUE);
}

static gboolean dump_failed(GError **error)
{
    if (error && *error && g_error_matches(*error, OT_ERROR, OT_FAILED))
        (*error)->code = OT_DUMP;
    return FALSE;
}

/* pg_dump's --lock-wait-timeout ends its LOCK TABLE by a statement timeout. What it says then is in the server's
 * language; that it took so long before it failed is not. */
static gboolean locking_dump_failed(gint64 started_us, guint lock_timeout_ms, GError **error)
{
    dump_failed(error);
    gboolean waited = g_get_monotonic_time() - started_us >= (gint64)lock_timeout_ms * 1000;
    if (lock_timeout_ms > 0 && waited && error && g_error_matches(*error, OT_ERROR, OT_DUMP))
        (*error)->code = OT_LOCK_TIMEOUT;
    return FALSE;
}

static gboolean ends_with(const GString *sql, const char *line, const char *program, GError **error)
{
    return g_strstr_len(sql->str, (gssize)sql->len, line) != NULL ||
           ot_fail(error, OT_DUMP, "%s ended without an error, but what it wrote is cut", program);
}

/* Whether the child closed its end, rather than having more to say. */
static gboolean at_end(struct subprocess *p)
{
    char unused;
    return read(subprocess_stdout(p), &unused, 1) == 0;
}

static struct subprocess *start_pg_dump(struct session *s, const char *bindir, const char *snapshot,
                                        const char *const *more, GError **error)
{
    g_autofree char *program = tools_find_for(bindir, "pg_dump", server_major(s), error);
    if (!program)
        return NULL;
    g_autofree char *conninfo = session_child_conninfo(s, NULL);
    /* Bounds of partitions and defaults hold times, which pg_dump leaves in the session's time zone. */
    g_auto(GStrv) environment = session_child_environment(s, "-c timezone=UTC");
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(argv, g_strdup(program));
    g_ptr_array_add(argv, g_strdup("--no-password"));
    g_ptr_array_add(argv, g_strdup_printf("--encoding=%s", PQparameterStatus(session_pg(s), "server_encoding")));
    if (snapshot)
        g_ptr_array_add(argv, g_strdup_printf("--snapshot=%s", snapshot));
    for (; *more; more++)
        g_ptr_array_add(argv, g_strdup(*more));
    g_ptr_array_add(argv, g_strdup("-d"));
    g_ptr_array_add(argv, g_strdup(conninfo));
    g_ptr_array_add(argv, NULL);
    struct subprocess_options options = {
        .environment = environment,
        .pipe_stdout = TRUE,
        .own_group = TRUE,
        .started = session_watch_child,
        .clean = message_without_rows,
        .started_data = s,
    };
    return subprocess_start((const char *const *)argv->pdata, &options, error);
}

struct toc *pgdump_toc(struct session *s, const char *bindir, const char *snapshot, guint lock_timeout_ms,
                       GPtrArray *warnings, GError **error)
{
    return pgdump_toc_kept(s, bindir, snapshot, lock_timeout_ms, warnings, NULL, error);
}

struct toc *pgdump_toc_kept(struct session *s, const char *bindir, const char *snapshot, guint lock_timeout_ms,
                            GPtrArray *warnings, struct subprocess **ret_running, GError **error)
{
    g_autofree char *wait = g_strdup_printf("--lock-wait-timeout=%u", lock_timeout_ms);
    const char *more[] = {"-Fc", "-Z0", wait, NULL};
    gint64 started_us = g_get_monotonic_time();
    g_autoptr(subprocess) p = start_pg_dump(s, bindir, snapshot, more, error);
    if (!p)
        return NULL;
    if (ret_running) /* it is not to get far ahead of who reads, and so not to its end */
        fcntl(subprocess_stdout(p), F_SETPIPE_SZ, 4096);
    g_autoptr(GError) read_error = NULL;
    struct toc *t = toc_read(subprocess_stdout(p), &read_error);
    if (t)
        take_warnings(p, warnings);
    if (t && ret_running)
        *ret_running = g_steal_pointer(&p);
    if (t)
        return t;
    /* A cut table of contents is how a failed pg_dump looks from here: its own words say more. */
    if (!at_end(p) || subprocess_wait(p, error))
        g_propagate_error(error, g_steal_pointer(&read_error));
    locking_dump_failed(started_us, lock_timeout_ms, error);
    return NULL;
}

int pgdump_memory_file(const char *name, GError **error)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0)
        ot_fail_errno(error, OT_FAILED, "cannot make a file in memory");
    return fd;
}

int pgdump_toc_file(const struct toc *t, GError **error)
{
    gsize length;
    const void *data = g_bytes_get_data(t->bytes, &length);
    int fd = pgdump_memory_file("toc", error);
    if (fd < 0)
        return -1;
    if (!files_write_all(fd, data, length, "the table of contents", error) || lseek(fd, 0, SEEK_SET) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

char *pgdump_restore_version(const struct toc *t, const char *bindir, int server_major, GError **error)
{
    g_autofree char *program = pgdump_find_restore(t, bindir, server_major, error);
    char *version = NULL;
    int unused;
    return program && tools_major(program, &unused, &version, error) ? version : NULL;
}

/* ---- which entries ---- */

/* pg_dump 17 and later has large objects' creation, owners and comments in the data section. */
static gboolean has_late_large_objects(const struct toc *t)
{
    for (guint i = 0; i < t->entries->len; i++) {
        const struct toc_entry *e = t->entries->pdata[i];
        if (e->section == TOC_DATA && g_str_equal(e->desc, "BLOB METADATA"))
            return TRUE;
    }
    return FALSE;
}

/* The entries before the data, and those of large objects: a comment's or a privilege's section is that of the entry
 * before it, as pg_restore has it. */
char *pgdump_list_before_data(const struct toc *t)
{
    if (!has_late_large_objects(t))
        return NULL;
    GString *list = g_string_new(NULL);
    enum toc_section current = TOC_PRE_DATA;
    for (guint i = 0; i < t->entries->len; i++) {
        const struct toc_entry *e = t->entries->pdata[i];
        if (e->section != TOC_NONE)
            current = e->section;
        gboolean late = current == TOC_DATA && (e->section == TOC_NONE || g_str_equal(e->desc, "BLOB METADATA")) &&
                        !g_str_equal(e->desc, "STATISTICS DATA");
        if (current == TOC_PRE_DATA || late)
            g_string_append_printf(list, "%d;\n", e->dump_id);
    }
    return g_string_free(list, FALSE);
}

/* A file with that list for pg_restore's -L, of which *ret_path is the name; -1 on failure. */
static int list_file(const char *list, char **ret_path, GError **error)
{
    int fd = pgdump_memory_file("list", error);
    if (fd >= 0 && !files_write_all(fd, list, strlen(list), "the list for pg_restore", error)) {
        close(fd);
        return -1;
    }
    *ret_path = g_strdup_printf("/proc/%d/fd/%d", (int)getpid(), fd);
    return fd;
}

/* How pg_restore is told which entries are meant. */
struct choice {
    char *option, *value; /* value: NULL if the option has none */
    int list_fd;          /* 0: none */
};

static void choice_clear(struct choice *c)
{
    g_free(c->option);
    g_free(c->value);
    if (c->list_fd > 0)
        close(c->list_fd);
}
typedef struct choice choice;
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(choice, choice_clear)

static gboolean choose_list(struct choice *c, const char *list, GError **error)
{
    c->option = g_strdup("-L");
    c->list_fd = list_file(list, &c->value, error);
    return c->list_fd > 0;
}

static gboolean choose_section(struct choice *c, const struct toc *t, const char *section, GError **error)
{
    g_autofree char *list = g_str_equal(section, "pre-data") ? pgdump_list_before_data(t) : NULL;
    if (list)
        return choose_list(c, list, error);
    c->option = g_strdup_printf("--section=%s", section);
    return TRUE;
}

static void add_choice(GPtrArray *argv, const struct choice *c)
{
    g_ptr_array_add(argv, c->option);
    if (c->value)
        g_ptr_array_add(argv, c->value);
}

/* ---- SQL text ---- */

/* What pg_restore prints of those entries. */
static GString *print_sql(const struct toc *t, const char *bindir, int server_major, const struct choice *c,
                          const char *const *extra, GPtrArray *warnings, GError **error)
{
    g_autofree char *program = pgdump_find_restore(t, bindir, server_major, error);
    int fd = program ? pgdump_toc_file(t, error) : -1;
    if (fd < 0)
        return NULL;
    g_auto(GStrv) environment = english_environment();
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_ptr_array_add(argv, program);
    g_ptr_array_add(argv, (gpointer) "--file=-");
    add_choice(argv, c);
    for (; extra && *extra; extra++)
        g_ptr_array_add(argv, (gpointer)*extra);
    g_ptr_array_add(argv, NULL);
    struct subprocess_options options = {.stdin_fd = fd, .environment = environment};
    g_autofree char *said = NULL;
    GString *sql = NULL;
    if (subprocess_run_said((const char *const *)argv->pdata, &options, MAX_SQL_BYTES, &sql, &said, error))
        skew_strip_settings(sql, server_major);
    else
        dump_failed(error);
    if (sql && warnings)
        said_add_warnings(said, warnings);
    close(fd);
    return sql;
}

GString *pgdump_section_sql(const struct toc *t, const char *bindir, int server_major, const char *section,
                            const char *const *extra, GPtrArray *warnings, GError **error)
{
    g_auto(choice) c = {0};
    GString *sql =
        choose_section(&c, t, section, error) ? print_sql(t, bindir, server_major, &c, extra, warnings, error) : NULL;
    if (sql && !ends_with(sql, "\n-- PostgreSQL database dump complete\n", "pg_restore", error))
        g_string_free(g_steal_pointer(&sql), TRUE);
    return sql;
}

/* Without psql's own commands: the lines \\restrict and \\unrestrict, which pg_restore puts around the whole. */
static void strip_restrict(GString *sql)
{
    char *begin = strstr(sql->str, "\n\\restrict ");
    if (begin)
        g_string_erase(sql, begin + 1 - sql->str, (gssize)strcspn(begin + 1, "\n"));
    const char *end = g_strrstr(sql->str, "\n\\unrestrict ");
    if (end)
        g_string_truncate(sql, (gsize)(end + 1 - sql->str));
}

GString *pgdump_entry_sql(const struct toc *t, const char *bindir, int major, const struct toc_entry *e,
                          const char *option, GError **error)
{
    g_auto(choice) c = {0};
    g_autofree char *list = g_strdup_printf("%d;\n", e->dump_id);
    const char *extra[] = {option, NULL};
    GString *sql = choose_list(&c, list, error) ? print_sql(t, bindir, major, &c, extra, NULL, error) : NULL;
    if (sql)
        strip_restrict(sql);
    return sql;
}

/* ---- large objects ---- */

gboolean pgdump_large_objects(struct session *s, const char *bindir, const char *snapshot, guint lock_timeout_ms,
                              gboolean (*take)(const char *text, gsize length, void *data, GError **error), void *data,
                              GPtrArray *warnings, GError **error)
{
    g_autofree char *wait = g_strdup_printf("--lock-wait-timeout=%u", lock_timeout_ms);
    /* What is said about them is in the pre-data section here, or is put into it (choose_section). */
    const char *more[] = {"-Fp",           "--section=data",       "--exclude-table-data=*.*", wait, "--no-owner",
                          "--no-comments", "--no-security-labels", "--no-privileges",          NULL};
    g_autoptr(subprocess) p = start_pg_dump(s, bindir, snapshot, more, error);
    if (!p)
        return FALSE;
    char buffer[65536];
    gint64 started_us = g_get_monotonic_time();
    for (;;) {
        ssize_t n = read(subprocess_stdout(p), buffer, sizeof buffer);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ot_fail_errno(error, OT_DUMP, "cannot read from pg_dump");
        if (n == 0 && !subprocess_wait(p, error))
            return locking_dump_failed(started_us, lock_timeout_ms, error);
        if (n == 0) {
            take_warnings(p, warnings);
            return TRUE;
        }
        if (!take(buffer, (gsize)n, data, error))
            return FALSE;
    }
}

/* A database's name where libpq would take one with = or :// in it for a connection string. */
static char *as_database(struct session *s)
{
    g_auto(GStrv) parts = g_strsplit_set(session_database(s), "\\'", -1);
    GString *out = g_string_new("dbname='");
    const char *name = session_database(s);
    for (char **part = parts; *part; part++) {
        g_string_append(out, *part);
        name += strlen(*part);
        if (*name)
            g_string_append_printf(out, "\\%c", *name++);
    }
    return g_string_free(g_string_append_c(out, '\''), FALSE);
}

GString *pgdump_globals(struct session *s, const char *bindir, GPtrArray *warnings, GError **error)
{
    g_autofree char *program = tools_find_for(bindir, "pg_dumpall", server_major(s), error);
    if (!program)
        return NULL;
    g_autofree char *conninfo = session_child_conninfo(s, NULL);
    g_autofree char *database = as_database(s);
    g_auto(GStrv) environment = session_child_environment(s, NULL);
    /* Connected to the database that is backed up: postgres and template1 may be closed to the role. */
    const char *argv[] = {
        program, "--no-password", "--globals-only", "--no-role-passwords", "-d", conninfo, "-l", database, NULL};
    struct subprocess_options options = {
        .environment = environment, .started = session_watch_child, .clean = message_without_rows, .started_data = s};
    g_autofree char *said = NULL;
    GString *sql = NULL;
    if (!subprocess_run_said(argv, &options, MAX_SQL_BYTES, &sql, &said, error))
        dump_failed(error);
    else if (!ends_with(sql, "\n-- PostgreSQL database cluster dump complete\n", "pg_dumpall", error))
        g_string_free(g_steal_pointer(&sql), TRUE);
    if (sql && warnings)
        said_add_warnings(said, warnings);
    return sql;
}
