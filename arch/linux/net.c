/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/net.h"
#include "lib/cleanup.h"

#define RESERVED_FROM	665	/* as the kernel's own clients: below live servers */
#define RESERVED_TO	1023

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static union address address(const struct net_addr *a)
{
	union address u = { .any.sa_family = AF_UNSPEC };

	memcpy(&u, a->raw, a->len);
	return u;
}

static bool take_sockaddr(struct net_addr *a, const struct sockaddr *s, size_t n)
{
	if ((s->sa_family != AF_INET && s->sa_family != AF_INET6) || n > sizeof(a->raw))
		return false;
	memset(a, 0, sizeof(*a));
	memcpy(a->raw, s, n);
	a->len = (uint8_t)n;
	return true;
}

bool net_is_v6(const struct net_addr *a)
{
	return address(a).any.sa_family == AF_INET6;
}

/* fe80::1%eth0: of such an address the interface is a part. */
static bool parse_v6(const char *text, struct sockaddr_in6 *v6)
{
	char host[INET6_ADDRSTRLEN];
	const char *scope = strchr(text, '%');
	size_t n = scope ? (size_t)(scope - text) : strlen(text);

	if (n >= sizeof(host))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	*v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
	if (scope)
		v6->sin6_scope_id = if_nametoindex(scope + 1);
	return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1 && (!scope || v6->sin6_scope_id);
}

bool net_parse(const char *text, struct net_addr *a)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6;

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return take_sockaddr(a, (struct sockaddr *)&v4, sizeof(v4));
	return parse_v6(text, &v6) && take_sockaddr(a, (struct sockaddr *)&v6, sizeof(v6));
}

void net_of_bytes(struct net_addr *a, const void *p, size_t n)
{
	union address u = { .any.sa_family = n == 4 ? AF_INET : AF_INET6 };

	memcpy(n == 4 ? (void *)&u.v4.sin_addr : (void *)&u.v6.sin6_addr, p, n == 4 ? 4 : 16);
	take_sockaddr(a, &u.any, n == 4 ? sizeof(u.v4) : sizeof(u.v6));
}

const char *net_show(const struct net_addr *a, char text[NET_TEXT])
{
	union address u = address(a);
	size_t n;

	text[0] = '\0';
	if (u.any.sa_family == AF_INET)
		inet_ntop(AF_INET, &u.v4.sin_addr, text, NET_TEXT);
	else if (u.any.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &u.v6.sin6_addr, text, NET_TEXT);
	n = strlen(text);
	if (u.any.sa_family == AF_INET6 && u.v6.sin6_scope_id)
		snprintf(text + n, NET_TEXT - n, "%%%u", u.v6.sin6_scope_id);
	return text;
}

/* --- waiting ----------------------------------------------------------------- */

static int wait_for(int fd, short events, uint64_t deadline)
{
	for (;;) {
		struct pollfd f = { .fd = fd, .events = events };
		uint64_t ms = clock_left(deadline) / NS_PER_MS + 1;
		int ready = poll(&f, 1, ms > INT_MAX ? INT_MAX : (int)ms);

		if (ready > 0)
			return 0;
		if (ready < 0 && errno != EINTR)
			return -errno;
		if (!clock_left(deadline))
			return -ETIMEDOUT;
	}
}

/* Where none is free, or we are not root, any other port has to do. */
static void bind_reserved(int fd, int family)
{
	static const int first = 700;		/* not that of rsync, rndc … */

	for (int i = 0; i <= RESERVED_TO - RESERVED_FROM; i++) {
		union address u = { .any.sa_family = (sa_family_t)family };
		int port = first + i <= RESERVED_TO ? first + i : RESERVED_FROM + first + i - RESERVED_TO - 1;

		u.v4.sin_port = htons((uint16_t)port);	/* at the same place in both */
		if (!bind(fd, &u.any, family == AF_INET ? sizeof(u.v4) : sizeof(u.v6)) ||
		    errno != EADDRINUSE)
			return;
	}
}

int net_connect(const struct net_addr *a, unsigned port, bool reserved, uint64_t deadline, int *fd)
{
	union address u = address(a);
	_close_ int s = socket(u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t n = sizeof(int);
	int err;

	if (s < 0)
		return -errno;
	if (reserved)
		bind_reserved(s, u.any.sa_family);
	u.v4.sin_port = htons((uint16_t)port);
	if (connect(s, &u.any, a->len)) {
		if (errno != EINPROGRESS)
			return -errno;
		err = wait_for(s, POLLOUT, deadline);
		if (err)
			return err;
		if (getsockopt(s, SOL_SOCKET, SO_ERROR, &err, &n))
			return -errno;
		if (err)
			return -err;
	}
	*fd = take_fd(&s);
	return 0;
}

int net_datagrams(const struct net_addr *a, unsigned port, int *fd)
{
	union address u = address(a);
	_close_ int s = socket(u.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	u.v4.sin_port = htons((uint16_t)port);
	if (s < 0 || connect(s, &u.any, a->len))
		return -errno;
	*fd = take_fd(&s);
	return 0;
}

int net_send(int fd, const void *p, size_t n, uint64_t deadline)
{
	const char *at = p;

	while (n) {
		ssize_t done = send(fd, at, n, MSG_NOSIGNAL);
		int err = done < 0 && errno != EINTR && errno != EAGAIN ? -errno : 0;

		if (!err && done < 0)
			err = wait_for(fd, POLLOUT, deadline);
		if (err)
			return err;
		if (done > 0) {
			at += done;
			n -= (size_t)done;
		}
	}
	return 0;
}

/* A server that sends a byte now and then is not waited for longer than one that is silent. */
int net_recv(int fd, void *p, size_t n, uint64_t deadline)
{
	for (;;) {
		int err = wait_for(fd, POLLIN, deadline);
		ssize_t got;

		if (!err && !clock_left(deadline))
			err = -ETIMEDOUT;
		if (err)
			return err;
		got = recv(fd, p, n, 0);
		if (got >= 0)
			return (int)got;
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
	}
}
