/*
 * Charts as SVG inside HTML: columns over time, and a strip of hours. Each has a title and description for those who do
 * not see it, and a table with the same numbers. Colours come from the style sheet. They know nothing of backups.
 */
#pragma once

#include <glib.h>

struct chart_point {
    gint64 time; /* seconds since 1970 */
    double value;
};

struct chart {
    const char *id;    /* a word, unique on the page */
    const char *title; /* "Size of backups" */
    const char *value_name;
    gint64 from, to;      /* what it spans; from < to */
    const GArray *points; /* struct chart_point, in any order; those outside are left out, as are negative values */
    double limit;         /* a line to hold the columns against; 0: none */
    const char *limit_name;
    char *(*print)(double value); /* a value as people read it; to be freed */
};

#define CHART_COLUMNS 120 /* points that fall into one column show its highest */

/* The figure: chart, axis labels, and the table behind a summary. */
void chart_draw(const struct chart *c, GString *out);

enum chart_cell { CHART_NONE, CHART_GOOD, CHART_BAD };

struct chart_strip {
    const char *id, *title;
    gint64 from;
    guint cells, seconds_per_cell;
    const enum chart_cell *states;
    const char *good_name, *bad_name, *none_name; /* "good backup", "failed", "no backup" */
};

/* One cell per span of time: full and smooth if good, short and dark if bad, a dot if there was nothing. */
void chart_draw_strip(const struct chart_strip *s, GString *out);
