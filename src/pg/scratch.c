/* A throw-away server. */
#include "pg/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/subprocess.h"
#include "base/walls.h"
#include "pg/preload.h"
#include "pg/tools.h"

#define PREFIX "opstower-scratch-"
#define SUPERUSER "postgres"
#define START_TIMEOUT_MS 60000
#define MAX_TRIES 20

struct scratch {
    char *folder;
    int lock_fd;
    struct walls *walls;
    uid_t user; /* as which the server runs, where we are root; it owns nothing else */
    struct subprocess *server;
    struct pg_target target;
};

static const char *server_user(void)
{
    return geteuid() == 0 ? "postgres" : NULL;
}

/* ---- folders ---- */

static gboolean server_ids(uid_t *ret_user, gid_t *ret_group, GError **error)
{
    const char *user = server_user();
    *ret_user = geteuid();
    *ret_group = getegid();
    if (!user)
        return TRUE;
    const struct passwd *entry = getpwnam(user);
    if (!entry)
        return ot_fail(error, OT_PREREQUISITE, "there is no user \"%s\" to run a scratch server as", user);
    *ret_user = entry->pw_uid;
    *ret_group = entry->pw_gid;
    return TRUE;
}

/* Whether the folder is one that a run of ours made: others may make what they like in a shared folder. */
static gboolean is_ours(int fd)
{
    uid_t user;
    gid_t group;
    struct stat st;
    return server_ids(&user, &group, NULL) && fstat(fd, &st) == 0 && 
           (st.st_uid == geteuid() || st.st_uid == user || (geteuid() == 0 && walls_is_unused_user(st.st_uid)));
}

/* A folder whose maker lives is locked; one that can be locked was left behind. */
static void remove_left_behind(const char *tmp_dir)
{
    g_autoptr(GDir) dir = g_dir_open(tmp_dir, 0, NULL);
    int parent = open(tmp_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (const char *name; dir && parent >= 0 && (name = g_dir_read_name(dir));) {
        if (!g_str_has_prefix(name, PREFIX))
            continue;
        int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 && is_ours(fd) && flock(fd, LOCK_EX | LOCK_NB) == 0 && files_empty_folder(fd, NULL))
            unlinkat(parent, name,
                     AT_REMOVEDIR); /* what another has put in its place meanwhile is not empty, or stays */
        if (fd >= 0)
            close(fd);
    }
    if (parent >= 0)
        close(parent);
}

static gboolean give_to_server_user(const struct scratch *s, GError **error)
{
    uid_t user;
    gid_t group;
    if (!server_ids(&user, &group, error))
        return FALSE;
    if (user != geteuid() && fchown(s->lock_fd, user, group) != 0)
        return ot_fail_errno(error, OT_IO, "cannot give %s to user %s", s->folder, server_user());
    return TRUE;
}

/* FALSE if another run took it for one that was left behind, in the moment before it was locked. */
static gboolean lock_folder(struct scratch *s)
{
    struct stat held, there;
    s->lock_fd = open(s->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (s->lock_fd >= 0 && is_ours(s->lock_fd) && flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0 &&
        fstat(s->lock_fd, &held) == 0 && stat(s->folder, &there) == 0 && held.st_ino == there.st_ino)
        return TRUE;
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    s->lock_fd = -1;
    rmdir(s->folder);
    return FALSE;
}

static gboolean make_folder(struct scratch *s, const char *tmp_dir, GError **error)
{
    for (int tries = 1; tries <= MAX_TRIES; tries++) {
        g_free(s->folder);
        s->folder = g_strdup_printf("%s/" PREFIX "XXXXXX", tmp_dir);
        if (!g_mkdtemp_full(s->folder, 0700)) {
            ot_fail_errno(error, OT_IO, "cannot make a folder in %s", tmp_dir);
            g_clear_pointer(&s->folder, g_free);
            return FALSE;
        }
        if (lock_folder(s))
            return give_to_server_user(s, error);
    }
    return ot_fail_errno(error, OT_IO, "cannot lock %s", s->folder);
}

/* ---- the server ---- */

static gboolean init_cluster(struct scratch *s, const char *bindir, int major, GError **error)
{
    g_autofree char *program = tools_find_for(bindir, "initdb", major, error);
    if (!program)
        return FALSE;
    g_autofree char *data = g_build_filename(s->folder, "data", NULL);
    const char *argv[] = {program, "-D",         data,        "-U", s->target.user, "--auth=trust", "-E",
                          "UTF8",  "--locale=C", "--no-sync", NULL};
    struct subprocess_options options = {.user = server_user(), .directory = s->folder};
    return subprocess_run(argv, &options, 1 << 20, NULL, error);
}

/* Where the server's program itself lies, for a link to it may lead out of the walls. */
static char *find_server(const struct scratch_options *o, GError **error)
{
    g_autofree char *program = tools_find_for(o->bindir, "postgres", o->major, error);
    char *real = program ? realpath(program, NULL) : NULL;
    char *found = real ? g_strdup(real) : g_steal_pointer(&program);
    free(real);
    return found;
}

static gboolean start_server(struct scratch *s, const struct scratch_options *o, const char *preload, GError **error)
{
    static const char *const settings[] = {
        "listen_addresses=",
        "port=5432",
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        "wal_level=minimal",
        "max_wal_senders=0",
        "autovacuum=off",
        "max_wal_size=8GB",
        "shared_buffers=256MB",
        "max_connections=64",
        "max_locks_per_transaction=1024",
        "logging_collector=off",
        "jit=off",
        "checkpoint_timeout=1h",
        "max_worker_processes=0", /* jobs that a backup brings with it are not run here */
    };
    g_autofree char *program = find_server(o, error);
    if (!program)
        return FALSE;
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(argv, g_strdup(program));
    g_ptr_array_add(argv, g_strdup("-D"));
    g_ptr_array_add(argv, g_build_filename(s->folder, "data", NULL));
    for (gsize i = 0; i < G_N_ELEMENTS(settings); i++) {
        g_ptr_array_add(argv, g_strdup("-c"));
        g_ptr_array_add(argv, g_strdup(settings[i]));
    }
    g_ptr_array_add(argv, g_strdup("-c"));
    g_ptr_array_add(argv, g_strdup_printf("unix_socket_directories=%s", s->folder));
    g_ptr_array_add(argv, g_strdup("-c"));
    g_ptr_array_add(argv, g_strdup_printf("shared_preload_libraries=%s", preload ? preload : ""));
    if (o->database) {
        g_ptr_array_add(argv, g_strdup("-c"));
        g_ptr_array_add(argv, g_strdup_printf("cron.database_name=%s", o->database));
    }
    g_ptr_array_add(argv, NULL);
    /* Programs that look for their libraries beside themselves ($ORIGIN) ask /proc where they are, which is not there. */
    g_autofree char *programs = g_path_get_dirname(program);
    g_autofree char *origin = g_strconcat("LD_ORIGIN_PATH=", programs, NULL);
    const char *const environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", origin, NULL};
    struct subprocess_options options = {
        .environment = (char **)environment,
        .directory = s->folder,
        .walls = s->walls,
        .stop_signal = SIGQUIT, /* immediate shutdown: the data is thrown away */
        .death_signal = SIGQUIT,
    };
    s->server = subprocess_start((const char *const *)argv->pdata, &options, error);
    return s->server != NULL;
}

/* From here on the server runs what the backup brings with it. */
static gboolean raise_walls(struct scratch *s, const struct scratch_options *o, GError **error)
{
    g_autofree char *program = find_server(o, error);
    if (!program)
        return FALSE;
    s->user = geteuid() == 0 ? walls_unused_user() : 0;
    g_autofree char *folder = g_canonicalize_filename(s->folder, NULL);
    g_autofree char *programs = g_path_get_dirname(program);
    s->walls = walls_plan(folder, programs, s->user);
    return !s->user || files_give_folder(s->lock_fd, s->user, error);
}

static gboolean wait_until_ready(struct scratch *s, GError **error)
{
    for (int waited = 0; waited < START_TIMEOUT_MS; waited += 50) {
        if (!interrupt_check(error))
            return FALSE;
        if (subprocess_has_ended(s->server)) {
            if (subprocess_wait(s->server, error))
                return ot_fail(error, OT_PREREQUISITE, "the scratch server ended at once");
            g_prefix_error(error, "the scratch server did not start: ");
            return FALSE;
        }
        g_autoptr(session) probe = session_open(&s->target, NULL, NULL);
        if (probe)
            return TRUE;
        g_usleep(50000);
    }
    return ot_fail(error, OT_PREREQUISITE, "the scratch server did not answer within %d s", START_TIMEOUT_MS / 1000);
}

static gboolean start(struct scratch *s, const struct scratch_options *o, const char *preload, GError **error)
{
    subprocess_free(g_steal_pointer(&s->server));
    return start_server(s, o, preload, error) && wait_until_ready(s, error);
}

/* What a library needs to start is not known here: a server that does not start with them runs without. */
static gboolean start_with_libraries(struct scratch *s, const struct scratch_options *o, GError **error)
{
    g_autoptr(session) admin = session_open(&s->target, NULL, error);
    GError *problem = NULL;
    g_autofree char *preload = admin ? preload_installed(admin, o->preload, &problem) : NULL;
    session_free(g_steal_pointer(&admin));
    if (problem) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    if (!preload)
        return TRUE;
    if (start(s, o, preload, &problem))
        return TRUE;
    if (g_error_matches(problem, OT_ERROR, OT_INTERRUPTED)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_error_free(problem);
    return start(s, o, NULL, error);
}

struct scratch *scratch_start(const struct scratch_options *o, GError **error)
{
    const char *where = o->tmp_dir ? o->tmp_dir : g_get_tmp_dir();
    remove_left_behind(where);
    g_autoptr(scratch) s = g_new0(struct scratch, 1);
    s->lock_fd = -1;
    /* initdb refuses names of the system's kind. */
    s->target.user = g_strdup(o->superuser && !g_str_has_prefix(o->superuser, "pg_") ? o->superuser : SUPERUSER);
    if (!make_folder(s, where, error) || !init_cluster(s, o->bindir, o->major, error) || !raise_walls(s, o, error))
        return NULL;
    s->target.host = g_strdup(s->folder);
    s->target.name = g_strdup("postgres");
    s->target.port = 5432;
    if (!start(s, o, NULL, error) || (o->preload && *o->preload && !start_with_libraries(s, o, error)))
        return NULL;
    return g_steal_pointer(&s);
}

const struct pg_target *scratch_target(const struct scratch *s)
{
    return &s->target;
}

void scratch_free(struct scratch *s)
{
    if (!s)
        return;
    subprocess_free(s->server);
    if (s->folder)
        files_remove_tree(s->folder, NULL); /* what stays is removed by the next scratch_start */
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    g_free(s->folder);
    walls_free(s->walls);
    pg_target_clear(&s->target);
    g_free(s);
}
