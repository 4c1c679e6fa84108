/*
 * Percent-encoding as AWS signs it, and the URLs of endpoints. Not a parser of any URL: what an endpoint cannot have is
 * refused.
 */
#pragma once

#include <glib.h>

/* All bytes but A-Z a-z 0-9 - . _ ~ (RFC 3986) become %XX, upper case. keep_slash: "/" stays as it is, as in a path.
 * To be freed. */
char *uri_escape(const char *text, gboolean keep_slash);

/* The parts of "https://host:port/path"; FALSE if it is not such a URL of http or https. user:password, query,
 * fragment, port 0 and a host of other characters than A-Z a-z 0-9 - . _ (or not an IPv6 address) are refused. */
struct uri_parts {
    gboolean https;
    char *host; /* without brackets; a name in another script as xn--... */
    int port;   /* 0: not given */
    char *path; /* plain: %XX is decoded; without a trailing slash; "" */
};
/* The parts are to be cleared; on FALSE nothing is touched. */
gboolean uri_parse(const char *url, struct uri_parts *ret_parts);
void uri_parts_clear(struct uri_parts *p);

/* TRUE for localhost, *.localhost, 127.x.x.x and ::1: what never leaves this machine. */
gboolean uri_is_loopback(const char *host);

/* URL as it may be shown: without user, password, query and fragment. The caller frees it with g_free. */
char *uri_without_secrets(const char *url);
