/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/nbd.h>
#include <sys/ioctl.h>

#include "arch/blk.h"
#include "arch/linux/nbd_impl.h"
#include "arch/nbd.h"
#include "lib/cleanup.h"

#define DEVICES_MOST	4096
/*
 * Seconds.  A socket that was given up because a request took long could not be
 * replaced, so the kernel is to wait as long as the storage does.  0 would say so
 * too, but not to Linux 4.19, which then takes 30.
 */
#define TIMEOUT		86400ul

static int set(int fd, unsigned long what, unsigned long arg)
{
	return ioctl(fd, what, arg) ? -errno : 0;
}

/* Blocks rather than bytes: a long of a 32-bit program holds no more. */
static int set_size(int fd, const struct nbd_setup *s)
{
	int err = set(fd, NBD_SET_BLKSIZE, s->block);

	return err ? err : set(fd, NBD_SET_SIZE_BLOCKS, (unsigned long)(s->size / s->block));
}

/* The first socket claims the device for this thread: -EBUSY when another was faster. */
static int claim(int fd, const struct nbd_setup *s, const int *fds, size_t n_fds)
{
	int err = set(fd, NBD_SET_SOCK, (unsigned long)fds[0]);

	if (err)
		return err;
	for (size_t i = 1; i < n_fds && !err; i++)
		err = set(fd, NBD_SET_SOCK, (unsigned long)fds[i]);
	if (!err)
		err = set_size(fd, s);
	if (!err)
		err = set(fd, NBD_SET_FLAGS, s->flags);
	if (!err)
		err = set(fd, NBD_SET_TIMEOUT, TIMEOUT);
	if (err)
		ioctl(fd, NBD_CLEAR_SOCK);	/* err is what matters */
	return err;
}

int nbd_set_up(const struct nbd_setup *s, const int *fds, size_t n_fds, int *fd)
{
	int err = -ENOENT;

	if (!n_fds || n_fds > NBD_SOCKETS)
		return -EINVAL;
	for (int n = 0; n < DEVICES_MOST; n++) {
		_close_ int node = -1;
		char text[32];
		dev_t dev;

		if (nbd_attribute(n, "dev", text, sizeof(text)) || !blk_parse_dev(text, &dev))
			break;
		err = -EBUSY;
		/* One that has this works already. */
		if (!nbd_attribute(n, "pid", text, sizeof(text)))
			continue;
		node = nbd_open_node(n, dev, O_RDWR);
		err = node < 0 ? node : claim(node, s, fds, n_fds);
		if (err == -EBUSY)
			continue;
		if (err)
			break;
		*fd = take_fd(&node);
		return n;
	}
	return err;
}

int nbd_stay(int fd)
{
	int err = set(fd, NBD_DO_IT, 0);

	/* What nobody will answer any more fails by this. */
	ioctl(fd, NBD_CLEAR_SOCK);
	return err;
}

int nbd_ioctl_resize(int n, const struct nbd_setup *s)
{
	struct nbd_now now;
	int err = nbd_info(n, &now);
	_close_ int fd = err ? -1 : nbd_open_node(n, now.dev, O_RDONLY);

	return err ? err : fd < 0 ? fd : set_size(fd, s);
}

int nbd_ioctl_disconnect(int n, dev_t dev)
{
	_close_ int fd = nbd_open_node(n, dev, O_RDONLY);
	int err = fd < 0 ? fd : set(fd, NBD_DISCONNECT, 0);	/* commit */

	/* One that was made by netlink is held by the kernel until this. */
	if (!err)
		ioctl(fd, NBD_CLEAR_SOCK);
	return err;
}
