/*
 * The rows' part of a load: members into tables that are there, in parallel, in stages (pg/order.h). A table that the
 * server refuses at first is tried again when all others are filled, with the search paths that its rules may expect,
 * and last with those rules put aside until its rows are there.
 */
#pragma once

#include "archive/reader.h"
#include "engine/load_outcome.h"
#include "pg/session.h"

struct loadrows {
    const struct pg_target *target;
    const char *dbname;
    struct archive_reader *reader;
    const struct toc *toc;
    const GPtrArray *paths; /* see searchpaths_of */
    guint jobs;
    struct load_outcome *outcome;
    struct report *report;
};

/* TRUE only if every row of every table and every large object was taken by the server. */
gboolean loadrows_run(const struct loadrows *request, GError **error);
