/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/kv.h"
#include "lib/text/xmlrpc.h"
#include "tests/unit/t.h"
#include "tests/unit/text_help.h"

static int call_of(struct arena *a, const struct buf *b, struct xmlrpc_call *call)
{
	return xmlrpc_read_call(a, b->p, b->n, call, NULL);
}

TEST(xmlrpc_call_of_xapi)
{
	_buf_free_ struct buf b = { 0 };
	struct arena a = { 0 };
	struct xmlrpc_call call;
	struct kvs dconf = { 0 };
	const struct xval *rq, *args;
	const char *s = NULL;
	uint64_t size = 0;

	if (!text_data("create_call.xml", &b) || !EQ(call_of(&a, &b, &call), 0))
		return;
	STR_EQ(call.method, "vdi_create");
	EQ(call.params->n, 1);
	rq = call.params->first;
	EQ(rq->kind, XVAL_STRUCT);
	EQ(rq->n, 10);
	EQ(xval_str(xval_get(rq, "sr_uuid"), &s), 0);
	STR_EQ(s, "6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11");
	args = xval_get(rq, "args");
	EQ(args->n, 8);
	EQ(xval_u64(args->first, &size), 0);
	EQ(size, 10737418240);
	EQ(xval_str(args->first->next->next->next, &s), 0);
	STR_EQ(s, "");
	EQ(xval_kvs(&a, xval_get(rq, "device_config"), &dconf), 0);
	EQ(dconf.n, 2);
	STR_EQ(kv_get(&dconf, "device"), "/dev/sdb");
	EQ(xval_get(rq, "vdi_sm_config")->n, 0);
	OK(!xval_get(rq, "new_uuid"));
	arena_free(&a);
}

/* Read a document, write it, and compare with what Python writes. */
static void golden(const char *name, const char *suffix, bool is_call)
{
	_buf_free_ struct buf in = { 0 }, want = { 0 }, got = { 0 };
	struct xmlrpc_response r;
	struct xmlrpc_call call;
	struct arena a = { 0 };
	char file[64];

	snprintf(file, sizeof(file), "%s.python.xml", name);
	if (!text_data(file, &want))
		return;
	snprintf(file, sizeof(file), "%s%s", name, suffix);
	if (!text_data(file, &in))
		return;
	if (is_call && EQ(xmlrpc_read_call(&a, in.p, in.n, &call, NULL), 0))
		xmlrpc_write_call(&got, call.method, call.params);
	if (!is_call && EQ(xmlrpc_read_response(&a, in.p, in.n, 0, &r, NULL), 0)) {
		if (r.value)
			xmlrpc_write_response(&got, r.value);
		else
			xmlrpc_write_fault(&got, r.fault, r.fault_text);
	}
	STR_EQ(buf_str(&got), want.p);
	arena_free(&a);
}

TEST(xmlrpc_is_written_as_python_does)
{
	static const char *const calls[] = { "driver_info_call", "create_call" };
	static const char *const responses[] = {
		"driver_info_response", "create_response", "create_fault", "attach_response",
		"nil_response", "kinds_response",
	};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		golden(calls[i], ".xml", true);
		golden(calls[i], ".python.xml", true);
	}
	for (size_t i = 0; i < ARRAY_SIZE(responses); i++) {
		golden(responses[i], ".xml", false);
		golden(responses[i], ".python.xml", false);
	}
}

TEST(xmlrpc_values_made_here)
{
	_buf_free_ struct buf b = { 0 };
	struct arena a = { 0 };
	struct xval *v = xval_struct(&a), *list = xval_array(&a);

	xval_put(v, "s", xval_string(&a, "a<b"));
	xval_put(v, "i", xval_int(&a, -5));
	xval_put(v, "big", xval_int(&a, 1ll << 40));
	xval_put(v, "b", xval_boolean(&a, true));
	xval_add(list, xval_nil(&a));
	xval_put(v, "l", list);
	xmlrpc_write_response(&b, v);
	STR_EQ(buf_str(&b),
	       "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><struct>\n"
	       "<member>\n<name>s</name>\n<value><string>a&lt;b</string></value>\n</member>\n"
	       "<member>\n<name>i</name>\n<value><int>-5</int></value>\n</member>\n"
	       "<member>\n<name>big</name>\n<value><i8>1099511627776</i8></value>\n</member>\n"
	       "<member>\n<name>b</name>\n<value><boolean>1</boolean></value>\n</member>\n"
	       "<member>\n<name>l</name>\n<value><array><data>\n<value><nil/></value>"
	       "</data></array></value>\n</member>\n"
	       "</struct></value>\n</param>\n</params>\n</methodResponse>\n");
	arena_free(&a);
}

/* Read one value as the only parameter of a call. */
static int value_of(struct arena *a, const char *value, struct xval **v)
{
	char *doc = arena_printf(a, "<methodCall><methodName>m</methodName>\n <params><param>%s"
				 "</param></params></methodCall>", value);
	struct xmlrpc_call call;
	int err = xmlrpc_read_call(a, doc, strlen(doc), &call, NULL);

	*v = err ? NULL : call.params->first;
	return err;
}

TEST(xmlrpc_values_of_every_kind)
{
	static const struct { const char *doc; enum xval_kind kind; const char *text; } good[] = {
		{ "<value>plain &amp; simple</value>", XVAL_STRING, "plain & simple" },
		{ "<value> </value>", XVAL_STRING, " " },
		{ "<value/>", XVAL_STRING, "" },
		{ "<value></value>", XVAL_STRING, "" },
		{ "<value>\n<string> x </string>\n</value>", XVAL_STRING, " x " },
		{ "<value><string/></value>", XVAL_STRING, "" },
		{ "<value><string><![CDATA[<a>]]></string></value>", XVAL_STRING, "<a>" },
		{ "<value><double>-1.5e+3</double></value>", XVAL_DOUBLE, "-1.5e+3" },
		{ "<value><double>2.</double></value>", XVAL_DOUBLE, "2." },
		{ "<value><dateTime.iso8601>19700101T00:00:00Z</dateTime.iso8601></value>",
		  XVAL_DATETIME, "19700101T00:00:00Z" },
		{ "<value><base64>AAEC</base64></value>", XVAL_BASE64, "AAEC" },
	};
	struct arena a = { 0 };
	struct xval *v;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		if (!EQ(value_of(&a, good[i].doc, &v), 0))
			continue;
		EQ(v->kind, good[i].kind);
		STR_EQ(v->text, good[i].text);
	}
	EQ(value_of(&a, "<value><nil/></value>", &v), 0);
	EQ(v->kind, XVAL_NIL);
	EQ(value_of(&a, "<value><struct/></value>", &v), 0);
	OK(v->kind == XVAL_STRUCT && !v->n);
	EQ(value_of(&a, "<value> <array> <data/> </array> </value>", &v), 0);
	OK(v->kind == XVAL_ARRAY && !v->n);
	arena_free(&a);
}

TEST(xmlrpc_numbers)
{
	static const struct { const char *text; int err; int64_t n; } of[] = {
		{ "0", 0, 0 }, { "+7", 0, 7 }, { "-0", 0, 0 }, { "0012", 0, 12 },
		{ "9223372036854775807", 0, INT64_MAX }, { "-9223372036854775808", 0, INT64_MIN },
		{ "9223372036854775808", E_TEXT_KIND, 0 }, { "-9223372036854775809", E_TEXT_KIND, 0 },
		{ "99999999999999999999999", E_TEXT_KIND, 0 }, { "", E_TEXT_KIND, 0 },
		{ "-", E_TEXT_KIND, 0 }, { "1.0", E_TEXT_KIND, 0 }, { " 1", E_TEXT_KIND, 0 },
		{ "1x", E_TEXT_KIND, 0 }, { "--1", E_TEXT_KIND, 0 }, { "0x10", E_TEXT_KIND, 0 },
	};
	static const char *const types[] = { "int", "i4", "i8" };
	struct arena a = { 0 };
	struct xval *v;

	for (size_t i = 0; i < ARRAY_SIZE(of) * ARRAY_SIZE(types); i++) {
		const char *text = of[i / 3].text, *type = types[i % 3];
		int64_t n = 0;

		EQ(value_of(&a, arena_printf(&a, "<value><%s>%s</%s></value>", type, text, type), &v),
		   -of[i / 3].err);
		if (v)
			EQ(xval_i64(v, &n), 0);
		EQ(n, of[i / 3].n);
	}
	arena_free(&a);
}

TEST(xmlrpc_of_another_shape)
{
	static const struct { int err; const char *doc; } bad[] = {
		{ E_XMLRPC, "" }, { E_XMLRPC, "<value/><value/>" }, { E_XMLRPC, "<string/>" },
		{ E_XMLRPC, "<value>x<string>y</string></value>" },
		{ E_XMLRPC, "<value><string>x</string>y</value>" },
		{ E_XMLRPC, "<value><string/><string/></value>" },
		{ E_XMLRPC, "<value><string><b/></string></value>" },
		{ E_XMLRPC, "<value><long>1</long></value>" },
		{ E_XMLRPC, "<value><array/></value>" },
		{ E_XMLRPC, "<value><array><value/></array></value>" },
		{ E_XMLRPC, "<value><array><data/><data/></array></value>" },
		{ E_XMLRPC, "<value><array><data>x</data></array></value>" },
		{ E_XMLRPC, "<value><array><data><string/></data></array></value>" },
		{ E_XMLRPC, "<value><struct>x</struct></value>" },
		{ E_XMLRPC, "<value><struct><name/></struct></value>" },
		{ E_XMLRPC, "<value><struct><member/></struct></value>" },
		{ E_XMLRPC, "<value><struct><member><name>a</name></member></struct></value>" },
		{ E_XMLRPC, "<value><struct><member><value/><name/></member></struct></value>" },
		{ E_XMLRPC, "<value><struct><member><name><b/></name><value/></member></struct></value>" },
		{ E_XMLRPC, "<value><struct><member><name/><value/><value/></member></struct></value>" },
		{ E_TEXT_TWICE, "<value><struct><member><name>a</name><value/></member><member><name>b"
		  "</name><value/></member><member><name>a</name><value>2</value></member></struct></value>" },
		{ E_TEXT_TWICE, "<value><struct><member><name/><value/></member>"
		  "<member><name></name><value/></member></struct></value>" },
		{ E_TEXT_KIND, "<value><boolean>2</boolean></value>" },
		{ E_TEXT_KIND, "<value><boolean>true</boolean></value>" },
		{ E_TEXT_KIND, "<value><boolean/></value>" }, { E_TEXT_KIND, "<value><nil>x</nil></value>" },
		{ E_TEXT_KIND, "<value><double>nan</double></value>" },
		{ E_TEXT_KIND, "<value><double>.</double></value>" },
		{ E_TEXT_KIND, "<value><double>1e</double></value>" },
	};
	struct arena a = { 0 };
	struct xval *v;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (!EQ(value_of(&a, bad[i].doc, &v), -bad[i].err))
			printf("# in %s\n", bad[i].doc);
	arena_free(&a);
}

TEST(xmlrpc_calls_of_another_shape)
{
	static const char *const bad[] = {
		"<a/>", "<methodCall/>", "<methodCall><methodName/></methodCall>",
		"<methodCall><methodName>m</methodName>x</methodCall>",
		"<methodCall><params/><methodName>m</methodName></methodCall>",
		"<methodCall><methodName>m</methodName><params/><params/></methodCall>",
		"<methodCall><methodName>m</methodName><params><value/></params></methodCall>",
		"<methodCall><methodName>m<b/></methodName></methodCall>",
		"<methodResponse><params/></methodResponse>",
	};
	struct arena a = { 0 };
	struct text_where where;
	struct xmlrpc_call call;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (!EQ(xmlrpc_read_call(&a, bad[i], strlen(bad[i]), &call, &where), -E_XMLRPC))
			printf("# in %s\n", bad[i]);
	EQ(xmlrpc_read_call(&a, "<methodCall><methodName>m</methodName>\n<x/></methodCall>", 56,
			    &call, &where), -E_XMLRPC);
	EQ(where.line, 2);
	EQ(where.at, 39);
	EQ(xmlrpc_read_call(&a, "<methodCall><methodName>m</methodName></methodCall>", 51, &call,
			    &where), 0);
	EQ(call.params->n, 0);
	arena_free(&a);
}

TEST(xmlrpc_responses)
{
	static const struct { int err; const char *doc; } bad[] = {
		{ E_XMLRPC, "<methodResponse/>" }, { E_XMLRPC, "<methodResponse><params/></methodResponse>" },
		{ E_XMLRPC, "<methodResponse><params><param><value/></param><param><value/></param>"
		  "</params></methodResponse>" },
		{ E_XMLRPC, "<methodResponse><fault/></methodResponse>" },
		{ E_XMLRPC, "<methodResponse><fault><value>text</value></fault></methodResponse>" },
		{ E_XMLRPC, "<methodResponse><fault><value><struct/></value></fault><x/></methodResponse>" },
		{ E_XMLRPC, "<methodCall><methodName>m</methodName></methodCall>" },
		{ E_TEXT, "HTTP/1.1 200 OK\r\n\r\n<methodResponse/>" },
	};
	_buf_free_ struct buf b = { 0 };
	struct xmlrpc_response r;
	struct arena a = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		EQ(xmlrpc_read_response(&a, bad[i].doc, strlen(bad[i].doc), 0, &r, NULL), -bad[i].err);

	xmlrpc_write_fault(&b, 44, "no <space>");
	EQ(xmlrpc_read_response(&a, b.p, b.n, 0, &r, NULL), 0);
	OK(!r.value);
	EQ(r.fault, 44);
	STR_EQ(r.fault_text, "no <space>");
	arena_free(&a);
}

TEST(xmlrpc_getters_check_the_kind)
{
	struct arena a = { 0 };
	const char *s = "left alone";
	struct kvs kvs = { 0 };
	uint64_t u = 7;
	int64_t i = 7;
	bool b = true;

	EQ(xval_str(NULL, &s), -E_TEXT_KIND);
	EQ(xval_str(xval_int(&a, 1), &s), -E_TEXT_KIND);
	EQ(xval_i64(xval_string(&a, "1"), &i), -E_TEXT_KIND);
	EQ(xval_bool(xval_int(&a, 0), &b), -E_TEXT_KIND);
	EQ(xval_u64(xval_int(&a, -1), &u), -E_TEXT_KIND);
	EQ(xval_u64(xval_string(&a, "-1"), &u), -E_TEXT_KIND);
	EQ(xval_u64(xval_string(&a, "18446744073709551616"), &u), -E_TEXT_KIND);
	EQ(xval_u64(xval_string(&a, ""), &u), -E_TEXT_KIND);
	OK(!strcmp(s, "left alone") && u == 7 && i == 7 && b);
	EQ(xval_u64(xval_string(&a, "18446744073709551615"), &u), 0);
	OK(u == UINT64_MAX);
	OK(!xval_get(NULL, "a") && !xval_get(xval_array(&a), "a"));
	EQ(xval_kvs(&a, xval_array(&a), &kvs), -E_TEXT_KIND);
	arena_free(&a);
}

TEST(xmlrpc_depth_and_prefixes)
{
	_buf_free_ struct buf b = { 0 };
	struct arena a = { 0 };
	struct xmlrpc_call call;
	struct xval *v;
	size_t whole = 0;

	text_repeat(&b, "<value><array><data>", 20);
	text_repeat(&b, "</data></array></value>", 20);
	EQ(value_of(&a, b.p, &v), 0);
	buf_reset(&b);
	text_repeat(&b, "<value><array><data>", 1000);
	text_repeat(&b, "</data></array></value>", 1000);
	EQ(value_of(&a, b.p, &v), -E_TEXT_DEEP);
	buf_reset(&b);
	if (text_data("create_call.xml", &b))
		for (size_t n = 0; n <= b.n; n++) {
			char *exact = text_exact(b.p, n);

			whole += xmlrpc_read_call(&a, exact, n, &call, NULL) == 0;
			free(exact);
			arena_reset(&a);
		}
	EQ(whole, 1);
	arena_free(&a);
}

TEST(xmlrpc_many_members_cost_no_more_than_they_should)
{
	_buf_free_ struct buf b = { 0 };
	struct arena a = { 0 };
	struct xval *v;

	buf_puts(&b, "<value><struct>");
	for (int i = 0; i < 60000; i++)
		buf_printf(&b, "<member><name>OpaqueRef:%d</name><value/></member>", i);
	buf_puts(&b, "</struct></value>");
	EQ(value_of(&a, b.p, &v), 0);
	EQ(v->n, 60000);
	arena_free(&a);
}
