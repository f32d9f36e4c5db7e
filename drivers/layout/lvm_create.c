/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making, finding and removing the VG of an SR. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arch/blk.h"
#include "arch/clock.h"
#include "arch/lvmhost.h"
#include "drivers/devices.h"
#include "drivers/layout.h"
#include "drivers/layout/lvm.h"
#include "drivers/sr.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/lvm2/commit.h"
#include "lib/lvm2/ops.h"

/* Upstream's choice: room for some 10,000 volumes. */
#define METADATA_SIZE	((uint64_t)10 << 20)
/* What upstream wipes of a new PV, and with it every label of an old life. */
#define WIPE		((uint64_t)10 << 20)

static void new_id(struct lvm_id *id)
{
	uint8_t random[32];

	random_bytes(random, sizeof(random));
	lvm_id_make(id, random);
}

/* All are planned before the first one is touched: none is emptied for an SR that cannot be. */
static int plan_pv(struct sr *sr, const struct lvm_dev *d, struct lvm_label *label)
{
	struct lvm_pv_spec spec = {
		.device_size = d->io->size, .metadata_size = METADATA_SIZE, .n_mdas = 1,
	};
	struct lvm_id id;
	int err;

	new_id(&id);
	err = lvm_pv_plan(&spec, &id, label);
	if (!err && d->io->size - label->data[0].at < EXTENT)
		err = -E_LVM_PV_SIZE;
	return err ? fail(sr->ctx, err, "make a PV of %s", d->path) : 0;
}

/* The old contents go first, and the label last: a death leaves an empty disk or a PV of none. */
static int make_pv(struct sr *sr, struct lvm_dev *d, const struct lvm_label *label)
{
	uint64_t size = d->io->size, first = size < WIPE ? size : WIPE;
	int err = io_zero(d->io, 0, first);

	if (!err && size > first)		/* GPT and md keep copies at the end */
		err = io_zero(d->io, size - first < MiB ? first : size - MiB,
			      size - first < MiB ? size - first : MiB);
	if (!err)
		err = io_flush(d->io);
	if (!err)
		err = lvm_pv_create(d->io, label);
	return err ? fail(sr->ctx, err, "make a PV of %s", d->path) : 0;
}


static int make_mgt(struct sr *sr, struct lvm_vg *vg, const struct lvm_stamp *stamp)
{
	struct lvm_lv_spec s = { .name = MGT_NAME, .bytes = MGT_SIZE, .host = stamp->host,
				 .now = stamp->now };
	struct lvm_lv *lv;
	int err;

	new_id(&s.id);
	err = lvm_lv_create(vg, &s, &lv);
	return err ? fail(sr->ctx, err, "make MGT") : mgt_format(sr, vg);
}

/* The kernel forgets partitions whose table is gone; while one is being looked at it cannot. */
static void forget_partitions(struct sr *sr)
{
	const struct devices *all = sr_devices(sr);

	for (size_t i = 0; i < all->n; i++) {
		int err = blk_reread_partitions(all->v[i].io->fd);

		for (int tries = 0; err == -EBUSY && tries < 10; tries++) {
			clock_sleep(50 * NS_PER_MS);
			err = blk_reread_partitions(all->v[i].io->fd);
		}
		if (err && err != -EINVAL && err != -ENOTTY)	/* a partition, dm: it can have none */
			logf_warn(sr->ctx, "sr create: the kernel still has the old partitions of %s",
				  all->v[i].path);
	}
}

/* lvm2 on this host believes what it has noted; that a change of ours is not seen is no failure. */
static void tell_lvm2(struct sr *sr, const char *vg, const struct lvm_id *pv)
{
	const char *root = sr->ctx->root ? sr->ctx->root : "";
	char bare[33] = "";
	int err;

	if (pv)
		lvm_id_bare(pv, bare);
	err = pv ? lvmhost_gone(root, vg, bare) : lvmhost_look_again(root);
	if (err)
		logf_warn(sr->ctx, "/run/lvm: %s: lvm2 may need pvscan --cache", err_text(err));
}

/* Only what dconf names is left in the list. */
static int let_go_of_others(struct sr *sr)
{
	struct devices *all = sr_devices(sr);
	bool *keep = arena_array(&sr->ctx->arena, all->n, sizeof(*keep));

	for (size_t i = 0; i < all->n; i++)
		keep[i] = all->v[i].named;
	return devices_keep(sr, keep, true);
}

static int check_allocation(struct sr *sr)
{
	const char *s = kv_get(&sr->dconf, "allocation");

	if (!s || !strcmp(s, "thick") || !strcmp(s, "thin"))
		return 0;
	return fail_say(sr->ctx, -E_ARG, "allocation '%.32s' is neither thick nor thin", s);
}

/* All that can be refused, and the labels of the PVs that will be. */
static int prepare(struct sr *sr, struct lvm_sr *l, struct lvm_label **label)
{
	int err = check_allocation(sr);

	/* A dry run leaves no lock file behind. */
	if (!err && !sr->ctx->dry_run)
		err = lvm_lock_host(sr, l);
	if (!err)
		err = devices_search(sr, true);
	if (err < 0)
		return err;
	lvm_read(sr, l);
	err = lvm_may_take(sr, l);
	if (!err)
		err = let_go_of_others(sr);
	if (err)
		return err;
	lvm_read(sr, l);
	*label = arena_array(&sr->ctx->arena, sr_devices(sr)->n, sizeof(**label));
	for (size_t i = 0; i < sr_devices(sr)->n && !err; i++)
		err = plan_pv(sr, &l->dev[i], &(*label)[i]);
	return err;
}

int lvm_may_create(struct sr *sr)
{
	struct lvm_label *label;

	return prepare(sr, lvm_new(sr), &label);
}

/*
 * PVs, then the contents of MGT in extents that nobody owns yet, then the VG
 * with MGT in it: one commit.  What a death leaves before it are PVs in no VG,
 * which the next create takes.
 */
int lvm_create(struct sr *sr)
{
	struct arena *a = &sr->ctx->arena;
	struct lvm_sr *l = lvm_new(sr);
	struct lvm_label *label;
	struct lvm_stamp stamp;
	struct lvm_id id;
	int err = prepare(sr, l, &label);

	for (size_t i = 0; i < sr_devices(sr)->n && !err; i++)
		err = make_pv(sr, &l->dev[i], &label[i]);
	if (err)
		return err;
	forget_partitions(sr);
	lvm_read(sr, l);		/* and now as PVs */
	new_id(&id);
	err = lvm_vg_new(a, arena_printf(a, VG_PREFIX "%s", sr->uuid.s), &id, EXTENT, NULL, &l->vg);
	for (size_t i = 0; !err && i < sr_devices(sr)->n; i++)
		err = lvm_vg_extend(l->vg, &l->dev[i]);
	if (err)
		return fail(sr->ctx, err, "make the VG");
	lvm_fill_stamp(sr, &stamp, "sr create");
	err = make_mgt(sr, l->vg, &stamp);
	if (!err)
		err = lvm_commit_now(sr, "sr create");		/* commit */
	if (!err)
		tell_lvm2(sr, NULL, NULL);
	return err;
}

/* The SR that is asked for; when none is, the first one on these devices. */
static const char *which(const struct sr *sr, const struct lvm_sr *l, struct uuid *u)
{
	const char *first = NULL;
	struct uuid one;

	for (size_t i = 0; i < l->set.n_found; i++) {
		const char *name = l->set.found[i]->best->is.name;

		if (strncmp(name, VG_PREFIX, strlen(VG_PREFIX)) ||
		    uuid_parse(&one, name + strlen(VG_PREFIX)))
			continue;
		if (!first || uuid_equal(&one, &sr->uuid)) {
			first = name;
			*u = one;
		}
	}
	return first;
}

int lvm_probe(struct sr *sr, struct sr_info *found)
{
	struct devices *all = sr_devices(sr);
	struct lvm_sr *l = lvm_new(sr);
	const char *name;
	int err = 0;

	lvm_read(sr, l);
	name = which(sr, l, &found->uuid);
	if (sr->uuid.s[0] && (!name || !uuid_equal(&found->uuid, &sr->uuid))) {
		/* Not where dconf says: its disks may have other names now. */
		err = lvm_find(sr, l, arena_printf(&sr->ctx->arena, VG_PREFIX "%s", sr->uuid.s));
		name = which(sr, l, &found->uuid);
	} else if (name) {
		err = lvm_find(sr, l, name);
	}
	if (err)
		return err;
	if (!name && all->lost) {
		hint(sr->ctx, "is the disk connected? sm sr probe");
		return fail_say(sr->ctx, all->lost, "%s", all->lost_why);
	}
	if (!name)
		return -E_SR_MISSING;
	found->type = sr->type->names[0];
	if (lvm_vg_get(&l->set, name, &l->vg))
		return 0;		/* what is wrong with it, who uses it is told */
	lvm_stat(sr, found);
	if (!mgt_read_head(sr)) {
		found->name = l->mgt.name;
		found->description = l->mgt.description;
	}
	return 0;
}

/* No LV but MGT may be left, whoever made it. */
static int must_be_empty(struct sr *sr, const struct lvm_vg *vg)
{
	for (const struct lvm_lv *lv = vg->first; lv; lv = lv->next)
		if (strcmp(lv->name, MGT_NAME)) {
			hint(sr->ctx, "sm vdi list --sr %s", sr->uuid.s);
			return fail_say(sr->ctx, -E_SR_NOT_EMPTY, "the SR still holds %s", lv->name);
		}
	return 0;
}

/* The labels of those that were in the VG, and of no others that dconf may name. */
static int clear_labels(struct sr *sr, struct lvm_dev **dev, uint32_t n, const char *vg)
{
	int err = 0;

	for (uint32_t i = 0; i < n && !err; i++) {
		err = lvm_pv_remove(dev[i]->io, &dev[i]->label);
		if (err)
			return fail(sr->ctx, err, "clear the label of %s", dev[i]->path);
		tell_lvm2(sr, vg, &dev[i]->label.pv);
	}
	tell_lvm2(sr, NULL, NULL);
	return 0;
}

/*
 * MGT and the VG in one commit, by which the SR is gone; then the labels, so
 * that the disks are empty.  A death between leaves PVs in no VG.
 */
int lvm_destroy(struct sr *sr)
{
	struct lvm_sr *l = lvm_new(sr);
	const char *name = arena_printf(&sr->ctx->arena, VG_PREFIX "%s", sr->uuid.s);
	struct lvm_dev **dev;
	struct lvm_lv *mgt;
	uint32_t n;
	int err = lvm_lock_host(sr, l);

	if (!err)
		err = lvm_find(sr, l, name);
	if (!err)
		err = lvm_vg_get(&l->set, name, &l->vg);
	if (err == -E_LVM_VG_MISSING)
		return 0;		/* somebody was here before */
	if (err)
		return fail(sr->ctx, err, "VG %s", name);
	err = lvm_vg_may_change(l->vg, false);
	if (err)
		return lvm_refused(sr, l->vg, err);
	err = must_be_empty(sr, l->vg);
	if (err)
		return err;
	mgt = lvm_lv_find(l->vg, MGT_NAME);
	n = l->vg->n_devs;
	dev = arena_copy(&sr->ctx->arena, l->vg->dev, n * sizeof(*dev));
	if (mgt)
		err = lvm_lv_remove(l->vg, mgt);
	if (!err)
		err = lvm_vg_remove(l->vg);
	if (err)
		return fail(sr->ctx, err, "remove the VG");
	err = lvm_commit_now(sr, "sr destroy");		/* commit */
	devices_forget(sr);
	return err ? err : clear_labels(sr, dev, n, name);
}
