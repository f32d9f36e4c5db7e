/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the transport of devices share: devices.c, devices_search.c. */
#ifndef DRIVERS_TRANSPORT_DEVICES_H
#define DRIVERS_TRANSPORT_DEVICES_H

struct device;
struct devices;
struct sr;

/* Fill in all->scan. */
int devices_scan(struct sr *sr, struct devices *all);
struct device *devices_add(struct sr *sr, struct devices *all, const struct device *d);
/*
 * Could a new SR be made on it?  Not on what is mounted, swap, held, a guest's or
 * a part of something else, and never on what the root file system needs.  What
 * merely lies on it is not looked at.
 */
int devices_may_take(struct sr *sr, struct devices *all, const struct device *d);

#endif
