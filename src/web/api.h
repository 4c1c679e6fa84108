/* What programs ask for: metrics and JSON. Each writes its document and returns the HTTP status. */
#pragma once

#include "web/view.h"

guint api_metrics(struct view *v, GString *out);
guint api_status(struct view *v, GString *out);
guint api_backups(struct view *v, GString *out);
guint api_journal(struct view *v, GString *out);
