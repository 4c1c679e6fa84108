/* Which path leads where. */
#pragma once

#include "web/view.h"

struct route {
    const char *path;
    gboolean subtree;   /* also everything under path and a slash, as v->rest */
    gboolean open;      /* needs neither token nor password: it shows nothing of the backups */
    gboolean looks;     /* v->sight must be filled */
    gboolean retention; /* and what retention would do */
    const char *type;   /* Content-Type */
    guint (*write)(struct view *v, GString *out); /* the HTTP status */
};

/* NULL if there is none. *ret_rest points into path. */
const struct route *routes_find(const char *path, const char **ret_rest);

/* The page that says there is none. */
guint routes_not_found(struct view *v, GString *out);
