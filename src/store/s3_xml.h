/* S3's XML answers. Whatever a server sends, nothing is fetched and no entity is expanded. */
#pragma once

#include <libxml/tree.h>

#include "base/error.h"

/* Reads a document whose root is of that name; NULL with OT_S3. Free with xmlFreeDoc. */
xmlDoc *s3_xml_read(const void *text, gsize length, const char *root, GError **error);

/* The first child of that name, or NULL. node may be NULL. */
xmlNode *s3_xml_child(const xmlNode *node, const char *name);

/* The text of the first child of that name; NULL if there is none. To be freed. */
char *s3_xml_text(const xmlNode *node, const char *name);

/* Code, message and region of an <Error> document; FALSE if text is none. To be freed; region may become NULL. */
gboolean s3_xml_error(const void *text, gsize length, char **ret_code, char **ret_message, char **ret_region);
