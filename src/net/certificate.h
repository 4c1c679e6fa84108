/* The end of the certificate that a TLS server shows. For a warning in time, not for trust: nothing is sent to it. */
#pragma once

#include "base/error.h"

/* The earliest end (seconds since 1970) among the certificates that the server of an https URL shows; an expired or
 * unknown one is told too. Through the environment's proxies, but for this machine itself none. OT_S3 if no TLS
 * connection comes about within the timeout. */
gboolean certificate_until(const char *url, guint timeout_ms, gint64 *ret_until, GError **error);
