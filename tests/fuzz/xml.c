/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/text/xml.h"
#include "tests/fuzz/fuzz.h"

static void encode(struct xml_out *x, const struct xml_node *node)
{
	xml_begin(x, node->name);
	xml_escape(x->buf, node->text);
	for (const struct xml_node *n = node->first; n; n = n->next)
		encode(x, n);
	xml_end(x);
}

static void same(const struct xml_node *a, const struct xml_node *b)
{
	for (; a && b; a = a->next, b = b->next) {
		CHECK(!strcmp(a->name, b->name));
		CHECK(!strcmp(a->text, b->text));
		same(a->first, b->first);
	}
	CHECK(!a && !b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_buf_free_ struct buf b = { 0 };
	struct xml_out x = { .buf = &b };
	struct text_where where = { 0 };
	struct arena a = { 0 };
	struct xml_node *root, *again;

	if (xml_read(&a, (const char *)data, size, 0, &root, &where)) {
		CHECK(where.at <= size && where.line);
	} else {
		xml_declare(&x);
		encode(&x, root);
		CHECK(!xml_read(&a, b.p, b.n, b.n, &again, NULL));
		same(root, again);
	}
	arena_free(&a);
	return 0;
}
