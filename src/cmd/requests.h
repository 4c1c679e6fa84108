/* From settings to what the engine is asked: the same for every command that asks it. */
#pragma once

#include "cmd/console.h"
#include "engine/backup.h"

/* Borrows from the console's settings. */
struct backup_request request_backup(struct console *c);

/* The backup file that a person named: a path, id, timestamp or "latest". The caller frees it. */
char *request_path(struct console *c, const char *what, GError **error);
