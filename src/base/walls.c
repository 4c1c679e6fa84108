/* Nothing here may allocate between fork and exec: the plan holds all paths. */
#include "base/walls.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <net/if.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The range from which systemd takes its dynamic users, too. */
#define FIRST_USER 61184
#define LAST_USER 65519

/* What a server reads of the system. Nothing of /etc that is one user's, or could be. */
static const char *const shown[] = {
    "/usr",           "/bin",           "/sbin",           "/lib",
    "/lib32",         "/lib64",         "/libx32",         "/nix",
    "/etc/passwd",    "/etc/group",     "/etc/localtime",  "/etc/timezone",
    "/etc/ld.so.cache", "/etc/nsswitch.conf", "/etc/alternatives", "/etc/ssl/openssl.cnf",
    "/etc/ssl/certs", "/var/cache/postgresql", "/dev/null", "/dev/zero",
    "/dev/random",    "/dev/urandom",
};

struct walls {
    char *folder, *shell;
    char *programs; /* with its libraries beside it; NULL: among what is shown anyway */
    uid_t user;
    uid_t self;
    gid_t self_group;
};

static gboolean is_shown(const char *path)
{
    for (gsize i = 0; i < G_N_ELEMENTS(shown); i++)
        if (g_str_has_prefix(path, shown[i]) && path[strlen(shown[i])] == '/')
            return TRUE;
    return FALSE;
}

/* The folder that holds what programs in PREFIX/bin or, as Debian has it, PREFIX/lib/postgresql/VERSION/bin need. */
static char *prefix_of(const char *programs)
{
    char *prefix = g_path_get_dirname(programs);
    char *debian = g_strrstr(prefix, "/lib/postgresql/");
    if (debian && debian > prefix && !strchr(debian + strlen("/lib/postgresql/"), '/'))
        *debian = '\0';
    return prefix;
}

struct walls *walls_plan(const char *folder, const char *programs, uid_t user)
{
    struct walls *w = g_new0(struct walls, 1);
    char *real = realpath(programs, NULL), *shell = realpath("/bin/sh", NULL);
    char *prefix = real ? prefix_of(real) : NULL;
    w->folder = g_strdup(folder);
    w->shell = g_strdup(shell);
    w->programs = prefix && !is_shown(real) ? g_strdup(prefix) : NULL;
    w->user = user;
    w->self = geteuid();
    w->self_group = getegid();
    g_free(prefix);
    free(real);
    free(shell);
    return w;
}

void walls_free(struct walls *w)
{
    if (!w)
        return;
    g_free(w->folder);
    g_free(w->shell);
    g_free(w->programs);
    g_free(w);
}

gboolean walls_is_unused_user(uid_t user)
{
    return user >= FIRST_USER && user <= LAST_USER;
}

uid_t walls_unused_user(void)
{
    const uid_t n = LAST_USER - FIRST_USER + 1;
    for (uid_t i = 0; i < n; i++) {
        uid_t user = FIRST_USER + ((uid_t)getpid() + i) % n;
        if (!getpwuid(user) && !getgrgid(user))
            return user;
    }
    return LAST_USER;
}

/* ---- the root folder ---- */

/* All folders on the way to the path, below the new root. */
static void make_parents(char *path, size_t root_length)
{
    for (char *p = path + root_length + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        mkdir(path, 0755);
        *p = '/';
    }
}

static gboolean make_place(const char *source, char *place, size_t root_length)
{
    struct stat st;
    make_parents(place, root_length);
    if (stat(source, &st) != 0)
        return FALSE;
    if (S_ISDIR(st.st_mode))
        return mkdir(place, 0755) == 0 || errno == EEXIST;
    int fd = open(place, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* Where the kernel is too old for this, the files' own modes still hold. */
static void make_read_only(const char *place)
{
#ifdef SYS_mount_setattr
    struct {
        guint64 set, clear, propagation, userns;
    } attributes = {.set = MS_RDONLY | MS_NOSUID};
    syscall(SYS_mount_setattr, AT_FDCWD, place, 0x8000 /* AT_RECURSIVE */, &attributes, sizeof attributes);
#else
    mount(NULL, place, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID, NULL);
#endif
}

static gboolean show(const char *root, const char *source, const char *path, unsigned long how)
{
    char place[PATH_MAX];
    if (snprintf(place, sizeof place, "%s%s", root, path) >= (int)sizeof place ||
        !make_place(source, place, strlen(root)))
        return FALSE;
    return mount(source, place, NULL, how, NULL) == 0;
}

/* What is a link outside is one inside; what is not there is left out. */
static gboolean show_read_only(const char *root, const char *path)
{
    char place[PATH_MAX], target[PATH_MAX];
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (snprintf(place, sizeof place, "%s%s", root, path) >= (int)sizeof place)
        return FALSE;
    if (n > 0 && strncmp(path, "/etc/", 5) != 0) {
        target[n] = '\0';
        return symlink(target, place) == 0;
    }
    if (access(path, F_OK) != 0)
        return TRUE;
    if (!show(root, path, path, MS_BIND | MS_REC))
        return FALSE;
    make_read_only(place);
    return TRUE;
}

/* Without it, COPY TO PROGRAM and its like start nothing. */
static gboolean hide_shell(const struct walls *w)
{
    char place[PATH_MAX];
    return !w->shell || (snprintf(place, sizeof place, "%s%s", w->folder, w->shell) < (int)sizeof place &&
                         mount("/dev/null", place, NULL, MS_BIND, NULL) == 0);
}

static gboolean make_shared_memory(const char *root)
{
    char place[PATH_MAX];
    if (snprintf(place, sizeof place, "%s/dev/shm", root) >= (int)sizeof place)
        return FALSE;
    make_parents(place, strlen(root));
    return mkdir(place, 0755) == 0 && mount("tmpfs", place, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777") == 0;
}

/* The new root is made upon the folder, which is then shown in it under its own name. */
static gboolean build_root(const struct walls *w)
{
    char held[64];
    int fd = open(w->folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return FALSE;
    snprintf(held, sizeof held, "/proc/self/fd/%d", fd);
    if (mount("tmpfs", w->folder, "tmpfs", MS_NOSUID, "mode=0755,size=16m") != 0)
        return FALSE;
    /* First, for the folder may lie in it. The folder then without what is mounted upon it, which is the new root. */
    gboolean ok = make_shared_memory(w->folder) && show(w->folder, held, w->folder, MS_BIND);
    for (gsize i = 0; ok && i < G_N_ELEMENTS(shown); i++)
        ok = show_read_only(w->folder, shown[i]);
    ok = ok && (!w->programs || show_read_only(w->folder, w->programs)) && hide_shell(w);
    if (!ok)
        umount2(w->folder, MNT_DETACH);
    return ok;
}

static gboolean enter_root(const struct walls *w)
{
    return chdir(w->folder) == 0 && syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0 &&
           chdir("/") == 0 && mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID, NULL) == 0 &&
           chdir(w->folder) == 0;
}

/* ---- the namespaces ---- */

/* A namespace without its user is of no use. */
static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        _exit(126);
    close(fd);
}

static gboolean separate(const struct walls *w)
{
    const int spaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC;
    char map[64];
    if (w->self == 0)
        return unshare(spaces) == 0;
    if (unshare(CLONE_NEWUSER | spaces) != 0)
        return FALSE;
    prctl(PR_SET_DUMPABLE, 1); /* else these files are root's */
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "%u %u 1", w->self, w->self);
    write_file("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "%u %u 1", w->self_group, w->self_group);
    write_file("/proc/self/gid_map", map);
    return TRUE;
}

/* Older servers talk to themselves over it. */
static void start_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        ioctl(fd, SIOCSIFFLAGS, &request);
        close(fd);
    }
}

/* The other process holds what it needs of them; who waits for one to be closed is not kept waiting by us. */
static void close_all(void)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0) == 0)
        return;
#endif
    for (int fd = STDERR_FILENO + 1; fd < 65536; fd++)
        close(fd);
}

/* Stays outside, and ends as the first process inside does. Whatever tells it to end ends all that is inside. */
G_NORETURN static void stand_guard(pid_t inside)
{
    sigset_t all;
    int status = 0;
    close_all();
    sigfillset(&all);
    for (int caught = 0; waitpid(inside, &status, WNOHANG) != inside;)
        if (sigwait(&all, &caught) == 0 && caught != SIGCHLD)
            kill(inside, SIGKILL);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void go_inside(void)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    pid_t inside = fork();
    if (inside < 0)
        _exit(126);
    if (inside > 0)
        stand_guard(inside);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

void walls_enter(const struct walls *w, int death_signal, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, death_signal);
    if (getppid() != parent)
        _exit(126);
    gboolean apart = separate(w);
    if (apart) {
        start_loopback();
        mode_t mask = umask(022);
        if (build_root(w) && !enter_root(w))
            _exit(126);
        umask(mask);
        go_inside();
    }
    if (w->user && (setgroups(0, NULL) != 0 || setgid(w->user) != 0 || setuid(w->user) != 0))
        _exit(126);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    /* After setuid: a change of user clears it. */
    prctl(PR_SET_PDEATHSIG, apart ? SIGKILL : death_signal);
}
