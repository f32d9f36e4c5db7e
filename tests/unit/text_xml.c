/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/kv.h"
#include "lib/text/xml.h"
#include "tests/unit/t.h"
#include "tests/unit/text_help.h"

/* The root's text, or NULL; what went wrong is in *err. */
static const char *text_of(struct arena *a, const char *doc, int *err)
{
	struct xml_node *root;

	*err = xml_read(a, doc, strlen(doc), 0, &root, NULL);
	return *err ? NULL : root->text;
}

static int error_of(const char *doc, size_t n, size_t *at)
{
	struct text_where where = { 0 };
	struct arena a = { 0 };
	struct xml_node *root;
	char *exact = text_exact(doc, n);
	int err = xml_read(&a, exact, n, 0, &root, &where);

	OK(!err == !!root);
	free(exact);
	arena_free(&a);
	if (at)
		*at = where.at;
	return err;
}

TEST(xml_a_tree)
{
	static const char doc[] =
		"\xef\xbb\xbf<?xml version=\"1.0\" encoding='utf-8' standalone='no' ?>\n"
		"<!-- a list --><?style now?>\n"
		"<SRlist>\n\t<SR a='1' b = \"x&lt;&#65;\"><UUID>one</UUID ><Size>4096</Size></SR>\n"
		"\t<SR><UUID/><x:y-1.z/></SR>tail</SRlist>\n<!-- end -->\n";
	struct arena a = { 0 };
	const struct xml_node *sr;
	struct xml_node *root;

	if (!EQ(xml_read(&a, doc, sizeof(doc) - 1, 0, &root, NULL), 0))
		return;
	STR_EQ(root->name, "SRlist");
	STR_EQ(root->text, "\n\t\n\ttail");
	sr = xml_find(root, "SR");
	STR_EQ(sr->text, "");
	STR_EQ(xml_text(sr, "UUID"), "one");
	STR_EQ(xml_text(sr, "Size"), "4096");
	OK(!xml_text(sr, "Type"));
	EQ(doc[sr->at], '<');
	STR_EQ(xml_text(sr->next, "UUID"), "");
	STR_EQ(sr->next->first->next->name, "x:y-1.z");
	OK(!sr->next->next);
	arena_free(&a);
}

TEST(xml_character_data)
{
	static const struct { const char *doc, *text; } good[] = {
		{ "<a>&lt;&gt;&amp;&quot;&apos;</a>", "<>&\"'" },
		{ "<a>&#65;&#x42;&#x0000043;&#10;&#x1F600;</a>", "ABC\n\xf0\x9f\x98\x80" },
		{ "<a><![CDATA[<b>&amp;]]]]><![CDATA[>]]></a>", "<b>&amp;]]>" },
		{ "<a>one\r\ntwo\rthree&#13;\n</a>", "one\ntwo\nthree\r\n" },
		{ "<a>x<!-- - -->y<?pi ?>z</a>", "xyz" },
		{ "<a>x<b>in</b>y</a>", "xy" },
		{ "<a> \n </a>", " \n " },
		{ "<a> <b/> </a>", "" },
		{ "<a>]] ></a>", "]] >" },
		{ "<\xc3\xbc>\xc3\xbc</\xc3\xbc>", "\xc3\xbc" },
	};
	struct arena a = { 0 };
	int err;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		const char *got = text_of(&a, good[i].doc, &err);

		if (!EQ(err, 0) || !STR_EQ(got, good[i].text))
			printf("# in %s\n", good[i].doc);
	}
	arena_free(&a);
}

TEST(xml_malformed)
{
	static const struct { int err; const char *doc; } bad[] = {
		{ E_TEXT, "" }, { E_TEXT, " \n" }, { E_TEXT, "text" }, { E_TEXT, "<a>" },
		{ E_TEXT, "</a>" }, { E_TEXT, "<a></b>" }, { E_TEXT, "<a><b></a></b>" },
		{ E_TEXT, "<a/><b/>" }, { E_TEXT, "<a/>text" }, { E_TEXT, "text<a/>" },
		{ E_TEXT, "<a/>&lt;" }, { E_TEXT, "< a/>" }, { E_TEXT, "<1a/>" }, { E_TEXT, "<a / >" },
		{ E_TEXT, "<a?>" }, { E_TEXT, "<a" }, { E_TEXT, "<" }, { E_TEXT, "<a/" },
		{ E_TEXT, "<a b/>" }, { E_TEXT, "<a b=c/>" }, { E_TEXT, "<a b='c/>" },
		{ E_TEXT, "<a b='<'/>" }, { E_TEXT, "<a b='1'c='2'/>" }, { E_TEXT, "<a 1='1'/>" },
		{ E_TEXT, "<a b='&lt'/>" }, { E_XML_ENTITY, "<a b='&nbsp;'/>" },
		{ E_TEXT_TWICE, "<a b='1' c='2' b='3'/>" },
		{ E_TEXT, "<a>]]></a>" }, { E_TEXT, "<a><![CDATA[x]]</a>" }, { E_TEXT, "<![CDATA[x]]>" },
		{ E_TEXT, "<a/><!-- x" }, { E_TEXT, "<a/><!-- -- -->" }, { E_TEXT, "<a/><!-->" },
		{ E_TEXT, "<a/><? x?>" }, { E_TEXT, "<a/><?x" }, { E_TEXT, "<a/><?xml version='1.0'?>" },
		{ E_TEXT, "<a><?XML ?></a>" }, { E_TEXT, " <?xml version='1.0'?><a/>" },
		{ E_TEXT, "<?xml?><a/>" }, { E_TEXT, "<?xml encoding='UTF-8'?><a/>" },
		{ E_TEXT, "<?xml version='2.0'?><a/>" }, { E_TEXT, "<?xml version='1.0'><a/>" },
		{ E_TEXT, "<?xml version='1.0' other='1'?><a/>" },
		{ E_XML_ENCODING, "<?xml version='1.0' encoding='ISO-8859-1'?><a/>" },
		{ E_XML_ENCODING, "<?xml version='1.0' encoding='UTF-16'?><a/>" },
		{ E_TEXT, "<a>&</a>" }, { E_TEXT, "<a>&lt</a>" }, { E_TEXT, "<a>& lt;</a>" },
		{ E_TEXT, "<a>&#;</a>" }, { E_TEXT, "<a>&#x;</a>" }, { E_TEXT, "<a>&#12a;</a>" },
		{ E_TEXT, "<a>&#xg;</a>" }, { E_TEXT, "<a>&#65</a>" }, { E_TEXT, "<a>&#-1;</a>" },
		{ E_TEXT, "<a>&#X41;</a>" }, { E_XML_ENTITY, "<a>&nbsp;</a>" },
		{ E_XML_CHAR, "<a>&#0;</a>" }, { E_XML_CHAR, "<a>&#1;</a>" },
		{ E_XML_CHAR, "<a>&#xd800;</a>" }, { E_XML_CHAR, "<a>&#xffff;</a>" },
		{ E_XML_CHAR, "<a>&#x110000;</a>" }, { E_XML_CHAR, "<a>&#4294967361;</a>" },
		{ E_XML_CHAR, "<a b='&#0;'/>" }, { E_XML_CHAR, "<a>\x01</a>" },
		{ E_XML_CHAR, "<a>\xef\xbf\xbe</a>" },
		{ E_TEXT_UTF8, "<a>\xff</a>" }, { E_TEXT_UTF8, "<a>\xc0\x80</a>" },
		{ E_TEXT_UTF8, "<a>\xed\xa0\x80</a>" }, { E_TEXT_UTF8, "\xff\xfe<\0a\0" },
		{ E_XML_DTD, "<!DOCTYPE a><a/>" }, { E_TEXT, "<a><!ELEMENT b></a>" },
		{ E_XML_DTD, "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>" },
		{ E_XML_DTD, "<!DOCTYPE a [<!ENTITY a 'aaa'><!ENTITY b '&a;&a;&a;'>]><a>&b;</a>" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (!EQ(error_of(bad[i].doc, strlen(bad[i].doc), NULL), -bad[i].err))
			printf("# in %s\n", bad[i].doc);
	EQ(error_of("<a>x\0y</a>", 10, NULL), -E_XML_CHAR);
	EQ(error_of("<a/>\0", 5, NULL), -E_XML_CHAR);
}

TEST(xml_errors_say_where)
{
	struct text_where where;
	struct arena a = { 0 };
	struct xml_node *root;
	size_t at;

	EQ(error_of("<a>\n<b>&no;</b></a>", 19, &at), -E_XML_ENTITY);
	EQ(at, 7);
	EQ(error_of("<a>x\x01</a>", 9, &at), -E_XML_CHAR);
	EQ(at, 4);
	EQ(error_of("<a><b></a>", 10, &at), -E_TEXT);
	EQ(at, 6);
	EQ(xml_read(&a, "<a>\n\n <b c='1' c='2'/></a>", 26, 0, &root, &where), -E_TEXT_TWICE);
	EQ(where.line, 3);
	EQ(where.at, 6);
	arena_free(&a);
}

TEST(xml_depth_is_bounded)
{
	_buf_free_ struct buf b = { 0 };

	text_repeat(&b, "<a>", XML_DEPTH);
	text_repeat(&b, "</a>", XML_DEPTH);
	EQ(error_of(b.p, b.n, NULL), 0);
	buf_reset(&b);
	text_repeat(&b, "<a>", XML_DEPTH + 1);
	text_repeat(&b, "</a>", XML_DEPTH + 1);
	EQ(error_of(b.p, b.n, NULL), -E_TEXT_DEEP);
	buf_reset(&b);
	text_repeat(&b, "<a>", 1000);
	EQ(error_of(b.p, b.n, NULL), -E_TEXT_DEEP);
}

TEST(xml_size_is_bounded)
{
	_buf_free_ struct buf b = { 0 };
	struct text_where where;
	struct arena a = { 0 };
	struct xml_node *root;

	buf_puts(&b, "<a>");
	text_repeat(&b, "<b/>", TEXT_NODES - 1);
	buf_puts(&b, "</a>");
	EQ(error_of(b.p, b.n, NULL), 0);
	b.n -= 4;
	buf_puts(&b, "<b/></a>");
	EQ(error_of(b.p, b.n, NULL), -E_TEXT_BIG);

	buf_reset(&b);
	buf_puts(&b, "<a>");
	text_repeat(&b, "0123456789", MiB);	/* 10 MiB */
	buf_puts(&b, "</a>");
	EQ(error_of(b.p, b.n, NULL), -E_TEXT_BIG);
	EQ(xml_read(&a, b.p, b.n, 16 * MiB, &root, &where), 0);
	EQ(strlen(root->text), 10 * MiB);
	EQ(xml_read(&a, "<a/>", 4, 3, &root, &where), -E_TEXT_BIG);
	arena_free(&a);

	buf_reset(&b);
	buf_puts(&b, "<a");
	for (int i = 0; i <= XML_ATTRIBUTES; i++)
		buf_printf(&b, " b%d=''", i);
	buf_puts(&b, "/>");
	EQ(error_of(b.p, b.n, NULL), -E_TEXT_BIG);
}

TEST(xml_no_prefix_is_a_document)
{
	static const char *const names[] = {
		"create_call.xml", "driver_info_response.xml", "odd.xml", NULL,
	};

	for (const char *const *name = names; *name; name++) {
		_buf_free_ struct buf b = { 0 };
		size_t whole = 0;

		if (!text_data(*name, &b))
			continue;
		while (b.n && b.p[b.n - 1] == '\n')
			b.n--;
		for (size_t n = 0; n <= b.n; n++)
			whole += error_of(b.p, n, NULL) == 0;
		EQ(whole, 1);
	}
}

TEST(xml_what_is_written_reads_back)
{
	static const char odd[] = "<&>\"' \t\r\n]]>\xc3\xbc\xf0\x9f\x98\x80";
	_buf_free_ struct buf b = { 0 };
	struct xml_out x = { .buf = &b };
	struct arena a = { 0 };
	int err;

	xml_leaf(&x, "a", odd);
	STR_EQ(text_of(&a, buf_str(&b), &err), odd);
	buf_reset(&b);
	xml_escape(&b, "a\x01\xff\"<");
	STR_EQ(buf_str(&b), "a\xef\xbf\xbd\xef\xbf\xbd&quot;&lt;");
	arena_free(&a);
}

TEST(xml_documents_are_indented)
{
	_buf_free_ struct buf b = { 0 };
	struct xml_out x = { .buf = &b, .pretty = true };

	xml_declare(&x);
	xml_begin(&x, "SRlist");
	xml_begin(&x, "SR");
	xml_leaf(&x, "UUID", "a&b");
	xml_leaf(&x, "Name", "");
	xml_end(&x);
	xml_end(&x);
	STR_EQ(buf_str(&b), "<?xml version=\"1.0\" ?>\n<SRlist>\n\t<SR>\n\t\t<UUID>a&amp;b</UUID>\n"
			    "\t\t<Name/>\n\t</SR>\n</SRlist>\n");
	EQ(error_of(b.p, b.n, NULL), 0);
}

static int kvs_of(struct arena *a, const char *doc, struct kvs *kvs)
{
	struct xml_node *root;
	int err = xml_read(a, doc, strlen(doc), 0, &root, NULL);

	*kvs = (struct kvs){ 0 };
	return err ? err : xml_kvs(a, root, kvs);
}

TEST(xml_dconf_becomes_pairs)
{
	struct arena a = { 0 };
	struct kvs kvs;

	EQ(kvs_of(&a, "<dconf>\n<server>h</server><serverpath>/x</serverpath></dconf>", &kvs), 0);
	EQ(kvs.n, 2);
	STR_EQ(kv_get(&kvs, "server"), "h");
	STR_EQ(kv_get(&kvs, "serverpath"), "/x");
	EQ(kvs_of(&a, "<device>/dev/sdb</device>", &kvs), 0);
	STR_EQ(kv_get(&kvs, "device"), "/dev/sdb");
	EQ(kvs_of(&a, "<d><a>1</a><a>2</a></d>", &kvs), -E_TEXT_TWICE);
	EQ(kvs_of(&a, "<d><a><b/></a></d>", &kvs), -E_TEXT);
	EQ(kvs_of(&a, "<d>text<a/></d>", &kvs), -E_TEXT);
	arena_free(&a);
}
