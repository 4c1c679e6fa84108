/* Streaming gunzip. */
#include "archive/gunzip.h"

#include <isa-l/igzip_lib.h>

struct gunzip {
    struct inflate_state state;
    gboolean in_member; /* a member has begun and not ended */
    gboolean any;       /* a member has ended */
};

static void start_member(struct gunzip *g)
{
    guint8 *next = g->state.next_in;
    guint32 available = g->state.avail_in;
    isal_inflate_init(&g->state);
    g->state.crc_flag = ISAL_GZIP;
    g->state.next_in = next;
    g->state.avail_in = available;
}

struct gunzip *gunzip_new(void)
{
    struct gunzip *g = g_new0(struct gunzip, 1);
    start_member(g);
    return g;
}

void gunzip_feed(struct gunzip *g, const void *packed, gsize length)
{
    g->state.next_in = (guint8 *)packed;
    g->state.avail_in = (guint32)length;
}

gboolean gunzip_read(struct gunzip *g, void *buffer, gsize size, gsize *ret_length, GError **error)
{
    g->state.next_out = buffer;
    g->state.avail_out = (guint32)size;
    for (;;) {
        if (g->state.avail_in > 0)
            g->in_member = TRUE;
        if (g->in_member && isal_inflate(&g->state) != ISAL_DECOMP_OK)
            return ot_fail(error, OT_CORRUPT, "gzip test failed");
        if (!g->in_member || g->state.block_state != ISAL_BLOCK_FINISH)
            break;
        g->in_member = FALSE;
        g->any = TRUE;
        start_member(g);
        if (g->state.avail_in == 0 || g->state.avail_out < size)
            break;
    }
    *ret_length = size - g->state.avail_out;
    if (*ret_length == 0 && g->state.avail_in > 0)
        return gunzip_read(g, buffer, size, ret_length, error);
    return TRUE;
}

gboolean gunzip_at_end(const struct gunzip *g)
{
    return g->any && !g->in_member && g->state.avail_in == 0;
}

void gunzip_free(struct gunzip *g)
{
    g_free(g);
}
