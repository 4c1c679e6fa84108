/* A file is known by its place on the disk, its size and its time. */
#include "web/certificate.h"

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "base/files.h"

#define MAX_PEM_BYTES (1u << 20)

void certificate_files_clear(struct certificate_files *f)
{
    g_clear_pointer(&f->used, g_free);
    g_clear_pointer(&f->seen, g_free);
}

void certificate_text_clear(struct certificate_text *t)
{
    if (t->key)
        explicit_bzero(t->key, strlen(t->key));
    g_clear_pointer(&t->certificate, g_free);
    g_clear_pointer(&t->key, g_free);
}

static void add_identity(GString *text, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0)
        g_string_append_printf(text, "%ju %ju %jd %jd.%09ld;", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino,
                               (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    else
        g_string_append(text, "none;");
}

static char *identity(const struct certificate_files *f)
{
    GString *text = g_string_new(NULL);
    add_identity(text, f->certificate);
    add_identity(text, f->key);
    return g_string_free(text, FALSE);
}

static gboolean read_pem(const char *path, const char *what, char **ret_text, GError **error)
{
    if (files_read(path, MAX_PEM_BYTES, ret_text, NULL, error))
        return TRUE;
    g_prefix_error(error, "the %s for TLS: ", what);
    return FALSE;
}

gboolean certificate_read(struct certificate_files *f, struct certificate_text *ret, GError **error)
{
    *ret = (struct certificate_text){0};
    if (!f->key)
        return TRUE;
    g_free(f->used);
    f->used = identity(f);
    if (read_pem(f->certificate, "certificate", &ret->certificate, error) &&
        read_pem(f->key, "private key", &ret->key, error))
        return TRUE;
    certificate_text_clear(ret);
    return FALSE;
}

gboolean certificate_is_new(struct certificate_files *f)
{
    if (!f->key)
        return FALSE;
    g_autofree char *before = f->seen;
    f->seen = identity(f);
    return g_strcmp0(f->seen, f->used) != 0 && g_strcmp0(f->seen, before) == 0;
}
