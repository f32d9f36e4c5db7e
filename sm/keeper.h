/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The keeper: who looks after the locks of the disks that this host writes.
 *
 * A server of ours looks whether its disk's lock has been broken (nbd_worker.h), but
 * a raw disk is written by the kernel alone, and so are the full blocks of a VHD,
 * even when its server is dead or stopped.  So where hosts share an SR (dconf
 * shared=true) and disks of it are attached here for writing, one process looks, every
 * ten seconds as the servers do, whether the lock of each is still the one that it was
 * attached with; the record of the attachment (state.h) has its generation, so it is
 * known to who comes after a death too.  If it is not, the disk's port fails from
 * then on: no later write of this host reaches the storage, and whoever writes hears
 * of it.  It stays so until the disk is detached.
 *
 *	keeper dies		the next verb that changes something in the SR starts another
 *	storage is gone		nobody has been seen to break anything: as a server, it goes on.  The
 *				lock of an attached disk has no term that could run out meanwhile
 *	no device-mapper	there is no port that could be made to fail
 *	requests do not end	what is under way when a port is made to fail is waited for, by
 *				everybody: new ones are held back from then on, but the other
 *				disks of the SR are looked at again only afterwards
 *
 * One an SR, by a lock on /run/sm/keeper/<SR>.  The last detach waits for its end, or
 * its look could keep the SR from being detached.
 */
#ifndef SM_KEEPER_H
#define SM_KEEPER_H

#include "lib/kconfig.h"
#include "sm/core.h"

#define WITH_KEEPER	IS_ENABLED(CONFIG_LOCK_KEEPER)

/* -E_VDI_UNAVAILABLE: r->vdi is attached here, and its lock has been broken since. */
int keeper_admit(struct run *r);
/* at.lost of each, as far as it can be read; the SR is open. */
void keeper_see(struct sr *sr, struct vdis *l);
/* After a verb, without any lock: start one where it is needed and there is none. */
void keeper_start(struct run *r);
/* After a detach: it ends, if that was the last one. */
void keeper_rest(struct run *r);

#endif
