/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Levels of a chain that are logical volumes: made active as long as they are served. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/dm.h"
#include "drivers/chain.h"
#include "drivers/layout.h"
#include "drivers/sr.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/kconfig.h"

#define PATIENCE	(10 * NS_PER_S)

static void describe(struct sr *sr, const struct volume_map *map, struct dm_device *d)
{
	*d = (struct dm_device){
		.name = map->name, .uuid = map->uuid, .kind = DM_GUEST,
		.group = map->group, .volume = map->volume,
		.root = sr->ctx->root && *sr->ctx->root ? sr->ctx->root : NULL,
		.deadline = clock_now_mono() + PATIENCE,
	};
}

static int say_dm(struct sr *sr, int ctl)
{
	if (dm_is_absent(ctl))
		hint(sr->ctx, "load the module dm-mod");
	return fail(sr->ctx, ctl, "open device-mapper");
}

static int used(struct sr *sr, const struct vdi *vdi, bool is_used)
{
	const struct layout *l = sr->type->layout;

	return l->volume_used ? l->volume_used(sr, vdi, is_used) : 0;
}

/*
 * A volume may have got another name while it was active, and its old one be
 * another's now.  Whoever had renamed it died before the device followed.
 */
static int rename_device(struct sr *sr, int ctl, struct dm_device *d)
{
	const struct layout *l = sr->type->layout;
	struct dm_info now;
	struct volume_map map = { 0 };
	struct dm_device old = *d;
	int err;

	if (!dm_info(ctl, dm_by_uuid(d->uuid), &now)) {		/* ours, as it was called */
		old.name = now.name;
		old.volume = NULL;
		return dm_move(ctl, &old, d->name, d->volume);
	}
	err = dm_info(ctl, dm_by_name(d->name), &now);
	if (!err)
		err = l->volume_of_device ? l->volume_of_device(sr, now.uuid, &map) : -EEXIST;
	if (err)
		return err;
	old.uuid = now.uuid;
	return dm_move(ctl, &old, map.name, map.volume);
}

static int make_active(struct sr *sr, int ctl, const struct volume_map *map, int how)
{
	struct dm_table table;
	struct dm_device d;
	int err = dm_table_parse(&sr->ctx->arena, map->table, &table);

	describe(sr, map, &d);
	d.table = &table;
	d.read_only = !(how & CHAIN_WRITE);
	d.hurry = how & CHAIN_HURRY;
	if (!err)
		err = dm_activate(ctl, &d, NULL);
	if (err == -EEXIST) {
		err = rename_device(sr, ctl, &d);
		if (!err)
			err = dm_activate(ctl, &d, NULL);
	}
	return err ? fail(sr->ctx, err, "activate %s", map->volume) : 0;
}

/* Nobody else may hold the one that is written, but the port that is about to move. */
static int open_node(struct sr *sr, const struct volume_map *map, int how, int *fd)
{
	bool shared = IS_ENABLED(CONFIG_LIVE_RAW) && how & CHAIN_BESIDE;
	char path[DM_PATH_MAX];
	int err = dm_path(path, map->name);

	if (err)
		return fail(sr->ctx, err, "the node of %s", map->volume);
	*fd = open(path, (how & CHAIN_WRITE ? O_RDWR | (shared ? 0 : O_EXCL) : O_RDONLY) | O_CLOEXEC);
	return *fd < 0 ? fail(sr->ctx, -errno, "open %s", path) : 0;
}

int chain_lv_open(struct sr *sr, const struct vdi *vdi, int how, int *fd)
{
	struct volume_map map = { 0 };
	_close_ int ctl = dm_open();
	int err = ctl < 0 ? say_dm(sr, ctl) : sr->type->layout->volume_map(sr, vdi, &map);

	if (!err && map.refuse)
		err = fail_say(sr->ctx, map.refuse, "%s", map.why);
	/* Counted before the device comes, and until it has gone. */
	if (!err)
		err = used(sr, vdi, true);
	if (!err)
		err = make_active(sr, ctl, &map, how);
	if (!err)
		err = open_node(sr, &map, how, fd);
	return err;
}

int chain_lv_close(struct sr *sr, const struct vdi *vdi)
{
	struct volume_map map = { 0 };
	struct dm_device d;
	_close_ int ctl = dm_open();
	int err;

	if (dm_is_absent(ctl))		/* then it was never opened, nor counted */
		return 0;
	err = ctl < 0 ? say_dm(sr, ctl) : sr->type->layout->volume_map(sr, vdi, &map);
	if (err)
		return err;
	describe(sr, &map, &d);
	err = dm_deactivate(ctl, &d);
	if (err == -EBUSY)		/* another disk stands on it */
		return 0;
	return err ? fail(sr->ctx, err, "deactivate %s", map.volume) : used(sr, vdi, false);
}
