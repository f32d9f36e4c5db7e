/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbd: a disk of any format as a block device, through a server of ours.
 *
 *	/dev/mapper/sm-<VDI>   linear    what is handed out, whatever serves it
 *	/dev/nbd<N>            sockets   the kernel's client
 *	a server               threads   nbd_server.c, one for each disk
 *	the images             files and volumes
 *
 * activate: the server (it makes /dev/nbd<N>), then the dm device (commit).
 * deactivate: the dm device (commit), then /dev/nbd<N>; by that the server sees
 * that nobody needs it, writes the last of its metadata and ends, and we wait.
 *
 * The kernel is the record: the dm device by its name, the server by its lock.
 * A server without a dm device is one half of an attach or a detach that died.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "arch/blk.h"
#include "arch/clock.h"
#include "arch/dm.h"
#include "arch/lock.h"
#include "arch/nbd.h"
#include "drivers/chain.h"
#include "drivers/datapath.h"
#include "drivers/datapath/nbd_server.h"
#include "drivers/server.h"
#include "drivers/sr.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/num.h"

#define PATIENCE	(60 * NS_PER_S)	/* for a server to end: its flush may take long */

static bool serves(const struct vdi *vdi)
{
	return !strcmp(vdi->format, "vhd");
}

static const char *dm_name(struct sr *sr, const struct vdi *vdi)
{
	return arena_printf(&sr->ctx->arena, "sm-%s", vdi->uuid.s);
}

/* "/dev/nbd3" to 3; -1 for anything else. */
static int number(const char *device)
{
	const char *s = device + 8;
	uint64_t n;

	return !strncmp(device, "/dev/nbd", 8) && num_take(&s, &n) && !*s && n <= INT32_MAX ? (int)n : -1;
}

static int open_dm(struct sr *sr)
{
	int ctl = dm_open();

	if (ctl == -ENODEV || ctl == -ENXIO)
		hint(sr->ctx, "load the module dm-mod");
	return ctl < 0 ? fail(sr->ctx, ctl, "open device-mapper") : ctl;
}

static void describe(struct sr *sr, const struct vdi *vdi, struct dm_device *d)
{
	const char *name = dm_name(sr, vdi);

	*d = (struct dm_device){
		.name = name, .uuid = arena_printf(&sr->ctx->arena, "SM-%s", vdi->uuid.s),
		.kind = DM_GUEST, .deadline = clock_now_mono() + 10 * NS_PER_S,
	};
}

/* Is there a dm device, and which nbd is below it?  -1: none, or not one. */
static int look_dm(struct sr *sr, const struct vdi *vdi, int ctl, struct dm_info *info, int *n)
{
	char name[32], path[48];
	dev_t *devs;
	size_t n_devs;
	int err = dm_info(ctl, dm_by_name(dm_name(sr, vdi)), info);

	*n = -1;
	if (err == -ENXIO) {
		*info = (struct dm_info){ 0 };
		return 0;
	}
	if (!err)
		err = dm_deps(ctl, dm_by_dev(info->dev), &sr->ctx->arena, &devs, &n_devs);
	if (err)
		return fail(sr->ctx, err, "ask device-mapper for %s", dm_name(sr, vdi));
	if (n_devs == 1 && !blk_name(devs[0], name, sizeof(name))) {
		snprintf(path, sizeof(path), "/dev/%s", name);
		*n = number(path);
	}
	return 0;
}

static int find(struct sr *sr, const struct vdi *vdi, struct attachment *at)
{
	_close_ int ctl = dm_open();
	struct dm_info info = { 0 };
	struct server_note note;
	int n, err = 0, alive = server_find(sr, &vdi->uuid, &note);

	if (alive < 0)
		return alive;
	alive = alive && !strcmp(note.backend, "nbd");
	if (ctl >= 0)
		err = look_dm(sr, vdi, ctl, &info, &n);
	if (err || (!alive && !info.live))
		return err;
	at->active = true;
	at->writable = alive ? note.writable : !info.read_only;
	at->backend = "nbd";
	dm_path(at->device, dm_name(sr, vdi));
	return 0;
}

static int find_all(struct sr *sr, struct vdis *l)
{
	int err = 0;

	/* Nothing is active that nobody asked for, and asking dm costs a call each. */
	for (size_t i = 0; i < l->n && !err; i++)
		if (l->v[i].at.attached && serves(&l->v[i]))
			err = find(sr, &l->v[i], &l->v[i].at);
	return err;
}

/* The dm device over /dev/nbd<n>, of whatever size that has now. */
static int put_dm(struct sr *sr, const struct vdi *vdi, int n, bool writable, struct attachment *at)
{
	_close_ int ctl = open_dm(sr);
	struct nbd_now now;
	struct dm_target target = { .type = "linear" };
	struct dm_table table = { &target, 1 };
	struct dm_device d;
	int err = ctl < 0 ? ctl : nbd_info(n, &now);

	if (err)
		return fail(sr->ctx, err, "see /dev/nbd%d", n);
	target.length = now.size / 512;
	target.params = arena_printf(&sr->ctx->arena, "%u:%u 0", major(now.dev), minor(now.dev));
	describe(sr, vdi, &d);
	d.table = &table;
	d.read_only = !writable;
	err = dm_activate(ctl, &d, NULL);	/* commit */
	if (err)
		return fail(sr->ctx, err, "make %s", d.name);
	at->active = true;
	at->writable = writable;
	at->backend = "nbd";
	dm_path(at->device, d.name);
	return 0;
}

static int stop(struct sr *sr, const struct vdi *vdi, int n)
{
	int err = n >= 0 ? nbd_disconnect(n) : 0;

	if (err)
		return fail(sr->ctx, err, "disconnect /dev/nbd%d", n);
	/* Once it has let go of its lock, its metadata is written. */
	err = server_await_end(sr, &vdi->uuid, clock_now_mono() + PATIENCE);
	return err ? err : chain_release(sr, vdi);
}

static int activate(struct sr *sr, const struct vdi *vdi, bool writable, struct attachment *at)
{
	int n = nbd_server_start(sr, vdi, writable), err;

	err = n < 0 ? n : put_dm(sr, vdi, n, writable, at);
	if (err)
		stop(sr, vdi, n);		/* err is what matters */
	return err;
}

static int deactivate(struct sr *sr, const struct vdi *vdi, const struct attachment *at)
{
	_close_ int ctl = at->active ? open_dm(sr) : dm_open();
	struct server_note note;
	struct dm_info info;
	struct dm_device d;
	int n = -1, alive, err = ctl < 0 ? ctl : look_dm(sr, vdi, ctl, &info, &n);

	if (err && !at->active) {
		fail_clear(sr->ctx);
		return 0;
	}
	if (err)
		return err;
	alive = server_find(sr, &vdi->uuid, &note);
	if (alive < 0)
		return alive;
	if (n < 0 && alive)
		n = number(note.device);
	describe(sr, vdi, &d);
	err = dm_deactivate(ctl, &d);	/* commit */
	if (err == -EBUSY) {
		hint(sr->ctx, "see who has it open: fuser %s", at->device);
		return fail(sr->ctx, -E_VDI_IN_USE, "%s is open", at->device);
	}
	if (err)
		return fail(sr->ctx, err, "remove %s", d.name);
	return stop(sr, vdi, n);
}

/* Attach again: what an attach that died left half done is finished. */
static int refresh(struct sr *sr, const struct vdi *vdi, const struct attachment *at)
{
	struct attachment now = *at;
	struct server_note note;
	int err = server_find(sr, &vdi->uuid, &note);

	if (err < 0)
		return err;
	if (!err) {
		hint(sr->ctx, "sm vdi detach %s", vdi->uuid.s);
		return fail_say(sr->ctx, -E_VDI_UNAVAILABLE, "the server of VDI %s has died", vdi->uuid.s);
	}
	return put_dm(sr, vdi, number(note.device), note.writable, &now);
}

static const struct datapath nbd = {
	.name = "nbd",
	.serves = serves,
	.find = find,
	.find_all = find_all,
	.activate = activate,
	.deactivate = deactivate,
	.refresh = refresh,
};
REGISTER(datapaths, nbd);
