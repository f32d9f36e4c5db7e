/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /etc/hosts and /etc/resolv.conf, as resolv.conf(5) says. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/dns.h"
#include "lib/num.h"

#define BLANK	" \t\r\f\v"

/* The next word of the line, behind *s: its length, 0 = the line, or what of it is no comment, ends. */
static size_t next_word(const char **s, const char *comments, const char **word)
{
	*s += strspn(*s, BLANK);
	*word = *s;
	if (strchr(comments, **s))
		return 0;
	*s += strcspn(*s, BLANK "\n#");
	return (size_t)(*s - *word);
}

static const char *next_line(const char *s)
{
	s += strcspn(s, "\n");
	return *s ? s + 1 : s;
}

static bool is_word(const char *word, size_t n, const char *text)
{
	return strlen(text) == n && !strncasecmp(word, text, n);
}

static bool copy_word(char *out, size_t room, const char *word, size_t n)
{
	if (n >= room)
		return false;
	memcpy(out, word, n);
	out[n] = '\0';
	return true;
}

bool dns_hosts(const char **at, const char *name, char addr[64])
{
	while (**at) {
		const char *s = *at, *first, *word;
		size_t n_first = next_word(&s, "#\n", &first), n = n_first;
		bool found = false;

		while (n && !found) {
			n = next_word(&s, "#\n", &word);
			found = n && is_word(word, n, name);
		}
		*at = next_line(*at);
		if (found && copy_word(addr, 64, first, n_first))
			return true;
	}
	return false;
}

static void take_option(struct dns_conf *c, const char *word, size_t n)
{
	static const struct { const char *key; unsigned least, most; } known[] = {
		{ "ndots:", 0, 15 }, { "timeout:", 1, 30 }, { "attempts:", 1, 5 },
	};
	unsigned *const to[] = { &c->ndots, &c->timeout, &c->attempts };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		const char *digits = word + strlen(known[i].key);
		uint64_t v;

		if (n <= strlen(known[i].key) || strncmp(word, known[i].key, strlen(known[i].key)) ||
		    !num_take(&digits, &v))
			continue;
		*to[i] = v < known[i].least ? known[i].least : v > known[i].most ? known[i].most : (unsigned)v;
	}
}

/* "." in a list means nothing behind the name, which is asked for anyhow. */
static void take_search(struct dns_conf *c, const char *s)
{
	const char *word;
	size_t n;

	c->n_search = 0;		/* the last line is the one that counts */
	while (c->n_search < DNS_SEARCH && (n = next_word(&s, "\n", &word)))
		if (!is_word(word, n, ".") && copy_word(c->search[c->n_search], DNS_TEXT, word, n))
			c->n_search++;
}

void dns_conf_read(struct dns_conf *c, const char *text)
{
	*c = (struct dns_conf){ .ndots = 1, .timeout = 5, .attempts = 2 };
	for (const char *s = text; *s; s = next_line(s)) {
		const char *at = s, *word;
		size_t n = next_word(&at, "#;\n", &word);

		if (is_word(word, n, "search") || is_word(word, n, "domain")) {
			take_search(c, at);
		} else if (is_word(word, n, "nameserver")) {
			n = next_word(&at, "#;\n", &word);
			if (n && c->n_server < DNS_SERVERS && copy_word(c->server[c->n_server], 64, word, n))
				c->n_server++;
		} else if (is_word(word, n, "options")) {
			while ((n = next_word(&at, "#;\n", &word)))
				take_option(c, word, n);
		}
	}
	if (!c->n_server)
		copy_word(c->server[c->n_server++], 64, "127.0.0.1", 9);
}

/* A name with dots enough is asked for as it is first, one with few is tried below each domain before. */
bool dns_candidate(const struct dns_conf *c, const char *name, unsigned i, char out[DNS_TEXT])
{
	size_t n = strlen(name);
	unsigned dots = 0, whole;

	for (const char *p = name; *p; p++)
		dots += *p == '.';
	whole = dots >= c->ndots ? 0 : c->n_search;
	if (n && name[n - 1] == '.')
		return !i && copy_word(out, DNS_TEXT, name, n);
	if (i > c->n_search)
		return false;
	if (i == whole) {
		if (!copy_word(out, DNS_TEXT, name, n))
			*out = '\0';
	} else if (snprintf(out, DNS_TEXT, "%s.%s", name, c->search[i > whole ? i - 1 : i]) >= DNS_TEXT) {
		*out = '\0';
	}
	return true;
}
