/* AWS is several clouds that know nothing of each other; a region is in one of them. */
#pragma once

#include <glib.h>

/* "aws", "aws-cn", "aws-us-gov", ...: as it stands in ARNs. region may be NULL. Static. */
const char *aws_partition(const char *region);

/* The domain of its endpoints: "amazonaws.com", "amazonaws.com.cn", ... Static. */
const char *aws_domain(const char *region);

/* TRUE if a host of that name is AWS's, in whatever partition. */
gboolean aws_is_host(const char *host);
