/* Writing HTML: text from outside is escaped, always. */
#pragma once

#include <glib.h>

/* Appends; the value of every %s is escaped, also for attributes in double quotes. The format itself is markup. */
void html(GString *out, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* <time> with the moment in local time: "25 Nov 2026, 21:07". 0: a dash. */
void html_time(GString *out, gint64 unix_seconds);

/* The same as how long it is before NOW: "12 min ago", with the moment as its title. 0: "never". */
void html_ago(GString *out, gint64 unix_seconds, gint64 now);

/* "62 MB". */
void html_size(GString *out, guint64 bytes);

/* Text made safe for a query or path segment. To be freed. */
char *html_uri(const char *text);
