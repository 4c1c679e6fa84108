/* systemctl and crontab as children, and the place of our lines in a crontab. */
#include <dirent.h>
#include <string.h>

#include "base/environment.h"
#include "base/files.h"
#include "base/subprocess.h"
#include "engine/schedule_text.h"

#define MAX_OUTPUT_BYTES (1 << 20)

gboolean schedule_has_systemd(void)
{
    return g_file_test("/run/systemd/system", G_FILE_TEST_IS_DIR); /* as sd_booted(3) */
}

static gboolean is_cron(const char *pid)
{
    g_autofree char *path = g_build_filename("/proc", pid, "comm", NULL);
    g_autofree char *comm = NULL;
    if (!g_ascii_isdigit(*pid) || !g_file_get_contents(path, &comm, NULL, NULL))
        return FALSE;
    g_strchomp(comm);
    return g_str_equal(comm, "cron") || g_str_equal(comm, "crond") || g_str_equal(comm, "fcron");
}

gboolean schedule_has_cron(void)
{
    DIR *proc = opendir("/proc");
    gboolean found = FALSE;
    for (struct dirent *entry = proc ? readdir(proc) : NULL; entry && !found; entry = readdir(proc))
        found = is_cron(entry->d_name);
    if (proc)
        closedir(proc);
    return found;
}

gboolean schedule_systemctl(const char *const *words, GString **ret_text, GError **error)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_ptr_array_add(argv, (gpointer) "systemctl");
    for (; *words; words++)
        g_ptr_array_add(argv, (gpointer)*words);
    g_ptr_array_add(argv, NULL);
    return subprocess_run((const char *const *)argv->pdata, NULL, MAX_OUTPUT_BYTES, ret_text, error);
}

/* ---- crontab ---- */

/* In English, for the one message that must be understood. */
static char **plain_environment(void)
{
    return g_environ_setenv(environment_for_others(), "LC_ALL", "C", TRUE);
}

GString *schedule_crontab_read(GError **error)
{
    static const char *const argv[] = {"crontab", "-l", NULL};
    g_auto(GStrv) environment = plain_environment();
    struct subprocess_options o = {.environment = environment};
    g_autoptr(GError) problem = NULL;
    GString *text = NULL;
    if (subprocess_run(argv, &o, MAX_OUTPUT_BYTES, &text, &problem))
        return text;
    if (strstr(problem->message, "no crontab for"))
        return g_string_new(NULL);
    g_propagate_error(error, g_steal_pointer(&problem));
    return NULL;
}

static gboolean feed(const char *const *argv, const char *text, gsize length, GError **error)
{
    struct subprocess_options o = {.pipe_stdin = TRUE};
    g_autoptr(subprocess) p = subprocess_start(argv, &o, error);
    if (!p)
        return FALSE;
    /* A crontab that dies early says why itself. */
    g_autoptr(GError) unwritten = NULL;
    gboolean ok = files_write_all(subprocess_stdin(p), text, length, "to crontab", &unwritten) &&
                  subprocess_close_stdin(p, &unwritten);
    if (!ok)
        subprocess_close_stdin(p, NULL);
    if (!subprocess_wait(p, error))
        return FALSE;
    if (!ok)
        g_propagate_error(error, g_steal_pointer(&unwritten));
    return ok;
}

gboolean schedule_crontab_write(const char *text, gsize length, GError **error)
{
    static const char *const put[] = {"crontab", "-", NULL};
    static const char *const drop[] = {"crontab", "-r", NULL};
    return length ? feed(put, text, length, error) : subprocess_run(drop, NULL, MAX_OUTPUT_BYTES, NULL, error);
}

/* Where the line begins in the text; -1: nowhere. */
static gssize find_line(const GString *text, const char *line)
{
    for (const char *p = strstr(text->str, line); p; p = strstr(p + 1, line))
        if (p == text->str || p[-1] == '\n')
            return p - text->str;
    return -1;
}

gboolean schedule_crontab_cut(GString *crontab, char **ret_block, GError **error)
{
    gssize begin = find_line(crontab, SCHEDULE_BEGIN), end = find_line(crontab, SCHEDULE_END);
    if (begin < 0 && end < 0)
        return FALSE;
    if (begin < 0 || end < begin)
        return ot_fail(
            error, OT_REFUSED,
            "the crontab has only one of the lines \"# BEGIN opstower\" and \"# END opstower\" around what is "
            "ours, or in the wrong order: put that right by hand (crontab -e)");
    gssize length = end + (gssize)strlen(SCHEDULE_END) - begin;
    if (ret_block)
        *ret_block = g_strndup(crontab->str + begin, (gsize)length);
    g_string_erase(crontab, begin, length);
    return TRUE;
}
