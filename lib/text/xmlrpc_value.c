/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The values of XML-RPC in memory, and how they are written. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/kv.h"
#include "lib/text/xml.h"
#include "lib/text/xmlrpc.h"

#define KEYS_MAX 1000		/* of a struct that becomes pairs */

const struct xval *xval_get(const struct xval *v, const char *key)
{
	if (!v || v->kind != XVAL_STRUCT)
		return NULL;
	for (const struct xval *m = v->first; m; m = m->next)
		if (!strcmp(m->key, key))
			return m;
	return NULL;
}

int xval_str(const struct xval *v, const char **out)
{
	if (!v || v->kind != XVAL_STRING)
		return -E_TEXT_KIND;
	*out = v->text;
	return 0;
}

int xval_i64(const struct xval *v, int64_t *out)
{
	if (!v || v->kind != XVAL_INT)
		return -E_TEXT_KIND;
	*out = v->i;
	return 0;
}

int xval_u64(const struct xval *v, uint64_t *out)
{
	if (v && v->kind == XVAL_INT && v->i >= 0) {
		*out = (uint64_t)v->i;
		return 0;
	}
	if (!v || v->kind != XVAL_STRING || !text_u64(v->text, out))
		return -E_TEXT_KIND;
	return 0;
}

int xval_bool(const struct xval *v, bool *out)
{
	if (!v || v->kind != XVAL_BOOL)
		return -E_TEXT_KIND;
	*out = v->i;
	return 0;
}

int xval_kvs(struct arena *a, const struct xval *v, struct kvs *out)
{
	if (!v || v->kind != XVAL_STRUCT)
		return -E_TEXT_KIND;
	if (v->n > KEYS_MAX)
		return -E_TEXT_BIG;
	for (const struct xval *m = v->first; m; m = m->next) {
		if (m->kind != XVAL_STRING)
			return -E_TEXT_KIND;
		kv_set(a, out, m->key, m->text);
	}
	return 0;
}

static struct xval *make(struct arena *a, enum xval_kind kind, const char *text, int64_t i)
{
	struct xval *v = arena_alloc(a, sizeof(*v));

	*v = (struct xval){ .kind = kind, .text = text, .i = i };
	return v;
}

struct xval *xval_nil(struct arena *a)
{
	return make(a, XVAL_NIL, NULL, 0);
}

struct xval *xval_string(struct arena *a, const char *s)
{
	return make(a, XVAL_STRING, s, 0);
}

struct xval *xval_int(struct arena *a, int64_t i)
{
	return make(a, XVAL_INT, NULL, i);
}

struct xval *xval_boolean(struct arena *a, bool b)
{
	return make(a, XVAL_BOOL, NULL, b);
}

struct xval *xval_array(struct arena *a)
{
	return make(a, XVAL_ARRAY, NULL, 0);
}

struct xval *xval_struct(struct arena *a)
{
	return make(a, XVAL_STRUCT, NULL, 0);
}

void xval_add(struct xval *to, struct xval *v)
{
	assert(!v->next && v != to->last);
	*(to->last ? &to->last->next : &to->first) = v;
	to->last = v;
	to->n++;
}

void xval_put(struct xval *st, const char *key, struct xval *v)
{
	v->key = key;
	xval_add(st, v);
}

/* Python knows no <i8>; without it xapi could not be sent a large number. */
static void put_int(struct buf *b, int64_t i)
{
	const char *type = i < INT32_MIN || i > INT32_MAX ? "i8" : "int";

	buf_printf(b, "<%s>%" PRId64 "</%s>", type, i, type);
}

static void put_text(struct buf *b, const char *type, const char *text)
{
	buf_printf(b, "<%s>", type);
	xml_escape(b, text);
	buf_printf(b, "</%s>", type);
}

static void put_value(struct buf *b, const struct xval *v);

static void put_members(struct buf *b, const struct xval *v)
{
	buf_puts(b, "<struct>\n");
	for (const struct xval *m = v->first; m; m = m->next) {
		buf_puts(b, "<member>\n");
		put_text(b, "name", m->key);
		buf_putc(b, '\n');
		put_value(b, m);
		buf_puts(b, "</member>\n");
	}
	buf_puts(b, "</struct>");
}

static void put_items(struct buf *b, const struct xval *v)
{
	buf_puts(b, "<array><data>\n");
	for (const struct xval *m = v->first; m; m = m->next)
		put_value(b, m);
	buf_puts(b, "</data></array>");
}

static void put_value(struct buf *b, const struct xval *v)
{
	buf_puts(b, "<value>");
	switch (v->kind) {
	case XVAL_NIL:		/* the one value Python ends without a new line */
		buf_puts(b, "<nil/></value>");
		return;
	case XVAL_STRING:
		put_text(b, "string", v->text);
		break;
	case XVAL_INT:
		put_int(b, v->i);
		break;
	case XVAL_BOOL:
		put_text(b, "boolean", v->i ? "1" : "0");
		break;
	case XVAL_DOUBLE:
		put_text(b, "double", v->text);
		break;
	case XVAL_DATETIME:
		put_text(b, "dateTime.iso8601", v->text);
		break;
	case XVAL_BASE64:
		put_text(b, "base64", v->text);
		break;
	case XVAL_ARRAY:
		put_items(b, v);
		break;
	case XVAL_STRUCT:
		put_members(b, v);
		break;
	}
	buf_puts(b, "</value>\n");
}

static void put_head(struct buf *b, const char *root)
{
	buf_printf(b, "<?xml version='1.0'?>\n<%s>\n", root);
}

static void put_param(struct buf *b, const struct xval *v)
{
	buf_puts(b, "<param>\n");
	put_value(b, v);
	buf_puts(b, "</param>\n");
}

void xmlrpc_write_response(struct buf *b, const struct xval *v)
{
	put_head(b, "methodResponse");
	buf_puts(b, "<params>\n");
	put_param(b, v);
	buf_puts(b, "</params>\n</methodResponse>\n");
}

void xmlrpc_write_fault(struct buf *b, int64_t code, const char *text)
{
	struct xval number = { .kind = XVAL_INT, .key = "faultCode", .i = code };
	struct xval string = { .kind = XVAL_STRING, .key = "faultString", .text = text };
	struct xval fault = { .kind = XVAL_STRUCT, .first = &number, .n = 2 };

	number.next = &string;
	put_head(b, "methodResponse");
	buf_puts(b, "<fault>\n");
	put_value(b, &fault);
	buf_puts(b, "</fault>\n</methodResponse>\n");
}

void xmlrpc_write_call(struct buf *b, const char *method, const struct xval *params)
{
	put_head(b, "methodCall");
	put_text(b, "methodName", method);
	buf_puts(b, "\n<params>\n");
	for (const struct xval *v = params ? params->first : NULL; v; v = v->next)
		put_param(b, v);
	buf_puts(b, "</params>\n</methodCall>\n");
}
