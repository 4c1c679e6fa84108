/*
 * Where a bucket's requests go: at AWS or anywhere else, with the bucket in the path or in the host's name. It does not
 * know keys.
 */
#pragma once

#include "store/s3.h"

struct s3_address {
    char *url;    /* scheme, host, port and the path below which keys lie, without a slash at its end */
    char *host;   /* as signed */
    char *prefix; /* the path in url, plain: what is signed before the key */
    gboolean is_aws;
};

/* Fills at (clear it). OT_USAGE: no bucket's name, no URL, or plain http to another machine. */
gboolean s3_address_find(const struct s3_config *config, const char *region, struct s3_address *at, GError **error);
void s3_address_clear(struct s3_address *at);
