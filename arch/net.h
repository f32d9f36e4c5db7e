/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Servers that may not answer: nothing here waits beyond its deadline. */
#ifndef ARCH_NET_H
#define ARCH_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_ADDRS	4	/* of one name, at most */
#define NET_TEXT	64

/* An address of IPv4 or IPv6, without a port. */
struct net_addr {
	_Alignas(8) uint8_t raw[28];
	uint8_t len;
};

/* Is the text an address, rather than a name? */
bool net_parse(const char *text, struct net_addr *a);
/* Of the 4 bytes of an address of IPv4, or the 16 of IPv6. */
void net_of_bytes(struct net_addr *a, const void *p, size_t n);
/*
 * The addresses of a name or address, in the order to try them: their number, or
 *	-ENOENT		there is no such name
 *	-ETIMEDOUT	no name server answers
 *	-EAGAIN		those that answer cannot say
 * /etc/hosts is looked into first, then name servers are asked as
 * /etc/resolv.conf says, within the deadline.
 */
int net_resolve(const char *name, struct net_addr v[NET_ADDRS], uint64_t deadline);
const char *net_show(const struct net_addr *a, char text[NET_TEXT]);
bool net_is_v6(const struct net_addr *a);

/*
 * Connect to a port: -ECONNREFUSED, -EHOSTUNREACH …, or -ETIMEDOUT at the
 * deadline (monotonic clock, ns).  reserved: from a port that only root may use,
 * if one is free, which some servers take for proof.
 */
int net_connect(const struct net_addr *a, unsigned port, bool reserved, uint64_t deadline, int *fd);
/* A socket for datagrams to and from that one port; fails where there is no way to it.  Sends nothing. */
int net_datagrams(const struct net_addr *a, unsigned port, int *fd);
/* All of it, or -ETIMEDOUT, or another error. */
int net_send(int fd, const void *p, size_t n, uint64_t deadline);
/* At least one byte and at most n, or a datagram; 0 at the end of the stream. */
int net_recv(int fd, void *p, size_t n, uint64_t deadline);

#endif
