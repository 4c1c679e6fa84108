/* Charts: what is drawn is what was given, whatever that is. */
#include "web/chart.h"

#include <math.h>
#include <string.h>

static char *print(double value)
{
    return g_strdup_printf("%g things", value);
}

static guint count(const char *text, const char *what)
{
    guint n = 0;
    for (const char *p = strstr(text, what); p; p = strstr(p + 1, what))
        n++;
    return n;
}

/* The chart of these points from 0 to 1200 (10 per column); a point is (time, value). */
static GString *draw(const struct chart_point *points, guint n, double limit)
{
    g_autoptr(GArray) array = g_array_new(FALSE, FALSE, sizeof *points);
    g_array_append_vals(array, points, n);
    struct chart c = {.id = "x",
                      .title = "A & B",
                      .value_name = "Things",
                      .from = 0,
                      .to = 1200,
                      .points = array,
                      .limit = limit,
                      .limit_name = "target",
                      .print = print};
    GString *out = g_string_new(NULL);
    chart_draw(&c, out);
    g_assert_true(g_utf8_validate(out->str, -1, NULL));
    g_assert_null(strstr(out->str, "A & B"));
    g_assert_null(strstr(out->str, "nan"));
    g_assert_null(strstr(out->str, "inf"));
    return out;
}

static void test_columns(void)
{
    const struct chart_point points[] = {{5, 10}, {9, 40}, {1200, 20}, {605, 30}};
    g_autoptr(GString) out = draw(points, G_N_ELEMENTS(points), 0);
    g_assert_cmpuint(count(out->str, "<rect"), ==, 3);
    g_assert_cmpuint(count(out->str, "<th scope=\"row\">"), ==, 3);
    g_assert_nonnull(strstr(out->str, "40 things</title>")); /* the higher of two in one column */
    g_assert_null(strstr(out->str, ": 10 things"));
    g_assert_nonnull(strstr(out->str, "Between 20 things and 40 things; the last is 20 things."));
    g_assert_nonnull(strstr(out->str, "height=\"160.0\""));
    g_assert_nonnull(strstr(out->str, "height=\"80.0\""));
    g_assert_cmpuint(count(out->str, "role=\"img\""), ==, 1);
}

static void test_limit(void)
{
    const struct chart_point points[] = {{5, 10}, {605, 30}};
    g_autoptr(GString) out = draw(points, G_N_ELEMENTS(points), 20);
    g_assert_cmpuint(count(out->str, "column beyond"), ==, 1);
    g_assert_cmpuint(count(out->str, "beyond the target"), ==, 1);
    g_assert_nonnull(strstr(out->str, "class=\"limit\""));
    g_autoptr(GString) at = draw(points, 1, 10);
    g_assert_cmpuint(count(at->str, "column beyond"), ==, 0);
}

static void test_odd_values(void)
{
    const struct chart_point odd[] = {{-1, 5},       {1201, 5},       {5, -1},        {6, NAN},
                                      {7, INFINITY}, {G_MAXINT64, 1}, {G_MININT64, 1}};
    g_autoptr(GString) none = draw(odd, G_N_ELEMENTS(odd), 0);
    g_assert_cmpuint(count(none->str, "<rect"), ==, 0);
    g_assert_nonnull(strstr(none->str, "nothing to show"));
    const struct chart_point zero[] = {{5, 0}};
    g_autoptr(GString) flat = draw(zero, 1, 0);
    g_assert_cmpuint(count(flat->str, "<rect"), ==, 1);
    const struct chart_point huge[] = {{5, 1e300}, {605, 1}};
    g_autoptr(GString) tall = draw(huge, 2, 0);
    g_assert_cmpuint(count(tall->str, "<rect"), ==, 2);
    g_autoptr(GString) empty = draw(zero, 0, 60);
    g_assert_cmpuint(count(empty->str, "<svg"), ==, 0);
}

static void test_strip(void)
{
    const enum chart_cell states[] = {CHART_GOOD, CHART_BAD, CHART_NONE, CHART_GOOD};
    struct chart_strip s = {.id = "s",
                            .title = "Hours",
                            .from = 0,
                            .cells = 4,
                            .seconds_per_cell = 3600,
                            .states = states,
                            .good_name = "backup",
                            .bad_name = "failed",
                            .none_name = "none"};
    g_autoptr(GString) out = g_string_new(NULL);
    chart_draw_strip(&s, out);
    g_assert_cmpuint(count(out->str, "cell good"), ==, 2);
    g_assert_cmpuint(count(out->str, "cell bad"), ==, 1);
    g_assert_cmpuint(count(out->str, "cell none"), ==, 1);
    g_assert_nonnull(strstr(out->str, "2 with a backup, 1 failed, 1 with none."));
}

int main(int argc, char **argv)
{
    g_setenv("TZ", "UTC", TRUE);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/chart/columns", test_columns);
    g_test_add_func("/chart/limit", test_limit);
    g_test_add_func("/chart/odd-values", test_odd_values);
    g_test_add_func("/chart/strip", test_strip);
    return g_test_run();
}
