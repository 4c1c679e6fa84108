/* The certificate behind a connection: libpq's OpenSSL object, and the one use that is made of it. */
#include <openssl/ssl.h>
#include <time.h>

#include "pg/session.h"

gint64 session_certificate_until(struct session *s)
{
    SSL *tls = PQsslStruct(session_pg(s), "OpenSSL");
    X509 *shown = tls ? SSL_get1_peer_certificate(tls) : NULL;
    struct tm end = {0};
    gboolean told = shown && ASN1_TIME_to_tm(X509_get0_notAfter(shown), &end);
    X509_free(shown);
    return told ? timegm(&end) : 0;
}
