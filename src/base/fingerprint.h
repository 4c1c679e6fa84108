/*
 * The fingerprint of a table: the sum, modulo 2^128, of a 128-bit XXH3 hash of each row's COPY text
 * (with its newline). A sum, so that neither the order of rows nor the way they were cut into pieces matters.
 * It finds accidents, not forgery. The only file that uses xxHash.
 */
#pragma once

#include <glib.h>

struct fingerprint {
    unsigned __int128 sum;
    guint64 rows;
};

#define FINGERPRINT_TEXT_LENGTH 32

/* Adds one row; text is the row's COPY line, newline included. */
void fingerprint_add_row(struct fingerprint *f, const void *text, gsize length);

/* Adds every row of a block of whole COPY lines. */
void fingerprint_add_lines(struct fingerprint *f, const char *lines, gsize length);

/* Adds all of other, as if its rows had been added one by one. */
void fingerprint_merge(struct fingerprint *f, const struct fingerprint *other);

gboolean fingerprint_equal(const struct fingerprint *a, const struct fingerprint *b);

/* 64-bit XXH3 of any bytes: tells whether they are still those that were there a moment ago. */
guint64 fingerprint_of_bytes(const void *data, gsize length);

/* 32 lower-case hexadecimal digits of the sum; the caller frees it. */
char *fingerprint_text(const struct fingerprint *f);

/* Reads what fingerprint_text wrote; rows is left as it is. FALSE if it is not 32 hexadecimal digits. */
gboolean fingerprint_parse(struct fingerprint *f, const char *text);
