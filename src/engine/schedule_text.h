/* Texts of units and cron lines, and what tells ours from others'. For the schedule_*.c files only. */
#pragma once

#include "engine/schedule.h"

#define SCHEDULE_UNIT_DIR "/etc/systemd/system"
#define SCHEDULE_CRON_DIR "/etc/cron.d"
#define SCHEDULE_CRON_NAME "opstower"

/* The first line of each file, and the lines around ours in a crontab. */
#define SCHEDULE_MARK "# Made by \"opstower schedule install\"; \"opstower schedule remove\" removes it.\n"
#define SCHEDULE_BEGIN "# BEGIN opstower (made by \"opstower schedule install\")\n"
#define SCHEDULE_END "# END opstower\n"

void schedule_file_free(struct schedule_file *f);

/* "opstower-backup.timer" of a job; to be freed. */
char *schedule_unit_name(const struct schedule_job *job, const char *ending);

/* What follows the program (or, without the command, the guide's script); borrowed, not NULL at the end. */
GPtrArray *schedule_words(const struct schedule_request *q, const struct schedule_job *job, gboolean with_command);

char *schedule_service_text(const struct schedule_request *q, const struct schedule_job *job);
char *schedule_timer_text(const struct schedule_job *job);

/* Two lines of a crontab, a comment and the job; with_user: as in /etc/cron.d. */
char *schedule_cron_line(const struct schedule_request *q, const struct schedule_job *job, gboolean with_user);

/* ---- schedule.c ---- */

enum schedule_owner { SCHEDULE_ABSENT, SCHEDULE_OURS, SCHEDULE_OTHERS, SCHEDULE_UNKNOWN };

/* Whose file it is. A link (a masked unit is one) is not ours. ret_text (may be NULL): what is in a file of ours.
 * SCHEDULE_UNKNOWN: see error. */
enum schedule_owner schedule_owner_of(const char *path, char **ret_text, GError **error);

/* ---- schedule_system.c: the two programs that are told ---- */

/* systemctl WORDS..., which end with NULL. ret_text may be NULL. */
gboolean schedule_systemctl(const char *const *words, GString **ret_text, GError **error);

/* The crontab of whoever calls, empty if there is none; and put in its place (an empty one: removed). */
GString *schedule_crontab_read(GError **error);
gboolean schedule_crontab_write(const char *text, gsize length, GError **error);

/* Cuts the lines between ours and the two themselves out of the crontab; TRUE if there were any. OT_REFUSED (and FALSE)
 * if one of the two is missing: then what is ours cannot be told. ret_block (may be NULL): what was cut; to be freed.
 */
gboolean schedule_crontab_cut(GString *crontab, char **ret_block, GError **error);
