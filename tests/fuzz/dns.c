/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first byte says what the rest is: an answer to a question of ours, or one of the files. */
#include <stdio.h>
#include <string.h>

#include "lib/dns.h"
#include "tests/fuzz/fuzz.h"

#define NAME	"a.example.org"

static void message(const uint8_t *p, size_t n, unsigned type)
{
	uint8_t ask[DNS_ASK], all[DNS_ASK + 4096];
	struct dns_addr v[4];
	size_t asked = dns_ask(ask, 0x1234, NAME, type);
	int got;

	if (n > 4096 || n < 12)
		return;
	/* Header, our question, and what the input has behind: or it would never get past it. */
	memcpy(all, p, 12);
	all[0] = 0x12;
	all[1] = 0x34;
	memcpy(all + 12, ask + 12, asked - 12);
	memcpy(all + asked, p + 12, n - 12);
	got = dns_answer((struct view){ ask, asked }, (struct view){ all, asked + n - 12 }, v, 4);
	CHECK(got <= 4);
	for (int i = 0; i < got; i++)
		CHECK(v[i].n == (type == DNS_A ? 4 : 16));
	dns_answer((struct view){ ask, asked }, (struct view){ p, n }, v, 4);
}

static void files(const char *text, bool hosts)
{
	char addr[64], name[DNS_TEXT];
	const char *at = text;
	struct dns_conf c;

	if (hosts) {
		while (dns_hosts(&at, "filer", addr))
			CHECK(strlen(addr) < sizeof(addr) && at > text);
		return;
	}
	dns_conf_read(&c, text);
	CHECK(c.n_server && c.n_server <= DNS_SERVERS && c.n_search <= DNS_SEARCH);
	CHECK(c.ndots <= 15 && c.timeout && c.timeout <= 30 && c.attempts && c.attempts <= 5);
	for (unsigned i = 0; dns_candidate(&c, "filer", i, name); i++) {
		uint8_t ask[DNS_ASK];

		CHECK(i <= c.n_search && strlen(name) < DNS_TEXT && dns_ask(ask, 1, name, DNS_A) <= DNS_ASK);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[4096];

	if (!size || size > sizeof(text))
		return 0;
	if (data[0] % 4 < 2) {
		message(data + 1, size - 1, data[0] % 2 ? DNS_AAAA : DNS_A);
		return 0;
	}
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	files(text, data[0] % 2);
	return 0;
}
