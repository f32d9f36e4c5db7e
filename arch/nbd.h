/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's network block device: /dev/nbd<N>, whose requests are sent
 * through sockets to a server, here one of our own on the same host.
 *
 *	socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
 *	n = nbd_connect(&(struct nbd_setup){ .size = ..., .flags = ... }, ends, 1);
 *	...					/dev/nbd<n> until
 *	err = nbd_disconnect(n);
 *
 * By generic netlink, which Linux has since 4.12, but not in a network namespace
 * other than the first.  The kernel keeps the sockets it is given; the descriptors
 * may be closed afterwards.
 *
 * When a server dies, its sockets are closed, and the kernel waits dead_timeout
 * seconds for nbd_reconnect() before it fails all requests.  One that had been
 * sent already is sent again only once it is `timeout` seconds old.
 */
#ifndef ARCH_NBD_H
#define ARCH_NBD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NBD_SOCKETS	16	/* of one device, at most */
#define NBD_LABEL_MAX	63

struct nbd_setup {
	uint64_t size;		/* bytes */
	uint32_t block;		/* 512 or 4096 */
	uint16_t flags;		/* enum nbd_export_flags of lib/nbd/nbd.h */
	uint32_t timeout;	/* seconds; never 0: such a request would wait for ever */
	uint32_t dead_timeout;
	const char *name;	/* that nbd_info() returns, cut at 63; or NULL */
};

/*
 * Make a device of connected sockets; its number is returned.  -ENOENT when the
 * kernel has no nbd, or one without netlink.
 */
int nbd_connect(const struct nbd_setup *s, const int *fds, size_t n_fds);
/*
 * The old form, for where that says -ENOENT and there are devices all the same: a
 * process stays in the kernel for as long as the device works (nbd_ioctl.c).
 *
 *	n = nbd_set_up(&setup, ends, 1, &fd);
 *	if (!fork())
 *		_exit(nbd_stay(fd) ? 1 : 0);
 *	...					/dev/nbd<n>, once nbd_info() says so
 *
 * Such a device gets no new sockets: when its server dies all requests fail, and
 * while anybody has it open it is of no more use.  -EBUSY: all are in use.
 */
int nbd_set_up(const struct nbd_setup *s, const int *fds, size_t n_fds, int *fd);
/* Until it is disconnected, or nobody answers any more, or a signal comes. */
int nbd_stay(int fd);

/* New sockets in place of dead ones; -ENOSPC when none is dead (yet). */
int nbd_reconnect(int n, const struct nbd_setup *s, const int *fds, size_t n_fds);
/*
 * Let the kernel look for partitions, which it does for whoever opens a new
 * device first unless the module was loaded with max_part=0.  After
 * nbd_connect(), while the server answers with zeroes: they would be devices of
 * this host, with whatever a guest has put into them.
 */
int nbd_look(int n);
/* The server's disk has grown.  The kernel will look for partitions again, by nbd_forget() at the latest. */
int nbd_resize(int n, const struct nbd_setup *s);
/* It forgets what it has found.  -EBUSY: not all, for somebody has one open. */
int nbd_forget(int n);
/*
 * No requests any more: those under way end first, or fail if there is nobody to
 * answer them.  0 too when it is not connected.
 */
int nbd_disconnect(int n);

struct nbd_now {
	dev_t dev;
	uint64_t size;
	bool read_only;
	char name[NBD_LABEL_MAX + 1];	/* "" before Linux 5.14, and without netlink */
};
/* -ENXIO when the device is not connected or does not exist. */
int nbd_info(int n, struct nbd_now *now);
/*
 * Numbers are given anew: is this one connected, and still the one of that name?  Where
 * the kernel knows no names: by somebody of that process's session; 0 = of ours.
 */
bool nbd_is(int n, const char *name, pid_t server);

#endif
