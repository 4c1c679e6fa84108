/* Checks of a preflight that look at the database which is to be replaced. FALSE: the server cannot be asked. */
#pragma once

#include "engine/preflight_check.h"

gboolean preflight_live_state(struct preflight *p, GError **error);
gboolean preflight_live_owner(struct preflight *p, GError **error);
gboolean preflight_live_sessions(struct preflight *p, GError **error);
gboolean preflight_live_prepared(struct preflight *p, GError **error);
gboolean preflight_live_slots(struct preflight *p, GError **error);
gboolean preflight_live_subscriptions(struct preflight *p, GError **error);
