/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * loop: a raw image file through the kernel's loop driver.
 *
 *	/dev/mapper/sm-<VDI>   linear    what is handed out: the port (port.h)
 *	/dev/loop<N>
 *	the image              a file
 *
 * activate: the loop device, then the port (commit).  deactivate: the port
 * (commit), then the loop device.  Without device-mapper in the kernel or in
 * this program the loop device itself is handed out.
 *
 * The kernel is the record: a loop device is ours for a VDI when it shows the
 * VDI's file (device and inode) under the name that we gave it, the VDI's uuid,
 * or under no name: before Linux 5.8 that comes with a second call, and we may
 * die between the two.  A loop device that somebody else made of the same file
 * has another name and is left alone.  One of ours below a port that lies on nbd is what
 * is left of a move there (give_way), and serves nobody.
 *
 * The image may have been unlinked while it was attached.  Then the name, and
 * what sysfs says of the file, have to do.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/blk.h"
#include "arch/dm.h"
#include "arch/fs.h"
#include "arch/loop.h"
#include "drivers/datapath.h"
#include "drivers/format.h"
#include "drivers/layout.h"
#include "drivers/port.h"
#include "drivers/sr.h"
#include "lib/cleanup.h"
#include "lib/kconfig.h"
#include "lib/err.h"

static bool serves(const struct vdi *vdi)
{
	return !strcmp(vdi->format, "raw");
}

static void fill(struct attachment *at, const struct loop_info_now *info)
{
	at->active = true;
	at->writable = !info->read_only;
	at->backend = "loop";
	snprintf(at->device, sizeof(at->device), "/dev/loop%d", info->n);
}

static bool is_ours(const struct loop_info_now *info, const struct fs_id *file, const char *uuid)
{
	return fs_id_equal(&info->file, file) && (!info->name[0] || !strcmp(info->name, uuid));
}

/* Is it of a file that has no name any more, but was this VDI's? */
static bool is_orphan(const struct loop_info_now *info, const char *uuid)
{
	const char *deleted = strrchr(info->path, '(');

	return !strcmp(info->name, uuid) && deleted && !strcmp(deleted, "(deleted)");
}

static int find_file(struct sr *sr, const struct vdi *vdi, struct loop_info_now *found)
{
	struct loop_info_now *all;
	struct fs_id id;
	size_t n;
	int gone = fs_id(sr->dir, vdi->volume, &id), err;

	if (gone && gone != -ENOENT)
		return fail(sr->ctx, gone, "%s", vdi->volume);
	err = loop_list(&sr->ctx->arena, vdi->volume, &all, &n);
	if (err)
		return fail(sr->ctx, err, "list the loop devices");
	for (size_t i = 0; i < n; i++)
		if (gone ? is_orphan(&all[i], vdi->uuid.s) : is_ours(&all[i], &id, vdi->uuid.s)) {
			*found = all[i];
			return 1;
		}
	return 0;
}

static bool has_ports(void)
{
	return IS_ENABLED(CONFIG_DATAPATH_DM) && port_can();
}

static int find(struct sr *sr, const struct vdi *vdi, struct attachment *at)
{
	struct loop_info_now info = { 0 };
	int found = find_file(sr, vdi, &info), nbd = -1, err = 0;

	if (found <= 0)
		return found;
	if (IS_ENABLED(CONFIG_LIVE_RAW))
		err = port_nbd(sr, vdi, &nbd);
	if (err || nbd >= 0)
		return err;
	fill(at, &info);
	return IS_ENABLED(CONFIG_DATAPATH_DM) ? port_show(sr, vdi, at) : 0;
}

static int find_all(struct sr *sr, struct vdis *l)
{
	struct loop_info_now *all;
	struct ports ports = { 0 };
	size_t n;
	int err = loop_list(&sr->ctx->arena, ".raw", &all, &n);

	if (err)
		return fail(sr->ctx, err, "list the loop devices");
	if (IS_ENABLED(CONFIG_DATAPATH_DM) && n)
		err = port_list(sr, &ports);
	for (size_t i = 0; i < n && !err; i++) {
		struct uuid u;
		struct fs_id id;
		struct vdi *vdi;

		const char *base = strrchr(all[i].path, '/');

		if (!base || uuid_parse_n(&u, base + 1, strcspn(base + 1, ".")))
			continue;
		vdi = vdis_find(l, &u);
		if (!vdi || fs_id(sr->dir, vdi->volume, &id) || !is_ours(&all[i], &id, u.s))
			continue;
		fill(&vdi->at, &all[i]);
		if (IS_ENABLED(CONFIG_DATAPATH_DM) && ports_have(&ports, &u))
			port_path(vdi, vdi->at.device);
	}
	return err;
}

/* The port on /dev/loop<n>, with the size that this has now. */
static int put_port(struct sr *sr, const struct vdi *vdi, int n, bool writable, struct attachment *at)
{
	struct dm_table table;
	struct blk_info info;
	char path[32];
	_close_ int fd = -1;
	int err;

	snprintf(path, sizeof(path), "/dev/loop%d", n);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	err = fd < 0 ? -errno : blk_info(fd, &info);
	if (err)
		return fail(sr->ctx, err, "see %s", path);
	if (IS_ENABLED(CONFIG_DATAPATH_DM)) {
		port_linear(sr, info.dev, info.size, &table);
		err = port_put(sr, vdi, &table, writable, at);
	}
	return err;
}

static int activate(struct sr *sr, const struct vdi *vdi, bool writable,
			 struct attachment *at)
{
	struct loop_options o = { .read_only = !writable, .direct_io = true, .name = vdi->uuid.s };
	_close_ int fd = -1;
	uint32_t sector;
	int n, err;

	n = sr->type->layout->volume_open(sr, vdi, writable, &fd);
	if (n)
		return n;
	/* Direct I/O needs the sector of the disk below; the size must fit it. */
	o.block_size = blk_sector_below(fd, &sector) ? 512 : sector;
	if (vdi->virtual_size % o.block_size)
		o.block_size = 512;
	n = loop_attach(fd, &o, NULL);
	if (n < 0) {
		hint(sr->ctx, "is the loop module loaded, and /dev/loop-control there?");
		return fail(sr->ctx, n, "bind a loop device");
	}
	fill(at, &(struct loop_info_now){ .n = n, .read_only = !writable });
	if (!has_ports())
		return 0;
	err = put_port(sr, vdi, n, writable, at);	/* commit */
	if (err)
		loop_detach(n, NULL);		/* err is what matters */
	return err;
}

/* Never from below a port: the kernel refuses that. */
static int give_way(struct sr *sr, const struct vdi *vdi)
{
	struct loop_info_now now;
	int err = find_file(sr, vdi, &now);

	if (err <= 0)
		return err;
	err = loop_detach(now.n, &now.file);
	if (err == -EBUSY) {
		hint(sr->ctx, "see who has it open: fuser /dev/loop%d", now.n);
		return fail(sr->ctx, -E_VDI_IN_USE, "/dev/loop%d is open", now.n);
	}
	return err ? fail(sr->ctx, err, "release /dev/loop%d", now.n) : 0;
}

static int deactivate(struct sr *sr, const struct vdi *vdi, const struct attachment *at)
{
	int err = IS_ENABLED(CONFIG_DATAPATH_DM) ? port_remove(sr, vdi) : 0;	/* commit */

	return err ? err : give_way(sr, vdi);
}

/* Below first: a port must not be larger than what it lies on. */
static int refresh(struct sr *sr, const struct vdi *vdi, struct attachment *at)
{
	struct loop_info_now now;
	int err = find_file(sr, vdi, &now);

	if (err <= 0)
		return err ? err : fail(sr->ctx, -ENXIO, "the loop device of %s", vdi->volume);
	/* A detach that died while the device was open had ordered to free it. */
	err = now.autoclear ? loop_keep(now.n, &now.file) : 0;
	if (!err)
		err = loop_resize(now.n);
	if (err)
		return fail(sr->ctx, err, "grow /dev/loop%d", now.n);
	return has_ports() ? put_port(sr, vdi, now.n, !now.read_only, at) : 0;
}

static const struct datapath loop = {
	.name = "loop",
	.serves = serves,
	.find = find,
	.find_all = find_all,
	.activate = activate,
	.deactivate = deactivate,
	.refresh = refresh,
	.give_way = IS_ENABLED(CONFIG_LIVE_RAW) ? give_way : NULL,
};
REGISTER(datapaths, loop);
