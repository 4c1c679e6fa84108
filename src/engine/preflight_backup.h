/* Checks of a preflight that look at what the backup needs of the server. FALSE: the server cannot be asked. */
#pragma once

#include "engine/preflight_check.h"

gboolean preflight_backup_roles(struct preflight *p, GError **error);
gboolean preflight_backup_locale(struct preflight *p, GError **error);
gboolean preflight_backup_extensions(struct preflight *p, GError **error);
gboolean preflight_backup_objects(struct preflight *p, GError **error);
