/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locks of an SR of volumes: an area of 16 MiB at the end of MGT.
 *
 * MGT grows by that when something is locked for the first time.  The Python
 * storage managers read and write MGT by the length in its head, which never
 * comes so far: its 4094 records end at 4 MiB.  They remove it, whatever its
 * size, when they remove the SR, while a volume of our own would be in their
 * way.  For lvm2 it is a volume like any other.
 *
 * The area is written while its extents are still nobody's; the metadata of
 * the VG makes it part of MGT (commit).  So who finds it finds it formatted,
 * and nobody formats one that is there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch/clock.h"
#include "drivers/layout.h"
#include "drivers/layout/lvm.h"
#include "drivers/lease.h"
#include "drivers/sr.h"
#include "lib/arena.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/kconfig.h"
#include "lib/lease_area.h"
#include "lib/lvm2/lv_io.h"
#include "lib/lvm2/ops.h"

struct place {
	struct lease_area area;
	struct io *mgt;
};

/* A late one is late by this, also where the host slept. */
static uint64_t now(void *arg)
{
	return clock_now_boot();
}

static uint64_t draw(void *arg)
{
	uint64_t r;

	random_bytes(&r, sizeof(r));
	return r | 1;			/* never 0, which is nobody's stamp */
}

static void wait_for(void *arg, uint64_t ns)
{
	clock_sleep(ns);
}

static int dead(void *arg, const struct lease *l)
{
	struct sr *sr = arg;
	struct lease_known k;
	/* Step 2 reads it again, and it must still be so. */
	int err = lease_check(sr->ctx, l, clock_now_mono(), &k);

	return err ? err : k.verdict == LEASE_IS_DEAD;
}

static void let_go(struct place *p)
{
	io_close(p->area.io);
	io_close(p->mgt);
	*p = (struct place){ 0 };
}

/*
 * At the end of MGT; or before that, when somebody has made MGT larger since.
 * -ENOENT: nothing was ever locked.
 */
#define LOOK_MOST	256u

static int find_area(struct lvm_vg *vg, const struct lvm_lv *mgt, struct place *p)
{
	uint64_t size = lvm_lv_bytes(vg, mgt), back = LEASE_AREA_BYTES;
	int err = size < MGT_SIZE + back ? -ENOENT : lvm_lv_io(&p->mgt, vg, mgt);

	for (uint32_t i = 0; !err && i < LOOK_MOST && size - back >= MGT_SIZE; i++) {
		err = io_window(&p->area.io, p->mgt, size - back, LEASE_AREA_BYTES);
		if (!err)
			err = lease_area_check(p->area.io);
		if (err != -E_DAMAGED)
			return err;
		io_close(p->area.io);
		p->area.io = NULL;
		back += lvm_extent_bytes(vg);
		err = 0;
	}
	return err ? err : -ENOENT;
}

static int get_area(struct sr *sr, struct place *p)
{
	struct lvm_vg *vg = lvm_of(sr)->vg;
	const struct lvm_lv *mgt = lvm_lv_find(vg, MGT_NAME);
	int err;

	*p = (struct place){ .area = { .now = now, .random = draw, .wait = wait_for, .dead = dead, .arg = sr } };
	err = mgt ? find_area(vg, mgt, p) : -ENOENT;
	if (err)
		let_go(p);
	return err && err != -ENOENT ? fail(sr->ctx, err, "the area for locks in MGT") : err;
}

/* --- making it ----------------------------------------------------------------------- */

/*
 * Two hosts must not both change the VG, and there is no lock yet to keep them
 * from it.  So who is to do it writes his name to the last 4 KiB of what is MGT's
 * own, where the 4091st name of a disk would come one day, waits, and looks
 * whether it is still there: of several the last one is.  It would need a write
 * that takes longer than that wait, once in the life of an SR.
 */
#define CLAIM_AT	(MGT_SIZE - LEASE_CELL)
#define CLAIM_WAIT	(2 * NS_PER_S)
#define CLAIM_PATIENCE	((LEASE_TERM + LEASE_GRACE + 10) * NS_PER_S)

static int put_claim(struct io *mgt, const struct lease *l)
{
	uint8_t *bytes = must_alloc(LEASE_CELL);	/* zeroes */
	int err;

	if (l)
		lease_encode(l, bytes);
	err = io_write(mgt, CLAIM_AT, bytes, LEASE_CELL);
	free(bytes);
	return err ? err : io_flush(mgt);
}

/* generation 0: nobody's.  It may hold anything: nobody has written there before. */
static int get_claim(struct io *mgt, struct lease *l)
{
	uint8_t bytes[LEASE_BYTES];
	int err = io_read(mgt, CLAIM_AT, bytes, sizeof(bytes));

	if (!err && lease_decode(bytes, sizeof(bytes), l))
		*l = (struct lease){ 0 };
	return err;
}

/* Until it is ours; me gets a generation and a stamp for it.  A claim ends with its process. */
static int claim(struct sr *sr, struct io *mgt, struct lease *me)
{
	uint64_t until = clock_now_mono() + CLAIM_PATIENCE, since = clock_now_mono();
	struct lease l, seen = { 0 }, mine;

	me->generation = 1;
	me->stamp = draw(NULL);
	mine = *me;
	mine.kind = LEASE_PROCESS;
	do {
		int err = get_claim(mgt, &l);

		if (err)
			return err;
		if (l.generation && lease_same(&l, me))
			return 0;
		if (!lease_same(&l, &seen))
			since = clock_now_mono();
		seen = l;
		/* Another's goes when he is done; or he has died, which of our own host's is known at once. */
		if (!l.generation || dead(sr, &l) > 0 ||
		    clock_now_mono() - since > (LEASE_TERM + LEASE_GRACE) * NS_PER_S) {
			err = put_claim(mgt, &mine);
			if (err)
				return err;
			clock_sleep(CLAIM_WAIT);
		} else {
			clock_sleep(NS_PER_S / 10);
		}
	} while (clock_left(until));
	return -E_BUSY;
}

/* In extents that are nobody's yet; then the metadata makes them MGT's (commit). */
static int grow_mgt(struct sr *sr, const struct lease *me, uint64_t start)
{
	struct lvm_vg *vg = lvm_of(sr)->vg;
	struct lvm_lv *mgt = lvm_lv_find(vg, MGT_NAME);
	struct place p = { 0 };
	int err = lvm_lv_resize(vg, mgt, lvm_lv_bytes(vg, mgt) + LEASE_AREA_BYTES);

	if (!err)
		err = lvm_lv_io(&p.mgt, vg, mgt);
	if (!err)
		err = io_window(&p.area.io, p.mgt, p.mgt->size - LEASE_AREA_BYTES, LEASE_AREA_BYTES);
	if (!err)
		err = lease_area_format(p.area.io, me);
	let_go(&p);
	if (!err && lease_is_late(start, clock_now_boot()))
		err = -E_BUSY;			/* others may have gone on without us */
	if (err)
		return fail(sr->ctx, err, "make room for locks in MGT (%u MiB)",
			    (unsigned int)(LEASE_AREA_BYTES >> 20));
	return lvm_commit_now(sr, "room for locks");	/* commit */
}

/* The first row is ours, as me says: nobody else can have seen the area. */
static int make_area(struct sr *sr, const struct lease *me)
{
	struct lvm_vg *vg = lvm_of(sr)->vg;
	const struct lvm_lv *mgt = lvm_lv_find(vg, MGT_NAME);
	struct lease name = *me;
	struct place p = { 0 };
	uint64_t start;
	int err = lvm_vg_may_change(vg, false);

	if (err)
		return lvm_refused(sr, vg, err);
	if (!mgt || mgt_read_head(sr) || lvm_of(sr)->mgt.used > CLAIM_AT)
		return fail_say(sr->ctx, -E_UNSUPPORTED, "this SR has no MGT volume to keep locks in, or a full one");
	err = lvm_lv_io(&p.mgt, vg, mgt);
	if (IS_ENABLED(CONFIG_SHARED_SR) && !err)
		err = claim(sr, p.mgt, &name);
	if (err) {
		let_go(&p);
		return fail(sr->ctx, err, "make room for locks in MGT");
	}
	start = clock_now_boot();
	/* As it is now that nobody else makes one. */
	err = lvm_reload(sr);
	if (!err) {
		struct place there;

		err = get_area(sr, &there);
		let_go(&there);
	}
	if (err == -ENOENT) {
		err = grow_mgt(sr, &name, start);
		if (!err || err == -E_LVM_HALF)
			err = lvm_reload(sr);
	}
	if (IS_ENABLED(CONFIG_SHARED_SR))
		put_claim(p.mgt, NULL);		/* else it counts for nothing after a term */
	let_go(&p);
	return err;
}

/* Ready to write: there is an area, and a row of it is ours. */
static int get_row(struct sr *sr, struct place *p, bool make)
{
	struct lease me = { .state = LEASE_HELD };
	int err = lvm_vg_may_change(lvm_of(sr)->vg, true);
	bool there;

	*p = (struct place){ 0 };
	if (err)
		return lvm_refused(sr, lvm_of(sr)->vg, err);
	err = get_area(sr, p);
	there = !err;
	if (err && (err != -ENOENT || !make))	/* it takes no name to see that nothing was ever locked */
		return err;
	err = lease_need_name(sr->ctx);
	if (!err)
		err = lease_sign(sr->ctx, &me);
	if (!err && !there)
		err = make_area(sr, &me);
	if (!err && !there)
		err = get_area(sr, p);
	if (err)
		return err;
	p->area.host = me.host;
	err = lease_area_join(&p->area, &me);
	if (err == -ENOSPC) {
		hint(sr->ctx, "sm lock list, and sm lock break for each of a host that is gone");
		return fail_say(sr->ctx, -E_SR_NO_SPACE, "%u other hosts have locked disks of this SR, which is "
				"as many as can", LEASE_ROWS - 1);
	}
	return err ? fail(sr->ctx, err, "take a place in the area for locks") : 0;
}

static int failed(struct sr *sr, int err, const struct uuid *vdi)
{
	if (!err || err == -EAGAIN || err == -E_NOT_LOCKED)
		return err;
	if (err == -ENOSPC)
		return fail_say(sr->ctx, -E_SR_NO_SPACE, "this host has too many disks locked to lock VDI %s too",
				vdi->s);
	return fail(sr->ctx, err, "the lock of VDI %s", vdi->s);
}

static int lvm_lease_read(struct sr *sr, const struct uuid *vdi, struct lease *l)
{
	struct place p;
	int err = get_area(sr, &p);

	*l = (struct lease){ .vdi = *vdi };
	if (!err)
		err = lease_area_read(&p.area, vdi, l);
	let_go(&p);
	return err == -ENOENT ? 0 : failed(sr, err, vdi);
}

static int lvm_lease_swap(struct sr *sr, const struct vdi *vdi, const struct lease *was, struct lease *l)
{
	struct place p;
	int err = get_row(sr, &p, true);

	l->vdi = vdi->uuid;
	if (!err)
		err = failed(sr, lease_area_swap(&p.area, was, l), &vdi->uuid);
	let_go(&p);
	return err;
}

static int lvm_lease_renew(struct sr *sr, const struct vdi *vdi, struct lease *held)
{
	struct place p;
	int err = get_row(sr, &p, false);

	if (!err)
		err = failed(sr, lease_area_renew(&p.area, held), &vdi->uuid);
	let_go(&p);
	return err == -ENOENT ? -E_NOT_LOCKED : err;
}

/* Where nothing is noted of the disk, a host without a name has nothing to do either. */
static int lvm_lease_forget(struct sr *sr, const struct uuid *vdi)
{
	struct lease l;
	struct place p;
	int err = get_area(sr, &p);
	bool none = err == -ENOENT || (!err && !lease_area_read(&p.area, vdi, &l) && !l.generation);

	let_go(&p);
	if (none)
		return 0;
	err = get_row(sr, &p, false);
	if (!err)
		err = failed(sr, lease_area_forget(&p.area, vdi), vdi);
	let_go(&p);
	return err == -ENOENT ? 0 : err;
}

/* --- the list ----------------------------------------------------------------------- */

struct collect {
	struct sr *sr;
	struct lease_list *l;
};

/* Of each lock what counts; and whatever cannot be read. */
static void collect(void *arg, const struct lease *l, int err)
{
	struct collect *c = arg;

	if (err) {
		*lease_list_add(c->sr, c->l) = (struct lease_seen){ .lease = *l, .err = err };
		return;
	}
	if (l->state == LEASE_WANTED)
		return;
	for (size_t i = 0; i < c->l->n; i++) {
		struct lease *has = &c->l->v[i].lease;

		if (!uuid_equal(&has->vdi, &l->vdi))
			continue;
		if (l->generation > has->generation)
			*has = *l;
		return;
	}
	lease_list_add(c->sr, c->l)->lease = *l;
}

/* Held, and of a disk that is there.  One that was broken does not say of which it was. */
static bool is_of_disk(struct sr *sr, const struct lease_seen *s)
{
	const struct lease *l = &s->lease;
	const char *disk = l->of.s[0] ? l->of.s : l->vdi.s;
	const struct lvm_vg *vg = lvm_of(sr)->vg;
	struct arena *a = &sr->ctx->arena;

	return s->err || (l->state != LEASE_FREE && (lvm_lv_find(vg, arena_printf(a, "LV-%s", disk)) ||
						     lvm_lv_find(vg, arena_printf(a, "VHD-%s", disk))));
}

static int lvm_lease_list(struct sr *sr, struct lease_list *l)
{
	struct collect c = { sr, l };
	struct place p;
	size_t kept = 0;
	int err = get_area(sr, &p);

	if (!err) {
		err = lease_area_each(&p.area, collect, &c);
		if (err)
			fail(sr->ctx, err, "read the area for locks");
	}
	let_go(&p);
	for (size_t i = 0; i < l->n; i++)
		if (is_of_disk(sr, &l->v[i]))
			l->v[kept++] = l->v[i];
	l->n = kept;
	return err == -ENOENT ? 0 : err;
}

const struct lease_ops lvm_leases = {
	.read = lvm_lease_read,
	.swap = lvm_lease_swap,
	.renew = lvm_lease_renew,
	.forget = lvm_lease_forget,
	.list = lvm_lease_list,
};
