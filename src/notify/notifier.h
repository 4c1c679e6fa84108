/* The notifier seen from inside notify/. */
#pragma once

#include "notify/notify.h"

struct notifier {
    struct notify_config config;
    struct http_client *http;
};
