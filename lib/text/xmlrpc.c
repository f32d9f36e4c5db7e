/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/text/xml.h"
#include "lib/text/xmlrpc.h"

/* What reading needs at every depth, and which element it stumbled over. */
struct reader {
	struct arena *a;
	const struct xml_node *bad;
};

static int bad(struct reader *r, const struct xml_node *node, int err)
{
	r->bad = node;
	return err;
}

static bool is(const struct xml_node *node, const char *name)
{
	return node && !strcmp(node->name, name);
}

/* Nothing but elements, if any, and white space; Python puts some in empty ones. */
static bool has_text(const struct xml_node *node)
{
	return node->text[strspn(node->text, " \t\n\r")];
}

/* Nothing but elements, of which the first must be called name. */
static bool holds(const struct xml_node *node, const char *name)
{
	return !has_text(node) && is(node->first, name);
}

static bool holds_one(const struct xml_node *node, const char *name)
{
	return holds(node, name) && !node->first->next;
}

static bool digits(const char **s)
{
	const char *from = *s;

	while (**s >= '0' && **s <= '9')
		++*s;
	return *s > from;
}

static bool boolean(const char *s, int64_t *i)
{
	*i = *s == '1';
	return (*s == '0' || *s == '1') && !s[1];
}

/* 1, -1.5 or 2.5e-3: as wide as what is sent, and nothing that is not a number. */
static bool is_double(const char *s)
{
	bool some;

	s += *s == '-' || *s == '+';
	some = digits(&s);
	if (*s == '.') {
		s++;
		some |= digits(&s);
	}
	if (some && (*s | 32) == 'e') {
		s++;
		s += *s == '-' || *s == '+';
		some = digits(&s);
	}
	return some && !*s;
}

/* The kinds that are a text and nothing else. */
static int scalar(struct reader *r, const struct xml_node *node, struct xval *v)
{
	static const struct { const char *name; enum xval_kind kind; } known[] = {
		{ "string", XVAL_STRING }, { "int", XVAL_INT }, { "i4", XVAL_INT },
		{ "i8", XVAL_INT }, { "boolean", XVAL_BOOL }, { "double", XVAL_DOUBLE },
		{ "dateTime.iso8601", XVAL_DATETIME }, { "base64", XVAL_BASE64 },
		{ "nil", XVAL_NIL },
	};
	bool ok = true;
	size_t k = 0;

	while (k < ARRAY_SIZE(known) && strcmp(node->name, known[k].name))
		k++;
	if (k == ARRAY_SIZE(known) || node->first)
		return bad(r, node, -E_XMLRPC);
	v->kind = known[k].kind;
	v->text = node->text;
	if (v->kind == XVAL_INT)
		ok = text_i64(v->text, &v->i);
	else if (v->kind == XVAL_BOOL)
		ok = boolean(v->text, &v->i);
	else if (v->kind == XVAL_DOUBLE)
		ok = is_double(v->text);
	else if (v->kind == XVAL_NIL)
		ok = !v->text[0];
	return ok ? 0 : bad(r, node, -E_TEXT_KIND);
}

static int value(struct reader *r, const struct xml_node *node, struct xval **out);

static int array(struct reader *r, const struct xml_node *node, struct xval *v)
{
	const struct xml_node *data = node->first;
	struct xval *item;
	int err;

	if (!holds_one(node, "data") || has_text(data))
		return bad(r, node, -E_XMLRPC);
	for (const struct xml_node *n = data->first; n; n = n->next) {
		err = value(r, n, &item);
		if (err)
			return err;
		xval_add(v, item);
	}
	return 0;
}

static int member(struct reader *r, const struct xml_node *node, struct xval *v)
{
	const struct xml_node *name = node->first;
	struct xval *item;
	int err;

	if (!is(node, "member") || !holds(node, "name") || name->first ||
	    !name->next || name->next->next)
		return bad(r, node, -E_XMLRPC);
	err = value(r, name->next, &item);
	if (!err)
		xval_put(v, name->text, item);
	return err;
}

/* The member of a struct that has the name of one before it, or NULL. */
static const struct xml_node *twice(const struct xml_node *node, const struct xval *v)
{
	struct text_key *keys = must_alloc(v->n * sizeof(*keys));
	const struct xml_node *m = node->first;
	size_t i = 0, at;

	for (; m; m = m->next)
		keys[i++] = (struct text_key){ m->first->text, m->at };
	if (text_twice(keys, i, &at))
		for (m = node->first; m && m->at != at;)
			m = m->next;
	free(keys);
	return m;
}

static int structure(struct reader *r, const struct xml_node *node, struct xval *v)
{
	const struct xml_node *again;
	int err;

	if (has_text(node))
		return bad(r, node, -E_XMLRPC);
	for (const struct xml_node *n = node->first; n; n = n->next) {
		err = member(r, n, v);
		if (err)
			return err;
	}
	again = twice(node, v);
	return again ? bad(r, again, -E_TEXT_TWICE) : 0;
}

/* Recursion is as deep as the tree of elements, which has its limit. */
static int value(struct reader *r, const struct xml_node *node, struct xval **out)
{
	const struct xml_node *type = node->first;
	struct xval *v = arena_alloc(r->a, sizeof(*v));

	*out = v;
	if (!is(node, "value"))
		return bad(r, node, -E_XMLRPC);
	if (!type) {			/* no type: a string */
		v->kind = XVAL_STRING;
		v->text = node->text;
		return 0;
	}
	if (node->text[0] || type->next)
		return bad(r, node, -E_XMLRPC);
	if (is(type, "array")) {
		v->kind = XVAL_ARRAY;
		return array(r, type, v);
	}
	if (is(type, "struct")) {
		v->kind = XVAL_STRUCT;
		return structure(r, type, v);
	}
	return scalar(r, type, v);
}

static int params(struct reader *r, const struct xml_node *node, struct xval *list)
{
	struct xval *v;
	int err;

	if (!is(node, "params") || has_text(node) || node->next)
		return bad(r, node, -E_XMLRPC);
	for (const struct xml_node *n = node->first; n; n = n->next) {
		if (!is(n, "param") || !holds_one(n, "value"))
			return bad(r, n, -E_XMLRPC);
		err = value(r, n->first, &v);
		if (err)
			return err;
		xval_add(list, v);
	}
	return 0;
}

static int read_call(struct reader *r, const struct xml_node *root, struct xmlrpc_call *call)
{
	const struct xml_node *name = root->first;

	if (!is(root, "methodCall") || !holds(root, "methodName") || name->first || !name->text[0])
		return bad(r, root, -E_XMLRPC);
	call->method = name->text;
	call->params = xval_array(r->a);
	return name->next ? params(r, name->next, call->params) : 0;
}

int xmlrpc_read_call(struct arena *a, const char *doc, size_t n,
		     struct xmlrpc_call *call, struct text_where *where)
{
	struct reader r = { .a = a };
	struct xml_node *root;
	int err;

	*call = (struct xmlrpc_call){ 0 };
	err = xml_read(a, doc, n, 0, &root, where);
	if (err)
		return err;
	err = read_call(&r, root, call);
	return err ? text_error(where, doc, r.bad->at, err) : 0;
}

static int read_fault(struct reader *r, const struct xml_node *node, struct xmlrpc_response *out)
{
	struct xval *v;
	int err;

	if (!holds_one(node, "value"))
		return bad(r, node, -E_XMLRPC);
	err = value(r, node->first, &v);
	if (err)
		return err;
	if (xval_i64(xval_get(v, "faultCode"), &out->fault) ||
	    xval_str(xval_get(v, "faultString"), &out->fault_text))
		return bad(r, node, -E_XMLRPC);
	return 0;
}

static int read_response(struct reader *r, const struct xml_node *root,
			 struct xmlrpc_response *out)
{
	struct xval *list = xval_array(r->a);
	int err;

	if (!is(root, "methodResponse"))
		return bad(r, root, -E_XMLRPC);
	if (holds_one(root, "fault"))
		return read_fault(r, root->first, out);
	if (!holds(root, "params"))
		return bad(r, root, -E_XMLRPC);
	err = params(r, root->first, list);
	if (err)
		return err;
	if (list->n != 1)
		return bad(r, root, -E_XMLRPC);
	out->value = list->first;
	return 0;
}

int xmlrpc_read_response(struct arena *a, const char *doc, size_t n, size_t max,
			 struct xmlrpc_response *out, struct text_where *where)
{
	struct reader r = { .a = a };
	struct xml_node *root;
	int err;

	*out = (struct xmlrpc_response){ 0 };
	err = xml_read(a, doc, n, max, &root, where);
	if (err)
		return err;
	err = read_response(&r, root, out);
	return err ? text_error(where, doc, r.bad->at, err) : 0;
}
