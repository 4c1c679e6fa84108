/* Who may ask: the Host header, and token or password. */
#pragma once

#include "web/address.h"
#include "web/web.h"

enum access_verdict {
    ACCESS_GRANTED,
    ACCESS_MISDIRECTED, /* another host's name: a page elsewhere that was pointed here (DNS rebinding) */
    ACCESS_DENIED,      /* no token or password, or a wrong one */
};

#define ACCESS_TOKEN_MIN_BYTES 16
#define ACCESS_PASSWORD_MIN_BYTES 8

/* Whether the settings are safe to serve with: OT_USAGE if others than this machine could ask without token or
 * password, if one is too short, or if half of a pair is missing. */
gboolean access_check_settings(const struct web_config *config, const struct address *address, GError **error);

/* TRUE if a Host header (NULL: there was none) is one of ours: a name of this machine, the address listened on, or one
 * of config->hosts. Where others may ask, and no hosts are set, every name is. */
gboolean access_host_fits(const struct web_config *config, const struct address *address, const char *host);

/* TRUE if an Authorization header (NULL: there was none) has the token ("Bearer TOKEN", or as Basic's password), or
 * user and password (Basic); also if none is set. Takes as long for a nearly right one as for a wrong one. */
gboolean access_authorized(const struct web_config *config, const char *authorization);

/* Host first, then authorization. open: whether this path needs none. */
enum access_verdict access_judge(const struct web_config *config, const struct address *address, const char *host,
                                 const char *authorization, gboolean open);
