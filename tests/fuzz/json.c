/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/text/json.h"
#include "tests/fuzz/fuzz.h"

static void encode(struct json *j, const struct jval *v)
{
	if (v->key)
		json_key(j, v->key);
	switch (v->kind) {
	case JVAL_NULL:
		json_null(j);
		break;
	case JVAL_BOOL:
		json_bool(j, v->truth);
		break;
	case JVAL_NUMBER:
		json_number(j, v->text);
		break;
	case JVAL_STRING:
		json_str(j, v->text);
		break;
	case JVAL_ARRAY:
		json_arr_begin(j);
		for (const struct jval *m = v->first; m; m = m->next)
			encode(j, m);
		json_arr_end(j);
		break;
	case JVAL_OBJECT:
		json_obj_begin(j);
		for (const struct jval *m = v->first; m; m = m->next)
			encode(j, m);
		json_obj_end(j);
		break;
	}
}

static void same(const struct jval *a, const struct jval *b)
{
	for (; a && b; a = a->next, b = b->next) {
		CHECK(a->kind == b->kind && a->truth == b->truth && a->n == b->n);
		CHECK(!a->key == !b->key && (!a->key || !strcmp(a->key, b->key)));
		CHECK(!a->text == !b->text && (!a->text || !strcmp(a->text, b->text)));
		same(a->first, b->first);
	}
	CHECK(!a && !b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text_where where = { 0 };
	struct arena a = { 0 };
	struct jval *v, *again;

	if (json_read(&a, (const char *)data, size, 0, &v, &where)) {
		CHECK(where.at <= size && where.line);
		arena_free(&a);
		return 0;
	}
	for (int pretty = 0; pretty < 2; pretty++) {
		_buf_free_ struct buf b = { 0 };
		struct json j = { .buf = &b, .pretty = pretty };

		encode(&j, v);
		json_end(&j);
		CHECK(!json_read(&a, b.p, b.n, b.n, &again, NULL));
		same(v, again);
	}
	arena_free(&a);
	return 0;
}
