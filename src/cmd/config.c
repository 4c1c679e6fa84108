/* opstower config */
#include <stdio.h>
#include <string.h>

#include "cmd/command.h"

static json_t *as_json(const struct option_shown *o)
{
    g_autofree char *value = o->value ? g_utf8_make_valid(o->value, -1) : NULL;
    json_t *object = json_object();
    json_object_set_new(object, "name", json_string(o->name));
    json_object_set_new(object, "value", value ? json_string(value) : json_null());
    json_object_set_new(object, "source", o->source ? json_string(o->source) : json_null());
    return object;
}

/* A value may hold anything: control characters are written as \n and \033. */
static void print_line(const struct option_shown *o)
{
    g_autofree char *value = g_strescape(o->value ? o->value : "-", "\"\\");
    printf("%-40s %-40s %s\n", o->name, value, o->source ? o->source : "not set");
}

static gboolean config_command_run(struct console *c, char **words, GError **error)
{
    (void)words;
    g_autoptr(GPtrArray) all = options_shown(&c->settings);
    json_t *array = json_array();
    if (!c->settings.json)
        printf("%-40s %-40s %s\n", "SETTING", "VALUE", "SOURCE");
    for (guint i = 0; i < all->len; i++)
        if (c->settings.json)
            json_array_append_new(array, as_json(all->pdata[i]));
        else
            print_line(all->pdata[i]);
    if (c->settings.json)
        return console_print_json(array, error);
    json_decref(array);
    return TRUE;
}

const struct command cmd_config = {
    .name = "config",
    .mask = CMD_CONFIG,
    .usage = "[--json] [OPTION]...",
    .summary = "Show every setting with its source.",
    .details = "Each variable with the value that counts here, and where that comes from: the environment, a line of\n"
               "the .env file, a file of its own, a flag, or the default. Of a secret only that it is set.",
    .min_words = 0,
    .max_words = 0,
    .run = config_command_run,
};
