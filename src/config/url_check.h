/*
 * Whether a URL means one thing only. A password with an unescaped @, / or # makes its readers disagree on where it
 * ends; what is left of it then becomes a host, a port or a name, and stands in messages.
 */
#pragma once

#include <glib.h>

enum url_problem {
    URL_FINE,
    URL_AMBIGUOUS,  /* the password may end in more than one place */
    URL_BAD_ESCAPE, /* a % without two hexadecimal digits, or %00 */
    URL_NO_SCHEME,  /* neither a URL of PostgreSQL nor KEYWORD=VALUE */
    URL_BARE_VALUE, /* a word of a KEYWORD=VALUE string has no keyword, or a quote is not closed */
};

/* Of a connection to PostgreSQL: postgresql://..., or "keyword=value ...". */
enum url_problem url_check_connection(const char *text);

/* Of a server of HTTP or SMTP. What is no URL at all is for others to refuse. */
enum url_problem url_check_web(const char *text);

/* The end of a sentence that begins with the variable's name, and what to do; nothing of the URL is in it. Static. */
const char *url_problem_text(enum url_problem problem);
