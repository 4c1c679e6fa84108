/* One call under way, between net/http.c that makes it and net/http_failure.c that says what became of it. */
#pragma once

#include <curl/curl.h>

#include "net/http.h"

/* Why one of our callbacks ended the call. */
enum http_stop {
    HTTP_STOP_NOT,
    HTTP_STOP_INTERRUPTED,
    HTTP_STOP_STALLED,
    HTTP_STOP_LARGE,   /* the body */
    HTTP_STOP_HEADERS, /* too many, or too long */
};

struct http_call {
    const struct http_request *request;
    const struct http_options *options;
    CURL *curl;
    const char *place; /* host:port */
    gboolean loopback;
    gsize max_answer_bytes;
    GByteArray *body;
    gsize body_sent; /* of the request, as far as curl has taken it */
    gsize header_bytes;
    guint header_lines;
    gboolean head_ended;    /* the empty line came that ends the last answer's headers */
    gint64 moved, moved_at; /* bytes both ways, and since when they are so many */
    enum http_stop stop;
    char said[CURL_ERROR_SIZE]; /* curl's own words */
};

/* TRUE if curl's result is a whole answer to the whole request. Else *ret_failure and error are filled. */
gboolean http_call_judge(const struct http_call *call, CURLcode code, enum http_failure *ret_failure, GError **error);
