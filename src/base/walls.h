/*
 * Walls around a child that runs what strangers wrote: namespaces of its own for mounts, processes, network and System V
 * IPC; a root folder that holds programs, libraries and one folder to write to, but no other user's file, no socket, no
 * /proc and no working shell; a user that owns nothing. As root, or as anybody where the kernel lets users make user
 * namespaces. Where it allows none, only the user is changed (as root), and it may gain no privileges.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

struct walls;
typedef struct walls walls;

/* folder: an absolute path, the only place that can be written to. programs: the folder of the program. user: it runs as
 * that one, who need have no name; 0: as we do. */
struct walls *walls_plan(const char *folder, const char *programs, uid_t user);
void walls_free(struct walls *w);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(walls, walls_free)

/* Of a child between fork and exec: returns inside of the walls. death_signal ends what is inside when the parent has
 * died. */
void walls_enter(const struct walls *w, int death_signal, pid_t parent);

/* A number that no user and no group of this machine has, for the child of one process. */
uid_t walls_unused_user(void);

/* Whether walls_unused_user could have given that one. */
gboolean walls_is_unused_user(uid_t user);
