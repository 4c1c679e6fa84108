/*
 * Files that decide what is run and as whom: .env files, and files that hold one secret. Whoever can write them can run
 * programs as us, so it is looked at whose they are, on the open file.
 */
#pragma once

#include <glib.h>

enum file_origin {
    FILE_FOUND, /* it lies where we look: it must be ours or root's */
    FILE_NAMED, /* somebody named it: whose it is, is told */
};

struct private_file {
    GString *text;      /* never NULL after success; at most one byte more than was allowed */
    gboolean shared;    /* a file whose group, or everyone, may read it */
    gboolean in_memory; /* on a file system of memory, as the secrets of containers */
    char *warning;      /* whose it is, if that is not fine; NULL: it is */
};

/* Reads PATH, which may be a pipe if it was named. Errors: OT_NOT_FOUND (no such file, or it is a folder), OT_IO,
 * OT_REFUSED (others may write it; or it was only found, and is not ours). */
gboolean private_file_read(const char *path, enum file_origin origin, gsize max_bytes, struct private_file *ret_file,
                           GError **error);
void private_file_clear(struct private_file *file);

/* Whether strangers may put files into the folder PATH, which are taken from there without being named: OT_REFUSED. */
gboolean private_folder_check(const char *path, GError **error);
