/* Sizes, durations and times as text. */
#include "base/text.h"

#include <stdio.h>
#include <string.h>

char *text_size(guint64 bytes, const char *suffix)
{
    static const char units[] = "KMGTPE";
    if (bytes < 1024)
        return g_strdup_printf("%" G_GUINT64_FORMAT "%s", bytes, suffix);
    double value = (double)bytes / 1024;
    gsize unit = 0;
    for (; value >= 1023.5 && unit + 1 < strlen(units); unit++)
        value /= 1024;
    gboolean whole = value >= 9.95 || value - (double)(guint64)value < 0.05;
    return g_strdup_printf(whole ? "%.0f%c%s" : "%.1f%c%s", value, units[unit], suffix);
}

char *text_size_pretty(guint64 bytes)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    guint64 value = bytes;
    gsize unit = 0;
    for (; value >= 10240 && unit + 1 < G_N_ELEMENTS(units); unit++)
        value = (value + 512) / 1024;
    return g_strdup_printf("%" G_GUINT64_FORMAT " %s", value, units[unit]);
}

char *text_duration(gint64 seconds)
{
    if (seconds < 60)
        return g_strdup_printf("%d s", (int)seconds);
    if (seconds < 3600)
        return g_strdup_printf("%d min %d s", (int)(seconds / 60), (int)(seconds % 60));
    if (seconds < 86400)
        return g_strdup_printf("%d h %d min", (int)(seconds / 3600), (int)(seconds / 60 % 60));
    return g_strdup_printf("%" G_GINT64_FORMAT " d %d h", seconds / 86400, (int)(seconds / 3600 % 24));
}

static char *format_local(gint64 unix_seconds, const char *format)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(unix_seconds);
    return g_date_time_format(time, format);
}

char *text_timestamp(gint64 unix_seconds)
{
    return format_local(unix_seconds, "%Y%m%d_%H%M%S");
}

char *text_iso_time(gint64 unix_seconds)
{
    return format_local(unix_seconds, "%Y-%m-%dT%H:%M:%S%:z");
}

static int digits(const char *text, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++)
        value = value * 10 + (text[i] - '0');
    return value;
}

gboolean text_parse_timestamp(const char *text, gint64 *ret_unix_seconds)
{
    if (strlen(text) != 15 || text[8] != '_')
        return FALSE;
    for (int i = 0; i < 15; i++)
        if (i != 8 && !g_ascii_isdigit(text[i]))
            return FALSE;
    g_autoptr(GDateTime) time = g_date_time_new_local(digits(text, 4), digits(text + 4, 2), digits(text + 6, 2),
                                                      digits(text + 9, 2), digits(text + 11, 2), digits(text + 13, 2));
    if (!time)
        return FALSE;
    *ret_unix_seconds = g_date_time_to_unix(time);
    return TRUE;
}

/* PostgreSQL's names that iconv knows by another one; the rest it knows as they are. */
static const struct {
    const char *pg, *iconv;
} encodings[] = {
    {"LATIN1", "ISO-8859-1"},     {"LATIN2", "ISO-8859-2"},
    {"LATIN3", "ISO-8859-3"},     {"LATIN4", "ISO-8859-4"},
    {"LATIN5", "ISO-8859-9"},     {"LATIN6", "ISO-8859-10"},
    {"LATIN7", "ISO-8859-13"},    {"LATIN8", "ISO-8859-14"},
    {"LATIN9", "ISO-8859-15"},    {"LATIN10", "ISO-8859-16"},
    {"ISO_8859_5", "ISO-8859-5"}, {"ISO_8859_6", "ISO-8859-6"},
    {"ISO_8859_7", "ISO-8859-7"}, {"ISO_8859_8", "ISO-8859-8"},
    {"WIN866", "CP866"},          {"WIN874", "CP874"},
    {"WIN1250", "CP1250"},        {"WIN1251", "CP1251"},
    {"WIN1252", "CP1252"},        {"WIN1253", "CP1253"},
    {"WIN1254", "CP1254"},        {"WIN1255", "CP1255"},
    {"WIN1256", "CP1256"},        {"WIN1257", "CP1257"},
    {"WIN1258", "CP1258"},        {"KOI8R", "KOI8-R"},
    {"KOI8U", "KOI8-U"},          {"EUC_JP", "EUC-JP"},
    {"EUC_CN", "EUC-CN"},         {"EUC_KR", "EUC-KR"},
    {"EUC_TW", "EUC-TW"},         {"UHC", "CP949"},
};

char *text_to_utf8(const char *text, const char *pg_encoding)
{
    const char *from = pg_encoding;
    if (from && !g_str_equal(from, "UTF8") && !g_str_equal(from, "SQL_ASCII")) {
        for (gsize i = 0; i < G_N_ELEMENTS(encodings); i++)
            if (g_str_equal(encodings[i].pg, pg_encoding))
                from = encodings[i].iconv;
        char *converted = g_convert(text, -1, "UTF-8", from, NULL, NULL, NULL);
        if (converted)
            return converted;
    }
    return g_utf8_make_valid(text, -1);
}

gboolean text_parse_http_date(const char *text, gint64 *ret_unix_seconds)
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int day, year, hour, minute, second;
    char month[4];
    if (sscanf(text, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &day, month, &year, &hour, &minute, &second) != 6)
        return FALSE;
    for (int i = 0; i < 12; i++) {
        if (!g_str_equal(month, months[i]))
            continue;
        g_autoptr(GDateTime) time = g_date_time_new_utc(year, i + 1, day, hour, minute, second);
        if (time)
            *ret_unix_seconds = g_date_time_to_unix(time);
        return time != NULL;
    }
    return FALSE;
}

gboolean text_parse_iso_time(const char *text, gint64 *ret_unix_seconds)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(text, NULL);
    if (time)
        *ret_unix_seconds = g_date_time_to_unix(time);
    return time != NULL;
}
