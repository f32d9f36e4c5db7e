/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * More room for a thin disk while it is served, before what it has is used up.
 *
 * As whoever changes the SR: with its lock, and that of the hosts that share it.
 * Threads serve the disk meanwhile.  Nothing here needs the disk itself, and the
 * process has its memory locked and writes nothing back to get more of it, so that a
 * host that has to write to this very disk before it has memory again gets along.
 */
#include <errno.h>
#include <sys/eventfd.h>

#include "arch/clock.h"
#include "arch/lock.h"
#include "drivers/datapath/nbd_worker.h"
#include "drivers/layout.h"
#include "drivers/sr.h"
#include "lib/arena.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/kconfig.h"
#include "lib/log.h"

#define TRY_FIRST	(2 * NS_PER_MS)		/* for the lock, ever more rarely */
#define TRY_MOST	(50 * NS_PER_MS)
#define OPEN_PATIENCE	(5 * NS_PER_S)		/* for lvm2's lock, and other hosts' */
#define ASK_AGAIN	(10 * NS_PER_S)		/* whether there is room by now … */
#define ASK_SOON	(1 * NS_PER_S)		/* … and if a write has failed meanwhile */

void nbd_room_open(struct nbd_room *r, struct nbd_disk *k, struct disk *d)
{
	const struct layout *l = k->sr->type->layout;

	if (!k->writable || !l->volume_grow)
		return;
	r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->fd >= 0)
		disk_watch_room(d, r->fd);
}

void nbd_room_hear(struct nbd_room *r)
{
	uint64_t now = clock_now_mono(), soon = r->failed ? r->tried + ASK_SOON : now;
	eventfd_t n;

	if (!eventfd_read(r->fd, &n) && (!r->next || r->next > soon))
		r->next = soon > now ? soon : now;
}

/* -EAGAIN: somebody has a lock. */
static int grow(struct nbd_disk *k, struct ctx *ctx, uint64_t held, uint64_t *size)
{
	struct sr sr = nbd_same_sr(k->sr, ctx);
	_unlock_ int lock = -1;
	struct vdi vdi;
	int err = lock_take(&lock, sm_path(ctx, "/var/lock/sm/%s/sr", sr.uuid.s), false, LOCK_TRY);

	if (err)
		return err == -ETIMEDOUT ? -EAGAIN : fail(ctx, err, "lock the SR");
	ctx->deadline = clock_now_mono() + OPEN_PATIENCE;
	err = sr_open(&sr, true);
	if (err == -E_DEADLINE || err == -E_BUSY)
		err = -EAGAIN;
	if (IS_ENABLED(CONFIG_SHARED_SR) && !err)
		err = nbd_lock_check(k, &sr);
	if (!err)
		err = sr.type->layout->find(&sr, &k->vdi->uuid, &vdi);
	if (!err) {
		err = vdi.hidden ? -E_VDI_HIDDEN : sr.type->layout->volume_grow(&sr, &vdi, held, size);
		/* The SR's lock was broken, not the disk's. */
		err = err == -E_NOT_LOCKED ? -EAGAIN : err;
	}
	sr_close(&sr);
	if (IS_ENABLED(CONFIG_SHARED_SR))
		clock_alarm(&sr.alarm, 0);
	return err;
}

static void try_later(struct nbd_room *r, struct nbd_disk *k, struct disk *d, struct ctx *ctx, int err)
{
	bool locked = err == -EAGAIN;

	r->tried = clock_now_mono();
	r->pause = !locked ? 0 : r->pause ? r->pause * 2 : TRY_FIRST;
	if (r->pause > TRY_MOST)
		r->pause = TRY_MOST;
	r->next = r->tried + (locked ? r->pause : ASK_AGAIN);
	if (locked)
		return;
	/* Others wait as long as they can: it may be for a moment only. */
	if (err_kind(err) == -ENOSPC)
		disk_no_room(d);
	if (err != r->failed)
		logf_err(ctx, "nbd: VDI %s: no room for more of its data: %s", k->vdi->uuid.s,
			 ctx->why[0] ? ctx->why : err_text(err));
	r->failed = err;
}

int nbd_room_get(struct nbd_room *r, struct nbd_disk *k, struct disk *d)
{
	struct ctx ctx = { .root = k->sr->ctx->root };
	uint64_t size = 0, held = disk_held(d), since = clock_now_mono();
	int err = held ? grow(k, &ctx, held, &size) : 0;

	if (err) {
		try_later(r, k, d, &ctx, err);
	} else {
		disk_room(d, size);
		r->next = r->pause = 0;
		r->failed = 0;
		if (held)
			logf_info(&ctx, "nbd: VDI %s: its volume has %llu bytes, after %llu ms",
				  k->vdi->uuid.s, (unsigned long long)size,
				  (unsigned long long)((clock_now_mono() - since) / NS_PER_MS));
	}
	arena_free(&ctx.arena);
	return err;
}
