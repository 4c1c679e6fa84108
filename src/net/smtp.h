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

/* A receiver that the server did not take. */
struct smtp_refusal {
    char *to, *said; /* the address; the server's words */
    gboolean final;  /* SMTP's 5xx: the same again will be refused again */
};

struct smtp_outcome {
    enum http_failure failure; /* HTTP_NONE: sent; else whether another try makes sense (SMTP's 4xx, and what
                                  HTTP_TRANSIENT is for) */
    gboolean was_offered;      /* receivers were taken, and the text was offered */
    GPtrArray *refusals;       /* struct smtp_refusal *, in the order of the receivers */
};
void smtp_outcome_clear(struct smtp_outcome *o);
GPtrArray *smtp_refusals_new(void); /* a list that frees them */
struct smtp_refusal *smtp_refusal_new(const char *to, const char *said, gboolean final);

/* TRUE if the server has accepted the mail for one receiver at least; those that it refused are in ret->refusals, which
 * is to be cleared in any case. Else the message names host and port and the server's words, never the password.
 * Errors: OT_USAGE for a URL or address that cannot be used, else OT_FAILED. An interrupt ends it (OT_INTERRUPTED);
 * once there was one, it works as ever. */
gboolean smtp_send(const struct smtp_server *server, const struct smtp_mail *mail, struct smtp_outcome *ret,
                   GError **error);
