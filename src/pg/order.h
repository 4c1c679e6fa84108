/*
 * Which tables must be filled before others. Most in any order; but what is in force before the rows come (foreign keys
 * and triggers between an extension's own tables, CHECK constraints and generated columns that call functions) may ask
 * for rows of other tables.
 */
#pragma once

#include "pg/toc.h"

/* The stage of each table: those of a lower stage are filled first, those of the same one in any order.
 * - An extension's configuration tables are filled one after the other, as pg_dump orders them.
 * - A table whose CHECK constraints or generated columns call a function of the database's own may ask for any other
 *   table: it comes after all that call none, and after those that the functions' text names.
 * - TABLE DATA that depends on other TABLE DATA comes after it.
 * defs: struct table_def *, in the table of contents' order. The caller frees the array with g_free. */
guint *order_stages(const struct toc *t, const GPtrArray *defs);
