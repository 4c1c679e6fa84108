/*
 * Tests of names: exact in both directions, and no database's name is taken for part of another's.
 */
#include "catalog/names.h"

#include <string.h>

#define TS "20260207_120000"

static const struct {
    const char *database, *encoded;
} encodings[] = {
    {"opstower", "opstower"},
    {"app-prod", "app-prod"},
    {"with space", "with space"},
    {"a/b", "a%2Fb"},
    {"../../etc", "%2E.%2F..%2Fetc"},
    {".hidden", "%2Ehidden"},
    {"a.b", "a.b"},
    {"..", "%2E."},
    {"100%", "100%25"},
    {"%2F", "%252F"},
    {"back\\slash", "back%5Cslash"},
    {"new\nline\ttab\x7f", "new%0Aline%09tab%7F"},
    {"\xc3\xa4", "\xc3\xa4"},
    {"-rf", "-rf"},
};

static void test_encode(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(encodings); i++) {
        g_autofree char *encoded = names_encode(encodings[i].database);
        g_autofree char *id = names_id(encodings[i].database, TS);
        g_autofree char *expected = g_strconcat(encodings[i].encoded, "_" TS, NULL);
        g_assert_cmpstr(encoded, ==, encodings[i].encoded);
        g_assert_cmpstr(id, ==, expected);
        g_assert_null(strchr(encoded, '/'));
        g_assert_true(encoded[0] != '.');
    }
}

/* Different databases have different names in files. */
static void test_encode_is_exact(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(encodings); i++)
        for (gsize k = i + 1; k < G_N_ELEMENTS(encodings); k++)
            g_assert_cmpstr(encodings[i].encoded, !=, encodings[k].encoded);
}

static const struct {
    const char *id, *name, *timestamp; /* name NULL: not an id */
} ids[] = {
    {"opstower_" TS, "opstower", TS},
    {"a_" TS, "a", TS},
    {"app_test_" TS, "app_test", TS},
    {"app__" TS, "app_", TS},
    {"app_" TS "_" TS, "app_" TS, TS},
    {"__" TS, "_", TS},
    {"_" TS, NULL, NULL},
    {TS, NULL, NULL},
    {"", NULL, NULL},
    {"opstower", NULL, NULL},
    {"opstower_latest", NULL, NULL},
    {"opstower-" TS, NULL, NULL},
    {"opstower" TS, NULL, NULL},
    {"opstower_20260207_12000", NULL, NULL},
    {"opstower_20260207_1200000", NULL, NULL},
    {"opstower_20260230_120000", NULL, NULL},
    {"opstower_20260207_250000", NULL, NULL},
    {"opstower_2026020x_120000", NULL, NULL},
    {"a/b_" TS, NULL, NULL},
    {"../x_" TS, NULL, NULL},
};

static void test_split(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(ids); i++) {
        g_autofree char *name = NULL, *timestamp = NULL;
        g_assert_true(names_split_id(ids[i].id, &name, &timestamp) == (ids[i].name != NULL));
        g_assert_cmpstr(name, ==, ids[i].name);
        g_assert_cmpstr(timestamp, ==, ids[i].timestamp);
    }
}

static void test_round_trip(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(encodings); i++) {
        g_autofree char *id = names_id(encodings[i].database, TS);
        g_autofree char *file = g_strconcat(id, NAMES_DUMP, NULL);
        g_autofree char *back = names_id_of_file(file, NAMES_DUMP);
        g_autofree char *name = NULL, *timestamp = NULL;
        g_assert_cmpstr(back, ==, id);
        g_assert_true(names_split_id(id, &name, &timestamp));
        g_assert_cmpstr(name, ==, encodings[i].encoded);
        g_assert_cmpstr(timestamp, ==, TS);
    }
}

static const struct {
    const char *file, *ending, *id;
} files[] = {
    {"app_" TS ".sql.gz", NAMES_DUMP, "app_" TS},
    {"app_" TS ".meta.json", NAMES_META, "app_" TS},
    {"app_" TS ".globals.sql", NAMES_GLOBALS, "app_" TS},
    {"app_" TS ".sql.gz", NAMES_META, NULL},
    {"app_" TS ".globals.sql", NAMES_DUMP, NULL},
    {"app_" TS ".sql", NAMES_DUMP, NULL},
    {"app_" TS ".sql.gz.bak", NAMES_DUMP, NULL},
    {"app_" TS ".SQL.GZ", NAMES_DUMP, NULL},
    {"app_" TS "..sql.gz", NAMES_DUMP, NULL},
    {"app_latest.sql.gz", NAMES_DUMP, NULL},
    {".sql.gz", NAMES_DUMP, NULL},
    {"sql.gz", NAMES_DUMP, NULL},
    {"", NAMES_DUMP, NULL},
};

static void test_files(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *id = names_id_of_file(files[i].file, files[i].ending);
        g_assert_cmpstr(id, ==, files[i].id);
    }
}

static const struct {
    const char *file, *act, *timestamp;
} logs[] = {
    {"backup_" TS ".log", "backup", TS},      {"verification_" TS ".log", "verification", TS},
    {"backup_" TS ".log", "restore", NULL},   {"pre_backup_" TS ".log", "backup", NULL},
    {"backup_" TS ".log.gz", "backup", NULL}, {"backup_" TS, "backup", NULL},
    {"backup_x.log", "backup", NULL},         {".log", "backup", NULL},
};

static void test_logs(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(logs); i++) {
        g_autofree char *timestamp = names_timestamp_of_log(logs[i].file, logs[i].act);
        g_assert_cmpstr(timestamp, ==, logs[i].timestamp);
    }
}

static void test_keys(void)
{
    static const struct {
        const char *prefix, *id, *key;
    } keys[] = {
        {"database", "app_20260207_143000", "database/20260207/app_20260207_143000.sql.gz"},
        {"a/b/", "app_x_20260207_143000", "a/b/20260207/app_x_20260207_143000.sql.gz"},
        {"", "app_20260207_143000", "20260207/app_20260207_143000.sql.gz"},
        {"database", "app", NULL},
        {"database", "../app_20260207_143000", NULL},
        {"database", "app_20261307_143000", NULL},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *key = names_key(keys[i].prefix, keys[i].id);
        g_assert_cmpstr(key, ==, keys[i].key);
    }
}

static void test_monthly_key(void)
{
    g_autofree char *key = names_monthly_key("database", "app_20260207_120000");
    g_autofree char *bare = names_monthly_key("", "a_b_20260207_120000"),
                    *slash = names_monthly_key("x/", "a_20260207_120000");
    g_assert_cmpstr(key, ==, "database/monthly/202602/app_20260207_120000.sql.gz");
    g_assert_cmpstr(bare, ==, "monthly/202602/a_b_20260207_120000.sql.gz");
    g_assert_cmpstr(slash, ==, "x/monthly/202602/a_20260207_120000.sql.gz");
    g_assert_null(names_monthly_key("database", "app"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/names/encode", test_encode);
    g_test_add_func("/names/encode_is_exact", test_encode_is_exact);
    g_test_add_func("/names/split", test_split);
    g_test_add_func("/names/round_trip", test_round_trip);
    g_test_add_func("/names/files", test_files);
    g_test_add_func("/names/logs", test_logs);
    g_test_add_func("/names/keys", test_keys);
    g_test_add_func("/names/monthly_key", test_monthly_key);
    return g_test_run();
}
