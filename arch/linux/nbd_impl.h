/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between nbd.c, which speaks netlink, and nbd_ioctl.c. */
#ifndef ARCH_LINUX_NBD_IMPL_H
#define ARCH_LINUX_NBD_IMPL_H

#include <stddef.h>
#include <sys/types.h>

struct nbd_setup;

/* A line of /sys/block/nbdN/NAME without its end. */
int nbd_attribute(int n, const char *name, char *text, size_t room);
/* A descriptor of /dev/nbdN, whose node is made if it is missing. */
int nbd_open_node(int n, dev_t dev, int mode);

int nbd_ioctl_resize(int n, const struct nbd_setup *s);
int nbd_ioctl_disconnect(int n, dev_t dev);

#endif
