/* The pages. Each writes a whole document and returns the HTTP status. */
#pragma once

#include "web/view.h"

guint page_health(struct view *v, GString *out);
guint page_backups(struct view *v, GString *out);
guint page_backup(struct view *v, GString *out); /* v->rest: its id */
guint page_history(struct view *v, GString *out);
guint page_recovery(struct view *v, GString *out);
guint page_journal(struct view *v, GString *out);
guint page_retention(struct view *v, GString *out);
