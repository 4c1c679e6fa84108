/* The file of alerts, its lock and its spare place. */
#include "engine/alert_store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"

#define LOCK_FILE ".alerts.lock"
#define MAX_FILE_BYTES (8u << 20)
#define LOCK_WAIT_MS 10000
#define LOCK_STEP_MS 20
#define FORMAT 1

static json_t *empty(void)
{
    return json_pack("{si si si s{} s{} s[] s{} s{} s{}}", "format", FORMAT, "serial", 0, "dropped", 0, "open",
                     "unknown", "queue", "sent", "seen", "refused");
}

void alert_store_init(struct alert_store *s, const char *dir, const char *spare_dir)
{
    g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, dir, -1);
    *s = (struct alert_store){
        .dir = g_strdup(dir),
        .spare_dir = g_strdup(spare_dir),
        .spare_name = g_strdup_printf("opstower-alerts-%u-%.16s.json", (unsigned)geteuid(), digest),
        .lock_fd = -1,
        .root = empty(),
    };
}

static void unlock(struct alert_store *s)
{
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    s->lock_fd = -1;
}

void alert_store_clear(struct alert_store *s)
{
    unlock(s);
    json_decref(s->root);
    g_free(s->dir);
    g_free(s->spare_dir);
    g_free(s->spare_name);
    g_free(s->problem);
    memset(s, 0, sizeof *s);
}

/* Without the lock two runs may tell the same twice: better than not at all. */
static void lock(struct alert_store *s)
{
    g_autofree char *name = g_strconcat(".", s->spare_name, ".lock", NULL);
    const char *const folders[] = {s->dir, s->spare_dir}, *const names[] = {LOCK_FILE, name};
    for (gsize i = 0; i < G_N_ELEMENTS(folders) && folders[i] && s->lock_fd < 0; i++) {
        g_autofree char *path = g_build_filename(folders[i], names[i], NULL);
        s->lock_fd = files_open_or_make(path, O_RDWR | O_NOFOLLOW);
    }
    for (int waited = 0; s->lock_fd >= 0 && waited < LOCK_WAIT_MS; waited += LOCK_STEP_MS) {
        if (flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0)
            return;
        g_usleep(LOCK_STEP_MS * 1000);
    }
    unlock(s);
}

static gboolean is_root(const json_t *root)
{
    return json_integer_value(json_object_get(root, "format")) == FORMAT &&
           json_is_object(json_object_get(root, "open")) && json_is_object(json_object_get(root, "unknown")) &&
           json_is_array(json_object_get(root, "queue")) && json_is_object(json_object_get(root, "sent"));
}

/* NULL: there is no spare place. */
static char *spare_path_of(const struct alert_store *s)
{
    return s->spare_dir ? g_build_filename(s->spare_dir, s->spare_name, NULL) : NULL;
}

/* Everyone may make files in a temporary folder: only one of our own is believed. */
static gboolean is_ours(const char *path)
{
    struct stat st;
    return path && lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 077);
}

/* NULL if there is none, or none that can be used: then *error is set. */
static json_t *read_file(const char *path, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) problem = NULL;
    if (!files_read(path, MAX_FILE_BYTES, &text, NULL, &problem)) {
        if (!g_error_matches(problem, OT_ERROR, OT_NOT_FOUND))
            g_propagate_error(error, g_steal_pointer(&problem));
        return NULL;
    }
    json_t *root = json_loads(text, 0, NULL);
    if (is_root(root))
        return root;
    json_decref(root);
    ot_fail(error, OT_CORRUPT, "%s cannot be understood", path);
    return NULL;
}

static json_int_t serial_of(const json_t *root)
{
    return json_integer_value(json_object_get(root, "serial"));
}

/* Whoever edited it by hand: what is no alert is not taken for one. */
static void drop_what_is_none(json_t *root)
{
    const char *key;
    json_t *trouble;
    void *next;
    json_t *open = json_object_get(root, "open");
    static const char *const added[] = {"refused", "seen"}; /* files of older versions do not have them */
    for (gsize i = 0; i < G_N_ELEMENTS(added); i++)
        if (!json_is_object(json_object_get(root, added[i])))
            json_object_set_new(root, added[i], json_object());
    json_object_foreach_safe(open, next, key, trouble)
    {
        if (!json_is_object(json_object_get(trouble, "told")))
            json_object_del(open, key);
    }
}

/* The newer one of both places. */
static void load(struct alert_store *s, GError **error)
{
    g_autofree char *path = g_build_filename(s->dir, ALERTS_FILE, NULL);
    g_autofree char *spare_path = spare_path_of(s);
    json_t *root = read_file(path, error);
    json_t *spare = is_ours(spare_path) ? read_file(spare_path, NULL) : NULL;
    if (spare && (!root || serial_of(spare) > serial_of(root))) {
        json_decref(root);
        root = g_steal_pointer(&spare);
    }
    json_decref(spare);
    json_decref(s->root);
    s->older = root && !json_object_get(root, "source");
    s->root = root ? root : empty();
    drop_what_is_none(s->root);
}

void alert_store_open(struct alert_store *s, struct report *r)
{
    g_autoptr(GError) error = NULL;
    lock(s);
    if (s->unsaved)
        return;
    load(s, &error);
    if (error)
        report_warn(r, "Which alerts were sent before is not known, so some may be sent again: %s", error->message);
}

static gboolean save(struct alert_store *s, GError **error)
{
    json_object_set_new(s->root, "serial", json_integer(serial_of(s->root) + 1));
    char *text = json_dumps(s->root, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
    if (!text)
        return ot_fail(error, OT_FAILED, "the alerts cannot be written as JSON");
    g_autoptr(GError) problem = NULL;
    g_autofree char *spare_path = spare_path_of(s);
    g_clear_pointer(&s->problem, g_free);
    gboolean ok = files_write(s->dir, ALERTS_FILE, text, strlen(text), TRUE, &problem);
    if (ok && is_ours(spare_path))
        unlink(spare_path);
    if (!ok) {
        s->problem = g_strdup(problem->message);
        ok = s->spare_dir && files_write(s->spare_dir, s->spare_name, text, strlen(text), TRUE, NULL);
    }
    free(text);
    return ok || ot_fail(error, OT_IO, "%s", s->problem);
}

void alert_store_close(struct alert_store *s, gboolean changed, struct report *r)
{
    g_autoptr(GError) error = NULL;
    if (changed) {
        s->unsaved = !save(s, &error);
        if (s->unsaved)
            report_warn(r, "It cannot be noted which alerts were sent, so the next run may send them again: %s",
                        error->message);
    }
    unlock(s);
}

gboolean alert_store_peek(struct alert_store *s)
{
    load(s, NULL);
    return serial_of(s->root) > 0;
}

json_t *alert_store_open_alerts(const struct alert_store *s)
{
    return json_object_get(s->root, "open");
}

json_t *alert_store_unknown(const struct alert_store *s)
{
    return json_object_get(s->root, "unknown");
}

json_t *alert_store_seen(const struct alert_store *s)
{
    return json_object_get(s->root, "seen");
}

json_t *alert_store_queue(const struct alert_store *s)
{
    return json_object_get(s->root, "queue");
}

json_t *alert_store_sent(const struct alert_store *s)
{
    return json_object_get(s->root, "sent");
}

json_t *alert_store_refused(const struct alert_store *s)
{
    return json_object_get(s->root, "refused");
}
