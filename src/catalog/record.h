/* Fields of the journal's records (catalog/journal.h), as those read them who show or judge what was done. */
#pragma once

#include <jansson.h>

#include <glib.h>

/* Seconds since 1970; 0 if the line has no time that can be read. */
gint64 record_time(const json_t *line);

/* A text of it; NULL if there is none of that name. */
const char *record_text(const json_t *line, const char *key);

/* A number of it; -1 if there is none. */
double record_number(const json_t *line, const char *key);

gboolean record_is(const json_t *line, const char *act);
gboolean record_failed(const json_t *line);
