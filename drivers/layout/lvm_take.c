/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is on the devices of a new SR: does it belong to anybody? */
#include <string.h>

#include "drivers/devices.h"
#include "drivers/layout/lvm.h"
#include "drivers/sr.h"
#include "lib/blkid.h"
#include "lib/err.h"
#include "lib/kconfig.h"
#include "lib/log.h"

/* Everything on it goes: a device of dconf, or a partition of one. */
static bool goes(const struct devices *all, const struct device *d)
{
	if (d->named || !d->disk)
		return d->named;
	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].named && all->v[i].dev == d->disk)
			return true;
	return false;
}

static bool is_sr(const char *vg, struct uuid *u)
{
	return !strncmp(vg, VG_PREFIX, strlen(VG_PREFIX)) && !uuid_parse(u, vg + strlen(VG_PREFIX));
}

static const char *vg_of(const struct lvm_dev *d)
{
	if (d->vg)
		return d->vg->name;
	for (uint32_t i = 0; i < d->label.n_mda; i++)
		if (d->copy[i].version)
			return d->copy[i].version->is.name;
	return NULL;
}

/*
 * Says the label that it is in a VG, and nothing there contradicts it?  What a
 * dead "sr create" leaves has such a label, and an area that holds no text yet.
 */
static bool is_claimed(const struct lvm_dev *d)
{
	bool text_elsewhere = true;

	for (uint32_t i = 0; i < d->label.n_mda; i++)
		text_elsewhere = text_elsewhere && lvm_mda_is_ignored(&d->copy[i].mda);
	return d->label.ext_flags & LVM_LABEL_USED && text_elsewhere;
}

static bool is_damaged(const struct lvm_dev *d)
{
	for (uint32_t i = 0; i < d->label.n_mda; i++)
		if (d->copy[i].err)
			return true;
	return false;
}

static int must_be_no_pv(struct sr *sr, const struct lvm_dev *d)
{
	const char *vg = d->err ? NULL : vg_of(d);
	struct uuid u;

	if (d->err == -E_LVM_LABEL || (!d->err && !vg && is_damaged(d))) {
		if (IS_ENABLED(CONFIG_CLI_VG))
			hint(sr->ctx, "sm vg check %s; to give it up: wipefs -a %s", d->path, d->path);
		else
			hint(sr->ctx, "to give it up: wipefs -a %s", d->path);
		return fail_say(sr->ctx, -E_SR_IN_USE, "%s is a PV whose metadata is damaged", d->path);
	}
	if (d->err && d->err != -E_LVM_NO_LABEL)
		return fail(sr->ctx, d->err, "read %s", d->path);
	if (d->err || (!vg && !is_claimed(d)))
		return 0;
	if (!vg) {
		hint(sr->ctx, "is another disk missing? to give it up: pvremove -ff %s", d->path);
		return fail_say(sr->ctx, -E_SR_IN_USE, "%s is a PV of a VG that is not here", d->path);
	}
	if (d->outdated) {
		hint(sr->ctx, "pvremove -ff %s, with lvm2", d->path);
		return fail_say(sr->ctx, -E_SR_IN_USE, "%s holds an old copy of the VG %s", d->path, vg);
	}
	if (is_sr(vg, &u)) {
		hint(sr->ctx, "sm sr introduce %s --type %s", u.s, sr->type->names[0]);
		return fail_say(sr->ctx, -E_SR_EXISTS, "SR %s is on %s already", u.s, d->path);
	}
	hint(sr->ctx, "vgremove %s, with lvm2", vg);
	return fail_say(sr->ctx, -E_SR_IN_USE, "%s is a PV of the VG %s", d->path, vg);
}

/* A VG is found by its name, on whatever disks it is. */
static int name_must_be_new(struct sr *sr, const struct lvm_sr *l)
{
	for (size_t i = 0; i < l->set.n_found; i++) {
		const struct lvm_version *v = l->set.found[i]->best;
		struct uuid u;

		if (is_sr(v->is.name, &u) && uuid_equal(&u, &sr->uuid))
			return fail_say(sr->ctx, -E_SR_EXISTS, "SR %s is on %s already", u.s, v->path);
	}
	return 0;
}

/* What is found on a device, as in "an ext4 file system and swap space". */
static const char *holds(struct arena *a, const struct blkid_sign *sign, size_t n, bool *for_good)
{
	const char *all = NULL;

	for (size_t i = 0; i < n; i++) {
		if (!strcmp(sign[i].name, "LVM2_member"))
			continue;			/* its label has been read */
		*for_good = *for_good || sign[i].use == BLKID_MEMBER || sign[i].use == BLKID_CRYPT;
		if (!all)
			all = sign[i].what;
		else if (!strstr(all, sign[i].what))
			all = arena_printf(a, "%s and %s", all, sign[i].what);
	}
	return all;
}

/*
 * A file system or a partition table goes when the caller says so, and is named
 * before.  A member of an array or a pool, or what only a key opens, may be a
 * part of more than is seen here: that is for its owner to clear.
 */
static int must_be_blank(struct sr *sr, const struct lvm_sr *l)
{
	const struct devices *all = sr_devices(sr);
	struct arena *a = &sr->ctx->arena;
	const char *list = NULL;
	bool for_good = false;

	for (size_t i = 0; i < all->n; i++) {
		struct blkid_sign *sign;
		const char *what;
		size_t n;
		int err;

		if (!goes(all, &all->v[i]))
			continue;
		err = blkid_probe(all->v[i].io, a, &sign, &n);
		if (err)
			return fail(sr->ctx, err, "read %s", all->v[i].path);
		what = holds(a, sign, n, &for_good);
		if (what && for_good) {
			hint(sr->ctx, "if it is needed no more: wipefs -a %s", all->v[i].path);
			return fail_say(sr->ctx, -E_SR_IN_USE, "%s holds %s", all->v[i].path, what);
		}
		if (what)
			list = list ? arena_printf(a, "%s, %s %s", list, all->v[i].path, what) :
				arena_printf(a, "%s holds %s", all->v[i].path, what);
	}
	if (list && !sr->force) {
		hint(sr->ctx, "--force destroys %s", strchr(list, ',') ? "them" : "it");
		return fail_say(sr->ctx, -E_SR_EXISTS, "%s", list);
	}
	if (list && sr->write)
		logf_warn(sr->ctx, "sr create: %s: overwritten", list);
	return 0;
}

int lvm_may_take(struct sr *sr, const struct lvm_sr *l)
{
	const struct devices *all = sr_devices(sr);
	int err = 0;

	for (size_t i = 0; i < all->n && !err; i++)
		if (goes(all, &all->v[i]))
			err = must_be_no_pv(sr, &l->dev[i]);
	if (!err)
		err = name_must_be_new(sr, l);
	return err ? err : must_be_blank(sr, l);
}
