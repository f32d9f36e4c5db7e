/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpct MODE: a server that is not what it seems, at ports 111 and 20048 of this
 * host.  The portmapper says that mountd is at 20048; what mountd says depends:
 *
 *	cut		half of a list, then the end
 *	large		a fragment of 2 GiB
 *	endless		members of a list for ever
 *	empty		fragments of nothing for ever
 *	drip		a byte a second
 *	other		the answer to another call
 *	silent		nothing at all
 *	words		something that is not RPC
 *
 * Prints "ready" when it listens.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/rpc/rpc.h"
#include "tests/lab/tools/listen.h"

/* The call's xid, once it has come. */
static uint32_t read_call(int c)
{
	uint8_t call[512];
	ssize_t n = read(c, call, sizeof(call));
	struct xdr x = { call + 4, 4, n < 8 };

	return xdr_u32(&x);
}

static void put_head(struct buf *b, uint32_t xid)
{
	buf_reset(b);
	xdr_put_u32(b, 0);
	xdr_put_u32(b, xid);
	xdr_put_u32(b, 1);
	xdr_put_u32(b, 0);
	xdr_put_u64(b, 0);
	xdr_put_u32(b, 0);
}

static bool put(int c, const void *p, size_t n)
{
	return write(c, p, n) == (ssize_t)n;
}

static void put_member(struct buf *b)
{
	xdr_put_u32(b, 1);
	xdr_put_opaque(b, "/srv/pool", 9);
	xdr_put_u32(b, 0);
}

static void answer(int c, const char *mode, uint32_t xid)
{
	_buf_free_ struct buf b = { 0 };

	put_head(&b, !strcmp(mode, "other") ? xid + 1 : xid);
	put_member(&b);
	xdr_put_u32(&b, 0);
	rpc_end(&b);
	if (!strcmp(mode, "cut")) {
		put(c, b.p, b.n - 9);
	} else if (!strcmp(mode, "large")) {
		b.p[0] = b.p[1] = (char)0xff;
		put(c, b.p, b.n);
	} else if (!strcmp(mode, "endless")) {
		for (int i = 0; i < 4096; i++)
			put_member(&b);
		b.n &= ~(size_t)0xff;
		rpc_end(&b);
		b.p[0] = 0;			/* and another fragment follows */
		while (put(c, b.p, b.n))
			;
	} else if (!strcmp(mode, "empty")) {
		while (put(c, "\0\0\0\0", 4))
			;
	} else if (!strcmp(mode, "drip")) {
		for (size_t i = 0; i < b.n && put(c, b.p + i, 1); i++)
			sleep(1);
	} else if (!strcmp(mode, "silent")) {
		sleep(60);
	} else if (!strcmp(mode, "words")) {
		put(c, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
	} else {
		put(c, b.p, b.n);
	}
}

static void serve(int s, const char *mode)
{
	for (;;) {
		_buf_free_ struct buf b = { 0 };
		int c = accept(s, NULL, NULL);
		uint32_t xid = read_call(c);

		if (mode) {
			answer(c, mode, xid);
		} else {
			put_head(&b, xid);
			xdr_put_u32(&b, 20048);
			rpc_end(&b);
			put(c, b.p, b.n);
		}
		close(c);
	}
}

int main(int argc, char **argv)
{
	int portmap = listen_at(111), mountd = listen_at(20048);

	signal(SIGPIPE, SIG_IGN);
	if (argc != 2)
		return 2;
	puts("ready");
	fflush(stdout);
	if (!fork())
		serve(portmap, NULL);
	serve(mountd, argv[1]);
}
