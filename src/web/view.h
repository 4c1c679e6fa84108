/* What a page is made from, and the frame that all pages share. */
#pragma once

#include "web/html.h"
#include "web/sight.h"

struct MHD_Connection;

struct view {
    const struct web_config *config;
    struct sight sight;
    struct MHD_Connection *connection; /* for view_argument */
    const char *path;                  /* of the request, without its query */
    const char *rest;                  /* what follows the route's own path; "" if nothing does */
};

/* A value of the query (?name=value), NULL if it is not there or longer than 200 bytes. Not trusted, valid UTF-8. */
const char *view_argument(const struct view *v, const char *name);

/* A number of the query between low and high; standard if it is not there or not such a number. */
guint view_number(const struct view *v, const char *name, guint low, guint high, guint standard);

/* From <!doctype> to the page's <h1>; and the end of what it opened. */
void view_begin(const struct view *v, const char *title, GString *out);
void view_end(const struct view *v, GString *out);

/* The symbol and word of a verdict. */
void view_verdict(enum health_verdict verdict, GString *out);

/* "is-ok", "is-warning", "is-critical", "is-unknown": the class that brings its colour. */
const char *view_class(enum health_verdict verdict);

/* A note that something could not be read: problem may be NULL, then nothing is written. */
void view_problem(const char *what, const char *problem, GString *out);

/* Links to the pages of a list: FIRST (of LENGTH entries, SIZE per page) is the one shown; query is what else the links
 * carry ("act=backup&"), already escaped for a URL. */
void view_pages(const struct view *v, guint page, guint length, guint size, const char *query, GString *out);
