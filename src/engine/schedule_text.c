/*
 * Units and cron lines, word by word.
 * The sandbox of a service is a list of lines: what the program needs is known, so the rest is shut.
 */
#include "engine/schedule_text.h"

#include "base/error.h"

/* Reads everything, writes to its folders only. /home is readable for ~/.pgpass and ~/.aws. */
static const char sandbox[] = "UMask=0077\n"
                              "NoNewPrivileges=yes\n"
                              "ProtectSystem=strict\n"
                              "ProtectHome=read-only\n"
                              "PrivateTmp=yes\n"
                              "PrivateDevices=yes\n"
                              "ProtectClock=yes\n"
                              "ProtectControlGroups=yes\n"
                              "ProtectHostname=yes\n"
                              "ProtectKernelLogs=yes\n"
                              "ProtectKernelModules=yes\n"
                              "ProtectKernelTunables=yes\n"
                              "ProtectProc=invisible\n"
                              "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n"
                              "RestrictNamespaces=yes\n"
                              "RestrictRealtime=yes\n"
                              "RestrictSUIDSGID=yes\n"
                              "LockPersonality=yes\n"
                              "KeyringMode=private\n"
                              "SystemCallArchitectures=native\n"
                              "SystemCallErrorNumber=EPERM\n";

/* Hooks are other people's programs, and those that compile while they run (node, java) need such memory. */
static const char no_code_in_memory[] = "MemoryDenyWriteExecute=yes\n";

/* What is left to root: files of other users, and for a full test a scratch server that runs as another user. */
static const char *rights(const struct schedule_request *q, const struct schedule_job *job)
{
    if (q->user)
        return "CapabilityBoundingSet=\n"
               "SystemCallFilter=@system-service\n"
               "SystemCallFilter=~@privileged @resources\n";
    if (!job->full_test)
        return "CapabilityBoundingSet=CAP_DAC_OVERRIDE\n"
               "SystemCallFilter=@system-service\n"
               "SystemCallFilter=~@privileged @resources\n";
    return "CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_CHOWN CAP_FOWNER CAP_KILL CAP_SETUID CAP_SETGID\n"
           "SystemCallFilter=@system-service\n"
           "SystemCallFilter=~@resources\n";
}

/* A bad verdict is no failure of the look. What was told is remembered in BACKUP_DIR, and where that cannot be written
 * in the temporary folder, which a private one would forget after each look. */
static const char watch[] = "SuccessExitStatus=1 2\n"
                            "RuntimeDirectory=opstower-watch\n"
                            "RuntimeDirectoryMode=0700\n"
                            "RuntimeDirectoryPreserve=yes\n"
                            "Environment=TMPDIR=%t/opstower-watch\n";

/* A run that meets another one at work is no failure. */
static const char plain_job[] = "SuccessExitStatus=6\n";

/* Settings that it refuses do not become better by trying again. */
static const char serve[] = "Restart=on-failure\n"
                            "RestartSec=5\n"
                            "RestartPreventExitStatus=2\n";

void schedule_file_free(struct schedule_file *f)
{
    g_free(f->path);
    g_free(f->text);
    g_free(f);
}

char *schedule_unit_name(const struct schedule_job *job, const char *ending)
{
    return g_strconcat(job->name, ending, NULL);
}

/* ---- systemd ---- */

/* A word in double quotes: % begins a specifier, and in a command line $ a variable. */
static char *unit_word(const char *word, gboolean in_command)
{
    g_autoptr(GString) text = g_string_new("\"");
    for (const char *p = word; *p; p++) {
        if (*p == '"' || *p == '\\')
            g_string_append_c(text, '\\');
        if (*p == '%' || (*p == '$' && in_command))
            g_string_append_c(text, *p);
        g_string_append_c(text, *p);
    }
    g_string_append_c(text, '"');
    gboolean plain = !word[strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._=:@+-")];
    return plain ? g_strdup(word) : g_string_free(g_steal_pointer(&text), FALSE);
}

GPtrArray *schedule_words(const struct schedule_request *q, const struct schedule_job *job, gboolean with_command)
{
    GPtrArray *words = g_ptr_array_new();
    if (with_command)
        g_ptr_array_add(words, (gpointer)job->command);
    for (const char *const *word = job->words; *word; word++)
        g_ptr_array_add(words, (gpointer)*word);
    if (job->from_s3 && q->bucket)
        g_ptr_array_add(words, (gpointer) "--from-s3");
    for (const char *const *word = job->serve ? NULL : q->several; word && *word; word++)
        g_ptr_array_add(words, (gpointer)*word);
    return words;
}

static char *command_line(const struct schedule_request *q, const struct schedule_job *job)
{
    g_autoptr(GPtrArray) words = schedule_words(q, job, TRUE);
    g_autofree char *program = unit_word(q->program, FALSE);
    g_autoptr(GString) text = g_string_new(program);
    for (guint i = 0; i < words->len; i++) {
        g_autofree char *word = unit_word(words->pdata[i], TRUE);
        g_string_append_printf(text, " %s", word);
    }
    if (job->watch)
        g_string_append(text, " --quiet");
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* Without the dash a folder that is not there (a disk that is not mounted) ends the job before it can say so. */
static void append_writable(GString *text, const struct schedule_request *q)
{
    for (const char *const *folder = q->writable; folder && *folder; folder++) {
        g_autofree char *path = g_strconcat("-", *folder, NULL);
        g_autofree char *word = unit_word(path, FALSE);
        g_string_append_printf(text, "ReadWritePaths=%s\n", word);
    }
}

char *schedule_service_text(const struct schedule_request *q, const struct schedule_job *job)
{
    g_autofree char *command = command_line(q, job);
    g_autoptr(GString) text = g_string_new(SCHEDULE_MARK);
    g_string_append_printf(text,
                           "[Unit]\nDescription=OpsTower: %s\n"
                           "Wants=network-online.target\nAfter=network-online.target postgresql.service\n\n"
                           "[Service]\nType=%s\nExecStart=%s\nSyslogIdentifier=%s\n",
                           job->title, job->serve ? "exec" : "oneshot", command, job->name);
    if (q->env_file) {
        g_autofree char *setting = g_strconcat("OPSTOWER_ENV_FILE=", q->env_file, NULL);
        g_autofree char *word = unit_word(setting, FALSE);
        g_string_append_printf(text, "Environment=%s\n", word);
    }
    if (q->user)
        g_string_append_printf(text, "User=%s\n", q->user);
    g_string_append(text, "Nice=10\n");
    if (!job->serve) /* where alerts go, for a day on which the settings cannot be read */
        g_string_append(text, "StateDirectory=opstower\nStateDirectoryMode=0700\n");
    g_string_append(text, job->watch ? watch : job->serve ? serve : plain_job);
    append_writable(text, q);
    g_string_append(text, rights(q, job));
    g_string_append(text, sandbox);
    g_string_append(text, q->hooks && !job->serve ? "" : no_code_in_memory);
    g_string_append(text, job->serve ? "\n[Install]\nWantedBy=multi-user.target\n" : "");
    return g_string_free(g_steal_pointer(&text), FALSE);
}

char *schedule_timer_text(const struct schedule_job *job)
{
    g_autofree char *calendar = schedule_calendar(&job->when);
    /* Persistent: runs that were missed while the machine was off are caught up by one. */
    return g_strdup_printf(SCHEDULE_MARK "[Unit]\nDescription=OpsTower: %s\n\n"
                                         "[Timer]\nOnCalendar=%s\nPersistent=true\nRandomizedDelaySec=0\n"
                                         "AccuracySec=1s\n\n[Install]\nWantedBy=timers.target\n",
                           job->title, calendar);
}

/* ---- cron ---- */

/* A word for the shell that cron starts; cron itself makes newlines of %. */
static void append_shell_word(GString *line, const char *before, const char *word)
{
    gboolean plain = !word[strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._=:@+-")];
    g_autofree char *quoted = plain ? g_strdup(word) : g_shell_quote(word);
    g_string_append(line, before);
    for (const char *p = quoted; *p; p++)
        g_string_append_printf(line, *p == '%' ? "\\%c" : "%c", *p);
}

/* The guide's script where it is at hand, else the program. */
static void append_command(GString *line, const struct schedule_request *q, const struct schedule_job *job)
{
    gboolean by_script = q->scripts && job->script;
    g_autofree char *script = by_script ? g_build_filename(q->scripts, job->script, NULL) : NULL;
    if (by_script)
        append_shell_word(line, " OPSTOWER=", q->program);
    if (q->env_file)
        append_shell_word(line, " OPSTOWER_ENV_FILE=", q->env_file);
    append_shell_word(line, " ", by_script ? script : q->program);
    g_autoptr(GPtrArray) words = schedule_words(q, job, !by_script);
    for (guint i = 0; i < words->len; i++)
        append_shell_word(line, " ", words->pdata[i]);
    /* cron sends by mail what a job says: then that is warnings and errors. */
    g_string_append(line, " --quiet\n");
}

char *schedule_cron_line(const struct schedule_request *q, const struct schedule_job *job, gboolean with_user)
{
    g_autofree char *fields = schedule_cron_fields(&job->when);
    g_autoptr(GString) line = g_string_new(NULL);
    g_string_append_printf(line, "# %s: %s\n%s", job->name, job->title, fields);
    if (with_user)
        g_string_append_printf(line, " %s", q->user ? q->user : "root");
    if (schedule_needs_sunday(&job->when))
        g_string_append(line, " [ \"$(date +\\%u)\" -ne 7 ] ||");
    append_command(line, q, job);
    return g_string_free(g_steal_pointer(&line), FALSE);
}
