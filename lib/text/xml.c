/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The reader walks the document once with a stack of open elements.  Text is
 * gathered in one buffer that is a stack too: what lies above an element's
 * mark is its own, and closing it takes that off again, so the text of its
 * parent goes on where it stopped.
 */
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/text/xml.h"
#include "lib/utf8.h"

struct open {
	struct xml_node *node;
	struct xml_node *last;		/* child */
	size_t mark;			/* where its text begins */
};

struct reader {
	struct arena *a;
	const char *doc, *p, *end;
	struct buf text;
	struct xml_node *root;
	size_t nodes;
	int depth;
	struct open stack[XML_DEPTH];
};

struct attribute {
	struct view name;
	const char *value;
	size_t n;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Beyond ASCII every character may be part of a name: more than XML allows. */
static bool starts_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
	       (unsigned char)c >= 0x80;
}

static bool is_in_name(char c)
{
	return starts_name(c) || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

static bool skip_blank(struct reader *r)
{
	const char *from = r->p;

	while (r->p < r->end && is_blank(*r->p))
		r->p++;
	return r->p > from;
}

/* Step over s if it comes next. */
static bool take(struct reader *r, const char *s)
{
	size_t n = strlen(s);

	if ((size_t)(r->end - r->p) < n || memcmp(r->p, s, n))
		return false;
	r->p += n;
	return true;
}

/* Step behind the next s; what lay before it is in *what. */
static int take_until(struct reader *r, const char *s, struct view *what)
{
	const char *from = r->p;

	for (; r->p < r->end; r->p++) {
		const char *here = r->p;

		if (*here == *s && take(r, s)) {
			*what = (struct view){ from, (size_t)(here - from) };
			return 0;
		}
	}
	r->p = from;
	return -E_TEXT;
}

static int take_name(struct reader *r, struct view *name)
{
	const char *from = r->p;

	if (r->p == r->end || !starts_name(*r->p))
		return -E_TEXT;
	while (r->p < r->end && is_in_name(*r->p))
		r->p++;
	*name = (struct view){ from, (size_t)(r->p - from) };
	return 0;
}

static bool view_is(struct view v, const char *s)
{
	return v.n == strlen(s) && !memcmp(v.p, s, v.n);
}

/* The digits of &#60; or &#x3c;, already behind "&#". */
static int char_reference(struct view v, uint32_t *cp)
{
	const char *s = v.p;
	bool hex = v.n && s[0] == 'x';
	size_t i = hex;

	*cp = 0;
	if (i == v.n)
		return -E_TEXT;
	for (; i < v.n; i++) {
		char c = s[i];
		uint32_t digit;

		if (c >= '0' && c <= '9')
			digit = (uint32_t)(c - '0');
		else if (hex && (c | 32) >= 'a' && (c | 32) <= 'f')
			digit = (uint32_t)((c | 32) - 'a' + 10);
		else
			return -E_TEXT;
		*cp = *cp * (hex ? 16 : 10) + digit;
		if (*cp > 0x10ffff)
			return -E_XML_CHAR;
	}
	return xml_char_ok(*cp) ? 0 : -E_XML_CHAR;
}

/* One reference, from its '&' on; its character goes to the text. */
static int reference(struct reader *r)
{
	static const struct { const char *name; char c; } known[] = {
		{ "lt", '<' }, { "gt", '>' }, { "amp", '&' }, { "quot", '"' }, { "apos", '\'' },
	};
	const char *from = r->p++;
	struct view v;
	uint32_t cp;
	int err;

	if (take(r, "#")) {
		err = take_until(r, ";", &v);
		if (!err)
			err = char_reference(v, &cp);
		if (!err)
			utf8_put(&r->text, cp);
		else
			r->p = from;
		return err;
	}
	err = take_name(r, &v);
	if (!err && !take(r, ";"))
		err = -E_TEXT;
	for (size_t i = 0; !err && i < ARRAY_SIZE(known); i++) {
		if (view_is(v, known[i].name)) {
			buf_putc(&r->text, known[i].c);
			return 0;
		}
	}
	r->p = from;
	return err ? err : -E_XML_ENTITY;
}

/* CR LF and a lone CR are one line feed (XML 1.0, 2.11). */
static void add_text(struct reader *r, const char *s, size_t n)
{
	const char *cr;

	while ((cr = memchr(s, '\r', n))) {
		size_t len = (size_t)(cr - s);

		buf_add(&r->text, s, len);
		buf_putc(&r->text, '\n');
		len += 1 + (len + 1 < n && cr[1] == '\n');
		s += len;
		n -= len;
	}
	buf_add(&r->text, s, n);
}

static int attribute(struct reader *r, struct attribute *at)
{
	size_t mark = r->text.n;
	char quote;
	int err;

	err = take_name(r, &at->name);
	if (err)
		return err;
	skip_blank(r);
	if (!take(r, "="))
		return -E_TEXT;
	skip_blank(r);
	if (r->p == r->end || (*r->p != '"' && *r->p != '\''))
		return -E_TEXT;
	quote = *r->p++;
	at->value = r->p;
	while (r->p < r->end && *r->p != quote) {
		if (*r->p == '<')
			return -E_TEXT;
		err = *r->p == '&' ? reference(r) : (r->p++, 0);
		if (err)
			return err;
	}
	if (r->p == r->end)
		return -E_TEXT;
	at->n = (size_t)(r->p++ - at->value);
	r->text.n = mark;		/* references were checked, not wanted */
	return 0;
}

/* Attributes up to a '>', '/' or '?'; returns how many, or the error. */
static int attributes(struct reader *r, struct attribute *v)
{
	for (int n = 0;; n++) {
		bool apart = skip_blank(r);
		int err;

		if (r->p == r->end)
			return -E_TEXT;
		if (*r->p == '>' || *r->p == '/' || *r->p == '?')
			return n;
		if (!apart)
			return -E_TEXT;
		if (n == XML_ATTRIBUTES)
			return -E_TEXT_BIG;
		err = attribute(r, &v[n]);
		if (err)
			return err;
		for (int i = 0; i < n; i++)
			if (v[i].name.n == v[n].name.n &&
			    !memcmp(v[i].name.p, v[n].name.p, v[n].name.n))
				return -E_TEXT_TWICE;
	}
}

/* <?xml version='1.0' encoding='UTF-8' standalone='yes'?>, behind its name. */
static int declaration(struct reader *r)
{
	struct attribute v[XML_ATTRIBUTES];
	int n = attributes(r, v), i = 0;

	if (n < 0)
		return n;
	if (i == n || !view_is(v[i].name, "version") || v[i].n < 3 || memcmp(v[i].value, "1.", 2))
		return -E_TEXT;
	if (++i < n && view_is(v[i].name, "encoding")) {
		if (!(v[i].n == 5 && !strncasecmp(v[i].value, "UTF-8", 5)) &&
		    !(v[i].n == 8 && !strncasecmp(v[i].value, "US-ASCII", 8)))
			return -E_XML_ENCODING;
		i++;
	}
	if (i < n && view_is(v[i].name, "standalone"))
		i++;
	return i == n && take(r, "?>") ? 0 : -E_TEXT;
}

static int instruction(struct reader *r)
{
	struct view name, rest;
	int err = take_name(r, &name);

	if (err)
		return err;
	if (name.n == 3 && !strncasecmp(name.p, "xml", 3))
		return -E_TEXT;		/* a declaration anywhere but at the start */
	if (take(r, "?>"))
		return 0;
	return skip_blank(r) ? take_until(r, "?>", &rest) : -E_TEXT;
}

static int comment(struct reader *r)
{
	struct view rest;
	int err = take_until(r, "--", &rest);

	if (!err && !take(r, ">"))
		err = -E_TEXT;
	return err;
}

/* Is all of it blank? */
static bool all_blank(const char *s, size_t n)
{
	while (n && is_blank(s[n - 1]))
		n--;
	return !n;
}

static void close_element(struct reader *r)
{
	struct open *o = &r->stack[--r->depth];
	const char *s = buf_str(&r->text) + (r->text.n ? o->mark : 0);
	size_t n = r->text.n - o->mark;

	o->node->text = n && !(o->last && all_blank(s, n)) ? arena_strndup(r->a, s, n) : "";
	r->text.n = o->mark;
}

static int open_element(struct reader *r, const char *from)
{
	struct attribute v[XML_ATTRIBUTES];
	struct open *above = r->depth ? &r->stack[r->depth - 1] : NULL;
	struct view name;
	struct xml_node *node;
	int err;

	err = take_name(r, &name);
	if (err)
		return err;
	if (!above && r->root)
		return -E_TEXT;
	err = attributes(r, v);
	if (err < 0)
		return err;
	if (r->depth == XML_DEPTH)
		return -E_TEXT_DEEP;
	if (r->nodes++ == TEXT_NODES)
		return -E_TEXT_BIG;

	node = arena_alloc(r->a, sizeof(*node));
	node->name = arena_strndup(r->a, name.p, name.n);
	node->at = (size_t)(from - r->doc);
	if (!above)
		r->root = node;
	else
		*(above->last ? &above->last->next : &above->node->first) = node;
	if (above)
		above->last = node;
	r->stack[r->depth++] = (struct open){ .node = node, .mark = r->text.n };
	if (take(r, "/>"))
		close_element(r);
	else if (!take(r, ">"))
		return -E_TEXT;
	return 0;
}

static int end_tag(struct reader *r)
{
	struct view name;
	int err = take_name(r, &name);

	if (err)
		return err;
	skip_blank(r);
	if (!r->depth || !view_is(name, r->stack[r->depth - 1].node->name) || !take(r, ">"))
		return -E_TEXT;
	close_element(r);
	return 0;
}

/* Whatever begins with '<'. */
static int markup(struct reader *r)
{
	const char *from = r->p;
	struct view v;
	int err;

	if (take(r, "<!--")) {
		err = comment(r);
	} else if (r->depth && take(r, "<![CDATA[")) {
		err = take_until(r, "]]>", &v);
		if (!err)
			add_text(r, v.p, v.n);
	} else if (take(r, "<!DOCTYPE")) {
		err = -E_XML_DTD;
	} else if (take(r, "<?")) {
		err = instruction(r);
	} else if (take(r, "</")) {
		err = end_tag(r);
	} else {
		r->p++;
		err = open_element(r, from);
	}
	if (err)
		r->p = from;		/* a message shows where it begins */
	return err;
}

/* Character data up to the next '<' or '&'. */
static int characters(struct reader *r)
{
	const char *from = r->p;

	while (r->p < r->end && *r->p != '<' && *r->p != '&') {
		if (r->end - r->p >= 3 && !memcmp(r->p, "]]>", 3))
			return -E_TEXT;
		r->p++;
	}
	if (r->depth)
		add_text(r, from, (size_t)(r->p - from));
	else if (!all_blank(from, (size_t)(r->p - from)))
		return -E_TEXT;
	return 0;
}

static int document(struct reader *r)
{
	int err = 0;

	take(r, "\xef\xbb\xbf");	/* a byte order mark */
	if (r->end - r->p > 5 && is_blank(r->p[5]) && take(r, "<?xml"))
		err = declaration(r);
	while (!err && r->p < r->end) {
		if (*r->p == '<')
			err = markup(r);
		else if (*r->p == '&')
			err = r->depth ? reference(r) : -E_TEXT;
		else
			err = characters(r);
	}
	if (!err && (r->depth || !r->root))
		err = -E_TEXT;
	return err;
}

/* Every byte is checked once here; behind this only markup can be wrong. */
static int check_characters(const char *doc, size_t n, size_t *at)
{
	uint32_t cp;
	size_t len;

	for (*at = 0; *at < n; *at += len) {
		len = utf8_decode(doc + *at, n - *at, &cp);
		if (!len)
			return -E_TEXT_UTF8;
		if (!xml_char_ok(cp))
			return -E_XML_CHAR;
	}
	return 0;
}

int xml_read(struct arena *a, const char *doc, size_t n, size_t max,
	     struct xml_node **root, struct text_where *where)
{
	struct reader r = { .a = a, .doc = doc, .p = doc, .end = doc + n };
	size_t at;
	int err;

	*root = NULL;
	if (n > (max ? max : TEXT_MAX))
		return text_error(where, doc, 0, -E_TEXT_BIG);
	err = check_characters(doc, n, &at);
	if (err)
		return text_error(where, doc, at, err);
	err = document(&r);
	buf_free(&r.text);
	if (err)
		return text_error(where, doc, (size_t)(r.p - doc), err);
	*root = r.root;
	return 0;
}
