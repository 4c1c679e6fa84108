/* What a session tells those who start children for it; for pg/ alone. */
#pragma once

#include "pg/conninfo.h"

const struct conninfo *session_conninfo(const struct session *s);

/* Options that children need for their sessions; NULL: none. */
const char *session_child_options(const struct session *s);

/* Whether a pooler stands before the server. */
gboolean session_is_pooled(const struct session *s);
