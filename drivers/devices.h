/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a transport of block devices hands to the layout on them: the members
 * of dconf device, opened.
 */
#ifndef DRIVERS_DEVICES_H
#define DRIVERS_DEVICES_H

#include <stddef.h>
#include <sys/types.h>

struct io;
struct sr;

struct device {
	const char *path;	/* as dconf names it */
	dev_t dev;
	struct io *io;		/* owned by the transport; writable when the verb writes */
};

struct devices {
	struct device *v;
	size_t n;
};

/* sr->transport_data of a transport of devices, once it is staged or open. */
struct devices *sr_devices(struct sr *sr);

#endif
