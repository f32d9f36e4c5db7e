/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbd: a disk of any format as a block device, through a server of ours.
 *
 *	/dev/mapper/sm-<VDI>   linear    what is handed out: the port (port.h), or hybrid.h
 *	/dev/nbd<N>            sockets   the kernel's client
 *	a server               threads   nbd_server.c, one for each disk
 *	the images             files and volumes
 *
 * activate: the server (it makes /dev/nbd<N>), then the port (commit).
 * deactivate: the port (commit), then /dev/nbd<N>; by that the server sees that
 * nobody needs it, writes the last of its metadata and ends, and we wait.
 *
 * The kernel is the record: the port by its name, the server by its lock.  A
 * server without a port is one half of an attach or a detach that died; or there
 * is no device-mapper, and then /dev/nbd<N> itself is handed out.
 *
 * take: a raw disk in use, so that it can be held.  The server, of the same bytes that
 * others still show; then the port's table (commit).  What was written past the server
 * until then is covered by the flushes that it is asked for (disk_shared()).
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arch/blk.h"
#include "arch/clock.h"
#include "arch/dm.h"
#include "arch/lock.h"
#include "arch/nbd.h"
#include "arch/proc.h"
#include "drivers/chain.h"
#include "drivers/control.h"
#include "drivers/datapath.h"
#include "drivers/datapath/hybrid.h"
#include "drivers/datapath/nbd_server.h"
#include "drivers/port.h"
#include "drivers/server.h"
#include "drivers/sr.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/kconfig.h"
#include "lib/log.h"
#include "lib/num.h"

#define PATIENCE	(60 * NS_PER_S)	/* for a server to end: its flush may take long */
#define POLL		(20 * NS_PER_MS)
#define SWAP_PATIENCE	(5 * NS_PER_S)	/* for a device in use to come to rest */

static bool is_raw(const struct vdi *vdi)
{
	return !strcmp(vdi->format, "raw");
}

static bool serves(const struct vdi *vdi)
{
	return !strcmp(vdi->format, "vhd") || (IS_ENABLED(CONFIG_LIVE_RAW) && is_raw(vdi));
}

/* "/dev/nbd3" to 3; -1 for anything else. */
static int number(const char *device)
{
	const char *s = device + 8;
	uint64_t n;

	return !strncmp(device, "/dev/nbd", 8) && num_take(&s, &n) && !*s && n <= INT32_MAX ? (int)n : -1;
}

/* Its server's device; -1: that is gone, and the number may be another disk's. */
static int number_of(const struct vdi *vdi, const struct server_note *note)
{
	int n = number(note->device);

	return n >= 0 && nbd_is(n, vdi->uuid.s, note->pid) ? n : -1;
}

/* Which nbd is below the disk?  -1: there is none, or it lies on something else. */
static int number_below(struct sr *sr, const struct vdi *vdi)
{
	dev_t *devs;
	size_t n;
	int number;

	if (port_below(sr, vdi, &devs, &n))
		fail_clear(sr->ctx);
	/* It may have been made to fail, or be gone already. */
	if (IS_ENABLED(CONFIG_DATAPATH_HYBRID) && !n)
		hybrid_below(sr, vdi, &devs, &n);
	port_nbd_among(devs, n, &number);
	return number;
}

/* The server's note, if it is one of ours. */
static int find_server(struct sr *sr, const struct vdi *vdi, struct server_note *note)
{
	int alive = server_find(sr, &vdi->uuid, note);

	return alive > 0 ? !strcmp(note->backend, "nbd") : alive;
}

static void fill(const struct vdi *vdi, bool writable, const char *device, struct attachment *at)
{
	at->active = true;
	at->writable = writable;
	at->grows = IS_ENABLED(CONFIG_LVM_THIN_GROW);
	at->backend = "nbd";
	if (device)
		snprintf(at->device, sizeof(at->device), "%s", device);
	else
		port_path(vdi, at->device);
}

static int find(struct sr *sr, const struct vdi *vdi, struct attachment *at)
{
	struct server_note note;
	struct port p;
	int alive = find_server(sr, vdi, &note), err;

	if (alive < 0)
		return alive;
	err = port_find(sr, vdi, &p);
	/* A disk whose image is gone is looked for in each format: a port may be another's. */
	if (!err && (alive || (p.there && p.kind == PORT_LINEAR && number_below(sr, vdi) >= 0)))
		fill(vdi, alive ? note.writable : p.writable,
		     p.there || !note.device[0] ? NULL : note.device, at);
	return err;
}

static int find_all(struct sr *sr, struct vdis *l)
{
	struct server_note note;
	struct ports ports;
	int alive, err = port_list(sr, &ports);

	/* Nothing is active that nobody asked for. */
	for (size_t i = 0; i < l->n && !err; i++) {
		struct vdi *vdi = &l->v[i];
		bool has_port = ports_have(&ports, &vdi->uuid) == PORT_LINEAR;

		if (!vdi->at.attached || !serves(vdi))
			continue;
		/* Until its port lies here it is served by whoever has shown it already. */
		if (IS_ENABLED(CONFIG_LIVE_RAW) && is_raw(vdi) && vdi->at.active && number_below(sr, vdi) < 0)
			continue;
		alive = find_server(sr, vdi, &note);
		if (alive > 0)
			fill(vdi, note.writable, has_port ? NULL : note.device, &vdi->at);
		else if (!alive && has_port)
			err = find(sr, vdi, &vdi->at);
		else
			err = alive;
	}
	return err;
}

/* With short cuts, if this kernel has what that takes. */
static bool put_switch(struct sr *sr, const struct vdi *vdi, const struct nbd_now *now,
		       struct attachment *at)
{
	struct dm_table table;
	int fresh;

	if (!IS_ENABLED(CONFIG_DATAPATH_HYBRID))
		return false;
	fresh = hybrid_table(sr, vdi, now->dev, now->size, &table);
	if (fresh < 0)
		return false;
	if (port_put(sr, vdi, &table, true, at)) {		/* commit */
		logf_info(sr->ctx, "VDI %s is served without short cuts: %s", vdi->uuid.s, sr->ctx->why);
		fail_clear(sr->ctx);
		hybrid_remove(sr, vdi);
		return false;
	}
	if (fresh)
		hybrid_settle(sr, vdi, now->size);
	return true;
}

/* The port on /dev/nbd<n>, of whatever size that has now. */
static int put_port(struct sr *sr, const struct vdi *vdi, int n, bool writable,
		    struct attachment *at)
{
	struct nbd_now now;
	struct dm_table table;
	int err = nbd_info(n, &now);

	if (err)
		return fail(sr->ctx, err, "see /dev/nbd%d", n);
	fill(vdi, writable, arena_printf(&sr->ctx->arena, "/dev/nbd%d", n), at);
	if (!port_can())
		return 0;
	if (writable && put_switch(sr, vdi, &now, at))
		return 0;
	port_linear(sr, now.dev, now.size, &table);
	return port_put(sr, vdi, &table, writable, at);		/* commit */
}

struct again {
	struct sr *sr;
	const struct vdi *vdi;
	int n;
	bool writable;
};

static int by_child(struct ctx *ctx, void *arg)
{
	const struct again *a = arg;
	struct attachment at = { 0 };

	return put_port(a->sr, a->vdi, a->n, a->writable, &at);
}

/*
 * The same while the disk is in use, where a new table waits for what its server has under
 * way.  One that has just followed a dead one answers nothing before it has the SR's lock,
 * and that is ours: so we let go in time, and the next verb does it.
 */
static int put_again(struct sr *sr, const struct vdi *vdi, int n, bool writable, struct attachment *at)
{
	struct again a = { sr, vdi, n, writable };
	int err;

	if (!port_can())
		return put_port(sr, vdi, n, writable, at);
	err = proc_run(sr->ctx, by_child, &a, 0, clock_now_mono() + SWAP_PATIENCE);
	if (err == -E_DEADLINE) {
		hint(sr->ctx, "sm vdi attach %s", vdi->uuid.s);	/* again */
		return fail_say(sr->ctx, -E_BUSY, "the server of VDI %s does not answer", vdi->uuid.s);
	}
	if (!err)
		fill(vdi, writable, NULL, at);
	return err;
}

/* -E_VDI_LOST: all is let go of, and a person has to hear that. */
static int stop(struct sr *sr, const struct vdi *vdi, int n)
{
	int err = IS_ENABLED(CONFIG_DATAPATH_HYBRID) ? hybrid_remove(sr, vdi) : 0, lost;

	if (err)
		return err;
	err = n >= 0 ? nbd_disconnect(n) : 0;
	if (err)
		return fail(sr->ctx, err, "disconnect /dev/nbd%d", n);
	/* Once it has let go of its lock, its metadata is written. */
	err = server_await_end(sr, &vdi->uuid, clock_now_mono() + PATIENCE);
	lost = err == -E_VDI_LOST ? err : 0;
	if (!err || lost)
		err = chain_release(sr, vdi);
	return err ? err : lost;
}

static int activate(struct sr *sr, const struct vdi *vdi, bool writable, struct attachment *at)
{
	/* What a detach that died has left knows nothing of the image as it is now. */
	int n, err = IS_ENABLED(CONFIG_DATAPATH_HYBRID) ? hybrid_remove(sr, vdi) : 0;
	struct fail_words words;

	if (err)
		return err;
	n = nbd_server_start(sr, vdi, writable, 0);
	err = n < 0 ? n : put_port(sr, vdi, n, writable, at);
	if (!err)
		return 0;
	fail_keep(sr->ctx, &words);
	stop(sr, vdi, n);		/* err is what matters, and what was said of it */
	fail_again(sr->ctx, &words);
	return err;
}

/* Without device-mapper the kernel would disconnect a device that is open, too. */
static int must_be_idle(struct sr *sr, int n)
{
	const char *path = arena_printf(&sr->ctx->arena, "/dev/nbd%d", n);

	if (n < 0 || port_can() || blk_is_held(path) != 1)
		return 0;
	hint(sr->ctx, "see who has it open: fuser %s", path);
	return fail(sr->ctx, -E_VDI_IN_USE, "%s is open", path);
}

static int deactivate(struct sr *sr, const struct vdi *vdi, const struct attachment *at)
{
	struct server_note note;
	int n = number_below(sr, vdi), alive = find_server(sr, vdi, &note), err;

	if (alive < 0)
		return alive;
	if (n < 0 && alive)
		n = number_of(vdi, &note);
	err = must_be_idle(sr, n);
	if (!err)
		err = port_remove(sr, vdi);	/* commit */
	if (!err)
		err = stop(sr, vdi, n);
	if (!err || at->active || err == -E_VDI_IN_USE || err == -E_VDI_LOST)
		return err;
	fail_clear(sr->ctx);
	return 0;
}

static int pause_disk(struct sr *sr, const struct vdi *vdi, int *hold)
{
	int err = control_pause(sr, &vdi->uuid, hold);

	if (!err)
		err = chain_pause(sr, vdi);
	if (err && *hold >= 0)
		close(take_fd(hold));		/* it goes on by itself */
	return err;
}

/*
 * Whoever made the disk larger may have died just now, and its server waits for the lock
 * that we have: then we say what the disk is.
 */
static int catch_up(struct sr *sr, const struct vdi *vdi)
{
	struct chain *c = arena_alloc(&sr->ctx->arena, sizeof(*c));
	_close_ int hold = -1;
	uint64_t size;
	int err = pause_disk(sr, vdi, &hold);

	if (!err)
		err = chain_all(sr, vdi, c);
	if (!err)
		err = control_go(sr, &vdi->uuid, c, &hold, &size);
	chain_drop(c);
	return err;
}

/* Its log of changed blocks only who opens it anew knows. */
static bool is_behind(const struct vdi *vdi)
{
	struct blk_info info;
	char path[256];
	_close_ int fd = -1;

	port_path(vdi, path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd >= 0 && !blk_info(fd, &info) && info.size / 512 < vdi->virtual_size / 512 && !vdi->cbt;
}

/* Attach again: what an attach that died left half done is finished. */
static int refresh(struct sr *sr, const struct vdi *vdi, struct attachment *at)
{
	struct server_note note;
	int alive = find_server(sr, vdi, &note), n, err;

	if (alive < 0)
		return alive;
	n = alive ? number_of(vdi, &note) : -1;
	if (n < 0) {
		hint(sr->ctx, "sm vdi detach %s", vdi->uuid.s);
		return fail_say(sr->ctx, -E_VDI_UNAVAILABLE, "the server of VDI %s has died, or is about to",
				vdi->uuid.s);
	}
	if (is_behind(vdi) && (err = catch_up(sr, vdi)))
		return err;
	return put_again(sr, vdi, n, note.writable, at);
}

/* One that has just been started says soon who it is, or ends. */
static int await_note(struct sr *sr, const struct vdi *vdi, struct server_note *note)
{
	uint64_t until = clock_now_mono() + PATIENCE;
	int alive;

	while ((alive = server_find(sr, &vdi->uuid, note)) > 0 && !note->backend[0]) {
		if (!clock_left(until))
			return fail_say(sr->ctx, -E_DEADLINE, "the server of VDI %s does not start",
					vdi->uuid.s);
		clock_sleep(POLL);
	}
	return alive;
}

/* A server that was to take it over, and has not, has written nothing. */
static int give_way(struct sr *sr, const struct vdi *vdi)
{
	struct server_note note;
	int n, alive, err = port_nbd(sr, vdi, &n);

	if (err || n >= 0)
		return err;
	alive = await_note(sr, vdi, &note);
	if (!alive)
		return server_forget(sr, &vdi->uuid);
	if (alive < 0 || strcmp(note.backend, "nbd"))
		return alive < 0 ? alive : 0;
	return stop(sr, vdi, number_of(vdi, &note));
}

static int take(struct sr *sr, const struct vdi *vdi, struct attachment *at)
{
	struct fail_words words;
	struct port p;
	int n, err = port_need(sr);

	if (!err)
		err = port_find(sr, vdi, &p);
	if (!err && !p.there)
		return fail_say(sr->ctx, -E_VDI_UNAVAILABLE, "VDI %s has no device", vdi->uuid.s);
	if (!err)
		err = give_way(sr, vdi);
	if (err)
		return err;
	n = nbd_server_start(sr, vdi, p.writable, CHAIN_BESIDE);
	err = n < 0 ? n : put_port(sr, vdi, n, p.writable, at);
	if (!err)
		return 0;
	fail_keep(sr->ctx, &words);
	give_way(sr, vdi);		/* err is what matters, and what was said of it */
	fail_again(sr->ctx, &words);
	return err;
}

static int hold_disk(struct sr *sr, const struct vdi *vdi, int *hold)
{
	return control_hold(sr, &vdi->uuid, hold);
}

/* Somebody may have detached it meanwhile: then there is nothing to show it on. */
static int show_size(struct sr *sr, const struct vdi *vdi, uint64_t size)
{
	int n = number_below(sr, vdi);
	struct attachment at;
	struct nbd_now now;
	struct port p;
	int err = port_find(sr, vdi, &p);

	if (err || !p.there || n < 0 || nbd_info(n, &now))
		return err;
	if (now.size < size)
		return fail_say(sr->ctx, -E_UNSUPPORTED, "/dev/nbd%d does not grow while it is in use: "
				"detach the disk and attach it again", n);
	return put_again(sr, vdi, n, p.writable, &at);
}

/* With the lock again, which the server needed: nobody detaches it meanwhile, or attaches another disk. */
static int resume_disk(struct sr *sr, const struct vdi *vdi, int *hold)
{
	_unlock_ int lock = -1;
	uint64_t size;
	int err = control_resume(sr, &vdi->uuid, hold, &size);

	if (err || size <= vdi->virtual_size)
		return err;
	err = lock_take(&lock, sm_path(sr->ctx, "/var/lock/sm/%s/sr", sr->uuid.s), false,
			clock_now_mono() + SWAP_PATIENCE);
	return err ? fail(sr->ctx, err, "lock the SR") : show_size(sr, vdi, size);
}

static int go_on(struct sr *sr, const struct vdi *vdi, const struct chain *c, int *hold)
{
	uint64_t size;
	int err = control_go(sr, &vdi->uuid, c, hold, &size);

	return err || size <= vdi->virtual_size ? err : show_size(sr, vdi, size);
}

static const struct datapath nbd = {
	.name = "nbd",
	.serves = serves,
	.find = find,
	.find_all = find_all,
	.activate = activate,
	.deactivate = deactivate,
	.pause = pause_disk,
	.resume = resume_disk,
	.hold = hold_disk,
	.go = go_on,
	.refresh = refresh,
	.take = IS_ENABLED(CONFIG_LIVE_RAW) ? take : NULL,
	.give_way = IS_ENABLED(CONFIG_LIVE_RAW) ? give_way : NULL,
};
REGISTER(datapaths, nbd);
