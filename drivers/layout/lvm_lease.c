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
#include <string.h>

#include "arch/clock.h"
#include "drivers/layout.h"
#include "drivers/layout/lvm.h"
#include "drivers/lease.h"
#include "drivers/sr.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/lease_area.h"
#include "lib/lvm2/lv_io.h"
#include "lib/lvm2/ops.h"

struct place {
	struct lease_area area;
	struct io *mgt;
};

static uint64_t now(void *arg)
{
	return clock_now_mono();
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
	enum lease_verdict verdict;
	char why[LEASE_WHY];
	int err = lease_check(sr->ctx, l, -1, &verdict, why);

	return err ? err : verdict == LEASE_IS_DEAD;
}

static void let_go(struct place *p)
{
	io_close(p->area.io);
	io_close(p->mgt);
	*p = (struct place){ 0 };
}

static int open_end(struct lvm_vg *vg, const struct lvm_lv *mgt, struct place *p)
{
	int err = lvm_lv_io(&p->mgt, vg, mgt);

	return err ? err : io_window(&p->area.io, p->mgt, p->mgt->size - LEASE_AREA_BYTES, LEASE_AREA_BYTES);
}

/* -ENOENT: nothing was ever locked. */
static int get_area(struct sr *sr, struct place *p)
{
	struct lvm_vg *vg = lvm_of(sr)->vg;
	const struct lvm_lv *mgt = lvm_lv_find(vg, MGT_NAME);
	int err;

	*p = (struct place){ .area = { .now = now, .random = draw, .wait = wait_for, .dead = dead, .arg = sr } };
	if (!mgt || lvm_lv_bytes(vg, mgt) < MGT_SIZE + LEASE_AREA_BYTES)
		return -ENOENT;
	err = open_end(vg, mgt, p);
	if (!err)
		err = lease_area_check(p->area.io);
	if (err)
		let_go(p);
	return err ? fail(sr->ctx, err, "the area for locks in MGT") : 0;
}

static int make_area(struct sr *sr)
{
	struct lvm_vg *vg = lvm_of(sr)->vg;
	struct lvm_lv *mgt = lvm_lv_find(vg, MGT_NAME);
	struct place p = { 0 };
	int err = lvm_vg_may_change(vg, false);

	if (err)
		return lvm_refused(sr, vg, err);
	if (!mgt || mgt_read_head(sr))
		return fail_say(sr->ctx, -E_UNSUPPORTED, "this SR has no MGT volume to keep locks in");
	err = lvm_lv_resize(vg, mgt, lvm_lv_bytes(vg, mgt) + LEASE_AREA_BYTES);
	if (!err)
		err = open_end(vg, mgt, &p);
	if (!err)
		err = lease_area_format(p.area.io);
	let_go(&p);
	if (err)
		fail(sr->ctx, err, "make room for locks in MGT (%u MiB)", (unsigned int)(LEASE_AREA_BYTES >> 20));
	else
		err = lvm_commit_now(sr, "room for locks");	/* commit */
	if (err && err != -E_LVM_HALF)
		return err;
	return lvm_reload(sr);
}

/* Ready to write: there is an area, and a row of it is ours. */
static int get_row(struct sr *sr, struct place *p, bool make)
{
	struct lease me = { 0 };
	struct lease_look who;
	int err = lvm_vg_may_change(lvm_of(sr)->vg, true);

	*p = (struct place){ 0 };
	if (err)
		return lvm_refused(sr, lvm_of(sr)->vg, err);
	err = get_area(sr, p);
	if (err == -ENOENT && make) {
		err = make_area(sr);
		if (!err)
			err = get_area(sr, p);
	}
	if (!err)
		err = lease_who(sr->ctx, &who);
	if (!err && uuid_equal(&who.host, &who.boot)) {
		hint(sr->ctx, "systemd-machine-id-setup, or INSTALLATION_UUID in /etc/xensource-inventory");
		err = fail_say(sr->ctx, -E_UNSUPPORTED, "this host has no name of its own to lock by");
	}
	if (!err)
		err = lease_sign(sr->ctx, &me);
	if (err)
		return err;
	p->area.host = who.host;
	err = lease_area_join(&p->area, &me);
	if (err == -ENOSPC)
		return fail_say(sr->ctx, -E_SR_NO_SPACE, "%u other hosts have locked disks of this SR, which is "
				"as many as can", LEASE_ROWS - 1);
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

static int lvm_lease_read(struct sr *sr, const struct uuid *vdi, struct lease *l, int64_t *age)
{
	struct place p;
	int err = get_area(sr, &p);

	*l = (struct lease){ .vdi = *vdi };
	if (age)
		*age = -1;
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

static int lvm_lease_forget(struct sr *sr, const struct uuid *vdi)
{
	struct place p;
	int err = get_row(sr, &p, false);

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

/* Of each disk that is there, what counts. */
static void collect(void *arg, const struct lease *l)
{
	struct collect *c = arg;
	struct arena *a = &c->sr->ctx->arena;
	const struct lvm_vg *vg = lvm_of(c->sr)->vg;

	if (l->state == LEASE_WANTED || (!lvm_lv_find(vg, arena_printf(a, "LV-%s", l->vdi.s)) &&
					 !lvm_lv_find(vg, arena_printf(a, "VHD-%s", l->vdi.s))))
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
		if (l->v[i].lease.state != LEASE_FREE)
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
