/* The text of an alert's mail: headers (RFC 5322, 2045, 2047) and body. It knows nothing of servers. */
#pragma once

#include "notify/notify.h"

/* Every line ends with CRLF. from and to are addresses that were checked (net/smtp.h). */
char *mailtext(const struct notify_event *e, const char *from, const char *const *to);
