/*
 * copy_parts ENDPOINT BUCKET FROM TO PART_BYTES: copies an object within a bucket in parts, however small it is, so
 * that tests can see what is done with objects that are too large for them. Keys come from AWS_ACCESS_KEY_ID and
 * AWS_SECRET_ACCESS_KEY.
 */
#include <stdio.h>

#include "base/interrupt.h"
#include "store/s3_copy.h"

static gboolean run(char **words, GError **error)
{
    struct s3_config config = {
        .endpoint = words[0],
        .bucket = words[1],
        .region = "us-east-1",
        .retry_s = 2,
        .credentials = {.access_key = g_getenv("AWS_ACCESS_KEY_ID"), .secret_key = g_getenv("AWS_SECRET_ACCESS_KEY")},
    };
    char *tags[] = {(char *)"type", (char *)"monthly", NULL};
    struct s3_props props = {.storage_class = "STANDARD_IA", .tags = tags};
    g_autoptr(s3) client = s3_new(&config, error);
    g_autoptr(s3_object) from = client ? s3_head(client, words[2], error) : NULL;
    return from && s3_copy_in_parts(client, from, words[3], &props, g_ascii_strtoull(words[4], NULL, 10), error);
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    if (argc != 6)
        return 2;
    interrupt_init();
    if (run(argv + 1, &error))
        return 0;
    fprintf(stderr, "%s\n", error->message);
    return 1;
}
