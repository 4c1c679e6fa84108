/* The SQL before and after the data, made from what pg_restore prints, so that the whole file is one dump. */
#pragma once

#include "base/error.h"

/* The head: our first line, pre_data without its closing lines, and the settings that the rows need. */
char *sections_head(const char *pre_data);

/* The tail: post_data without a \restrict of its own, closing with the head's \unrestrict key. */
char *sections_tail(const char *post_data, const char *pre_data);
