/* What acts say of the backups of other servers in the same place. */
#pragma once

#include "engine/report.h"
#include "engine/server_identity.h"

/* [WARN], with the way out, if there are any among the entries, which are marked. place: the folder, or s3://... */
void others_warn(const GPtrArray *entries, const char *place, struct report *report);

/* The same as a sentence; NULL: there are none. with_unsure: also those of which it is not known. To be freed. */
char *others_text(const GPtrArray *entries, const char *place, gboolean with_unsure);

/* Notes in the journal's record which server the settings name, so that an act that never reached it is known as its. */
void others_note_address(const struct pg_target *target, struct report *report);
