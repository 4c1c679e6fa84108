/*
 * The secrets of this run, and how they are kept out of what other programs and servers say. It knows no settings.
 * A secret that is a plain word is not looked for: "password" stands in many messages, and masking it there would say
 * what it is. It is cut only where a URL or `password=` shows what it is.
 */
#pragma once

#include <glib.h>

enum secret_kind {
    SECRET_WORD,    /* may stand in any text: never looked for */
    SECRET_TELLING, /* looked for in the text of others only */
    SECRET_STRONG,  /* so odd that it stands nowhere by chance */
};

enum secret_kind secrets_kind(const char *secret);

/* Remembers SECRETS (char *), until the next call or the end. Before there are threads. */
void secrets_set(const GPtrArray *secrets);

/* A copy of TEXT, which came from outside, with *** in place of every secret. The caller frees it with g_free. */
char *secrets_clean(const char *text);

/* A copy of TEXT with *** in place of those of SECRETS (char *) that are at least of kind LEAST. The caller frees it
 * with g_free. */
char *secrets_mask(const char *text, const GPtrArray *secrets, enum secret_kind least);

/* Overwrites TEXT, which may be NULL, and frees it. */
void secrets_wipe(char *text);
