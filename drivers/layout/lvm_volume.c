/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VDIs as logical volumes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "arch/clock.h"
#include "arch/dm.h"
#include "drivers/devices.h"
#include "drivers/format.h"
#include "drivers/layout.h"
#include "drivers/layout/lvhd.h"
#include "drivers/layout/lvm.h"
#include "drivers/port.h"
#include "drivers/sr.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/kconfig.h"
#include "lib/lvm2/dm.h"
#include "lib/lvm2/lv_io.h"
#include "lib/lvm2/ops.h"

/*
 * What a new volume must not show of the disk that lay there before: the first
 * and the last of it, where file systems, partition tables and PVs have their
 * signatures.
 */
#define WIPE_FIRST	((uint64_t)4 << 20)
#define WIPE_LAST	((uint64_t)1 << 20)

void lvm_vdi_fill(struct sr *sr, const struct lvm_lv *lv, struct vdi *vdi)
{
	const char *format = lvm_volume_format(lv->name, &vdi->uuid);

	vdi->location = arena_strdup(&sr->ctx->arena, vdi->uuid.s);
	vdi->name = vdi->description = vdi->type = "";
	vdi->format = format;
	vdi->sector_size = 512;
	vdi->physical_size = lvm_lv_bytes(lvm_of(sr)->vg, lv);
	vdi->hidden = lvm_has_tag(&lv->tags, "hidden");
	vdi->read_only = !(lv->flags & LVM_LV_WRITE);
	snprintf(vdi->volume, sizeof(vdi->volume), "%s", lv->name);
	kv_set(&sr->ctx->arena, &vdi->sm_config, "vdi_type", strcmp(format, "raw") ? "vhd" : "aio");
}

static int load(struct sr *sr, const struct lvm_lv *lv, struct vdi *vdi)
{
	lvm_vdi_fill(sr, lv, vdi);
	if (lv->partial)
		return fail_say(sr->ctx, -E_VDI_LOAD, "%s: a device that it lies on is missing, or marked so",
				lv->name);
	if (!strcmp(vdi->format, "raw")) {
		vdi->virtual_size = vdi->physical_size;
		return 0;
	}
	if (!IS_ENABLED(CONFIG_LVHD))
		return fail_say(sr->ctx, -E_UNSUPPORTED, "%s: VHD disks cannot be used here", lv->name);
	return lvhd_load(sr, lv, vdi);
}

int lvm_vdi_list(struct sr *sr, struct vdis *l)
{
	struct arena *a = &sr->ctx->arena;

	if (!lvm_of(sr) || !lvm_of(sr)->vg)	/* staged, and there is no such VG */
		return 0;
	vdis_expect(a, l, lvm_of(sr)->vg->n_lvs);
	for (const struct lvm_lv *lv = lvm_of(sr)->vg->first; lv; lv = lv->next) {
		struct vdi vdi = { 0 };
		const char *format = lvm_volume_format(lv->name, &vdi.uuid);

		if (!format || (IS_ENABLED(CONFIG_LVHD) && strcmp(format, "raw")))
			continue;
		if (load(sr, lv, &vdi)) {
			vdis_problem(a, l, &(struct problem){
				.object = arena_strdup(a, vdi.uuid.s),
				.what = arena_strdup(a, sr->ctx->why), .severity = "error" });
			fail_clear(sr->ctx);
			continue;
		}
		*vdis_add(a, l) = vdi;
	}
	if (IS_ENABLED(CONFIG_LVHD))
		lvhd_load_all(sr, l);
	return mgt_fill(sr, l);
}

int lvm_vdi_find(struct sr *sr, const struct uuid *uuid, struct vdi *vdi)
{
	const struct lvm_vg *vg = lvm_of(sr)->vg;
	struct arena *a = &sr->ctx->arena;
	const struct lvm_lv *raw = lvm_lv_find(vg, arena_printf(a, "LV-%s", uuid->s));
	const struct lvm_lv *vhd = lvm_lv_find(vg, arena_printf(a, "VHD-%s", uuid->s));
	struct vdis one = { 0 };
	int err;

	if (!raw && !vhd)
		return -E_VDI_MISSING;
	if (raw && vhd)
		return fail_say(sr->ctx, -E_VDI_LOAD, "it is here twice: %s and %s", raw->name, vhd->name);
	*vdi = (struct vdi){ .uuid = *uuid };
	err = load(sr, raw ? raw : vhd, vdi);
	if (err)
		return err;
	*vdis_add(a, &one) = *vdi;
	err = mgt_fill(sr, &one);
	*vdi = one.v[0];
	return err;
}

/* The extents are still free as far as anybody knows, so this may die anywhere. */
static int wipe(struct sr *sr, const struct lvm_lv *lv)
{
	_io_close_ struct io *io = NULL;
	int err = lvm_lv_io(&io, lvm_of(sr)->vg, lv);
	uint64_t first;

	if (err)
		return fail(sr->ctx, err, "open %s", lv->name);
	first = io->size < WIPE_FIRST ? io->size : WIPE_FIRST;
	err = io_zero(io, 0, first);
	if (!err && io->size > first + WIPE_LAST)
		err = io_zero(io, io->size - WIPE_LAST, WIPE_LAST);
	if (!err)
		err = io_flush(io);
	return err ? fail(sr->ctx, err, "wipe %s", lv->name) : 0;
}

static int no_space(struct sr *sr, int err, uint64_t asked)
{
	const struct lvm_vg *vg = lvm_of(sr)->vg;

	if (err != -E_LVM_NO_SPACE)
		return err;
	return fail_say(sr->ctx, -E_SR_NO_SPACE, "VG is full: free space: %llu, need: %llu",
			(unsigned long long)(lvm_vg_free(vg) * lvm_extent_bytes(vg)),
			(unsigned long long)asked);
}

/*
 * The volume's first bytes, the record in MGT, and then the metadata (commit).
 * A death before it leaves a record without a volume, which the next verb that
 * changes the SR removes.
 */
int lvm_volume_create(struct sr *sr, struct vdi *vdi, const struct volume_spec *spec)
{
	struct arena *a = &sr->ctx->arena;
	struct lvm_vg *vg = lvm_of(sr)->vg;
	struct lvm_lv_spec s = { .bytes = spec->virtual_size };
	struct lvm_stamp stamp;
	struct lvm_lv *lv;
	struct vdi there;
	uint8_t random[32];
	int err = lvm_vdi_find(sr, &vdi->uuid, &there);

	if (IS_ENABLED(CONFIG_LVHD) && !spec->format->direct)
		return lvhd_volume_create(sr, vdi, spec);
	if (err != -E_VDI_MISSING) {
		fail_clear(sr->ctx);
		return fail_say(sr->ctx, -E_VDI_EXISTS, "VDI %s already exists", vdi->uuid.s);
	}
	err = lvm_vg_may_change(vg, false);
	if (err)
		return lvm_refused(sr, vg, err);
	lvm_fill_stamp(sr, &stamp, "vdi create");
	random_bytes(random, sizeof(random));
	lvm_id_make(&s.id, random);
	s.name = arena_printf(a, "LV-%s", vdi->uuid.s);
	s.host = stamp.host;
	s.now = stamp.now;
	err = lvm_lv_create(vg, &s, &lv);
	if (err)
		return fail(sr->ctx, no_space(sr, err, spec->virtual_size), "make %s", s.name);
	vdi->format = "raw";
	if (IS_ENABLED(CONFIG_VDI_COPY) && vdi->hidden)
		err = lvm_lv_tag(vg, lv, LVHD_TAG_HIDDEN, true);
	if (!err)
		err = wipe(sr, lv);
	vdi->hidden = false;		/* in the record, which stays as it is made */
	if (!err)
		err = mgt_put(sr, vdi);
	if (err)
		return err;
	err = lvm_commit_now(sr, "vdi create");		/* commit */
	if (err && err != -E_LVM_HALF) {
		mgt_delete(sr, &vdi->uuid);
		return err;
	}
	return lvm_vdi_find(sr, &vdi->uuid, vdi);
}

/* The metadata (commit), then the record: without a volume it counts for nothing. */
int lvm_volume_delete(struct sr *sr, const struct vdi *vdi)
{
	struct lvm_vg *vg = lvm_of(sr)->vg;
	struct lvm_lv *lv = lvm_lv_find(vg, vdi->volume);
	int err = lvm_vg_may_change(vg, true);

	if (err)
		return lvm_refused(sr, vg, err);
	/* Nobody here serves a VHD, so the core has not asked whether somebody else does. */
	if (IS_ENABLED(CONFIG_LVHD) && lv && strcmp(vdi->format, "raw")) {
		err = lvhd_settled(sr, &vdi->uuid);
		if (!err)
			err = lvhd_idle(sr, lv);
		if (err)
			return err;
	}
	err = lv ? lvm_lv_remove(vg, lv) : -E_VDI_MISSING;
	if (err)
		return fail(sr->ctx, err, "remove %s", vdi->volume);
	err = lvm_commit_now(sr, "vdi delete");		/* commit */
	if (err && err != -E_LVM_HALF)
		return err;
	return mgt_delete(sr, &vdi->uuid);
}

int lvm_volume_resize(struct sr *sr, struct vdi *vdi, uint64_t virtual_size)
{
	struct lvm_vg *vg = lvm_of(sr)->vg;
	struct lvm_lv *lv = lvm_lv_find(vg, vdi->volume);
	uint64_t was;
	int err = lvm_vg_may_change(vg, false);

	if (IS_ENABLED(CONFIG_LVHD) && strcmp(vdi->format, "raw"))
		return lvhd_volume_resize(sr, vdi, virtual_size);
	if (err)
		return lvm_refused(sr, vg, err);
	was = lvm_lv_bytes(vg, lv);
	err = lvm_lv_resize(vg, lv, virtual_size);
	if (err)
		return fail(sr->ctx, no_space(sr, err, virtual_size - was), "grow %s", vdi->volume);
	err = lvm_commit_now(sr, "vdi resize");		/* commit */
	if (err && err != -E_LVM_HALF)
		return err;
	return lvm_vdi_find(sr, &vdi->uuid, vdi);
}

static const char *node_of(void *arg, const struct lvm_pv *pv)
{
	struct sr *sr = arg;
	const struct devices *all = sr_devices(sr);

	for (size_t i = 0; pv->dev && i < all->n; i++)
		if (all->v[i].io == pv->dev->io)
			return arena_printf(&sr->ctx->arena, "%u:%u", major(all->v[i].dev),
					    minor(all->v[i].dev));
	return NULL;
}

int lvm_volume_map(struct sr *sr, const struct vdi *vdi, struct volume_map *map)
{
	const struct lvm_vg *vg = lvm_of(sr)->vg;
	const struct lvm_lv *lv = lvm_lv_find(vg, vdi->volume);
	_buf_free_ struct buf table = { 0 };
	int err;

	if (!lv)
		return fail(sr->ctx, -E_VDI_MISSING, "%s", vdi->volume);
	err = lvm_dm_name(map->name, vg->name, lv->name, NULL);
	lvm_dm_uuid(map->uuid, vg, lv, NULL);
	if (!err)
		err = lvm_dm_table(vg, lv, node_of, sr, &table);
	map->table = arena_strdup(&sr->ctx->arena, buf_str(&table));
	map->group = vg->name;
	map->volume = lv->name;
	map->refuse = lvm_may_use(vg);
	if (map->refuse) {
		lvm_refused(sr, vg, map->refuse);
		map->why = arena_strdup(&sr->ctx->arena, sr->ctx->why);
		fail_clear(sr->ctx);
	}
	return err ? fail(sr->ctx, err, "the table of %s", vdi->volume) : 0;
}

int lvm_device_reload(struct sr *sr, const struct vdi *vdi, bool read_only)
{
	struct arena *a = &sr->ctx->arena;
	struct volume_map map = { 0 };
	struct dm_table table;
	struct dm_device d;
	_close_ int ctl = dm_open();
	int err = ctl < 0 ? ctl : lvm_volume_map(sr, vdi, &map);

	if (!err)
		err = dm_table_parse(a, map.table, &table);
	d = (struct dm_device){
		.name = map.name, .uuid = map.uuid, .kind = DM_GUEST, .read_only = read_only,
		.hurry = !read_only,
		.table = &table, .group = map.group, .volume = map.volume,
		.root = sr->ctx->root && *sr->ctx->root ? sr->ctx->root : NULL,
		.deadline = clock_now_mono() + 10 * NS_PER_S,
	};
	if (!err)
		err = dm_reload(ctl, &d, 0);
	return err;
}

/* What fails here is made up for when it is used next. */
void lvm_device_follow(struct sr *sr, const struct vdi *vdi)
{
	int err = lvm_device_reload(sr, vdi, true);

	if (err && err != -ENXIO)
		logf_warn(sr->ctx, "%s: its device does not follow: %s", vdi->volume, err_text(err));
	fail_clear(sr->ctx);
}

int lvm_volume_of_device(struct sr *sr, const char *uuid, struct volume_map *map)
{
	const struct lvm_vg *vg = lvm_of(sr)->vg;

	for (const struct lvm_lv *lv = vg->first; lv; lv = lv->next) {
		lvm_dm_uuid(map->uuid, vg, lv, NULL);
		if (strcmp(map->uuid, uuid))
			continue;
		map->group = vg->name;
		map->volume = lv->name;
		return lvm_dm_name(map->name, vg->name, lv->name, NULL);
	}
	return -E_VDI_MISSING;
}

static bool is_of(struct arena *a, const struct dm_entry *e, const char *vg)
{
	char *name, *volume, *layer;

	return !lvm_dm_split(a, e->name, &name, &volume, &layer) && !strcmp(name, vg);
}

/* Ports whose record was lost: of volumes of this VG, and of nothing else. */
static int drop_ports(struct sr *sr, int ctl, const char *vg, const struct dm_entry *all, size_t n)
{
	struct arena *a = &sr->ctx->arena;
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		struct vdi vdi = { 0 };
		bool ours = false;
		dev_t *below;
		size_t n_below;

		if (strncmp(all[i].name, "sm-", 3) || uuid_parse(&vdi.uuid, all[i].name + 3) ||
		    dm_deps(ctl, dm_by_dev(all[i].dev), a, &below, &n_below))
			continue;
		for (size_t k = 0; k < n_below && !ours; k++)
			for (size_t m = 0; m < n && !ours; m++)
				ours = all[m].dev == below[k] && is_of(a, &all[m], vg);
		if (ours)
			err = port_remove(sr, &vdi);
	}
	return err;
}

/* By name: the VG itself may be out of reach. */
int lvm_quiesce(struct sr *sr)
{
	struct arena *a = &sr->ctx->arena;
	const char *name = arena_printf(a, VG_PREFIX "%s", sr->uuid.s);
	_close_ int ctl = dm_open();
	struct dm_entry *all;
	size_t n;
	int err;

	if (ctl < 0)			/* without device-mapper nothing is active */
		return 0;
	err = dm_list(ctl, a, &all, &n);
	if (!err && IS_ENABLED(CONFIG_DATAPATH_DM)) {
		err = drop_ports(sr, ctl, name, all, n);
		if (err)
			return err == -E_VDI_IN_USE ? fail(sr->ctx, -E_SR_IN_USE, "a VDI") : err;
	}
	for (size_t i = 0; i < n && !err; i++) {
		struct dm_device d = {
			.name = all[i].name, .uuid = *all[i].uuid ? all[i].uuid : NULL,
			.group = name, .root = sr->ctx->root && *sr->ctx->root ? sr->ctx->root : NULL,
			.deadline = clock_now_mono() + 10 * NS_PER_S,
		};
		char *vg, *volume, *layer;

		if (lvm_dm_split(a, all[i].name, &vg, &volume, &layer) || strcmp(vg, name))
			continue;
		d.volume = volume;
		err = dm_deactivate(ctl, &d);
		if (err == -EBUSY) {
			hint(sr->ctx, "see who has it open: fuser /dev/mapper/%s", all[i].name);
			return fail_say(sr->ctx, -E_SR_IN_USE, "%s is open", volume);
		}
	}
	if (!err)
		lvm_count_reset(sr);
	return err ? fail(sr->ctx, err, "look for active volumes") : 0;
}
