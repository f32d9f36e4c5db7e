/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of hosts: questions by the byte, answers of servers that are not what they seem, and the files. */
#include <errno.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/dns.h"
#include "tests/unit/t.h"

#define FLAGS	0x8180			/* an answer, recursion wanted and had */
#define CUT	0x8380

static uint8_t ask_bytes[DNS_ASK];
static struct view ask;
static struct dns_addr v[4];

static void put16(struct buf *b, unsigned n)
{
	be16 x = be16_put((uint16_t)n);

	buf_add(b, &x, sizeof(x));
}

/* The start of an answer to "a.b" of that type. */
static void begin(struct buf *b, unsigned flags, unsigned records, unsigned type)
{
	ask = (struct view){ ask_bytes, dns_ask(ask_bytes, 0x1234, "a.b", type) };
	buf_reset(b);
	put16(b, 0x1234);
	put16(b, flags);
	put16(b, 1);
	put16(b, records);
	buf_add(b, "\0\0\0\0\1A\1b\0", 9);	/* servers may repeat it in other letters */
	put16(b, type);
	put16(b, 1);
}

/* owner: as it is sent, with its own end. */
static void record(struct buf *b, struct view owner, unsigned type, const void *data, unsigned n)
{
	buf_add(b, owner.p, owner.n);
	put16(b, type);
	put16(b, 1);
	buf_add(b, "\0\0\0\1", 4);
	put16(b, n);
	buf_add(b, data, n);
}

#define OWNER(text)	(struct view){ text, sizeof(text) - 1 }
#define HERE		OWNER("\xc0\x0c")	/* the question's name */

static int answer(const struct buf *b)
{
	return dns_answer(ask, (struct view){ b->p, b->n }, v, ARRAY_SIZE(v));
}

TEST(dns_questions_are_what_the_rfc_says)
{
	static const uint8_t want[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\5filer\3lab\0\0\x1c\0\1";
	char longest[300];
	uint8_t out[DNS_ASK];

	EQ(dns_ask(out, 0x1234, "filer.lab", DNS_AAAA), sizeof(want) - 1);
	MEM_EQ(out, want, sizeof(want) - 1);
	EQ(dns_ask(out, 0x1234, "filer.lab.", DNS_AAAA), sizeof(want) - 1);
	EQ(dns_ask(out, 1, "", DNS_A), 0);
	EQ(dns_ask(out, 1, ".", DNS_A), 0);
	EQ(dns_ask(out, 1, "a..b", DNS_A), 0);
	memset(longest, 'x', sizeof(longest));
	longest[64] = '\0';
	EQ(dns_ask(out, 1, longest, DNS_A), 0);
	for (size_t i = 0; i < sizeof(longest); i++)
		longest[i] = i % 2 ? '.' : 'x';
	longest[253] = '\0';
	EQ(dns_ask(out, 1, longest, DNS_A), DNS_ASK);
	longest[253] = '.';
	longest[255] = '\0';
	EQ(dns_ask(out, 1, longest, DNS_A), 0);
}

TEST(dns_addresses_are_read_behind_aliases)
{
	_buf_free_ struct buf b = { 0 };

	begin(&b, FLAGS, 2, DNS_A);
	record(&b, HERE, DNS_A, "\12\115\0\2", 4);
	record(&b, OWNER("\1a\1B\0"), DNS_A, "\12\115\0\3", 4);
	EQ(answer(&b), 2);
	EQ(v[0].n, 4);
	MEM_EQ(v[0].b, "\12\115\0\2", 4);
	MEM_EQ(v[1].b, "\12\115\0\3", 4);

	/* a.b is x.b, whose address comes first; a stranger's is not taken. */
	begin(&b, FLAGS, 4, DNS_AAAA);
	record(&b, OWNER("\1x\xc0\x0e"), DNS_AAAA, "0123456789abcdef", 16);
	record(&b, OWNER("\1y\0"), DNS_AAAA, "################", 16);
	record(&b, HERE, DNS_CNAME, "\1x\xc0\x0e", 4);
	record(&b, OWNER("\1x\xc0\x0e"), DNS_A, "\12\115\0\2", 4);
	EQ(answer(&b), 1);
	MEM_EQ(v[0].b, "0123456789abcdef", 16);

	begin(&b, FLAGS, 6, DNS_A);
	for (int i = 0; i < 6; i++)
		record(&b, HERE, DNS_A, "\12\115\0\2", 4);
	EQ(answer(&b), 4);			/* as many as there is room for */
	begin(&b, FLAGS, 0, DNS_A);
	EQ(answer(&b), 0);
}

TEST(dns_answers_to_others_are_told_apart)
{
	_buf_free_ struct buf b = { 0 };

	begin(&b, FLAGS, 1, DNS_A);
	record(&b, HERE, DNS_A, "\12\115\0\2", 4);
	EQ(answer(&b), 1);
	b.p[1]++;				/* another id */
	EQ(answer(&b), -EPROTO);
	b.p[1]--;
	b.p[2] = 1;				/* a question */
	EQ(answer(&b), -EPROTO);
	b.p[2] = (char)0x81;
	b.p[13] = 'c';				/* another name */
	EQ(answer(&b), -EPROTO);
	b.p[13] = 'a';
	b.p[18] = DNS_AAAA;			/* another type */
	EQ(answer(&b), -EPROTO);
	b.p[18] = DNS_A;
	b.p[5] = 0;				/* to no question */
	EQ(answer(&b), -EPROTO);
	b.p[5] = 1;
	EQ(answer(&b), 1);
	b.p[3] = (char)0x83;
	EQ(answer(&b), -ENOENT);
	b.p[3] = (char)0x82;			/* SERVFAIL */
	EQ(answer(&b), -EAGAIN);
	b.p[3] = (char)0x85;			/* REFUSED */
	EQ(answer(&b), -EAGAIN);
}

TEST(dns_answers_that_are_malformed_are_none)
{
	_buf_free_ struct buf b = { 0 };

	/* Cut anywhere: none, unless it says itself that it was cut. */
	begin(&b, FLAGS, 2, DNS_A);
	record(&b, HERE, DNS_CNAME, "\1x\0", 3);
	record(&b, OWNER("\1x\0"), DNS_A, "\12\115\0\2", 4);
	for (size_t n = 0; n < b.n; n++)
		EQ(dns_answer(ask, (struct view){ b.p, n }, v, 4), -EPROTO);
	EQ(answer(&b), 1);
	b.p[2] |= 2;
	EQ(answer(&b), 1);
	b.n--;
	EQ(answer(&b), -EMSGSIZE);
	begin(&b, CUT, 0, DNS_A);
	EQ(answer(&b), -EMSGSIZE);

	begin(&b, FLAGS, 1, DNS_A);		/* an address of three bytes */
	record(&b, HERE, DNS_A, "\12\115\0", 3);
	EQ(answer(&b), -EPROTO);
	begin(&b, FLAGS, 1, DNS_A);		/* a name that leads to itself */
	record(&b, OWNER("\xc0\x15"), DNS_A, "\12\115\0\2", 4);
	EQ(answer(&b), -EPROTO);
	begin(&b, FLAGS, 1, DNS_A);		/* and one that leads on */
	record(&b, OWNER("\xc0\xff"), DNS_A, "\12\115\0\2", 4);
	EQ(answer(&b), -EPROTO);
	begin(&b, FLAGS, 1, DNS_A);		/* a label of a kind that there is not */
	record(&b, OWNER("\x80\1a\0"), DNS_A, "\12\115\0\2", 4);
	EQ(answer(&b), -EPROTO);
	begin(&b, FLAGS, 1, DNS_A);		/* an alias that is longer than its record */
	record(&b, HERE, DNS_CNAME, "\3xyz", 3);
	buf_add(&b, "\0", 1);
	EQ(answer(&b), -EPROTO);

	begin(&b, FLAGS, 2, DNS_A);		/* aliases in a circle */
	record(&b, HERE, DNS_CNAME, "\1x\0", 3);
	record(&b, OWNER("\1x\0"), DNS_CNAME, "\1a\1b\0", 5);
	EQ(answer(&b), 0);
}

TEST(dns_hosts_are_found_by_any_of_their_names)
{
	static const char text[] =
		"127.0.0.1\tlocalhost\n# 10.0.0.9 filer\n10.0.0.1 other # filer\n\n"
		"10.0.0.2 filer.lab Filer\r\nfd00::2 filer\nfiler\n10.0.0.3";
	const char *at = text;
	char addr[64];

	OK(dns_hosts(&at, "filer", addr));
	STR_EQ(addr, "10.0.0.2");
	OK(dns_hosts(&at, "filer", addr));
	STR_EQ(addr, "fd00::2");
	OK(!dns_hosts(&at, "filer", addr));
	OK(!dns_hosts(&at, "filer", addr));
	at = text;
	OK(!dns_hosts(&at, "10.0.0.1", addr));
	at = text;
	OK(!dns_hosts(&at, "", addr));
}

TEST(dns_configuration_is_bounded)
{
	struct dns_conf c;

	dns_conf_read(&c, "");
	EQ(c.n_server, 1);
	STR_EQ(c.server[0], "127.0.0.1");
	EQ(c.ndots, 1);
	EQ(c.timeout, 5);
	EQ(c.attempts, 2);
	dns_conf_read(&c, "; a comment\nnameserver 10.0.0.1 # the first\nnameserver fe80::1%eth0\n"
		      "nameserver 3\nnameserver 4\nsearch old.lab\noptions rotate ndots:99 timeout:0\n"
		      " options attempts:3 timeout: ndots\nsearch a.lab . b.lab 3 4 5 6 7 8\nnameserver\n");
	EQ(c.n_server, 3);
	STR_EQ(c.server[0], "10.0.0.1");
	STR_EQ(c.server[1], "fe80::1%eth0");
	EQ(c.n_search, 6);
	STR_EQ(c.search[0], "a.lab");
	STR_EQ(c.search[1], "b.lab");
	EQ(c.ndots, 15);
	EQ(c.timeout, 1);
	EQ(c.attempts, 3);
	dns_conf_read(&c, "options ndots:99999999999999999999999\nsearch");
	EQ(c.ndots, 1);
	EQ(c.n_search, 0);
}

/* Each name that is asked for, behind the other. */
static const char *names(const struct dns_conf *c, const char *name, struct buf *b)
{
	char out[DNS_TEXT];

	buf_reset(b);
	for (unsigned i = 0; i < 9 && dns_candidate(c, name, i, out); i++)
		buf_printf(b, "%s ", out);
	return buf_str(b);
}

TEST(dns_names_are_asked_for_in_the_order_of_resolv_conf)
{
	_buf_free_ struct buf b = { 0 };
	char longest[DNS_TEXT + 8];
	struct dns_conf c;

	dns_conf_read(&c, "search a.lab b.lab");
	STR_EQ(names(&c, "filer", &b), "filer.a.lab filer.b.lab filer ");
	STR_EQ(names(&c, "filer.c", &b), "filer.c filer.c.a.lab filer.c.b.lab ");
	STR_EQ(names(&c, "filer.", &b), "filer. ");
	dns_conf_read(&c, "options ndots:0");
	STR_EQ(names(&c, "filer", &b), "filer ");
	memset(longest, 'x', sizeof(longest));
	longest[DNS_TEXT - 1] = '\0';
	dns_conf_read(&c, "search a.lab");
	EQ(strlen(names(&c, longest, &b)), DNS_TEXT + 1);	/* the first is too long */
	longest[DNS_TEXT - 1] = 'x';
	longest[DNS_TEXT] = '\0';
	STR_EQ(names(&c, longest, &b), "  ");
}
