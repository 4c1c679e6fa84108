/*
 * How a table of options is written. Only the tables (rows_*.c) include it.
 * A row's initialisers say its kind, limits and place in struct settings; see option_row.h for the rest.
 */
#pragma once

#include "config/option_row.h"

/* offsetof that does not compile if the field is of another type than the row's kind of value needs. */
#define AT(kind, field)                                                                                                \
    (offsetof(struct settings, field) + 0 * sizeof(&((struct settings *)NULL)->field == (kind *)NULL))
#define TEXT(field) .type = OPTION_TEXT, .offset = AT(char *, field)
#define URL(field) .type = OPTION_URL, .offset = AT(char *, field), .secret = TRUE
#define CONNECTION(field) .type = OPTION_CONNECTION, .offset = AT(char *, field), .secret = TRUE
#define ADDRESS(field) .type = OPTION_TEXT, .offset = AT(char *, field), .secret = TRUE, .web_address = TRUE
#define NUMBER(field, low, high) .type = OPTION_NUMBER, .offset = AT(int, field), .min = low, .max = high
#define CHOICE(field, list) .type = OPTION_CHOICE, .offset = AT(char *, field), .choices = list
#define LIST(field) .type = OPTION_LIST, .offset = AT(char **, field)
#define ON(field) .type = OPTION_ON, .offset = AT(gboolean, field)
#define OFF(field) .type = OPTION_OFF, .offset = AT(gboolean, field)
