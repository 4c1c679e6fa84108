/* pg_restore without --exit-on-error; which entries failed is read from what it says. */
#include "pg/pgrestore.h"

#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/subprocess.h"
#include "pg/child.h"
#include "pg/message.h"
#include "pg/pgdump.h"
#include "pg/skew.h"
#include "pg/tools.h"

#define MAX_SAID_BYTES (64u << 20)
#define MAX_QUOTED 2000

/* ---- what it said ---- */

/* "N; CATALOG OID DESC TAG OWNER" stands in complaints, whatever the language. text: behind N. */
static gboolean names_entry(const char *text, const struct toc_entry *e)
{
    const char *at = text + strspn(text, "; 0123456789");
    gsize length = strlen(e->desc);
    return g_str_has_prefix(text, "; ") && strncmp(at, e->desc, length) == 0 && at[length] == ' ';
}

gboolean pgrestore_named(const char *said, const struct toc *t, gboolean *failed)
{
    g_autoptr(GHashTable) index = g_hash_table_new(NULL, NULL);
    gboolean any = FALSE;
    for (guint i = 0; i < t->entries->len; i++)
        g_hash_table_insert(index, GINT_TO_POINTER(((struct toc_entry *)t->entries->pdata[i])->dump_id),
                            GUINT_TO_POINTER(i));
    for (const char *at = said; (at = strstr(at, "; ")); at++) {
        const char *number = at;
        gpointer i;
        while (number > said && g_ascii_isdigit(number[-1]))
            number--;
        int id = (int)g_ascii_strtoll(number, NULL, 10);
        if (number < at && g_hash_table_lookup_extended(index, GINT_TO_POINTER(id), NULL, &i) &&
            names_entry(at, t->entries->pdata[GPOINTER_TO_UINT(i)]))
            any = failed[GPOINTER_TO_UINT(i)] = TRUE;
    }
    return any;
}

char *pgrestore_complaint(const char *said)
{
    const char *error = strstr(said, "pg_restore: error: ");
    gsize length = strlen(error ? error : said);
    /* Without an error, the last lines say most. */
    g_autofree char *raw = error ? g_strndup(error, strcspn(error, "\n")) /* what follows may quote rows */
                                 : g_strdup(said + length - MIN(length, MAX_QUOTED));
    g_autofree char *valid = g_utf8_make_valid(raw, -1);
    return message_without_rows(g_strstrip(valid));
}

static char *read_said(int fd)
{
    off_t end = lseek(fd, 0, SEEK_END);
    gsize length = (gsize)CLAMP(end, 0, MAX_SAID_BYTES);
    char *text = g_malloc0(length + 1);
    if (pread(fd, text, length, 0) < 0)
        *text = '\0';
    for (gsize i = 0; i < length; i++)
        if (!text[i])
            text[i] = ' ';
    return text;
}

/* ---- what it is given ---- */

gboolean pgrestore_is_event_trigger(const struct toc_entry *e)
{
    static const char *const about[] = {"COMMENT", "SECURITY LABEL", NULL};
    return g_str_equal(e->desc, "EVENT TRIGGER") ||
           (g_strv_contains(about, e->desc) && g_str_has_prefix(e->tag, "EVENT TRIGGER "));
}

/* All entries but event triggers, as pg_restore -L reads them. */
static char *list_without_event_triggers(const struct toc *t)
{
    GString *list = g_string_new(NULL);
    for (guint i = 0; i < t->entries->len; i++) {
        const struct toc_entry *e = t->entries->pdata[i];
        if (!pgrestore_is_event_trigger(e))
            g_string_append_printf(list, "%d;\n", e->dump_id);
    }
    return g_string_free(list, FALSE);
}

/* A file with the list; -1 on failure. */
static int list_file(const char *list, GError **error)
{
    int fd = pgdump_memory_file("list", error);
    if (fd >= 0 && !files_write_all(fd, list, strlen(list), "the list for pg_restore", error)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static gboolean has_event_triggers(const struct pgrestore *r)
{
    for (guint i = 0; i < r->toc->entries->len; i++)
        if (pgrestore_is_event_trigger(r->toc->entries->pdata[i]))
            return TRUE;
    return FALSE;
}

static char *path_of(int fd)
{
    return g_strdup_printf("/proc/%d/fd/%d", (int)getpid(), fd);
}

/* ---- the run ---- */

static int server_major(const struct pgrestore *r)
{
    return session_version(r->session) / 10000;
}

/* Exit code 1 is also that of one that went on after errors, to the end. */
static gboolean judge(struct subprocess *p, int said_fd, int server_major, char **ret_said, gboolean *ret_refused,
                      GError **error)
{
    g_autoptr(GError) problem = NULL;
    *ret_said = NULL;
    if (subprocess_wait(p, &problem))
        return TRUE;
    g_autofree char *said = read_said(said_fd);
    gboolean failed = g_error_matches(problem, OT_ERROR, OT_FAILED);
    if (failed && subprocess_exit_code(p) == 1 && strstr(said, "errors ignored on restore: ")) {
        *ret_said = g_utf8_make_valid(said, -1);
        return TRUE;
    }
    g_autofree char *complaint = pgrestore_complaint(said);
    *ret_refused = failed && strstr(said, "pg_restore: error: ") && skew_strip_complaints(said, server_major);
    if (failed)
        return ot_fail(error, OT_FAILED, "%s%s%s", problem->message, *complaint ? ": " : "", complaint);
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
}

static gboolean run(const struct pgrestore *r, gboolean sectioned, int toc_fd, int list_fd, int said_fd,
                    char **ret_said, gboolean *ret_refused, GError **error)
{
    int major = 0;
    g_autofree char *program = pgdump_find_restore(r->toc, r->bindir, server_major(r), error);
    if (!program || !tools_major(program, &major, NULL, error))
        return FALSE;
    g_autofree char *conninfo = session_child_conninfo(r->session, NULL);
    g_autofree char *section = g_strdup_printf("--section=%s", r->section);
    g_autofree char *jobs = g_strdup_printf("--jobs=%u", r->jobs);
    /* Each parallel worker of pg_restore opens the archive anew by its name: this one, through our own descriptor. */
    g_autofree char *archive = path_of(toc_fd);
    g_autofree char *list = list_fd >= 0 ? path_of(list_fd) : NULL;
    char **inherited = session_child_environment(r->session, r->options);
    g_auto(GStrv) environment = g_environ_setenv(inherited, "LC_ALL", "C", TRUE); /* what it says is read */
    /* Which entries fail is said only with --verbose. */
    const char *argv[16] = {program, "--no-password", "--verbose", jobs, "-d", conninfo};
    guint n = 6;
    if (sectioned)
        argv[n++] = section;
    if (!r->tablespaces)
        argv[n++] = "--no-tablespaces";
    if (list) {
        argv[n++] = "-L";
        argv[n++] = list;
    }
    argv[n++] = archive;
    struct subprocess_options options = {
        .environment = environment,
        .stderr_fd = said_fd,
        .own_group = TRUE, /* its workers too */
        .started = session_watch_child,
        .started_data = r->session,
    };
    g_autoptr(subprocess) p = subprocess_start(argv, &options, error);
    if (!p || !judge(p, said_fd, server_major(r), ret_said, ret_refused, error))
        return FALSE;
    if (*ret_said && !skew_can_connect(major, server_major(r)) && skew_strip_complaints(*ret_said, server_major(r)))
        g_clear_pointer(ret_said, g_free);
    return TRUE;
}

static void close_file(int fd)
{
    if (fd >= 0)
        close(fd);
}

gboolean pgrestore_section(const struct pgrestore *request, char **ret_said, gboolean *ret_refused, GError **error)
{
    *ret_refused = FALSE;
    /* Those of the pre-data section do not hold event triggers. */
    g_autofree char *late = g_str_equal(request->section, "pre-data") ? pgdump_list_before_data(request->toc) : NULL;
    g_autofree char *rest = !late && has_event_triggers(request) ? list_without_event_triggers(request->toc) : NULL;
    const char *wanted = late ? late : rest;
    int said = pgdump_memory_file("said", error);
    int contents = said >= 0 ? pgdump_toc_file(request->toc, error) : -1;
    int list = contents >= 0 && wanted ? list_file(wanted, error) : -1;
    gboolean ok = contents >= 0 && (!wanted || list >= 0) &&
                  run(request, !late, contents, list, said, ret_said, ret_refused, error);
    close_file(said);
    close_file(contents);
    close_file(list);
    return ok;
}
