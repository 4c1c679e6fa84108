/* libxml2, made safe and short. */
#include "store/s3_xml.h"

#include <libxml/parser.h>
#include <string.h>

/* S3 sends no document type. One could declare entities that grow without bound, so parsing ends at its name. */
static void refuse_doctype(void *context, const xmlChar *name, const xmlChar *id, const xmlChar *system)
{
    (void)name, (void)id, (void)system;
    *(gboolean *)((xmlParserCtxt *)context)->_private = TRUE;
    xmlStopParser(context);
}

static xmlDoc *parse(const void *text, gsize length)
{
    const int options = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA;
    xmlParserCtxt *context = length == 0 || length > G_MAXINT ? NULL : xmlNewParserCtxt();
    if (!context)
        return NULL;
    gboolean has_doctype = FALSE;
    context->_private = &has_doctype;
    context->sax->internalSubset = refuse_doctype;
    xmlDoc *doc = xmlCtxtReadMemory(context, text, (int)length, NULL, NULL, options);
    xmlFreeParserCtxt(context);
    if (doc && has_doctype)
        g_clear_pointer(&doc, xmlFreeDoc);
    return doc;
}

static gboolean is_named(const xmlNode *node, const char *name)
{
    return node && node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

xmlDoc *s3_xml_read(const void *text, gsize length, const char *root, GError **error)
{
    xmlDoc *doc = parse(text, length);
    if (doc && is_named(xmlDocGetRootElement(doc), root))
        return doc;
    ot_fail(error, OT_S3, "the server's answer is not the XML document %s that was asked for", root);
    xmlFreeDoc(doc);
    return NULL;
}

xmlNode *s3_xml_child(const xmlNode *node, const char *name)
{
    for (xmlNode *child = node ? node->children : NULL; child; child = child->next)
        if (is_named(child, name))
            return child;
    return NULL;
}

char *s3_xml_text(const xmlNode *node, const char *name)
{
    xmlNode *child = s3_xml_child(node, name);
    xmlChar *content = child ? xmlNodeGetContent(child) : NULL;
    char *text = g_strdup((const char *)content);
    xmlFree(content);
    return text;
}

gboolean s3_xml_error(const void *text, gsize length, char **ret_code, char **ret_message, char **ret_region)
{
    xmlDoc *doc = parse(text, length);
    const xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    gboolean found = is_named(root, "Error");
    if (found) {
        *ret_code = s3_xml_text(root, "Code");
        *ret_message = s3_xml_text(root, "Message");
        *ret_region = s3_xml_text(root, "Region");
    }
    xmlFreeDoc(doc);
    return found;
}
