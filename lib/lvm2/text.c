/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/lvm2/mda.h"
#include "lib/lvm2/text.h"

enum { SPACE = 1, KEY_END = 2, WORD_END = 4, DIGIT = 8, COMMENT = 16 };

/* What ends a key, and what ends a bare word used as a value. */
static const uint8_t class[256] = {
	['\0'] = KEY_END | WORD_END,
	[' '] = SPACE | KEY_END | WORD_END, ['\t'] = SPACE | KEY_END | WORD_END,
	['\n'] = SPACE | KEY_END | WORD_END, ['\r'] = SPACE | KEY_END | WORD_END,
	['\v'] = SPACE | KEY_END | WORD_END, ['\f'] = SPACE | KEY_END | WORD_END,
	['#'] = KEY_END | WORD_END | COMMENT, ['='] = KEY_END | WORD_END,
	['{'] = KEY_END | WORD_END, ['}'] = KEY_END | WORD_END,
	['['] = WORD_END, [']'] = WORD_END, [','] = WORD_END,
	['"'] = WORD_END, ['\''] = WORD_END,
	['0'] = DIGIT, ['1'] = DIGIT, ['2'] = DIGIT, ['3'] = DIGIT, ['4'] = DIGIT,
	['5'] = DIGIT, ['6'] = DIGIT, ['7'] = DIGIT, ['8'] = DIGIT, ['9'] = DIGIT,
};

static bool is(const struct lvm_text *t, unsigned int what)
{
	return class[(uint8_t)*t->at] & what;
}

int lvm_text_open(struct lvm_text *t, struct view text)
{
	*t = (struct lvm_text){ 0 };	/* whose line may be asked for all the same */
	if (text.n > LVM_TEXT_MAX)
		return -E_TEXT_BIG;
	*t = (struct lvm_text){
		.begin = text.p, .at = text.p,
		.end = (const char *)text.p + text.n,
	};
	return 0;
}

unsigned int lvm_text_line(const struct lvm_text *t)
{
	unsigned int line = 1;

	for (const char *p = t->begin; p < t->at; p++)
		line += *p == '\n';
	return line;
}

/*
 * Over white space and comments; how many lines ended on the way, those that
 * hold nothing but a comment not counted.
 */
static unsigned int skip(struct lvm_text *t)
{
	const char *p = t->at, *end = t->end;
	unsigned int lines = 0;

	for (;;) {
		for (; p < end && class[(uint8_t)*p] & SPACE; p++)
			lines += *p == '\n';
		if (p == end || *p != '#')
			break;
		while (p < end && *p && *p != '\n')
			p++;
		p += lines > 0 && p < end && *p;
	}
	/* The text ends at the first NUL, wherever that is met. */
	if (p < end && !*p)
		t->end = p;
	t->at = p;
	return lines;
}

/* The same where LVM2 itself writes nothing or one blank. */
static inline unsigned int skip_one(struct lvm_text *t)
{
	const char *p = t->at;

	if (p < t->end && *p == ' ')
		p++;
	if (p == t->end || !*p || class[(uint8_t)*p] & (SPACE | COMMENT))
		return skip(t);
	t->at = p;
	return 0;
}

/* Up to the next character of that class, or the end. */
static void until(struct lvm_text *t, unsigned int what)
{
	const char *p = t->at, *end = t->end;

	while (p < end && !(class[(uint8_t)*p] & what))
		p++;
	t->at = p;
}

static bool eat(struct lvm_text *t, char c)
{
	if (t->at == t->end || *t->at != c)
		return false;
	t->at++;
	return true;
}

static struct view since(const struct lvm_text *t, const char *from)
{
	return (struct view){ from, (size_t)(t->at - from) };
}

/* A string from its opening quote on.  Its content lies in the text unless it has escapes. */
static int quoted(struct lvm_text *t, struct arena *a, struct view *str)
{
	const char quote = *t->at++, *from = t->at, *p;
	const char escape = quote == '"' ? '\\' : quote, *end = t->end;
	size_t escapes = 0;
	char *out;

	for (p = from; p < end && *p && *p != quote; p++)
		if (*p == escape && p + 1 < end && p[1]) {
			escapes++;
			p++;
		}
	t->at = p;
	*str = since(t, from);
	if (!eat(t, quote))
		return -E_TEXT;
	if (!escapes || !a)
		return 0;
	p = from;
	out = arena_alloc(a, str->n);
	str->n -= escapes;
	for (size_t i = 0; i < str->n; i++) {
		if (*p == '\\')
			p++;
		out[i] = *p++;
	}
	str->p = out;
	return 0;
}

static int number(struct lvm_text *t, struct lvm_value *v)
{
	const char *from = t->at;
	bool minus = *t->at == '-';
	uint64_t n = 0, base, most = minus ? (uint64_t)INT64_MAX + 1 : INT64_MAX;

	if (*t->at == '-' || *t->at == '+')
		t->at++;
	base = t->at < t->end && *t->at == '0' ? 8 : 10;
	v->type = LVM_INT;
	for (; t->at < t->end && is(t, DIGIT); t->at++) {
		uint64_t digit = (uint64_t)(*t->at - '0');

		/* strtoll() would stop at the 8 of 08; nobody means that. */
		if (digit >= base || !mul_ok(n, base, &n) || !add_ok(n, digit, &n) || n > most)
			return -E_RANGE;
	}
	if (eat(t, '.')) {
		v->type = LVM_FLOAT;
		while (t->at < t->end && is(t, DIGIT))
			t->at++;
	}
	if (t->at < t->end && !is(t, WORD_END))
		return -E_TEXT;
	v->num = (int64_t)(minus ? -n : n);
	v->raw = since(t, from);
	return 0;
}

static int scalar(struct lvm_text *t, struct arena *a, struct lvm_value *v)
{
	const char *from = t->at;
	int err;

	if (t->at == t->end)
		return -E_TEXT;
	if (*t->at == '"' || *t->at == '\'') {
		v->type = LVM_STRING;
		err = quoted(t, a, &v->str);
		v->raw = since(t, from);
		return err;
	}
	if (is(t, DIGIT) || ((*t->at == '-' || *t->at == '+') && t->at + 1 < t->end &&
			     class[(uint8_t)t->at[1]] & DIGIT))
		return number(t, v);

	until(t, WORD_END);
	v->type = LVM_STRING;
	v->raw = v->str = since(t, from);
	return t->at == from ? -E_TEXT : 0;
}

static struct lvm_value *value_add(struct arena *a, struct lvm_node *n)
{
	/* Room doubles at every power of two from four on. */
	if (n->n_values >= 4 ? !(n->n_values & (n->n_values - 1)) : !n->n_values)
		n->value = arena_grow(a, n->value, n->n_values,
				      n->n_values ? (size_t)n->n_values * 2 : 4, sizeof(*n->value));
	return &n->value[n->n_values++];
}

static int list(struct lvm_text *t, struct arena *a, struct lvm_node *n)
{
	bool comma = false, new_line = skip_one(t) > 0;

	n->kind = LVM_LIST;
	for (;;) {
		struct lvm_value *v;
		int err;

		if (eat(t, ']')) {
			n->new_line = new_line;
			return 0;
		}
		if (comma && eat(t, ','))
			return -E_TEXT;
		if (++t->things > LVM_TEXT_THINGS)
			return -E_TEXT_BIG;
		v = value_add(a, n);
		v->new_line = new_line;
		err = scalar(t, a, v);
		if (err)
			return err;
		new_line = skip_one(t) > 0;
		comma = eat(t, ',');
		new_line |= skip_one(t) > 0;
	}
}

int lvm_text_next(struct lvm_text *t, struct lvm_node *n)
{
	unsigned int lines = skip(t);
	const char *from = t->at;

	*n = (struct lvm_node){ .blanks = lines > 1 ? lines - 1 : 0 };
	if (t->at == t->end)
		return t->depth ? -E_TEXT : 0;
	if (t->depth && eat(t, '}')) {
		t->depth--;
		return 0;
	}
	if (*t->at == '"' || *t->at == '\'') {
		if (quoted(t, NULL, &n->key))
			return -E_TEXT;
	} else {
		until(t, KEY_END);
		n->key = since(t, from);
	}
	if (!n->key.n)
		return -E_TEXT;
	n->raw.p = from;
	skip_one(t);
	if (eat(t, '=')) {
		n->kind = LVM_SCALAR;
		return 1;
	}
	if (!eat(t, '{'))
		return -E_TEXT;
	n->kind = LVM_SECTION;
	return ++t->depth > LVM_TEXT_DEPTH ? -E_TEXT_DEEP : 1;
}

static int body(struct lvm_text *t, struct arena *a, struct lvm_node *n);

/* The entries of a section, until its brace closes. */
static int section(struct lvm_text *t, struct arena *a, struct lvm_node *n)
{
	n->end = &n->first;
	for (;;) {
		struct lvm_node *child = arena_alloc(a, sizeof(*child));
		int err = lvm_text_next(t, child);

		if (err <= 0) {
			n->end_blanks = child->blanks;
			return err;
		}
		if (++t->things > LVM_TEXT_THINGS)
			return -E_TEXT_BIG;
		err = body(t, a, child);
		if (err)
			return err;
		*n->end = child;
		n->end = &child->next;
	}
}

static int value(struct lvm_text *t, struct arena *a, struct lvm_node *n)
{
	skip_one(t);
	if (eat(t, '['))
		return list(t, a, n);
	n->value = arena_alloc(a, sizeof(*n->value));
	n->n_values = 1;
	return scalar(t, a, n->value);
}

static int body(struct lvm_text *t, struct arena *a, struct lvm_node *n)
{
	int err = n->kind == LVM_SECTION ? section(t, a, n) : value(t, a, n);

	n->raw = since(t, n->raw.p);
	return err;
}

int lvm_text_body(struct lvm_text *t, struct arena *a, struct lvm_node *n)
{
	t->things = 0;
	return body(t, a, n);
}
