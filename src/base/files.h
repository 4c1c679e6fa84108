/*
 * Files that are either complete and on disk, or not there: written under a temporary name beside the final one,
 * fsynced, then given the final name, and the folder fsynced. Files are 0600, folders 0700.
 */
#pragma once

#include "base/sink.h"

/* A file on its way to a final name. Not finished, it disappears with file_sink_free. */
struct file_sink;
typedef struct file_sink file_sink;

/* Creates FOLDER/.NAME.partial, replacing what an earlier run left there. */
struct file_sink *file_sink_new(const char *folder, const char *name, GError **error);
gboolean file_sink_write(struct file_sink *s, const void *data, gsize length, GError **error);

/* fsync; the file keeps its temporary name. After this nothing can be written. */
gboolean file_sink_sync(struct file_sink *s, GError **error);

/* Gives the synced file its final name. Without replace, an existing file of that name is an error and stays. */
gboolean file_sink_publish(struct file_sink *s, gboolean replace, GError **error);

/* The file as a sink: flush is file_sink_sync. */
struct sink *file_sink_stream(struct file_sink *s);

/* Where the bytes are now; valid until publish or free. */
const char *file_sink_path(const struct file_sink *s);

void file_sink_free(struct file_sink *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(file_sink, file_sink_free)

/* Writes a whole small file so (write, sync, publish). */
gboolean files_write(const char *folder, const char *name, const char *text, gsize length, gboolean replace,
                     GError **error);

/* Fills both from the file's beginning and end. FALSE: it is not longer than the head, or cannot be read so. */
gboolean files_read_ends(const char *path, void *head, gsize head_length, void *tail, gsize tail_length);

/* Reads a whole file of at most max_bytes; NUL-terminated. OT_NOT_FOUND if it is not there. */
gboolean files_read(const char *path, gsize max_bytes, char **ret_text, gsize *ret_length, GError **error);

/* open(2) of a file for us alone (0600), made if it is not there; with O_EXCL it must not be. What root makes in another
 * user's folder is given to that user, whose own runs could not use it else. -1 with errno. */
int files_open_or_make(const char *path, int flags);

/* Writes all of it to fd, however often write must be called. what names the target in an error. */
gboolean files_write_all(int fd, const void *data, gsize length, const char *what, GError **error);

/* Reads exactly length bytes at offset; the end of the file before that is OT_CORRUPT. */
gboolean files_read_at(int fd, guint64 offset, void *data, gsize length, const char *what, GError **error);

/* Fills *error from errno: "WHAT PATH: strerror", and where access was denied, which folder on the way is whose. Returns
 * FALSE. */
gboolean files_fail_folder(GError **error, enum ot_code code, const char *what, const char *path);

/* Makes the folder (0700, parents as needed) if it is not there, and checks that files can be made in it. */
gboolean files_need_folder(const char *folder, GError **error);

gboolean files_sync_folder(const char *folder, GError **error);

/* Points FOLDER/NAME at TARGET (a name in the same folder), replacing an older link in one step. A NAME that is not a
 * symbolic link is left alone, and an error. */
gboolean files_set_link(const char *folder, const char *name, const char *target, GError **error);

/* Bytes that this user can still write in the folder's file system. */
gboolean files_free_space(const char *folder, guint64 *ret_bytes, GError **error);

/* Removes a file; that it is not there is fine. */
gboolean files_remove(const char *path, GError **error);

/* Removes a file, or a folder with all that is in it; follows no symbolic link, also none that appears meanwhile. Its
 * parent is trusted. That it is not there is fine. */
gboolean files_remove_tree(const char *path, GError **error);

/* The open folder, and all that is in it, becomes that user's and its group's; no link is followed. */
gboolean files_give_folder(int fd, uid_t user, GError **error);

/* All that is in the open folder, likewise; the folder itself stays, and so does the descriptor. */
gboolean files_empty_folder(int fd, GError **error);
