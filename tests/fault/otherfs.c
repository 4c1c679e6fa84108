/*
 * Preloaded into opstower by the tests: the folder lies on another kind of file system.
 *
 * OTHER_FS   nfs: renameat2 knows no flags. fat: that, no second names (link) and no folders that can be synced.
 *            lost: as nfs, and the answer to link gets lost: it is done, and says EEXIST.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

static int is(const char *kind)
{
    const char *set = getenv("OTHER_FS");
    return set && strcmp(set, kind) == 0;
}

static int fail(int error)
{
    errno = error;
    return -1;
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    if (flags != 0)
        return fail(EINVAL);
    return REAL(int, renameat2, int, const char *, int, const char *, unsigned)(from_fd, from, to_fd, to, flags);
}

int link(const char *from, const char *to)
{
    if (is("fat"))
        return fail(EPERM);
    int result = REAL(int, link, const char *, const char *)(from, to);
    return result == 0 && is("lost") ? fail(EEXIST) : result;
}

int fsync(int fd)
{
    struct stat st;
    if (is("fat") && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        return fail(EINVAL);
    return REAL(int, fsync, int)(fd);
}
