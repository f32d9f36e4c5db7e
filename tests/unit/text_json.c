/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/text/json.h"
#include "tests/unit/t.h"
#include "tests/unit/text_help.h"

static void write_sample(struct json *j)
{
	json_obj_begin(j);
	json_key_u64(j, "schema", 1);
	json_key_arr(j, "srs");
	json_obj_begin(j);
	json_key_str(j, "uuid", "6f0c");
	json_key_str(j, "path", NULL);
	json_key_bool(j, "attached", true);
	json_key_obj(j, "dconf");
	json_obj_end(j);
	json_key(j, "size");
	json_u64(j, UINT64_MAX);
	json_key(j, "delta");
	json_i64(j, INT64_MIN);
	json_obj_end(j);
	json_arr_end(j);
	json_key_arr(j, "problems");
	json_arr_end(j);
	json_key_arr(j, "n");
	json_number(j, "1.5");
	json_null(j);
	json_bool(j, false);
	json_str(j, "");
	json_arr_end(j);
	json_obj_end(j);
	json_end(j);
}

TEST(json_pretty)
{
	_buf_free_ struct buf b = { 0 };
	struct json j = { .buf = &b, .pretty = true };

	write_sample(&j);
	STR_EQ(buf_str(&b),
	       "{\n  \"schema\": 1,\n  \"srs\": [\n    {\n      \"uuid\": \"6f0c\",\n"
	       "      \"path\": null,\n      \"attached\": true,\n      \"dconf\": {},\n"
	       "      \"size\": 18446744073709551615,\n      \"delta\": -9223372036854775808\n"
	       "    }\n  ],\n  \"problems\": [],\n  \"n\": [\n    1.5,\n    null,\n    false,\n"
	       "    \"\"\n  ]\n}\n");
}

TEST(json_compact)
{
	_buf_free_ struct buf b = { 0 };
	struct json j = { .buf = &b };

	write_sample(&j);
	STR_EQ(buf_str(&b),
	       "{\"schema\":1,\"srs\":[{\"uuid\":\"6f0c\",\"path\":null,\"attached\":true,"
	       "\"dconf\":{},\"size\":18446744073709551615,\"delta\":-9223372036854775808}],"
	       "\"problems\":[],\"n\":[1.5,null,false,\"\"]}\n");
	buf_reset(&b);
	json_str(&j, "one");	/* a line each */
	json_end(&j);
	json_u64(&j, 2);
	json_end(&j);
	STR_EQ(buf_str(&b), "\"one\"\n2\n");
}

TEST(json_strings_are_always_valid)
{
	_buf_free_ struct buf b = { 0 };
	struct json j = { .buf = &b };

	json_str(&j, "\"\\/\b\t\n\f\r\x01\x1f\x7f");
	STR_EQ(buf_str(&b), "\"\\\"\\\\/\\b\\t\\n\\f\\r\\u0001\\u001f\\u007f\"");
	buf_reset(&b);
	/* U+0080 to U+009f steer a terminal as well as those below a blank. */
	json_str(&j, "\xc2\x80\xc2\x9b" "31m\xc2\x9f\xc2\xa0");
	STR_EQ(buf_str(&b), "\"\\u0080\\u009b31m\\u009f\xc2\xa0\"");
	buf_reset(&b);
	json_str(&j, "\xff\xc3\xbc\xed\xa0\x80\xf0\x9f\x98\x80\xc3");
	STR_EQ(buf_str(&b), "\"\xef\xbf\xbd\xc3\xbc\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
			    "\xf0\x9f\x98\x80\xef\xbf\xbd\"");
}

TEST(json_as_deep_as_it_may_be)
{
	_buf_free_ struct buf b = { 0 };
	struct json j = { .buf = &b };
	struct arena a = { 0 };
	struct jval *v;

	for (int i = 0; i < JSON_DEPTH; i++)
		json_arr_begin(&j);
	json_u64(&j, 1);
	json_u64(&j, 2);
	for (int i = 0; i < JSON_DEPTH; i++)
		json_arr_end(&j);
	json_end(&j);
	EQ(json_read(&a, b.p, b.n, 0, &v, NULL), 0);
	for (int i = 1; i < JSON_DEPTH; i++)
		v = v->first;
	EQ(v->n, 2);
	arena_free(&a);
}

static int read_of(struct arena *a, const char *doc, struct jval **v)
{
	return json_read(a, doc, strlen(doc), 0, v, NULL);
}

TEST(json_tree)
{
	struct arena a = { 0 };
	struct jval *v;
	const char *s = NULL;
	uint64_t u = 0;
	int64_t i = 0;
	bool b = false;

	EQ(read_of(&a, " { \"a\" : [ 1 , -2,1.5e3, true ,null,\"x\"] , \"b\":{},\"\":\"\"}\n", &v), 0);
	EQ(v->kind, JVAL_OBJECT);
	EQ(v->n, 3);
	v = v->first;
	EQ(v->n, 6);
	EQ(jval_u64(v->first, &u), 0);
	EQ(u, 1);
	v = v->first->next;
	EQ(jval_u64(v, &u), -E_TEXT_KIND);
	EQ(jval_i64(v, &i), 0);
	EQ(i, -2);
	v = v->next;
	EQ(v->kind, JVAL_NUMBER);
	STR_EQ(v->text, "1.5e3");
	EQ(jval_i64(v, &i), -E_TEXT_KIND);
	v = v->next;
	EQ(jval_bool(v, &b), 0);
	OK(b);
	v = v->next;
	EQ(v->kind, JVAL_NULL);
	EQ(jval_str(v, &s), -E_TEXT_KIND);
	EQ(jval_str(v->next, &s), 0);
	STR_EQ(s, "x");
	OK(!jval_get(v, "a") && !jval_get(NULL, "a"));

	EQ(read_of(&a, "{\"n\":18446744073709551615,\"m\":-9223372036854775808,"
		       "\"o\":18446744073709551616}", &v), 0);
	EQ(jval_u64(jval_get(v, "n"), &u), 0);
	OK(u == UINT64_MAX);
	EQ(jval_i64(jval_get(v, "n"), &i), -E_TEXT_KIND);
	EQ(jval_i64(jval_get(v, "m"), &i), 0);
	OK(i == INT64_MIN);
	EQ(jval_u64(jval_get(v, "o"), &u), -E_TEXT_KIND);
	OK(!jval_get(v, "p"));
	arena_free(&a);
}

TEST(json_strings)
{
	static const struct { const char *doc, *text; } good[] = {
		{ "\"\"", "" }, { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
		{ "\"\\u0041\\u00fc\\u20AC\\ud83d\\uDE00\"", "A\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\"\xc3\xbc\x7f\"", "\xc3\xbc\x7f" },
	};
	struct arena a = { 0 };
	struct jval *v;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (EQ(read_of(&a, good[i].doc, &v), 0))
			STR_EQ(v->text, good[i].text);
	arena_free(&a);
}

TEST(json_malformed)
{
	static const struct { int err; const char *doc; } bad[] = {
		{ E_TEXT, "" }, { E_TEXT, " " }, { E_TEXT, "1 2" }, { E_TEXT, "{" }, { E_TEXT, "[" },
		{ E_TEXT, "}" }, { E_TEXT, "[}" }, { E_TEXT, "[1}" }, { E_TEXT, "[1,]" },
		{ E_TEXT, "[,1]" }, { E_TEXT, "[1 2]" }, { E_TEXT, "{,}" }, { E_TEXT, "{\"a\"}" },
		{ E_TEXT, "{\"a\":}" }, { E_TEXT, "{\"a\":1,}" }, { E_TEXT, "{a:1}" }, { E_TEXT, "{1:1}" },
		{ E_TEXT, "{'a':1}" }, { E_TEXT, "{\"a\" 1}" }, { E_TEXT, "[1]]" },
		{ E_TEXT, "01" }, { E_TEXT, "-" }, { E_TEXT, "+1" }, { E_TEXT, ".5" }, { E_TEXT, "1." },
		{ E_TEXT, "1e" }, { E_TEXT, "1e+" }, { E_TEXT, "-01" }, { E_TEXT, "0x1" },
		{ E_TEXT, "NaN" }, { E_TEXT, "Infinity" }, { E_TEXT, "True" }, { E_TEXT, "tru" },
		{ E_TEXT, "nul" }, { E_TEXT, "falsey" }, { E_TEXT, "// x\n1" }, { E_TEXT, "\"" },
		{ E_TEXT, "\"\\\"" }, { E_TEXT, "\"\\x\"" }, { E_TEXT, "\"\\u12\"" },
		{ E_TEXT, "\"\\u123g\"" }, { E_TEXT, "\"a\nb\"" }, { E_TEXT, "\"a\tb\"" },
		{ E_TEXT, "\xef\xbb\xbf" "1" }, { E_TEXT_NUL, "\"\\u0000\"" },
		{ E_TEXT_UTF8, "\"\xff\"" }, { E_TEXT_UTF8, "\"\xed\xa0\x80\"" },
		{ E_TEXT_UTF8, "\"\\ud800\"" }, { E_TEXT_UTF8, "\"\\ud800\\u0041\"" },
		{ E_TEXT_UTF8, "\"\\udc00\\ud800\"" }, { E_TEXT_UTF8, "\"\\ud800\\ud800\"" },
		{ E_TEXT_TWICE, "{\"a\":1,\"b\":2,\"a\":3}" }, { E_TEXT_TWICE, "[{\"a\":1,\"\\u0061\":3}]" },
	};
	struct arena a = { 0 };
	struct jval *v;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (!EQ(read_of(&a, bad[i].doc, &v), -bad[i].err))
			printf("# in %s\n", bad[i].doc);
	EQ(json_read(&a, "1\0", 2, 0, &v, NULL), -E_TEXT);
	EQ(json_read(&a, "\"a\0b\"", 5, 0, &v, NULL), -E_TEXT);
	arena_free(&a);
}

TEST(json_errors_say_where)
{
	static const char twice[] = "{\"a\":1,\n \"b\":2,\n \"a\":3,\"a\":4}";
	struct text_where where;
	struct arena a = { 0 };
	struct jval *v;

	EQ(json_read(&a, twice, sizeof(twice) - 1, 0, &v, &where), -E_TEXT_TWICE);
	EQ(where.line, 3);
	EQ(where.at, 17);
	EQ(json_read(&a, "[1,\nx]", 6, 0, &v, &where), -E_TEXT);
	EQ(where.at, 4);
	EQ(where.line, 2);
	arena_free(&a);
}

TEST(json_is_bounded)
{
	_buf_free_ struct buf b = { 0 };
	struct arena a = { 0 };
	struct jval *v;

	text_repeat(&b, "[", 1000);
	EQ(read_of(&a, b.p, &v), -E_TEXT_DEEP);
	text_repeat(&b, "]", 1000);
	EQ(read_of(&a, b.p, &v), -E_TEXT_DEEP);
	buf_reset(&b);
	text_repeat(&b, "{\"a\":", 1000);
	EQ(read_of(&a, b.p, &v), -E_TEXT_DEEP);
	buf_reset(&b);
	buf_puts(&b, "[1");
	text_repeat(&b, ",1", TEXT_NODES);
	buf_puts(&b, "]");
	EQ(read_of(&a, b.p, &v), -E_TEXT_BIG);
	buf_reset(&b);
	text_repeat(&b, "          ", MiB);
	buf_puts(&b, "1");
	EQ(read_of(&a, b.p, &v), -E_TEXT_BIG);
	EQ(json_read(&a, b.p, b.n, b.n, &v, NULL), 0);
	arena_free(&a);
}

TEST(json_no_prefix_is_a_document)
{
	static const char doc[] = "{\"a\":[1,-2.5e-1,true,null,{}],\"b\\u00e9\\ud83d\\ude00\":\"\xc3\xbc\"}";
	struct arena a = { 0 };
	struct jval *v;

	for (size_t n = 0; n < sizeof(doc); n++) {
		char *exact = text_exact(doc, n);

		OK(!json_read(&a, exact, n, 0, &v, NULL) == (n == sizeof(doc) - 1));
		free(exact);
	}
	arena_free(&a);
}
