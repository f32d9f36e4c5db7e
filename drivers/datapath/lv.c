/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lv: a raw volume of a volume group.
 *
 *	/dev/mapper/sm-<VDI>   linear    what is handed out: the port (port.h)
 *	/dev/<VG>/<LV>         as LVM2 would make it, so that either of us finds
 *	                                 what the other has activated
 *
 * activate: the volume, then the port (commit).  deactivate: the port (commit),
 * then the volume.  A volume that LVM2 made active has no port: attach puts one.  One whose
 * port lies on nbd is that server's, and no business of ours.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/blk.h"
#include "arch/clock.h"
#include "arch/dm.h"
#include "drivers/datapath.h"
#include "drivers/layout.h"
#include "drivers/port.h"
#include "drivers/sr.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/kconfig.h"

/* How long udev, or somebody who looks at a device, may keep us waiting. */
#define PATIENCE	(10 * NS_PER_S)

static bool serves(const struct vdi *vdi)
{
	return !strcmp(vdi->format, "raw");
}

static int map_of(struct sr *sr, const struct vdi *vdi, struct volume_map *map)
{
	if (!sr->type->layout->volume_map)
		return fail(sr->ctx, -E_UNSUPPORTED, "device-mapper below %s", vdi->volume);
	return sr->type->layout->volume_map(sr, vdi, map);
}

static void describe(struct sr *sr, const struct volume_map *map, struct dm_device *d)
{
	uint64_t until = clock_now_mono() + PATIENCE;

	*d = (struct dm_device){
		.name = map->name, .uuid = map->uuid, .kind = DM_GUEST,
		.group = map->group, .volume = map->volume,
		.root = sr->ctx->root && *sr->ctx->root ? sr->ctx->root : NULL,
		.deadline = sr->ctx->deadline && sr->ctx->deadline < until ? sr->ctx->deadline : until,
	};
}

static int open_dm(struct sr *sr)
{
	int ctl = dm_open();

	if (dm_is_absent(ctl))
		hint(sr->ctx, "load the module dm-mod");
	return ctl < 0 ? fail(sr->ctx, ctl, "open device-mapper") : ctl;
}

static void fill(struct sr *sr, const struct volume_map *map, bool read_only,
		 struct attachment *at)
{
	at->active = true;
	at->writable = !read_only;
	at->backend = "lv";
	snprintf(at->device, sizeof(at->device), "%s/dev/%s/%s",
		 sr->ctx->root ? sr->ctx->root : "", map->group, map->volume);
}

static int look(struct sr *sr, int ctl, const struct volume_map *map, struct attachment *at)
{
	struct dm_info info;
	int err = dm_info(ctl, dm_by_uuid(map->uuid), &info);

	if (err == -ENXIO)
		return 0;
	if (err)
		return fail(sr->ctx, err, "ask device-mapper for %s", map->name);
	if (info.live)
		fill(sr, map, info.read_only, at);
	return 0;
}

static int find(struct sr *sr, const struct vdi *vdi, struct attachment *at)
{
	struct volume_map map = { 0 };
	_close_ int ctl = dm_open();
	int err, nbd = -1;

	if (ctl < 0)		/* without device-mapper nothing is active */
		return 0;
	err = IS_ENABLED(CONFIG_LIVE_RAW) ? port_nbd(sr, vdi, &nbd) : 0;
	if (err || nbd >= 0)
		return err;
	err = map_of(sr, vdi, &map);
	if (!err)
		err = look(sr, ctl, &map, at);
	return err || !at->active ? err : port_show(sr, vdi, at);
}

static int by_uuid(const void *a, const void *b)
{
	return strcmp(((const struct dm_entry *)a)->uuid, ((const struct dm_entry *)b)->uuid);
}

static int find_all(struct sr *sr, struct vdis *l)
{
	_close_ int ctl = dm_open();
	struct dm_entry *all;
	struct ports ports;
	int err;

	if (ctl < 0 || !sr->type->layout->volume_map)
		return 0;
	err = port_list(sr, &ports);
	if (err || !ports.n)
		return err;
	/* The same devices again, in the order of their uuids. */
	all = arena_alloc(&sr->ctx->arena, ports.n * sizeof(*all));
	memcpy(all, ports.v, ports.n * sizeof(*all));
	qsort(all, ports.n, sizeof(*all), by_uuid);
	for (size_t i = 0; i < l->n && !err; i++) {
		struct volume_map map = { 0 };
		struct dm_entry key = { .uuid = map.uuid };

		if (!serves(&l->v[i]))
			continue;
		err = map_of(sr, &l->v[i], &map);
		if (!err && bsearch(&key, all, ports.n, sizeof(*all), by_uuid))
			err = look(sr, ctl, &map, &l->v[i].at);
		if (l->v[i].at.active && ports_have(&ports, &l->v[i].uuid))
			port_path(&l->v[i], l->v[i].at.device);
	}
	return err;
}

/* Before the device comes and after it has gone, so that nobody counts too little. */
static int used(struct sr *sr, const struct vdi *vdi, bool used)
{
	const struct layout *l = sr->type->layout;

	return l->volume_used ? l->volume_used(sr, vdi, used) : 0;
}

/* The volume, and the port on it, of the size that the volume has now. */
static int put(struct sr *sr, const struct volume_map *map, const struct vdi *vdi, bool writable,
	       struct attachment *at)
{
	struct dm_table table, above;
	struct dm_device d;
	uint64_t sectors = 0;
	dev_t dev;
	_close_ int ctl = open_dm(sr);
	int err = ctl < 0 ? ctl : dm_table_parse(&sr->ctx->arena, map->table, &table);

	if (err)
		return err;
	describe(sr, map, &d);
	d.table = &table;
	d.read_only = !writable;
	err = dm_activate(ctl, &d, &dev);
	if (err)
		return fail(sr->ctx, err, "activate %s", map->volume);
	for (size_t i = 0; i < table.n; i++)
		sectors += table.target[i].length;
	port_linear(sr, dev, sectors * 512, &above);
	at->backend = "lv";
	return port_put(sr, vdi, &above, writable, at);		/* commit */
}

static int drop(struct sr *sr, const struct volume_map *map, const struct vdi *vdi)
{
	struct dm_device d;
	_close_ int ctl = open_dm(sr);
	int err;

	if (ctl < 0)
		return ctl;
	describe(sr, map, &d);
	err = dm_deactivate(ctl, &d);
	if (err == -EBUSY) {
		hint(sr->ctx, "see who has it open: fuser /dev/mapper/%s", map->name);
		return fail(sr->ctx, -E_VDI_IN_USE, "%s is open", map->volume);
	}
	return err ? fail(sr->ctx, err, "deactivate %s", map->volume) : used(sr, vdi, false);
}

static int activate(struct sr *sr, const struct vdi *vdi, bool writable, struct attachment *at)
{
	struct volume_map map = { 0 };
	int err = map_of(sr, vdi, &map);

	if (!err && map.refuse)
		err = fail_say(sr->ctx, map.refuse, "%s", map.why);
	if (!err)
		err = used(sr, vdi, true);
	if (err)
		return err;
	err = put(sr, &map, vdi, writable, at);
	if (err)
		drop(sr, &map, vdi);		/* err is what matters */
	return err;
}

static int deactivate(struct sr *sr, const struct vdi *vdi, const struct attachment *at)
{
	struct volume_map map = { 0 };
	int err = port_remove(sr, vdi);		/* commit */

	if (!err)
		err = map_of(sr, vdi, &map);
	if (!err)
		err = drop(sr, &map, vdi);
	if (!err || at->active || err == -E_VDI_IN_USE)
		return err;
	fail_clear(sr->ctx);
	return 0;
}

/* From the bottom, so that the port is never larger than what it lies on. */
static int refresh(struct sr *sr, const struct vdi *vdi, struct attachment *at)
{
	struct volume_map map = { 0 };
	int err = map_of(sr, vdi, &map);

	return err ? err : put(sr, &map, vdi, at->writable, at);
}

/*
 * The volume itself is what its server has open, and not alone, since it was opened beside
 * the port: nobody else may have it in a table when it becomes another's image.
 */
static int give_way(struct sr *sr, const struct vdi *vdi)
{
	struct volume_map map = { 0 };
	const char **holders;
	struct dm_info info;
	size_t n = 0;
	_close_ int ctl = dm_open();
	int err = ctl < 0 ? 0 : map_of(sr, vdi, &map);

	if (ctl < 0 || err)
		return err;
	err = dm_info(ctl, dm_by_uuid(map.uuid), &info);
	if (!err)
		err = blk_holders(info.dev, &sr->ctx->arena, &holders, &n);
	if (err == -ENXIO || err == -ENODEV)
		return 0;
	if (!err && n)
		return fail_say(sr->ctx, -E_VDI_IN_USE, "%s is in use by %s", map.volume, holders[0]);
	return err ? fail(sr->ctx, err, "see who has %s", map.volume) : 0;
}

static const struct datapath lv = {
	.name = "lv",
	.serves = serves,
	.find = find,
	.find_all = find_all,
	.activate = activate,
	.deactivate = deactivate,
	.refresh = refresh,
	.give_way = IS_ENABLED(CONFIG_LIVE_RAW) ? give_way : NULL,
};
REGISTER(datapaths, lv);
