/*
 * One mail to one server by SMTP: TLS, login, envelope, text. It does not write the text, retry, or keep connections.
 */
#pragma once

#include "net/http.h"

enum smtp_tls {
    SMTP_TLS_AUTO,   /* demanded, unless the server is this machine and no password is sent */
    SMTP_TLS_ALWAYS, /* demanded */
    SMTP_TLS_NEVER,  /* plain; with a password that is refused, unless the server is this machine */
};

struct smtp_server {
    const char *url;     /* smtp://USER:PASSWORD@HOST:PORT, or smtps:// (TLS from the start); USER and PASSWORD may have
                            %XX; without a port 587 where there is a user, else 25 (smtps: 465) */
    enum smtp_tls tls;   /* for smtp:// : STARTTLS */
    const char *ca_file; /* as in struct http_options */
    guint timeout_ms;    /* for everything */
};

struct smtp_mail {
    const char *from;      /* addresses as of smtp_is_address */
    const char *const *to; /* at least one, NULL at the end */
    const char *text;      /* headers, empty line, body; every line ends with CRLF; dots are ours to double */
    gsize length;
};

/* TRUE for LOCAL@DOMAIN without blanks, brackets, quotes or control characters: what can stand in an envelope and a
 * header as it is. */
gboolean smtp_is_address(const char *text);

/* TRUE if the server has accepted the mail for all of its receivers. Else *ret_failure says whether another try makes
 * sense (SMTP's 4xx, and what HTTP_TRANSIENT is for), and the message names host and port and the server's words, never
 * the password. Errors: OT_USAGE for a URL or address that cannot be used, else OT_FAILED. An interrupt
 * ends it (OT_INTERRUPTED); once there was one, it works as ever. */
gboolean smtp_send(const struct smtp_server *server, const struct smtp_mail *mail, enum http_failure *ret_failure,
                   GError **error);
