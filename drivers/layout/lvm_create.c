/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making, finding and removing the VG of an SR. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arch/clock.h"
#include "drivers/devices.h"
#include "drivers/layout.h"
#include "drivers/layout/lvm.h"
#include "drivers/sr.h"
#include "lib/blkid.h"
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

static struct lvm_sr *staged(struct sr *sr)
{
	struct lvm_sr *l = arena_alloc(&sr->ctx->arena, sizeof(*l));

	l->lock = -1;
	sr->layout_data = l;
	return l;
}

/* A PV of a living VG is never taken, whatever the caller wishes. */
static int must_be_free(struct sr *sr, const struct lvm_sr *l)
{
	size_t n = sr_devices(sr)->n;

	for (size_t i = 0; i < n; i++) {
		const struct lvm_dev *d = &l->dev[i];
		struct uuid u;

		if (!d->vg && !d->outdated)
			continue;
		if (d->vg && !strncmp(d->vg->name, VG_PREFIX, strlen(VG_PREFIX)) &&
		    !uuid_parse(&u, d->vg->name + strlen(VG_PREFIX))) {
			hint(sr->ctx, "sm sr introduce %s --type %s", u.s, sr->type->names[0]);
			return fail_say(sr->ctx, -E_SR_EXISTS, "SR %s is on %s already", u.s, d->path);
		}
		hint(sr->ctx, "remove the VG first, with lvm2: vgremove");
		return fail_say(sr->ctx, -E_SR_IN_USE, "%s is a PV of the VG %s", d->path,
				d->vg ? d->vg->name : "another host knows");
	}
	return 0;
}

/* What else lies there goes only when the caller says so; it is named before it goes. */
static int must_be_blank(struct sr *sr, const struct lvm_sr *l)
{
	for (size_t i = 0; i < sr_devices(sr)->n; i++) {
		const char *what;
		int err = blkid_find(l->dev[i].io, &what);

		if (err)
			return fail(sr->ctx, err, "read %s", l->dev[i].path);
		if (!what)
			continue;
		if (!sr->force) {
			hint(sr->ctx, "--force destroys it");
			return fail_say(sr->ctx, -E_SR_EXISTS, "%s holds %s", l->dev[i].path, what);
		}
		logf_warn(sr->ctx, "sr create: %s held %s, which is overwritten", l->dev[i].path, what);
	}
	return 0;
}

/* The old contents go first, and the label last: a death leaves an empty disk or a PV of none. */
static int make_pv(struct sr *sr, struct lvm_dev *d)
{
	struct lvm_pv_spec spec = {
		.device_size = d->io->size, .metadata_size = METADATA_SIZE, .n_mdas = 1,
	};
	struct lvm_label label;
	struct lvm_id id;
	int err;

	new_id(&id);
	err = lvm_pv_plan(&spec, &id, &label);
	if (!err)
		err = io_zero(d->io, 0, d->io->size < WIPE ? d->io->size : WIPE);
	if (!err && d->io->size > 2 * WIPE)	/* GPT and md keep copies at the end */
		err = io_zero(d->io, d->io->size - MiB, MiB);
	if (!err)
		err = io_flush(d->io);
	if (!err)
		err = lvm_pv_create(d->io, &label);
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

/*
 * PVs, then the contents of MGT in extents that nobody owns yet, then the VG
 * with MGT in it: one commit.  What a death leaves before it are PVs in no VG,
 * which the next create takes.
 */
int lvm_create(struct sr *sr)
{
	struct arena *a = &sr->ctx->arena;
	struct lvm_sr *l = staged(sr);
	size_t n = sr_devices(sr)->n;
	struct lvm_stamp stamp;
	struct lvm_id id;
	int err = lvm_lock(sr, l, false);

	if (!err)
		err = lvm_read(sr, l);
	if (!err)
		err = must_be_free(sr, l);
	if (!err)
		err = must_be_blank(sr, l);
	for (size_t i = 0; !err && i < n; i++)
		err = make_pv(sr, &l->dev[i]);
	if (err)
		return err;
	err = lvm_read(sr, l);		/* and now as PVs */
	new_id(&id);
	if (!err)
		err = lvm_vg_new(a, arena_printf(a, VG_PREFIX "%s", sr->uuid.s), &id, EXTENT, NULL, &l->vg);
	for (size_t i = 0; !err && i < n; i++)
		err = lvm_vg_extend(l->vg, &l->dev[i]);
	if (err)
		return fail(sr->ctx, err, "make the VG");
	lvm_fill_stamp(sr, &stamp, "sr create");
	err = make_mgt(sr, l->vg, &stamp);
	return err ? err : lvm_commit_now(sr, "sr create");	/* commit */
}

int lvm_probe(struct sr *sr, struct sr_info *found)
{
	struct lvm_sr *l = staged(sr);
	int err = lvm_read(sr, l);

	if (err)
		return err;
	for (size_t i = 0; i < l->set.n_found; i++) {
		const struct lvm_found *f = l->set.found[i];
		const char *name = f->best->is.name;

		if (strncmp(name, VG_PREFIX, strlen(VG_PREFIX)) ||
		    uuid_parse(&found->uuid, name + strlen(VG_PREFIX)))
			continue;
		found->type = sr->type->names[0];
		l->vg = f->vg;
		if (l->vg && !mgt_read_head(sr)) {
			found->name = l->mgt.name;
			found->description = l->mgt.description;
		}
		return 0;
	}
	return -E_SR_MISSING;
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

/*
 * MGT and the VG in one commit, by which the SR is gone; then the labels, so
 * that the disks are empty.  A death between leaves PVs in no VG.
 */
int lvm_destroy(struct sr *sr)
{
	struct lvm_sr *l = lvm_of(sr) && lvm_of(sr)->vg ? lvm_of(sr) : staged(sr);
	const char *name = arena_printf(&sr->ctx->arena, VG_PREFIX "%s", sr->uuid.s);
	struct lvm_lv *mgt;
	int err = l->lock < 0 ? lvm_lock(sr, l, false) : 0;

	if (!err)
		err = lvm_read(sr, l);
	if (!err)
		err = lvm_vg_get(&l->set, name, &l->vg);
	if (err == -E_LVM_VG_MISSING)
		return 0;		/* somebody was here before */
	if (!err)
		err = must_be_empty(sr, l->vg);
	if (err)
		return fail(sr->ctx, err, "VG %s", name);
	mgt = lvm_lv_find(l->vg, MGT_NAME);
	if (mgt)
		err = lvm_lv_remove(l->vg, mgt);
	if (!err)
		err = lvm_vg_remove(l->vg);
	if (err)
		return fail(sr->ctx, err, "remove the VG");
	err = lvm_commit_now(sr, "sr destroy");		/* commit */
	for (size_t i = 0; !err && i < sr_devices(sr)->n; i++) {
		err = lvm_pv_remove(l->dev[i].io, &l->dev[i].label);
		if (err)
			fail(sr->ctx, err, "clear the label of %s", l->dev[i].path);
	}
	return err;
}
