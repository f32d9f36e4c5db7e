/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/text/json.h"
#include "lib/utf8.h"

struct reader {
	struct arena *a;
	const char *doc, *p, *end;
	struct buf text;		/* of the string at hand */
	size_t nodes;
	int depth;
};

static void skip_blank(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
}

/* The next byte; NUL at the end, where nothing expects one. */
static char peek(const struct reader *r)
{
	return r->p < r->end ? *r->p : '\0';
}

static bool take(struct reader *r, const char *s)
{
	size_t n = strlen(s);

	if ((size_t)(r->end - r->p) < n || memcmp(r->p, s, n))
		return false;
	r->p += n;
	return true;
}

/* Four hex digits. */
static int unit(struct reader *r, uint32_t *u)
{
	*u = 0;
	for (int i = 0; i < 4; i++, r->p++) {
		char c = peek(r), low = (char)(c | 32);

		if (c >= '0' && c <= '9')
			*u = *u << 4 | (uint32_t)(c - '0');
		else if (low >= 'a' && low <= 'f')
			*u = *u << 4 | (uint32_t)(low - 'a' + 10);
		else
			return -E_TEXT;
	}
	return 0;
}

/* What follows \u: one unit of UTF-16, or two that make a pair. */
static int code_point(struct reader *r)
{
	uint32_t u, low;
	int err = unit(r, &u);

	if (err)
		return err;
	if (!u)
		return -E_TEXT_NUL;
	if (u >= 0xdc00 && u <= 0xdfff)
		return -E_TEXT_UTF8;
	if (u >= 0xd800 && u <= 0xdbff) {
		if (!take(r, "\\u"))
			return -E_TEXT_UTF8;
		err = unit(r, &low);
		if (err)
			return err;
		if (low < 0xdc00 || low > 0xdfff)
			return -E_TEXT_UTF8;
		u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
	}
	utf8_put(&r->text, u);
	return 0;
}

static int escape(struct reader *r)
{
	static const char known[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
	const char *hit;
	char c = peek(r);

	if (take(r, "u"))
		return code_point(r);
	hit = c ? strchr(known, c) : NULL;
	if (!hit)
		return -E_TEXT;
	buf_putc(&r->text, means[hit - known]);
	r->p++;
	return 0;
}

static int string(struct reader *r, const char **out)
{
	int err;

	if (!take(r, "\""))
		return -E_TEXT;
	buf_reset(&r->text);
	while (!take(r, "\"")) {
		const char *from = r->p;

		while (r->p < r->end && (unsigned char)*r->p >= 0x20 &&
		       *r->p != '"' && *r->p != '\\')
			r->p++;
		buf_add(&r->text, from, (size_t)(r->p - from));
		if (take(r, "\\")) {
			err = escape(r);
			if (err)
				return err;
		} else if (peek(r) != '"') {
			return -E_TEXT;		/* a control character, or the end */
		}
	}
	*out = arena_strndup(r->a, buf_str(&r->text), r->text.n);
	return 0;
}

static bool digits(struct reader *r)
{
	const char *from = r->p;

	while (peek(r) >= '0' && peek(r) <= '9')
		r->p++;
	return r->p > from;
}

static int number(struct reader *r, struct jval *v)
{
	const char *from = r->p;

	take(r, "-");
	if (!take(r, "0") && !digits(r))
		return -E_TEXT;
	if (take(r, ".") && !digits(r))
		return -E_TEXT;
	if (take(r, "e") || take(r, "E")) {
		if (!take(r, "-"))
			take(r, "+");
		if (!digits(r))
			return -E_TEXT;
	}
	v->kind = JVAL_NUMBER;
	v->text = arena_strndup(r->a, from, (size_t)(r->p - from));
	return 0;
}

static int value(struct reader *r, struct jval *v);

/* One member of an object or element of an array. */
static int item(struct reader *r, bool keyed, struct jval *v)
{
	int err;

	skip_blank(r);
	if (keyed) {
		v->at = (size_t)(r->p - r->doc);
		err = string(r, &v->key);
		if (err)
			return err;
		skip_blank(r);
		if (!take(r, ":"))
			return -E_TEXT;
	}
	return value(r, v);
}

static int no_key_twice(struct reader *r, const struct jval *v)
{
	struct text_key *keys = must_alloc(v->n * sizeof(*keys));
	size_t i = 0, at;
	bool twice;

	for (const struct jval *m = v->first; m; m = m->next)
		keys[i++] = (struct text_key){ m->key, m->at };
	twice = text_twice(keys, i, &at);
	free(keys);
	if (!twice)
		return 0;
	r->p = r->doc + at;
	return -E_TEXT_TWICE;
}

static int container(struct reader *r, struct jval *v, char close)
{
	bool keyed = close == '}';
	struct jval **next = &v->first;
	int err;

	v->kind = keyed ? JVAL_OBJECT : JVAL_ARRAY;
	if (r->depth == JSON_DEPTH)
		return -E_TEXT_DEEP;
	r->depth++;
	r->p++;
	skip_blank(r);
	while (peek(r) != close || v->n) {
		if (r->nodes++ == TEXT_NODES)
			return -E_TEXT_BIG;
		*next = arena_alloc(r->a, sizeof(**next));
		err = item(r, keyed, *next);
		if (err)
			return err;
		next = &(*next)->next;
		v->n++;
		skip_blank(r);
		if (peek(r) == close)
			break;
		if (!take(r, ","))
			return -E_TEXT;
	}
	r->p++;
	r->depth--;
	return keyed ? no_key_twice(r, v) : 0;
}

static int value(struct reader *r, struct jval *v)
{
	skip_blank(r);
	if (!v->key)
		v->at = (size_t)(r->p - r->doc);
	switch (peek(r)) {
	case '{':
		return container(r, v, '}');
	case '[':
		return container(r, v, ']');
	case '"':
		v->kind = JVAL_STRING;
		return string(r, &v->text);
	case 't':
		v->truth = true;
		/* fall through */
	case 'f':
		v->kind = JVAL_BOOL;
		return take(r, v->truth ? "true" : "false") ? 0 : -E_TEXT;
	case 'n':
		v->kind = JVAL_NULL;
		return take(r, "null") ? 0 : -E_TEXT;
	default:
		return number(r, v);
	}
}

int json_read(struct arena *a, const char *doc, size_t n, size_t max,
	      struct jval **root, struct text_where *where)
{
	struct reader r = { .a = a, .doc = doc, .p = doc, .end = doc + n };
	struct jval *v;
	size_t good;
	int err;

	*root = NULL;
	if (n > (max ? max : TEXT_MAX))
		return text_error(where, doc, 0, -E_TEXT_BIG);
	good = utf8_good(doc, n);
	if (good < n)
		return text_error(where, doc, good, -E_TEXT_UTF8);
	v = arena_alloc(a, sizeof(*v));
	err = value(&r, v);
	buf_free(&r.text);
	if (!err) {
		skip_blank(&r);
		err = r.p == r.end ? 0 : -E_TEXT;
	}
	if (err)
		return text_error(where, doc, (size_t)(r.p - doc), err);
	*root = v;
	return 0;
}

const struct jval *jval_get(const struct jval *v, const char *key)
{
	if (!v || v->kind != JVAL_OBJECT)
		return NULL;
	for (const struct jval *m = v->first; m; m = m->next)
		if (!strcmp(m->key, key))
			return m;
	return NULL;
}

int jval_str(const struct jval *v, const char **out)
{
	if (!v || v->kind != JVAL_STRING)
		return -E_TEXT_KIND;
	*out = v->text;
	return 0;
}

int jval_u64(const struct jval *v, uint64_t *out)
{
	return v && v->kind == JVAL_NUMBER && text_u64(v->text, out) ? 0 : -E_TEXT_KIND;
}

int jval_i64(const struct jval *v, int64_t *out)
{
	return v && v->kind == JVAL_NUMBER && text_i64(v->text, out) ? 0 : -E_TEXT_KIND;
}

int jval_bool(const struct jval *v, bool *out)
{
	if (!v || v->kind != JVAL_BOOL)
		return -E_TEXT_KIND;
	*out = v->truth;
	return 0;
}
