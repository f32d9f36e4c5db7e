/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hybrid: what a VHD disk has in full is left to the kernel, the rest to its server.
 *
 *	/dev/mapper/sm-<VDI>		the port
 *	  all but the last block	switch ─▶ /dev/nbd<N>, or for each block that is full
 *					       ─▶ /dev/mapper/sm-<VDI>-full
 *	  the last block		linear ─▶ /dev/nbd<N>
 *
 *	/dev/mapper/sm-<VDI>-full
 *	  blocks that are full		linear ─▶ their data, in the LV or in /dev/loop<N>
 *					          of the file
 *	  all others			linear ─▶ /dev/nbd<N>
 *
 * A block that is full in the leaf stays so and where it is for as long as its
 * server has the image open: nothing of the image but its data is ever written on
 * its behalf.  So once its bitmap and its entry are on the disk (the batmap says
 * so from then on), a guest may write there without us, and whoever dies, the
 * image is sound.  Server and kernel reach the same bytes: the server's
 * descriptor bypasses the page cache, and so does the loop device; where either
 * cannot, nothing is mapped.  Nor do they meet: data begins with a page, so what
 * the server reads and writes around a bitmap is never data; and while one request
 * is at the server still, or already, the kernel may write the next sector, so the
 * server writes those it was asked to, and no page around them.
 *
 * Promotion: the server, when 64 blocks have become full, or an eighth of those it
 * has, or none for a while: first the lower table, then the switch is told.  What
 * was sent to the server before writes to the same place, so it need not have
 * ended.  Demotion, before anything changes below: the switch is told first, then the
 * lower table sends all to the server.  The kernel swaps tables while nothing is
 * under way, so after that no full block is touched but by the server, who then
 * lets go of the image (nbd_worker.c).  Neither waits for what a dead server had
 * taken, which the kernel sends again only after 30 s: that is not under way
 * below.  A table with
 * full blocks may outlive the server, but not the image's being in use: the next
 * server takes it back before it opens anything, and so does the next attach.
 *
 * Flushes go to the last block, so to the server, who has both in one file or
 * volume and flushes that, whatever he wrote himself (disk_shared()).  What a
 * guest marks as to be durable at once is so by the device below.  Were the port
 * made of the pieces themselves, device-mapper (before Linux 6.11) would send each
 * flush once to each piece; of some hundred, one flush came to fifty.  "switch"
 * passes on everything else, and no flushes.
 *
 * The server is dead: full blocks go on, what else is asked waits for the next one, as
 * do full blocks from its start until it has opened the image.  With the keeper dead
 * too, full blocks go on, and all else fails, flushes as well.
 */
#ifndef DRIVERS_DATAPATH_HYBRID_H
#define DRIVERS_DATAPATH_HYBRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ctx;
struct disk;
struct dm_table;
struct sr;
struct uuid;
struct vdi;

/*
 * Pieces of a table at most: 32 GiB of a disk that is full of data.  One costs 150
 * bytes in the kernel as long as it is there, 200 in the server while it is made,
 * and some microseconds whenever the table changes.
 */
#define HYBRID_PIECES	16384u

/*
 * The port's table on an nbd of that size, and what it needs below.  -EOPNOTSUPP
 * when that is nothing for this disk, or the kernel cannot.  1: hybrid_settle() is to
 * follow once the port has it, or some of what the server has yet to fill goes
 * the long way round.
 */
int hybrid_table(struct sr *sr, const struct vdi *vdi, dev_t nbd, uint64_t size, struct dm_table *t);
void hybrid_settle(struct sr *sr, const struct vdi *vdi, uint64_t size);
/* After the port; 0 too when there is nothing. */
int hybrid_remove(struct sr *sr, const struct vdi *vdi);
/* The devices below its lower table, in the arena, for when the port does not tell; none without one. */
void hybrid_below(struct sr *sr, const struct vdi *vdi, dev_t **devs, size_t *n);

/* What a server knows of it; begin with zeroes but for the first two. */
struct hybrid {
	const struct uuid *vdi;
	struct disk *disk;
	bool off;		/* nothing will be mapped; why is in the log */
	bool known;		/* the table below is ours */
	int loop;		/* our descriptor of the loop device, plus 1; 0: none */
	int loop_n;
	uint64_t done;		/* full blocks when it was made */
	uint64_t seen;		/* ... and when we last looked */
	uint64_t next;		/* not before (monotonic clock) */
};

#define HYBRID_TICK_MS	500

/* Every now and then, while the server is at work on nbd. */
void hybrid_tick(struct hybrid *h, struct ctx *ctx, int nbd);
/* Back to the server with all of it; after that none of the images is in use by the kernel. */
int hybrid_demote(struct hybrid *h, struct ctx *ctx, int nbd);

#endif
