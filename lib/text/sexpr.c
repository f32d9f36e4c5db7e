/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/text/sexpr.h"
#include "lib/utf8.h"

struct reader {
	struct arena *a;
	const char *p, *end;
	struct buf text;		/* of the quoted atom at hand */
	size_t nodes;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_blank(struct reader *r)
{
	while (r->p < r->end && is_blank(*r->p))
		r->p++;
}

static bool is_in_atom(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f && !strchr("()\"\\", c);
}

static int quoted(struct reader *r, struct sexpr *s)
{
	buf_reset(&r->text);
	for (r->p++; r->p < r->end && *r->p != '"'; r->p++) {
		if (*r->p == '\\') {
			r->p++;
			if (r->p == r->end || (*r->p != '"' && *r->p != '\\'))
				return -E_TEXT;
		}
		buf_putc(&r->text, *r->p);
	}
	if (r->p == r->end)
		return -E_TEXT;
	r->p++;
	s->atom = arena_strndup(r->a, buf_str(&r->text), r->text.n);
	return 0;
}

static int plain(struct reader *r, struct sexpr *s)
{
	const char *from = r->p;

	while (r->p < r->end && is_in_atom(*r->p))
		r->p++;
	if (r->p == from)
		return -E_TEXT;
	s->atom = arena_strndup(r->a, from, (size_t)(r->p - from));
	return 0;
}

static int expression(struct reader *r, struct sexpr **out, int depth)
{
	struct sexpr *s = arena_alloc(r->a, sizeof(*s)), **next = &s->first;
	int err;

	*out = s;
	if (r->nodes++ == TEXT_NODES)
		return -E_TEXT_BIG;
	if (r->p == r->end)
		return -E_TEXT;
	if (*r->p == '"')
		return quoted(r, s);
	if (*r->p != '(')
		return plain(r, s);
	if (depth == SEXPR_DEPTH)
		return -E_TEXT_DEEP;
	r->p++;
	for (skip_blank(r); r->p == r->end || *r->p != ')'; skip_blank(r)) {
		err = expression(r, next, depth + 1);
		if (err)
			return err;
		next = &(*next)->next;
		s->n++;
	}
	r->p++;
	return 0;
}

int sexpr_read(struct arena *a, const char *doc, size_t n, size_t max,
	       struct sexpr **root, struct text_where *where)
{
	struct reader r = { .a = a, .p = doc, .end = doc + n };
	size_t good;
	int err;

	*root = NULL;
	if (n > (max ? max : TEXT_MAX))
		return text_error(where, doc, 0, -E_TEXT_BIG);
	good = utf8_good(doc, n);
	if (good < n)
		return text_error(where, doc, good, -E_TEXT_UTF8);
	good = strnlen(doc, n);
	if (good < n)
		return text_error(where, doc, good, -E_TEXT_NUL);
	skip_blank(&r);
	err = expression(&r, root, 0);
	buf_free(&r.text);
	if (!err) {
		skip_blank(&r);
		err = r.p == r.end ? 0 : -E_TEXT;
	}
	if (!err)
		return 0;
	*root = NULL;
	return text_error(where, doc, (size_t)(r.p - doc), err);
}

const struct sexpr *sexpr_get(const struct sexpr *list, const char *key)
{
	for (const struct sexpr *s = list->first; s; s = s->next)
		if (s->first && s->first->atom && !strcmp(s->first->atom, key))
			return s->first->next;
	return NULL;
}

static void blank(struct sexpr_out *s)
{
	if (s->apart)
		buf_putc(s->buf, ' ');
	s->apart = true;
}

void sexpr_begin(struct sexpr_out *s, const char *key)
{
	blank(s);
	buf_putc(s->buf, '(');
	s->apart = false;
	if (key)
		sexpr_atom(s, key);
}

void sexpr_end(struct sexpr_out *s)
{
	buf_putc(s->buf, ')');
	s->apart = true;
}

static bool needs_quotes(const char *s)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789_./:+-";

	return !*s || s[strspn(s, plain)];
}

void sexpr_atom(struct sexpr_out *s, const char *atom)
{
	size_t len;

	blank(s);
	if (!needs_quotes(atom)) {
		buf_puts(s->buf, atom);
		return;
	}
	buf_putc(s->buf, '"');
	for (; *atom; atom += len) {
		len = strcspn(atom, "\"\\");
		utf8_fix(s->buf, atom, len);
		if (!atom[len])
			break;
		buf_putc(s->buf, '\\');
		buf_putc(s->buf, atom[len++]);
	}
	buf_putc(s->buf, '"');
}

void sexpr_pair(struct sexpr_out *s, const char *key, const char *atom)
{
	sexpr_begin(s, key);
	sexpr_atom(s, atom);
	sexpr_end(s);
}

void sexpr_pair_u64(struct sexpr_out *s, const char *key, uint64_t n)
{
	char text[24];
	char *p = text + sizeof(text) - 1;

	for (*p = '\0'; n > 9; n /= 10)
		*--p = (char)('0' + n % 10);
	*--p = (char)('0' + n);
	sexpr_pair(s, key, p);
}
