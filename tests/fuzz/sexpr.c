/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/text/sexpr.h"
#include "tests/fuzz/fuzz.h"

static void encode(struct sexpr_out *out, const struct sexpr *s)
{
	if (s->atom) {
		sexpr_atom(out, s->atom);
		return;
	}
	sexpr_begin(out, NULL);
	for (const struct sexpr *m = s->first; m; m = m->next)
		encode(out, m);
	sexpr_end(out);
}

static void same(const struct sexpr *a, const struct sexpr *b)
{
	for (; a && b; a = a->next, b = b->next) {
		CHECK(!a->atom == !b->atom && (!a->atom || !strcmp(a->atom, b->atom)));
		CHECK(a->n == b->n);
		same(a->first, b->first);
	}
	CHECK(!a && !b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_buf_free_ struct buf b = { 0 };
	struct sexpr_out out = { .buf = &b };
	struct text_where where = { 0 };
	struct arena a = { 0 };
	struct sexpr *s, *again;

	if (sexpr_read(&a, (const char *)data, size, 0, &s, &where)) {
		CHECK(where.at <= size && where.line);
	} else {
		encode(&out, s);
		CHECK(!sexpr_read(&a, b.p, b.n, b.n, &again, NULL));
		same(s, again);
	}
	arena_free(&a);
	return 0;
}
