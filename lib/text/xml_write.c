/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/kv.h"
#include "lib/text/xml.h"
#include "lib/utf8.h"

#define KEYS_MAX 1000

const struct xml_node *xml_find(const struct xml_node *node, const char *name)
{
	for (const struct xml_node *n = node->first; n; n = n->next)
		if (!strcmp(n->name, name))
			return n;
	return NULL;
}

const char *xml_text(const struct xml_node *node, const char *name)
{
	const struct xml_node *n = xml_find(node, name);

	return n ? n->text : NULL;
}

int xml_kvs(struct arena *a, const struct xml_node *root, struct kvs *out)
{
	if (!root->first) {
		kv_set(a, out, root->name, root->text);
		return 0;
	}
	if (root->text[0])
		return -E_TEXT;
	for (const struct xml_node *n = root->first; n; n = n->next) {
		if (n->first)
			return -E_TEXT;
		if (kv_get(out, n->name))
			return -E_TEXT_TWICE;
		if (out->n == KEYS_MAX)
			return -E_TEXT_BIG;
		kv_set(a, out, n->name, n->text);
	}
	return 0;
}

/* What stands for a character in a document, or NULL: the character itself. */
static const char *stand_in(uint32_t cp)
{
	switch (cp) {
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '&':
		return "&amp;";
	case '"':
		return "&quot;";
	case '\r':
		return "&#13;";		/* a reader turns a plain one into a line feed */
	default:
		return xml_char_ok(cp) ? NULL : "\xef\xbf\xbd";
	}
}

void xml_escape(struct buf *b, const char *s)
{
	size_t n = strlen(s), len;

	for (; n; s += len, n -= len) {
		uint32_t cp = 0;
		const char *other;

		len = utf8_decode(s, n, &cp);
		other = stand_in(cp);
		if (other)
			buf_puts(b, other);
		else
			buf_add(b, s, len);
		len += !len;
	}
}

static void indent(struct xml_out *x)
{
	for (int i = 0; x->pretty && i < x->depth; i++)
		buf_putc(x->buf, '\t');
}

static void tag(struct xml_out *x, const char *before, const char *name, const char *after)
{
	buf_puts(x->buf, before);
	buf_puts(x->buf, name);
	buf_puts(x->buf, after);
}

static void line(struct xml_out *x)
{
	if (x->pretty)
		buf_putc(x->buf, '\n');
}

void xml_declare(struct xml_out *x)
{
	buf_puts(x->buf, "<?xml version=\"1.0\" ?>");
	line(x);
}

void xml_begin(struct xml_out *x, const char *name)
{
	assert(x->depth < XML_DEPTH);
	indent(x);
	tag(x, "<", name, ">");
	line(x);
	x->open[x->depth++] = name;
}

void xml_end(struct xml_out *x)
{
	assert(x->depth > 0);
	x->depth--;
	indent(x);
	tag(x, "</", x->open[x->depth], ">");
	line(x);
}

void xml_leaf(struct xml_out *x, const char *name, const char *text)
{
	indent(x);
	if (*text) {
		tag(x, "<", name, ">");
		xml_escape(x->buf, text);
		tag(x, "</", name, ">");
	} else {
		tag(x, "<", name, "/>");
	}
	line(x);
}
