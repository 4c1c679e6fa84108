/* The SQL before and after the data, made from what pg_restore prints, so that the whole file is one dump. */
#pragma once

#include "pg/toc.h"

/* The head: our first line, pre_data without its closing lines, and the settings that the rows need. */
char *sections_head(const char *pre_data);

/* The tail: post_data without a \restrict of its own, closing with the head's \unrestrict key. */
char *sections_tail(const char *post_data, const char *pre_data);

/* The setval statements of all sequences; "" if there are none. */
char *sections_sequences(const struct toc *t);

/* Puts the \restrict key of a head in place of pre_data's own, which is another one each time. Only if both have one,
 * and the head's is a key such as pg_restore makes. */
void sections_use_key(GString *pre_data, const char *head);
