/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of hosts: /etc/hosts, then the name servers of /etc/resolv.conf. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "arch/clock.h"
#include "arch/net.h"
#include "lib/arena.h"
#include "lib/cleanup.h"
#include "lib/dns.h"
#include "lib/file.h"

#define FILE_MOST	(4 * MiB)
#define OTHER_NS	(NS_PER_S / 2)	/* for the other family, once one has addresses */

/* One name has two questions: its addresses of IPv4, and of IPv6. */
struct question {
	uint8_t ask[DNS_ASK];
	size_t n;
	bool waits;
	int got;			/* as dns_answer(); -EAGAIN = nothing of use yet */
	struct dns_addr v[NET_ADDRS];
};

struct lookup {
	struct dns_conf conf;
	struct question q[2];
	unsigned first;			/* the server that answered last: it is asked first */
	uint64_t deadline;
	bool answered;
};

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static bool is_open(const struct question *q)
{
	return q->got == -EAGAIN;
}

static bool waits(const struct lookup *l)
{
	return l->q[0].waits || l->q[1].waits;
}

/* A host name in /etc/hosts never needs a name server. */
static int from_hosts(const char *name, struct net_addr v[NET_ADDRS])
{
	struct arena a = { 0 };
	struct view text;
	char addr[64];
	int n = 0;

	if (!file_read_small(AT_FDCWD, "/etc/hosts", &a, FILE_MOST, &text)) {
		const char *at = text.p;

		while (n < NET_ADDRS && dns_hosts(&at, name, addr))
			n += net_parse(addr, &v[n]);
	}
	arena_free(&a);
	return n;
}

static void read_conf(struct dns_conf *c)
{
	struct arena a = { 0 };
	struct view text;
	int err = file_read_small(AT_FDCWD, "/etc/resolv.conf", &a, FILE_MOST, &text);

	dns_conf_read(c, err ? "" : text.p);
	arena_free(&a);
}

/* --- asking one server ------------------------------------------------------------- */

static int recv_all(int fd, uint8_t *p, size_t n, uint64_t until)
{
	while (n) {
		int got = net_recv(fd, p, n, until);

		if (got <= 0)
			return got ? got : -EPROTO;
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

/* What did not fit into a datagram: over TCP, with the length before it. */
static int ask_tcp(const struct net_addr *s, struct question *q, uint64_t until)
{
	struct arena a = { 0 };
	uint8_t *answer = arena_alloc(&a, UINT16_MAX);
	be16 length = be16_put((uint16_t)q->n);
	_close_ int fd = -1;
	int err = net_connect(s, DNS_PORT, false, until, &fd);

	if (!err)
		err = net_send(fd, &length, sizeof(length), until);
	if (!err)
		err = net_send(fd, q->ask, q->n, until);
	if (!err)
		err = recv_all(fd, length.b, sizeof(length), until);
	if (!err)
		err = recv_all(fd, answer, be16_get(length), until);
	if (!err)
		err = dns_answer((struct view){ q->ask, q->n },
				 (struct view){ answer, be16_get(length) }, q->v, NET_ADDRS);
	arena_free(&a);
	return err >= 0 || err == -ENOENT ? err : -EAGAIN;
}

/* What is no answer to a question of ours is not worth a word, and ends no waiting. */
static void settle(struct lookup *l, const struct net_addr *s, struct view message, uint64_t until)
{
	for (size_t i = 0; i < ARRAY_SIZE(l->q); i++) {
		struct question *q = &l->q[i];
		int got = q->waits ? dns_answer((struct view){ q->ask, q->n }, message, q->v, NET_ADDRS)
				   : -EPROTO;

		if (got == -EPROTO)
			continue;
		l->answered = true;
		q->waits = false;
		q->got = got == -EMSGSIZE ? ask_tcp(s, q, until) : got;
	}
}

/* Its address is the socket's, so the kernel lets nothing through from another. */
static void ask_server(struct lookup *l, const struct net_addr *s, uint64_t until)
{
	uint8_t message[DNS_UDP];
	_close_ int fd = -1;
	int n = net_datagrams(s, DNS_PORT, &fd);

	for (size_t i = 0; i < ARRAY_SIZE(l->q) && !n; i++) {
		struct question *q = &l->q[i];

		q->waits = is_open(q);
		if (q->waits)
			n = net_send(fd, q->ask, q->n, until);
	}
	while (n >= 0 && waits(l)) {
		if (l->q[0].got > 0 || l->q[1].got > 0)
			until = sooner(until, clock_now_mono() + OTHER_NS);
		n = net_recv(fd, message, sizeof(message), until);
		if (n >= 0)
			settle(l, s, (struct view){ message, (size_t)n }, until);
	}
}

/* --- asking all of them -------------------------------------------------------------- */

static void begin(struct lookup *l, const char *name)
{
	static const unsigned type[] = { DNS_AAAA, DNS_A };
	uint16_t id[2];

	random_bytes(id, sizeof(id));
	for (size_t i = 0; i < ARRAY_SIZE(l->q); i++) {
		l->q[i].n = dns_ask(l->q[i].ask, id[i], name, type[i]);
		l->q[i].waits = false;
		l->q[i].got = l->q[i].n ? -EAGAIN : -ENOENT;
	}
}

/* One family's addresses are enough: a server that is silent to the other is not asked again. */
static bool is_done(const struct lookup *l)
{
	const struct question *a = &l->q[0], *b = &l->q[1];

	return a->got > 0 || b->got > 0 || a->got == -ENOENT || b->got == -ENOENT ||
	       (!is_open(a) && !is_open(b));
}

static void ask_all(struct lookup *l)
{
	unsigned n = l->conf.n_server, tries = n * l->conf.attempts, first = l->first;

	for (unsigned i = 0; i < tries && !is_done(l); i++) {
		uint64_t now = clock_now_mono(), share = clock_left(l->deadline) / (tries - i);
		struct net_addr s;

		if (!net_parse(l->conf.server[(first + i) % n], &s))
			continue;
		ask_server(l, &s, sooner(now + l->conf.timeout * NS_PER_S, now + share));
		if (!is_open(&l->q[0]) || !is_open(&l->q[1]))
			l->first = (first + i) % n;
	}
}

/* Those that there is a way to come first, and of these IPv6 and IPv4 by turns. */
static int collect(const struct lookup *l, struct net_addr v[NET_ADDRS])
{
	struct net_addr all[2 * NET_ADDRS];
	int n = 0, kept = 0;

	for (int i = 0; i < 2 * NET_ADDRS; i++) {
		const struct question *q = &l->q[i % 2];

		if (i / 2 < q->got)
			net_of_bytes(&all[n++], q->v[i / 2].b, q->v[i / 2].n);
	}
	for (int pass = 0; pass < 2; pass++) {
		for (int i = 0; i < n && kept < NET_ADDRS; i++) {
			_close_ int fd = -1;

			if (!net_datagrams(&all[i], DNS_PORT, &fd) == !pass)
				v[kept++] = all[i];
		}
	}
	return kept;
}

int net_resolve(const char *name, struct net_addr v[NET_ADDRS], uint64_t deadline)
{
	struct lookup l = { .deadline = deadline };
	char full[DNS_TEXT];
	int n;

	if (net_parse(name, v))
		return 1;
	n = from_hosts(name, v);
	if (n)
		return n;
	read_conf(&l.conf);
	for (unsigned i = 0; dns_candidate(&l.conf, name, i, full); i++) {
		begin(&l, full);
		ask_all(&l);
		n = collect(&l, v);
		if (n)
			return n;
		if (is_open(&l.q[0]) && is_open(&l.q[1]))
			return l.answered ? -EAGAIN : -ETIMEDOUT;
	}
	return -ENOENT;
}
