/* Lines of the journal as the pages read them. */
#pragma once

#include <jansson.h>

#include <glib.h>

/* Seconds since 1970; 0 if the line has no time that can be read. */
gint64 past_time(const json_t *line);

/* A text of it; NULL if there is none of that name. */
const char *past_text(const json_t *line, const char *key);

/* A number of it; -1 if there is none. */
double past_number(const json_t *line, const char *key);

gboolean past_is(const json_t *line, const char *act);
gboolean past_failed(const json_t *line);
