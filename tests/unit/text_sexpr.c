/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/text/sexpr.h"
#include "tests/unit/t.h"
#include "tests/unit/text_help.h"

static int read_of(struct arena *a, const char *doc, struct sexpr **s)
{
	return sexpr_read(a, doc, strlen(doc), 0, s, NULL);
}

TEST(sexpr_written)
{
	_buf_free_ struct buf b = { 0 };
	struct sexpr_out s = { .buf = &b };

	sexpr_begin(&s, "sr");
	sexpr_pair(&s, "uuid", "6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11");
	sexpr_pair(&s, "label", "");
	sexpr_begin(&s, "VDIs");
	sexpr_begin(&s, NULL);
	sexpr_atom(&s, "2b1f");
	sexpr_atom(&s, "77aa");
	sexpr_end(&s);
	sexpr_end(&s);
	sexpr_begin(&s, "children");
	sexpr_begin(&s, NULL);
	sexpr_end(&s);
	sexpr_end(&s);
	sexpr_pair_u64(&s, "size", UINT64_MAX);
	sexpr_pair_u64(&s, "none", 0);
	sexpr_pair(&s, "location", "/dev/sdb");
	sexpr_pair(&s, "odd", "a \"b\" \\ (c)\n\xc3\xbc\xff");
	sexpr_end(&s);
	STR_EQ(buf_str(&b),
	       "(sr (uuid 6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11) (label \"\") (VDIs (2b1f 77aa)) "
	       "(children ()) (size 18446744073709551615) (none 0) (location /dev/sdb) "
	       "(odd \"a \\\"b\\\" \\\\ (c)\n\xc3\xbc\xef\xbf\xbd\"))");
}

TEST(sexpr_read_back)
{
	struct arena a = { 0 };
	struct sexpr *s;

	EQ(read_of(&a, "(sr (uuid 6f0c)\n\t(label \"a \\\"b\\\" \\\\ \xc3\xbc\")(VDIs (2b1f 77aa))"
		       "(empty ()) (none))\n", &s), 0);
	STR_EQ(s->first->atom, "sr");
	EQ(s->n, 6);
	STR_EQ(sexpr_get(s, "uuid")->atom, "6f0c");
	STR_EQ(sexpr_get(s, "label")->atom, "a \"b\" \\ \xc3\xbc");
	EQ(sexpr_get(s, "VDIs")->n, 2);
	STR_EQ(sexpr_get(s, "VDIs")->first->next->atom, "77aa");
	EQ(sexpr_get(s, "empty")->n, 0);
	OK(!sexpr_get(s, "empty")->atom);
	OK(!sexpr_get(s, "none") && !sexpr_get(s, "absent") && !sexpr_get(s, "sr"));
	EQ(read_of(&a, " atom ", &s), 0);
	STR_EQ(s->atom, "atom");
	EQ(read_of(&a, "\"\"", &s), 0);
	STR_EQ(s->atom, "");
	arena_free(&a);
}

TEST(sexpr_malformed)
{
	static const struct { int err; const char *doc; } bad[] = {
		{ E_TEXT, "" }, { E_TEXT, " " }, { E_TEXT, "(" }, { E_TEXT, ")" }, { E_TEXT, "(a" },
		{ E_TEXT, "(a))" }, { E_TEXT, "a b" }, { E_TEXT, "()()" }, { E_TEXT, "\"a" },
		{ E_TEXT, "\"a\\\"" }, { E_TEXT, "\"\\n\"" }, { E_TEXT, "\"\\" }, { E_TEXT, "a\\b" },
		{ E_TEXT, "(a\x01)" }, { E_TEXT, "\x7f" }, { E_TEXT_UTF8, "(\xff)" },
	};
	struct arena a = { 0 };
	struct text_where where;
	struct sexpr *s;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (!EQ(read_of(&a, bad[i].doc, &s), -bad[i].err))
			printf("# in %s\n", bad[i].doc);
	EQ(sexpr_read(&a, "(a\0b)", 5, 0, &s, &where), -E_TEXT_NUL);
	EQ(where.at, 2);
	EQ(sexpr_read(&a, "(a\n(b \\))", 9, 0, &s, &where), -E_TEXT);
	EQ(where.at, 6);
	EQ(where.line, 2);
	arena_free(&a);
}

TEST(sexpr_is_bounded)
{
	_buf_free_ struct buf b = { 0 };
	struct arena a = { 0 };
	struct sexpr *s;

	text_repeat(&b, "(", SEXPR_DEPTH);
	text_repeat(&b, ")", SEXPR_DEPTH);
	EQ(read_of(&a, b.p, &s), 0);
	buf_reset(&b);
	text_repeat(&b, "(", 1000);
	EQ(read_of(&a, b.p, &s), -E_TEXT_DEEP);
	buf_reset(&b);
	buf_puts(&b, "(");
	text_repeat(&b, "a ", TEXT_NODES);
	buf_puts(&b, ")");
	EQ(read_of(&a, b.p, &s), -E_TEXT_BIG);
	buf_reset(&b);
	text_repeat(&b, "          ", MiB);
	EQ(read_of(&a, b.p, &s), -E_TEXT_BIG);
	arena_free(&a);
}

TEST(sexpr_no_prefix_is_a_document)
{
	static const char doc[] = "(sr (label \"a \\\" \\\\\") (VDIs (2b1f)))";
	struct arena a = { 0 };
	struct sexpr *s;

	for (size_t n = 0; n < sizeof(doc) - 1; n++) {
		char *exact = text_exact(doc, n);

		OK(sexpr_read(&a, exact, n, 0, &s, NULL) != 0);
		free(exact);
	}
	arena_free(&a);
}
