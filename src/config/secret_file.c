/*
 * NAME_FILE beside NAME: a secret that stands in a file of its own, as containers and systemd give them. Owner and mode
 * are looked at as those of a .env file that was named.
 */
#include "base/error.h"
#include "config/option_row.h"
#include "config/private_file.h"

#include <string.h>

#define MAX_SECRET_BYTES 65536
#define SUFFIX "_FILE"

/* The second half of a pair is wanted from a file as well. */
static gboolean may_be_in_file(const struct option_row *row)
{
    return row && (row->secret || g_str_equal(row->env, "AWS_ACCESS_KEY_ID"));
}

const struct option_row *option_by_file_env(const char *name)
{
    if (!g_str_has_suffix(name, SUFFIX) || option_by_env(name))
        return NULL;
    g_autofree char *base = g_strndup(name, strlen(name) - strlen(SUFFIX));
    const struct option_row *row = option_by_env(base);
    return may_be_in_file(row) ? row : NULL;
}

/* Editors and echo end the file with a newline, which is not a part of the secret. */
static void cut_newline(GString *text)
{
    if (text->len && text->str[text->len - 1] == '\n')
        g_string_truncate(text, text->len - 1);
    if (text->len && text->str[text->len - 1] == '\r')
        g_string_truncate(text, text->len - 1);
}

static gboolean check_text(const GString *text, const char *path, const char *where, GError **error)
{
    if (text->len > MAX_SECRET_BYTES)
        return ot_fail(error, OT_USAGE, "%s: %s is larger than %d bytes; no secret is", where, path, MAX_SECRET_BYTES);
    if (text->len == 0)
        return ot_fail(error, OT_USAGE, "%s: %s is empty", where, path);
    return strlen(text->str) == text->len ||
           ot_fail(error, OT_USAGE, "%s: %s holds a NUL byte; this is not a text file", where, path);
}

static void warn_of(const struct private_file *file, const char *path, GPtrArray *warnings)
{
    if (warnings && file->warning)
        g_ptr_array_add(warnings, g_strdup(file->warning));
    if (warnings && file->shared && !file->in_memory)
        g_ptr_array_add(
            warnings, g_strdup_printf("%s holds a secret and other users can read it; run: chmod 600 %s", path, path));
}

gboolean option_set_from_file(const struct option_row *row, struct settings *s, const char *path, const char *where,
                              GPtrArray *warnings, GError **error)
{
    struct private_file file = {0};
    GError *problem = NULL;
    if (!private_file_read(path, FILE_NAMED, MAX_SECRET_BYTES + 2, &file, &problem)) {
        if (g_error_matches(problem, OT_ERROR, OT_NOT_FOUND))
            problem->code = OT_USAGE; /* to the user it is a wrong setting, not a missing backup */
        g_propagate_prefixed_error(error, problem, "%s: ", where);
        return FALSE;
    }
    cut_newline(file.text);
    gboolean ok = check_text(file.text, path, where, error) && option_set(row, s, file.text->str, where, error);
    if (ok)
        warn_of(&file, path, warnings);
    private_file_clear(&file);
    gsize length = s->secret_files ? g_strv_length(s->secret_files) : 0;
    s->secret_files = g_renew(char *, s->secret_files, length + 2);
    s->secret_files[length] = g_strdup(path);
    s->secret_files[length + 1] = NULL;
    return ok;
}
