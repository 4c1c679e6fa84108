/*
 * Preloaded into opstower by the tests: makes the Nth call of one kind fail. Counts only calls of the process named
 * opstower that concern files under $FAIL_UNDER.
 *
 * FAIL_CALL    write pwrite fsync fdatasync close rename symlink open unlink mkdir ftruncate
 * FAIL_AT      which one fails, from 1; 0: none, they are just counted
 * FAIL_ERRNO   its number; 0 with write: not an error, but half of the bytes written
 * FAIL_EVERY   set: every one from FAIL_AT on
 * FAIL_REPORT  file to which "failed CALL PATH" and at the end "seen N" are appended
 *
 * open means for writing; close means of what is open for writing, and closes it before it says that it failed, as
 * Linux does.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *under, *call, *report_path;
static int fail_at, fail_errno, seen, every;

__attribute__((constructor)) static void begin(void)
{
    call = strcmp(program_invocation_short_name, "opstower") == 0 ? getenv("FAIL_CALL") : NULL;
    under = getenv("FAIL_UNDER");
    report_path = getenv("FAIL_REPORT");
    fail_at = atoi(getenv("FAIL_AT") ? getenv("FAIL_AT") : "0");
    fail_errno = atoi(getenv("FAIL_ERRNO") ? getenv("FAIL_ERRNO") : "0");
    every = getenv("FAIL_EVERY") != NULL;
    if (!under || !report_path)
        call = NULL;
}

/* By bare system calls: our own must not be counted. */
static void report(const char *format, ...)
{
    char text[PATH_MAX + 64];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, report_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || syscall(SYS_write, fd, text, (size_t)length) != length)
        abort();
    syscall(SYS_close, fd);
}

__attribute__((destructor)) static void end(void)
{
    if (call)
        report("seen %d\n", seen);
}

/* 1 if this call is the one. errno is set. */
static int strikes(const char *name, const char *path)
{
    if (!call || strcmp(name, call) != 0 || strncmp(path, under, strlen(under)) != 0)
        return 0;
    int n = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
    if (fail_at == 0 || (every ? n < fail_at : n != fail_at))
        return 0;
    report("failed %s %s\n", name, path);
    errno = fail_errno;
    return 1;
}

static int strikes_fd(const char *name, int fd)
{
    if (!call || strcmp(name, call) != 0)
        return 0;
    int saved = errno;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    errno = saved;
    if (n < 0)
        return 0;
    path[n] = '\0';
    return strikes(name, path);
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t length)
{
    int hit = strikes_fd("write", fd);
    if (hit && fail_errno)
        return -1;
    return REAL(ssize_t, write, int, const void *, size_t)(fd, data, hit ? (length + 1) / 2 : length);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at)
{
    return strikes_fd("pwrite", fd) ? -1 : REAL(ssize_t, pwrite, int, const void *, size_t, off_t)(fd, data, length, at);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at)
{
    return pwrite(fd, data, length, at);
}

int fsync(int fd)
{
    return strikes_fd("fsync", fd) ? -1 : REAL(int, fsync, int)(fd);
}

int fdatasync(int fd)
{
    return strikes_fd("fdatasync", fd) ? -1 : REAL(int, fdatasync, int)(fd);
}

int close(int fd)
{
    int hit = call && strcmp(call, "close") == 0 && (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY && strikes_fd("close", fd);
    int result = REAL(int, close, int)(fd);
    if (!hit)
        return result;
    errno = fail_errno;
    return -1;
}

int rename(const char *from, const char *to)
{
    return strikes("rename", to) ? -1 : REAL(int, rename, const char *, const char *)(from, to);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    return strikes("rename", to)
               ? -1
               : REAL(int, renameat2, int, const char *, int, const char *, unsigned)(from_fd, from, to_fd, to, flags);
}

int symlink(const char *target, const char *path)
{
    return strikes("symlink", path) ? -1 : REAL(int, symlink, const char *, const char *)(target, path);
}

int unlink(const char *path)
{
    return strikes("unlink", path) ? -1 : REAL(int, unlink, const char *)(path);
}

int mkdir(const char *path, mode_t mode)
{
    return strikes("mkdir", path) ? -1 : REAL(int, mkdir, const char *, mode_t)(path, mode);
}

int ftruncate(int fd, off_t length)
{
    return strikes_fd("ftruncate", fd) ? -1 : REAL(int, ftruncate, int, off_t)(fd, length);
}

int ftruncate64(int fd, off64_t length)
{
    return ftruncate(fd, length);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    if ((flags & O_ACCMODE) != O_RDONLY && strikes("open", path))
        return -1;
    return REAL(int, open, const char *, int, ...)(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open(path, flags, mode);
}
