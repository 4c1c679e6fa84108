/*
 * Credentials that the machine gives: the container's (ECS, EKS Pod Identity) and the instance's (EC2 metadata,
 * version 2 only). Also how all these services are asked.
 */
#pragma once

#include "store/aws_keys.h"

/* Sends the request up to `tries` times: again when nothing came and might come, or the server says it is busy. */
gboolean aws_ask(struct http_client *client, const struct http_request *request, guint tries, struct http_response *r,
                 GError **error);

/* Sources, as aws_keys.h defines them. */
struct credentials *aws_container_credentials(struct aws_context *ctx, GError **error);
struct credentials *aws_instance_credentials(struct aws_context *ctx, GError **error);

/* Where the container's credentials are asked for. Plain http only where it cannot leave the machine: the answer is a
 * secret, and so is the token that is sent. OT_NOT_FOUND if no address is set. To be freed. */
char *aws_container_url(const struct credentials_config *config, GError **error);
