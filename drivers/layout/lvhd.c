/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making and changing VHD disks in LVs.
 *
 * Everything that a step changes in the VG is one commit, with the contents of
 * new LVs written before, in extents that are nobody's until then, and records
 * of new disks in MGT before as well: a record without a volume counts for
 * nothing.  Only what an image says of itself has to come after, and then a
 * journal of upstream's kind stands in the same commit (lib/lvhd/journal.h).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arch/clock.h"
#include "arch/dm.h"
#include "drivers/cbt.h"
#include "drivers/format.h"
#include "drivers/layout.h"
#include "drivers/layout/lvhd.h"
#include "drivers/lease.h"
#include "drivers/sr.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/lvhd/journal.h"
#include "lib/lvm2/commit.h"
#include "lib/lvm2/dm.h"
#include "lib/lvm2/lv_io.h"
#include "lib/lvm2/ops.h"
#include "lib/vhd/edit.h"
#include "lib/vhd/resize.h"

/* --- what lib/lvhd asks of us ------------------------------------------------ */

/* The kernel is the record: counts in /run may be of an earlier boot. */
static int in_use(void *arg, const struct lvm_lv *lv)
{
	struct sr *sr = arg;
	char uuid[LVM_DM_UUID];
	_close_ int ctl = dm_open();
	struct dm_info info;
	int err;

	if (ctl < 0)		/* without device-mapper nothing is active */
		return LVHD_IDLE;
	lvm_dm_uuid(uuid, lvm_of(sr)->vg, lv, NULL);
	err = dm_info(ctl, dm_by_uuid(uuid), &info);
	if (err)
		return err == -ENXIO ? LVHD_IDLE : err;
	return info.read_only ? LVHD_READ : info.open_count ? LVHD_OPEN : LVHD_ACTIVE;
}

void lvhd_bind(struct sr *sr, struct lvhd *h)
{
	struct lvm_stamp stamp;

	lvm_fill_stamp(sr, &stamp, "");
	*h = (struct lvhd){
		.vg = lvm_of(sr)->vg, .arena = &sr->ctx->arena, .host = stamp.host,
		.now = stamp.now, .random = random_bytes, .in_use = in_use, .arg = sr,
	};
}

static int is_active(struct sr *sr, const char *lv)
{
	hint(sr->ctx, "detach the disk; or lvchange -an %s/%s", lvm_of(sr)->vg->name, lv);
	return fail_say(sr->ctx, -E_VDI_IN_USE, "%s is active on this host", lv);
}

int lvhd_failed(struct sr *sr, const struct lvhd *h, int err)
{
	const struct lvm_vg *vg = h->vg;

	if (err == -E_LVM_NO_SPACE)
		return fail_say(sr->ctx, -E_SR_NO_SPACE, "VG is full: %llu bytes are free",
				(unsigned long long)(lvm_vg_free(vg) * lvm_extent_bytes(vg)));
	if (err == -E_VDI_IN_USE && h->why)
		return is_active(sr, h->why);
	return fail(sr->ctx, err, "%s", h->why ? h->why : vg->name);
}

bool lvhd_is_thick(struct sr *sr)
{
	const char *s = kv_get(&sr->sm_config, "allocation");

	if (!s)
		s = kv_get(&sr->dconf, "allocation");
	if (!s && !mgt_read_head(sr))
		s = lvm_of(sr)->mgt.allocation;
	return !s || strcmp(s, "thin");
}

int lvhd_idle(struct sr *sr, const struct lvm_lv *lv)
{
	int err = in_use(sr, lv);

	return err > 0 ? is_active(sr, lv->name) : err ? fail(sr->ctx, err, "%s", lv->name) : 0;
}

int lvhd_settled(struct sr *sr, const struct uuid *u)
{
	struct lvhd h = { .vg = lvm_of(sr)->vg };
	const struct lvm_lv *journal = lvhd_journal_of(&h, u);

	if (!journal)
		return 0;
	hint(sr->ctx, "sm sr check %s --repair", sr->uuid.s);
	return fail_say(sr->ctx, -E_VDI_UNAVAILABLE, "VDI %s: an interrupted operation waits for its "
			"end: %s", u->s, journal->name);
}

int lvhd_begin(struct sr *sr, const struct uuid *u, struct lvhd *h)
{
	int err;

	lvhd_bind(sr, h);
	err = lvm_vg_may_change(h->vg, false);
	if (err)
		return lvm_refused(sr, h->vg, err);
	return lvhd_settled(sr, u);
}

/* Committed, though not every copy of the metadata could be brought up to date. */
static bool is_done(int err)
{
	return !err || err == -E_LVM_HALF;
}

static struct lvm_lv *lv_of(struct sr *sr, const struct vdi *vdi)
{
	return lvm_lv_find(lvm_of(sr)->vg, vdi->volume);
}

/* --- making --------------------------------------------------------------------- */

/* The old volume of the uuid goes when the new one comes; its extents are not used for it. */
static int step_aside(struct lvhd *h, const struct uuid *u, struct lvm_lv **old)
{
	*old = lvm_lv_find(h->vg, lvhd_name(h->arena, LVHD_VHD, u));
	if (!*old)
		return -E_VDI_MISSING;
	h->why = arena_strdup(h->arena, (*old)->name);
	if (in_use(h->arg, *old))
		return -E_VDI_IN_USE;
	return lvm_lv_rename(h->vg, *old, lvhd_name(h->arena, LVHD_OLD, u));
}

static int make(struct sr *sr, struct lvhd *h, const struct vdi *vdi,
		const struct volume_spec *spec)
{
	/* A snapshot is read, if at all; it grows when somebody attaches it for writing. */
	bool thick = (spec->thick || (!spec->thin && lvhd_is_thick(sr))) && !vdi->snapshot_of.s[0];
	struct lvhd_create c = {
		.uuid = vdi->uuid, .virtual_size = spec->virtual_size,
		.lv_bytes = thick ? lvhd_size_full(spec->virtual_size) : lvhd_size_thin(),
	};
	_io_close_ struct io *io = NULL;
	_vhd_close_ struct vhd *parent = NULL;
	struct lvm_lv *lv, *old = NULL;
	int err = 0;

	if (spec->replace)
		err = step_aside(h, &vdi->uuid, &old);
	if (!err && spec->parent) {
		c.parent = lv_of(sr, spec->parent);
		if (!c.parent)
			err = -E_VDI_MISSING;
		else if (strcmp(spec->parent->format, "raw"))
			err = lvhd_open(h, c.parent, 0, &io, &parent);
		c.image = parent;
	}
	if (!err)
		err = lvhd_create(h, &c, &lv);
	if (IS_ENABLED(CONFIG_VDI_COPY) && !err && vdi->hidden)
		err = lvhd_set_hidden(h, lv, true);
	if (!err && old)
		err = lvm_lv_remove(h->vg, old);
	return err ? lvhd_failed(sr, h, err) : 0;
}

/*
 * The image, the record, and the metadata (commit).  One that is hidden for now
 * has the record that it will have.
 */
int lvhd_volume_create(struct sr *sr, struct vdi *vdi, const struct volume_spec *spec)
{
	const struct vdi *one = vdi;
	enum lvhd_kind kind;
	struct lvhd h;
	int err = lvhd_begin(sr, &vdi->uuid, &h);

	if (!err && !spec->replace && lvhd_find(&h, &vdi->uuid, &kind))
		err = fail_say(sr->ctx, -E_VDI_EXISTS, "VDI %s already exists", vdi->uuid.s);
	if (!err)
		err = make(sr, &h, vdi, spec);
	vdi->format = "vhd";
	vdi->hidden = false;
	if (!err && !spec->replace)
		err = mgt_put_all(sr, &one, 1);
	if (!err)
		err = lvm_commit_now(sr, "vdi create");		/* commit */
	return is_done(err) ? lvm_vdi_find(sr, &vdi->uuid, vdi) : err;
}

/* --- growing -------------------------------------------------------------------- */

/*
 * Space for the new size, and for the journal if growing needs one: in memory,
 * the journal's first sector cleared, since what lay there is none.
 */
static int add_room(struct sr *sr, struct lvhd *h, struct lvm_lv *lv, const struct uuid *u,
		    uint64_t virtual_size, struct lvm_lv **journal)
{
	_io_close_ struct io *io = NULL, *jio = NULL;
	_vhd_close_ struct vhd *v = NULL;
	uint64_t bytes = 0;
	int err = lvhd_open(h, lv, VHD_RDWR, &io, &v);

	if (!err)
		bytes = vhd_resize_journal(v, virtual_size);
	if (!err && (bytes || lvhd_is_thick(sr)))
		err = lvhd_grow(h, lv, lvhd_size_full(virtual_size));
	if (err || !bytes)
		return err;
	err = lvhd_new_lv(h, lvhd_name(h->arena, LVHD_RESIZE, u), bytes, LVHD_TAG_RESIZE, journal);
	if (!err)
		err = lvm_lv_io(&jio, h->vg, *journal);
	if (!err)
		err = io_zero(jio, 0, VHD_SECTOR);
	return err ? err : io_flush(jio);
}

static int grow_image(struct lvhd *h, struct lvm_lv *lv, uint64_t virtual_size,
		      struct lvm_lv *journal)
{
	_io_close_ struct io *io = NULL, *jio = NULL;
	_vhd_close_ struct vhd *v = NULL;
	int err = lvhd_open(h, lv, VHD_RDWR, &io, &v);

	if (!err && journal)
		err = lvm_lv_io(&jio, h->vg, journal);
	if (!err)
		err = vhd_resize(v, virtual_size, jio);
	return err;
}

/* The footer is where the end will be; then the size (commit). */
int lvhd_volume_inflate(struct sr *sr, const struct vdi *vdi)
{
	struct lvm_lv *lv = lv_of(sr, vdi);
	struct lvhd h;
	uint32_t extents = lv ? lv->extents : 0;
	int err = lv ? lvhd_begin(sr, &vdi->uuid, &h) : fail(sr->ctx, -E_VDI_MISSING, "%s", vdi->volume);

	if (err || strcmp(vdi->format, "vhd"))
		return err;
	err = lvhd_grow(&h, lv, lvhd_size_full(vdi->virtual_size));
	if (err)
		return lvhd_failed(sr, &h, err);
	if (lv->extents != extents)
		err = lvm_commit_now(sr, "vdi attach");		/* commit */
	return is_done(err) ? 0 : err;
}

/* The footer is where the end will be; then the size (commit). */
int lvhd_volume_deflate(struct sr *sr, const struct vdi *vdi)
{
	struct lvm_lv *lv = lv_of(sr, vdi);
	struct lvhd h;
	uint32_t extents;
	int err;

	if (!lv || strcmp(vdi->format, "vhd") || (lvhd_is_thick(sr) && !vdi->snapshot_of.s[0]) ||
	    in_use(sr, lv))
		return 0;
	err = lvhd_begin(sr, &vdi->uuid, &h);
	if (err)
		return err;
	extents = lv->extents;
	err = lvhd_shrink(&h, lv, 0);
	if (err)
		return lvhd_failed(sr, &h, err);
	if (lv->extents != extents)
		err = lvm_commit_now(sr, "vdi detach");		/* commit */
	return is_done(err) ? 0 : err;
}

/*
 * Room first, in one commit with the journal if there has to be one, then the
 * image's own numbers (commit).  A death between leaves a disk of the old size
 * in a larger LV, or a journal by which the image gets its old form back.
 */
int lvhd_volume_resize(struct sr *sr, struct vdi *vdi, uint64_t virtual_size)
{
	struct lvm_lv *lv = lv_of(sr, vdi), *journal = NULL;
	struct lvhd h;
	uint32_t extents = lv->extents;
	int err = lvhd_begin(sr, &vdi->uuid, &h);

	if (err)
		return err;
	err = add_room(sr, &h, lv, &vdi->uuid, virtual_size, &journal);
	if (err)
		return lvhd_failed(sr, &h, err);
	if (journal || lv->extents != extents)
		err = lvm_commit_now(sr, "vdi resize");
	if (!is_done(err))
		return err;
	err = grow_image(&h, lv, virtual_size, journal);		/* commit */
	if (!err && journal)
		err = lvm_lv_remove(h.vg, journal);
	if (err)
		return lvhd_failed(sr, &h, err);
	err = journal ? lvm_commit_now(sr, "vdi resize") : 0;
	return is_done(err) ? lvm_vdi_find(sr, &vdi->uuid, vdi) : err;
}

/* --- snapshots -------------------------------------------------------------------- */

static void plan_snapshot(struct sr *sr, const struct volume_split *s, struct lvhd_snapshot *to)
{
	bool thick = lvhd_is_thick(sr);
	bool grows = IS_ENABLED(CONFIG_LVM_THIN_GROW) && s->leaf->at.grows && lvhd_grows(sr);

	*to = (struct lvhd_snapshot){
		.leaf = s->leaf->uuid, .hold = s->hold, .hold_arg = s->arg,
		/* Who writes it now goes on to: there has to be room for all of it, if he cannot ask. */
		.thick_leaf = (s->leaf_active && (!s->clone || s->hold) && !grows) ||
			(thick && !s->leaf->snapshot_of.s[0]),
		.leaf_ahead = s->leaf_active && grows ? lvhd_size_ahead(0) : 0,
		.thick_clone = thick && s->clone,
	};
	if (s->base)
		to->base = s->base->uuid;
	if (s->copy)
		to->clone = s->copy->uuid;
}

int lvhd_split_space(struct sr *sr, const struct volume_split *s, uint64_t *bytes)
{
	struct lvhd_snapshot plan;
	uint64_t gain = 0;
	struct lvhd h;
	int err = 0;

	lvhd_bind(sr, &h);
	plan_snapshot(sr, s, &plan);
	if (s->base)
		err = lvhd_snapshot_space(&h, &plan, bytes, &gain);
	else
		*bytes = plan.thick_clone ? lvhd_size_full(s->leaf->virtual_size) : lvhd_size_thin();
	if (err)
		return lvhd_failed(sr, &h, err);
	*bytes = *bytes > gain ? *bytes - gain : 0;
	return 0;
}

/*
 * Where only the unused end of the leaf makes room for the new ones, it has to
 * go first: nothing may be written over it while it is still the leaf's.
 */
static int make_room(struct sr *sr, struct lvhd *h, struct lvhd_snapshot *plan,
		     struct volume_split *s)
{
	uint64_t need, gain, spare = lvm_vg_free(h->vg) * lvm_extent_bytes(h->vg);
	enum lvhd_kind kind;
	bool held;
	int err = lvhd_snapshot_space(h, plan, &need, &gain);

	if (err || need - LVHD_UNIT <= spare || !gain)
		return err ? lvhd_failed(sr, h, err) : 0;
	held = s->hold;
	err = volume_hold(s);
	plan->hold = NULL;
	if (!err && held)
		h->held = lvhd_find(h, &plan->leaf, &kind);
	if (!err)
		err = lvhd_snapshot_space(h, plan, &need, &gain);
	if (err)
		return fail(sr->ctx, err, "%s", h->vg->name);
	if (need - gain > spare)
		return lvhd_failed(sr, h, -E_LVM_NO_SPACE);
	err = lvhd_shrink(h, lvhd_find(h, &plan->leaf, &kind), 0);
	if (err)
		return lvhd_failed(sr, h, err);
	err = lvm_commit_now(sr, "vdi snapshot");
	return is_done(err) ? 0 : err;
}

/* What the names of the volumes are, which is all that is needed to use them. */
static void volumes_go(struct lvhd *h, struct volume_split *s)
{
	struct vdi leaf = { .uuid = s->leaf->uuid, .format = "vhd" };
	enum lvhd_kind kind;

	s->base->format = s->leaf->format;
	snprintf(leaf.volume, sizeof(leaf.volume), "%s", lvhd_find(h, &leaf.uuid, &kind)->name);
	snprintf(s->base->volume, sizeof(s->base->volume), "%s", lvhd_find(h, &s->base->uuid, &kind)->name);
	volume_go(s, &leaf, s->base);
}

static int put_records(struct sr *sr, const struct volume_split *s)
{
	struct vdi leaf = *s->leaf, base = *s->base, copy;
	const struct vdi *v[3] = { &base, &leaf, &copy };

	base.format = s->leaf->format;
	base.hidden = base.read_only = true;
	leaf.format = "vhd";
	if (s->copy) {
		copy = *s->copy;
		copy.format = "vhd";
	}
	return mgt_put_all(sr, v, s->copy ? 3 : 2);
}

/* What the new disks have become. */
static int find_all(struct sr *sr, struct volume_split *s)
{
	struct uuid base = s->base->uuid, copy = s->copy ? s->copy->uuid : base;
	int err = lvm_vdi_find(sr, &base, s->base);

	return err || !s->copy ? err : lvm_vdi_find(sr, &copy, s->copy);
}

/* All in one commit; then the base is hidden, and the journal that said so goes. */
int lvhd_volume_split(struct sr *sr, struct volume_split *s)
{
	/* Of a snapshot; a clone begins a life of its own, and the leaf's log goes on. */
	bool logged = IS_ENABLED(CONFIG_LVM_CBT) && s->copy && s->copy->snapshot_of.s[0];
	struct lvhd_snapshot plan;
	enum lvhd_kind kind;
	struct lvhd h;
	bool more;
	int err = lvhd_begin(sr, &s->leaf->uuid, &h);

	plan_snapshot(sr, s, &plan);
	if (!err)
		err = make_room(sr, &h, &plan, s);
	if (err)
		return err;
	err = put_records(sr, s);
	if (err)
		return err;
	err = lvhd_snapshot(&h, &plan);
	if (err)
		return lvhd_failed(sr, &h, err);
	if (IS_ENABLED(CONFIG_LVM_CBT) && logged)
		err = lvhd_cbt_rotate(sr, &h, &plan.leaf, &plan.clone);
	if (!err)
		err = lvm_commit_now(sr, "vdi snapshot");	/* commit */
	if (!is_done(err))
		return err;
	if (IS_ENABLED(CONFIG_LVM_CBT) && logged && cbt_link(sr, &plan.leaf, &plan.clone)) {
		logf_err(sr->ctx, "%s", sr->ctx->why);	/* sr scan puts it right */
		fail_clear(sr->ctx);
	}
	volumes_go(&h, s);
	/* Its device may not have become read-only, but nobody writes it any more. */
	h.held = plan.shrink_later || h.held ? lvhd_find(&h, &plan.base, &kind) : NULL;
	err = lvhd_snapshot_end(&h, &plan, &more);
	if (err)
		return fail(sr->ctx, lvhd_failed(sr, &h, err),
			    "it is made, and the next verb will finish it");
	err = more ? lvm_commit_now(sr, "vdi snapshot") : 0;
	if (is_done(err) && plan.shrink_later)
		lvm_device_follow(sr, s->base);
	return is_done(err) ? find_all(sr, s) : err;
}

/* --- the bytes --------------------------------------------------------------------- */

int lvhd_volume_io(struct sr *sr, const struct vdi *vdi, bool writable, struct io **io)
{
	const struct lvm_lv *lv = lv_of(sr, vdi);
	int err = !lv ? fail(sr->ctx, -E_VDI_MISSING, "%s", vdi->volume) : 0;

	if (IS_ENABLED(CONFIG_SHARED_SR) && !err)
		err = sr_renew(sr);
	if (!err && writable)
		err = lvhd_idle(sr, lv);
	if (err)
		return err;
	err = lvm_lv_io(io, lvm_of(sr)->vg, lv);
	if (!err && !writable)
		(*io)->read_only = true;
	return err ? fail(sr->ctx, err, "open %s", vdi->volume) : 0;
}
