/* How large the parts of an upload are: no backup may need more parts than a server allows. */
#include "store/upload.h"

#define MIB (1ull << 20)
#define TIB (1ull << 40)

static guint64 room(guint64 first_bytes, guint max_parts)
{
    guint64 total = 0;
    for (guint n = 1; n <= max_parts; n++)
        total += upload_part_bytes(first_bytes, max_parts, n);
    return total;
}

static void test_room(void)
{
    g_assert_cmpuint(room(8 * MIB, 10000), >, 5 * TIB);
    g_assert_cmpuint(room(5 * MIB, 10000), >, 5 * TIB);
    g_assert_cmpuint(room(8 * MIB, 1000), >, TIB / 2);
    g_assert_cmpuint(room(8 * MIB, 100), >, 50ull << 30);
}

static void test_growth(void)
{
    const guint limits[] = {100, 1000, 10000};
    for (gsize i = 0; i < G_N_ELEMENTS(limits); i++) {
        guint64 last = 0;
        for (guint n = 1; n <= limits[i]; n++) {
            guint64 size = upload_part_bytes(8 * MIB, limits[i], n);
            g_assert_cmpuint(size, >=, MAX(last, 8 * MIB));
            g_assert_cmpuint(size, <=, 2048 * MIB);
            g_assert_true(n > limits[i] / 2 || size == 8 * MIB);
            last = size;
        }
    }
    /* A backup of 40 GiB, of usual size, never sees a larger part. */
    g_assert_cmpuint(upload_part_bytes(8 * MIB, 10000, 5000), ==, 8 * MIB);
}

static void test_memory(void)
{
    struct upload_options usual = {0};
    struct upload_options huge = {.expected_bytes = 2 * TIB, .max_parts = 10000};
    g_assert_cmpuint(upload_memory_bytes(&usual), ==, 5 * 8 * MIB);
    /* All of what is expected, and a quarter more, fits into the half of the parts that do not grow. */
    g_assert_cmpuint(upload_memory_bytes(&huge) / 5 * 5000, >=, 5 * TIB / 2);
    g_assert_cmpuint(upload_memory_bytes(&huge) / 5, <, 530 * MIB);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/upload/room", test_room);
    g_test_add_func("/upload/growth", test_growth);
    g_test_add_func("/upload/memory", test_memory);
    return g_test_run();
}
