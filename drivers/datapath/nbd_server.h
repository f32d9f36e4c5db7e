/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server behind /dev/nbd<N>: two processes that live as long as the device.
 *
 * The worker serves the disk.  The keeper, its parent, does nothing but wait
 * for it: if the worker dies while the kernel still has the device, the keeper
 * starts another, which first carries out what the dead one had noted, and
 * gives the kernel new sockets.  Requests that were under way are sent again.
 * When the device is disconnected, both end.
 */
#ifndef DRIVERS_DATAPATH_NBD_SERVER_H
#define DRIVERS_DATAPATH_NBD_SERVER_H

#include <stdbool.h>

struct sr;
struct vdi;

/*
 * Start it.  Returns the number of the device once that is connected; on
 * failure nothing is left.  how: CHAIN_BESIDE or 0; one that is beside another
 * datapath ends by itself when nobody waits for it any more.
 */
int nbd_server_start(struct sr *sr, const struct vdi *vdi, bool writable, int how);

#endif
