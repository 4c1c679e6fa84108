/* Fields of journal lines. */
#include "web/past.h"

#include "base/text.h"

gint64 past_time(const json_t *line)
{
    gint64 at = 0;
    const char *text = past_text(line, "time");
    return text && text_parse_iso_time(text, &at) ? at : 0;
}

const char *past_text(const json_t *line, const char *key)
{
    return json_string_value(json_object_get(line, key));
}

double past_number(const json_t *line, const char *key)
{
    const json_t *value = json_object_get(line, key);
    return json_is_number(value) ? json_number_value(value) : -1;
}

gboolean past_is(const json_t *line, const char *act)
{
    return g_strcmp0(past_text(line, "act"), act) == 0;
}

gboolean past_failed(const json_t *line)
{
    return g_strcmp0(past_text(line, "result"), "ok") != 0;
}
