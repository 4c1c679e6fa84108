/* One field each. */
#include "catalog/record.h"

#include "base/text.h"

gint64 record_time(const json_t *line)
{
    gint64 at = 0;
    const char *text = record_text(line, "time");
    return text && text_parse_iso_time(text, &at) ? at : 0;
}

const char *record_text(const json_t *line, const char *key)
{
    return json_string_value(json_object_get(line, key));
}

double record_number(const json_t *line, const char *key)
{
    const json_t *value = json_object_get(line, key);
    return json_is_number(value) ? json_number_value(value) : -1;
}

gboolean record_is(const json_t *line, const char *act)
{
    return g_strcmp0(record_text(line, "act"), act) == 0;
}

gboolean record_failed(const json_t *line)
{
    return g_strcmp0(record_text(line, "result"), "ok") != 0;
}
