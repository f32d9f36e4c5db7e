/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The part of XML 1.0 that storage managers exchange.
 *
 *	<?xml version='1.0'?>
 *	<SRlist><SR><UUID>6f0c…</UUID><Size>4096</Size></SR></SRlist>
 *
 * The reader takes elements, character data, CDATA, the five predefined
 * entities and character references, in UTF-8.  Comments and processing
 * instructions are skipped; attributes are checked and forgotten.  A document
 * type is refused, and with it every entity that could name a file or grow.
 *
 *	err = xml_read(&arena, doc, n, 0, &root, &where);
 *	for (const struct xml_node *sr = root->first; sr; sr = sr->next)
 *		printf("%s\n", xml_text(sr, "UUID"));
 */
#ifndef LIB_TEXT_XML_H
#define LIB_TEXT_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/text/text.h"

struct arena;
struct buf;
struct kvs;

#define XML_DEPTH	64		/* elements within elements */
#define XML_ATTRIBUTES	64		/* of one element */

struct xml_node {
	const char *name;		/* with its prefix, if any */
	const char *text;		/* all of its own character data, in one piece;
					 * "" when it is blank and there are children */
	struct xml_node *first;		/* child */
	struct xml_node *next;		/* sibling */
	size_t at;			/* where its tag stands in the document */
};

/*
 * Read a document of at most max bytes (0: TEXT_MAX) into a tree that lives in
 * the arena.  Returns 0 or
 *
 *	-E_TEXT			not well-formed
 *	-E_TEXT_DEEP		deeper than XML_DEPTH
 *	-E_TEXT_BIG		too long, too many elements or attributes
 *	-E_TEXT_UTF8		not UTF-8
 *	-E_TEXT_TWICE		an attribute given twice
 *	-E_XML_CHAR		a character XML does not allow, plain or as a reference
 *	-E_XML_DTD		<!DOCTYPE
 *	-E_XML_ENTITY		an entity other than the five
 *	-E_XML_ENCODING		declared to be neither UTF-8 nor US-ASCII
 */
int xml_read(struct arena *a, const char *doc, size_t n, size_t max,
	     struct xml_node **root, struct text_where *where);

/* The first child of that name, or NULL. */
const struct xml_node *xml_find(const struct xml_node *node, const char *name);
/* Its text, or NULL. */
const char *xml_text(const struct xml_node *node, const char *name);

/*
 * <dconf><device>/dev/sdb</device>…</dconf> as pairs; a root without children
 * is the only pair itself.  -E_TEXT for children that have children,
 * -E_TEXT_TWICE for a key given twice, -E_TEXT_BIG for more than a thousand.
 */
int xml_kvs(struct arena *a, const struct xml_node *root, struct kvs *out);

/*
 * Append s as character data, fit for an attribute too.  What is not UTF-8 or
 * not a character of XML becomes U+FFFD, so what we write is well-formed.
 */
void xml_escape(struct buf *b, const char *s);

/*
 * Documents are written tag by tag:
 *
 *	struct xml_out x = { .buf = &b, .pretty = true };
 *	xml_declare(&x);
 *	xml_begin(&x, "SRlist");
 *	xml_leaf(&x, "UUID", uuid);
 *	xml_end(&x);
 *
 * A pretty one has a line for each tag, indented by tabs, and no white space
 * within a leaf.
 */
struct xml_out {
	struct buf *buf;
	bool pretty;
	int depth;
	const char *open[XML_DEPTH];	/* the caller's strings */
};

void xml_declare(struct xml_out *x);
void xml_begin(struct xml_out *x, const char *name);
void xml_end(struct xml_out *x);
void xml_leaf(struct xml_out *x, const char *name, const char *text);

#endif
