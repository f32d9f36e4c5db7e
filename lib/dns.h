/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The names of hosts: messages of DNS (RFC 1035), and the two files that come
 * before it.
 *
 *	dns_ask ──▶ a name server ──▶ dns_answer ──▶ addresses
 *
 * A message:	header of 12 bytes: id, flags, four counts
 *		the question: name, type, class
 *		records: name, type, class, seconds to live, length, data
 * A name:	(length, that many bytes)* 0, or in place of the rest the place of
 *		another name: two bytes, of which the first two bits are set
 *
 * What answers may be anybody who guesses an id: nothing here reads beyond the
 * message, and no chain of names is followed without an end.
 */
#ifndef LIB_DNS_H
#define LIB_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bytes.h"

#define DNS_PORT	53
#define DNS_TEXT	256		/* a name as text, with its NUL */
#define DNS_ASK		(12 + 255 + 4)	/* a question, at most */
#define DNS_UDP		512		/* an answer over UDP, at most */
#define DNS_SERVERS	3
#define DNS_SEARCH	6

enum { DNS_A = 1, DNS_CNAME = 5, DNS_AAAA = 28 };

struct dns_addr {
	uint8_t n;			/* 4 or 16 */
	uint8_t b[16];
};

/* The bytes of a question; 0 where the text is no name. */
size_t dns_ask(uint8_t out[DNS_ASK], uint16_t id, const char *name, unsigned type);
/*
 * What the message says to that question: the number of addresses in v, 0 where
 * the name has none of this type, or
 *	-ENOENT		there is no such name
 *	-EAGAIN		this server cannot say
 *	-EMSGSIZE	cut off before the first address: ask over TCP
 *	-EPROTO		no answer to this question, or malformed
 */
int dns_answer(struct view ask, struct view message, struct dns_addr *v, size_t room);

/* --- files -------------------------------------------------------------------- */

/* The next address of the name in the text of /etc/hosts, behind *at, which is moved. */
bool dns_hosts(const char **at, const char *name, char addr[64]);

/* /etc/resolv.conf, bounded. */
struct dns_conf {
	char server[DNS_SERVERS][64];
	char search[DNS_SEARCH][DNS_TEXT];
	unsigned n_server, n_search;
	unsigned ndots, timeout, attempts;	/* 0 to 15, 1 to 30 seconds, 1 to 5 */
};
void dns_conf_read(struct dns_conf *c, const char *text);
/* The i-th name to ask for; one that would be too long is empty.  False: no more. */
bool dns_candidate(const struct dns_conf *c, const char *name, unsigned i, char out[DNS_TEXT]);

#endif
