/* AWS's partitions as a table; the first whose regions begin so. */
#include "store/aws_partition.h"

static const struct partition {
    const char *regions; /* how their names begin */
    const char *name, *domain;
} partitions[] = {
    {"cn-", "aws-cn", "amazonaws.com.cn"},
    {"us-gov-", "aws-us-gov", "amazonaws.com"},
    {"us-iso-", "aws-iso", "c2s.ic.gov"},
    {"us-isob-", "aws-iso-b", "sc2s.sgov.gov"},
    {"eu-isoe-", "aws-iso-e", "cloud.adc-e.uk"},
    {"us-isof-", "aws-iso-f", "csp.hci.ic.gov"},
    {"eusc-", "aws-eusc", "amazonaws.eu"},
    {"", "aws", "amazonaws.com"},
};

static const struct partition *find(const char *region)
{
    const struct partition *p = partitions;
    while (!g_str_has_prefix(region ? region : "", p->regions))
        p++;
    return p;
}

const char *aws_partition(const char *region)
{
    return find(region)->name;
}

const char *aws_domain(const char *region)
{
    return find(region)->domain;
}

gboolean aws_is_host(const char *host)
{
    for (gsize i = 0; i < G_N_ELEMENTS(partitions); i++) {
        g_autofree char *ending = g_strconcat(".", partitions[i].domain, NULL);
        if (g_str_has_suffix(host, ending))
            return TRUE;
    }
    return FALSE;
}
