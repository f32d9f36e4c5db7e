/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ports: what a guest holds is a device-mapper device, /dev/mapper/sm-<VDI>.
 *
 *	/dev/mapper/sm-<VDI>	its table says what serves it now
 *	/dev/loop<N>, an LV, /dev/nbd<N> …
 *
 *	        put              pause
 *	(none) ────► running ◄─────────► held: no I/O passes
 *	  ▲             │  ▲    resume      │
 *	  └─────────────┘  └────────────────┘
 *	      remove            swap
 *
 * The guest keeps the device open through all of this; what changes is the
 * table: swap is for a volume that has grown, another server, a map built
 * again, a chain that was relinked.  The kernel swaps tables while no I/O is
 * under way, so each request sees the old table or the new one.
 *
 * The kernel is the record.  A datapath makes what is below first and the port
 * last (commit), and removes the port first (commit) and then what is below.
 * So a port is whole, and what is there without one is half of an attach or of
 * a detach that died: the next attach puts the port, the next detach removes
 * the rest.
 *
 * Where the kernel has no device-mapper, datapaths hand out their own device,
 * and what would change a table under a running guest is refused by port_need().
 */
#ifndef DRIVERS_PORT_H
#define DRIVERS_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct attachment;
struct dm_entry;
struct dm_table;
struct sr;
struct uuid;
struct vdi;

/* Does this kernel have device-mapper? */
bool port_can(void);
/* 0, or -E_UNSUPPORTED with that reason in words. */
int port_need(struct sr *sr);

/* What its table was made for: part of its name for the kernel, so a list tells it too. */
enum port_kind {
	PORT_NONE,		/* there is none */
	PORT_LINEAR,		/* one device that serves all of it */
	PORT_MAP,		/* pieces of images */
};

struct port {
	enum port_kind kind;	/* it exists, or PORT_NONE */
	bool there;		/* and has a table */
	bool writable;
	bool held;		/* somebody has paused it */
	dev_t dev;
};

/* Not there, or no device-mapper: no error. */
int port_find(struct sr *sr, const struct vdi *vdi, struct port *p);
/* "/dev/mapper/sm-<VDI>". */
void port_path(const struct vdi *vdi, char path[256]);
/* If it is there, it is the device that at shows. */
int port_show(struct sr *sr, const struct vdi *vdi, struct attachment *at);
/* The devices below its table, in the arena; none when it is not there. */
int port_below(struct sr *sr, const struct vdi *vdi, dev_t **devs, size_t *n);

/* The number of the nbd below it; *number -1: there is no port, or it lies on something else. */
int port_nbd(struct sr *sr, const struct vdi *vdi, int *number);
int port_nbd_among(const dev_t *devs, size_t n, int *number);

/* All ports of this host, in one call. */
struct ports {
	struct dm_entry *v;	/* sorted by name */
	size_t n;
};
int port_list(struct sr *sr, struct ports *all);
enum port_kind ports_have(const struct ports *all, const struct uuid *vdi);

/* The table that shows one device from its start, in the arena. */
void port_linear(struct sr *sr, dev_t below, uint64_t bytes, struct dm_table *t);

/*
 * Make the port so, whatever of it is there: running, with this table and no
 * other; so this is also how a running port gets a new table without a hold.  Fills in at but for the backend.  When it was running it goes on with
 * its old table on failure; when it was not there it is not there then.
 */
int port_put(struct sr *sr, const struct vdi *vdi, const struct dm_table *t, bool writable,
	     struct attachment *at);
/* The same of PORT_MAP, which is read-only. */
int port_put_map(struct sr *sr, const struct vdi *vdi, const struct dm_table *t,
		 struct attachment *at);

/* 0 too when there is none.  -E_VDI_IN_USE while somebody has it open. */
int port_remove(struct sr *sr, const struct vdi *vdi);

/*
 * A running port fails all that is asked from now on, and what is under way ends as it
 * may.  1: it does so now; 0: there is none, it did so before, or all of it leads to a
 * server, who looks after his disk himself.
 * *lock is let go of when nobody who takes it can come between any more: the wait for
 * what is under way may take as long as the disk below likes.
 */
int port_fail(struct sr *sr, const struct vdi *vdi, int *lock);

/* --- live operations ---------------------------------------------------------
 *
 *	struct port_hold hold;
 *
 *	err = port_pause(sr, vdi, deadline, &hold);
 *	if (!err)
 *		err = ... what must not happen under I/O, until the deadline ...
 *	if (!err)
 *		err = port_swap(&hold, &table);		or port_resume(&hold)
 *	else
 *		port_resume(&hold);			err is what matters
 *
 * Nothing is kept back for ever: a child of ours watches, and lets I/O pass
 * with the table that was there when we die, or when half a second after the
 * deadline it still waits.  So at every moment of a hold the old table must be
 * safe to run: either the old server still serves just what it did, or it
 * refuses.  In a hold allocate little and log nothing: who reads the log may be
 * waiting for this very disk.
 */
struct port_hold {
	struct sr *sr;
	const struct vdi *vdi;
	int ctl;		/* device-mapper, open */
	int watch;		/* our end of the watcher's pipe */
	pid_t watcher;
	struct port port;
	uint64_t deadline;
};

/*
 * Requests under way are finished, new ones wait.  At rest that is a matter of
 * milliseconds.  -E_DEADLINE, and it runs on as before, when by then (monotonic
 * clock, ns) not all are finished, because a server or a disk does not answer.
 * File systems are not frozen: what is seen below is what a power cut would
 * leave.  -E_VDI_UNAVAILABLE when there is no port.
 */
int port_pause(struct sr *sr, const struct vdi *vdi, uint64_t deadline, struct port_hold *h);
/*
 * Let I/O pass again, with the old table or with a new one.  -E_DEADLINE when
 * that has passed: the old table is running, maybe for a while already.  A table that
 * the kernel refuses: its error, and the old one runs.  Ends the hold in any case.
 */
int port_resume(struct port_hold *h);
int port_swap(struct port_hold *h, const struct dm_table *t);

#endif
