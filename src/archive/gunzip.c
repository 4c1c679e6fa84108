/* Streaming gunzip. */
#include "archive/gunzip.h"

#include <isa-l/igzip_lib.h>

struct gunzip {
    struct inflate_state state;
    gboolean in_member; /* a member has begun and not ended */
    gboolean any;       /* a member has ended */
};

/* isal_inflate_init forgets the buffers; they go on. */
static void start_member(struct gunzip *g)
{
    guint8 *next_in = g->state.next_in, *next_out = g->state.next_out;
    guint32 in = g->state.avail_in, out = g->state.avail_out;
    isal_inflate_init(&g->state);
    g->state.crc_flag = ISAL_GZIP;
    g->state.next_in = next_in;
    g->state.avail_in = in;
    g->state.next_out = next_out;
    g->state.avail_out = out;
}

/* A header that is not yet all there is no damage. */
static gboolean inflate_step(struct gunzip *g)
{
    int result = isal_inflate(&g->state);
    return result == ISAL_DECOMP_OK || result == ISAL_END_INPUT;
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
        if (g->in_member && !inflate_step(g))
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
