/*
 * Rules of a table that its rows break, or that cannot be asked while rows are loaded: put aside, and taken up again
 * when all rows are there.
 */
#pragma once

#include "engine/load_outcome.h"
#include "pg/session.h"

struct setaside;
typedef struct setaside setaside;

/* s: where all of it is done. paths: see searchpaths_of. Both stay the caller's. */
struct setaside *setaside_new(struct session *s, const GPtrArray *paths);
void setaside_free(struct setaside *a);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(setaside, setaside_free)

/* Drops the CHECK and foreign key constraints that rows of the table meet, also those of its parents and of its columns'
 * domains. */
gboolean setaside_constraints(struct setaside *a, const char *schema, const char *name, GError **error);

/* Lets its columns be null. */
gboolean setaside_not_nulls(struct setaside *a, const char *schema, const char *name, GError **error);

/* Makes the rules again: as they were, else NOT VALID, else not at all, which is noted. */
gboolean setaside_take_up(struct setaside *a, struct load_outcome *outcome, struct report *report, GError **error);
