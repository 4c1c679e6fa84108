/* Percent-encoding as AWS signs it (RFC 3986): all but A-Z a-z 0-9 - . _ ~ becomes %XX, upper case. */
#pragma once

#include <glib.h>

/* keep_slash: "/" stays as it is, as in a path. To be freed. */
char *uri_escape(const char *text, gboolean keep_slash);

/* The parts of "https://host:port/path"; FALSE if it is not such a URL of http or https. user:password, query and
 * fragment are refused. */
struct uri_parts {
    gboolean https;
    char *host; /* without brackets */
    int port;   /* 0: not given */
    char *path; /* without a trailing slash; "" */
};
gboolean uri_parse(const char *url, struct uri_parts *ret_parts);
void uri_parts_clear(struct uri_parts *p);

/* TRUE for localhost, *.localhost, 127.x.x.x and ::1: what never leaves this machine. */
gboolean uri_is_loopback(const char *host);
