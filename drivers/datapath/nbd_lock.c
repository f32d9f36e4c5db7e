/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Has the disk's lock been broken by another host, which may write it now? */
#include "arch/clock.h"
#include "drivers/datapath/nbd_worker.h"
#include "drivers/layout.h"
#include "drivers/lease.h"
#include "drivers/sr.h"
#include "lib/arena.h"
#include "lib/err.h"

int nbd_lock_check(struct nbd_disk *k, struct sr *sr)
{
	const struct lease_ops *leases = sr->type->layout->leases;
	struct lease_look me;
	struct lease l;

	if (!k->writable || !k->sr->shared || !leases)
		return 0;
	/* Where it cannot be read nobody has been seen to have it. */
	if (leases->read(sr, &k->vdi->uuid, &l) || lease_who(sr->ctx, &me))
		return 0;
	if (l.state == LEASE_HELD && l.kind == LEASE_BOOT && uuid_equal(&l.host, &me.host) &&
	    uuid_equal(&l.boot, &me.boot))
		k->shared->locked = true;
	else if (k->shared->locked)
		return -E_NOT_LOCKED;
	return 0;
}

int nbd_lock_look(struct nbd_disk *k)
{
	struct ctx ctx = { .root = k->sr->ctx->root, .dry_run = true };	/* it takes no lock */
	struct sr sr = nbd_same_sr(k->sr, &ctx);
	int err = sr_open(&sr, false) ? 0 : nbd_lock_check(k, &sr);

	sr_close(&sr);
	arena_free(&ctx.arena);
	return err;
}
