/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/text/xmlrpc.h"
#include "tests/fuzz/fuzz.h"

static int equal(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static void same(const struct xval *a, const struct xval *b)
{
	for (; a && b; a = a->next, b = b->next) {
		CHECK(a->kind == b->kind);
		CHECK(equal(a->key, b->key));
		CHECK(a->kind == XVAL_INT || a->kind == XVAL_BOOL || equal(a->text, b->text));
		CHECK(a->i == b->i && a->n == b->n);
		same(a->first, b->first);
	}
	CHECK(!a && !b);
}

/* An untyped string is written with its type: one element deeper than it was. */
static int is_whole(int err)
{
	CHECK(!err || err == -E_TEXT_DEEP);
	return !err;
}

static void call(struct arena *a, const char *doc, size_t n)
{
	_buf_free_ struct buf b = { 0 };
	struct xmlrpc_call first, second;
	struct text_where where = { 0 };

	if (xmlrpc_read_call(a, doc, n, &first, &where)) {
		CHECK(where.at <= n && where.line);
		return;
	}
	xmlrpc_write_call(&b, first.method, first.params);
	if (!is_whole(xmlrpc_read_call(a, b.p, b.n, &second, NULL)))
		return;
	CHECK(!strcmp(first.method, second.method));
	same(first.params, second.params);
}

static void response(struct arena *a, const char *doc, size_t n)
{
	_buf_free_ struct buf b = { 0 };
	struct xmlrpc_response first, second;
	struct text_where where = { 0 };

	if (xmlrpc_read_response(a, doc, n, 0, &first, &where)) {
		CHECK(where.at <= n && where.line);
		return;
	}
	if (first.value)
		xmlrpc_write_response(&b, first.value);
	else
		xmlrpc_write_fault(&b, first.fault, first.fault_text);
	if (!is_whole(xmlrpc_read_response(a, b.p, b.n, b.n, &second, NULL)))
		return;
	same(first.value, second.value);
	CHECK(first.fault == second.fault && equal(first.fault_text, second.fault_text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };

	call(&a, (const char *)data, size);
	response(&a, (const char *)data, size);
	arena_free(&a);
	return 0;
}
