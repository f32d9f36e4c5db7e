/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/blk.h"
#include "arch/clock.h"
#include "arch/dm.h"
#include "arch/lock.h"
#include "arch/proc.h"
#include "drivers/port.h"
#include "drivers/sr.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/num.h"

/* How long udev, or somebody who looks at a device, may keep us waiting. */
#define PATIENCE	(10 * NS_PER_S)
/* Behind the deadline of a hold, for who looks at the clock before he writes. */
#define GRACE		(NS_PER_S / 2)

#define PREFIX		"sm-"
#define UUID_PREFIX	"SM-"
#define UUID_MAP	"-map"		/* behind the uuid */

static enum port_kind kind_of(const char *dm_uuid)
{
	size_t n = strlen(dm_uuid), end = sizeof(UUID_PREFIX) - 1 + UUID_LEN;

	return n > end && !strcmp(dm_uuid + end, UUID_MAP) ? PORT_MAP : PORT_LINEAR;
}

static void describe(struct sr *sr, const struct vdi *vdi, enum port_kind kind, struct dm_device *d)
{
	struct arena *a = &sr->ctx->arena;

	*d = (struct dm_device){
		.name = arena_printf(a, PREFIX "%s", vdi->uuid.s),
		.uuid = arena_printf(a, UUID_PREFIX "%s%s", vdi->uuid.s,
				     kind == PORT_MAP ? UUID_MAP : ""),
		.kind = DM_GUEST, .deadline = clock_now_mono() + PATIENCE,
	};
}

bool port_can(void)
{
	_close_ int ctl = dm_open();

	return ctl >= 0;
}

static int open_dm(struct sr *sr)
{
	int ctl = dm_open();

	if (dm_is_absent(ctl))
		hint(sr->ctx, "load the module dm-mod");
	return ctl < 0 ? fail(sr->ctx, ctl, "open device-mapper") : ctl;
}

int port_need(struct sr *sr)
{
	if (port_can())
		return 0;
	hint(sr->ctx, "load the module dm-mod and attach again");
	return fail_say(sr->ctx, -E_UNSUPPORTED,
			"this kernel has no device-mapper, and a disk in use needs it");
}

/* --- what there is -------------------------------------------------------------- */

int port_find(struct sr *sr, const struct vdi *vdi, struct port *p)
{
	_close_ int ctl = dm_open();
	struct dm_device d;
	struct dm_info info;
	int err;

	*p = (struct port){ 0 };
	if (ctl < 0)
		return 0;
	describe(sr, vdi, PORT_LINEAR, &d);
	err = dm_info(ctl, dm_by_name(d.name), &info);
	if (err == -ENXIO)
		return 0;
	if (err)
		return fail(sr->ctx, err, "ask device-mapper for %s", d.name);
	*p = (struct port){
		.kind = kind_of(info.uuid), .there = info.live, .writable = !info.read_only,
		.held = info.suspended, .dev = info.dev,
	};
	return 0;
}

void port_path(const struct vdi *vdi, char path[256])
{
	snprintf(path, 256, "/dev/mapper/" PREFIX "%s", vdi->uuid.s);
}

int port_show(struct sr *sr, const struct vdi *vdi, struct attachment *at)
{
	struct port p;
	int err = port_find(sr, vdi, &p);

	if (!err && p.there)
		port_path(vdi, at->device);
	return err;
}

int port_below(struct sr *sr, const struct vdi *vdi, dev_t **devs, size_t *n)
{
	_close_ int ctl = dm_open();
	struct dm_device d;
	int err;

	*devs = NULL;
	*n = 0;
	if (ctl < 0)
		return 0;
	describe(sr, vdi, PORT_LINEAR, &d);
	err = dm_deps(ctl, dm_by_name(d.name), &sr->ctx->arena, devs, n);
	return err && err != -ENXIO ? fail(sr->ctx, err, "ask device-mapper for %s", d.name) : 0;
}

int port_nbd_among(const dev_t *devs, size_t n, int *number)
{
	char name[32];
	int err = 0;

	*number = -1;
	/* With short cuts there is another one beside it. */
	for (size_t i = 0; !err && i < n && n <= 2 && *number < 0; i++) {
		const char *s = name + 3;
		uint64_t v;

		err = blk_name(devs[i], name, sizeof(name));
		if (!err && !strncmp(name, "nbd", 3) && num_take(&s, &v) && !*s && v <= INT32_MAX)
			*number = (int)v;
	}
	return err;
}

int port_nbd(struct sr *sr, const struct vdi *vdi, int *number)
{
	dev_t *devs;
	size_t n;
	int err = port_below(sr, vdi, &devs, &n);

	*number = -1;
	return err ? err : port_nbd_among(devs, n, number);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct dm_entry *)a)->name, ((const struct dm_entry *)b)->name);
}

int port_list(struct sr *sr, struct ports *all)
{
	_close_ int ctl = dm_open();
	int err;

	*all = (struct ports){ 0 };
	if (ctl < 0)		/* without device-mapper there are none */
		return 0;
	err = dm_list(ctl, &sr->ctx->arena, &all->v, &all->n);
	if (err)
		return fail(sr->ctx, err, "list the devices of device-mapper");
	if (all->n)
		qsort(all->v, all->n, sizeof(*all->v), by_name);
	return 0;
}

enum port_kind ports_have(const struct ports *all, const struct uuid *vdi)
{
	char name[sizeof(PREFIX) + UUID_LEN] = PREFIX;
	struct dm_entry key = { .name = name }, *e;

	memcpy(name + sizeof(PREFIX) - 1, vdi->s, UUID_LEN + 1);
	e = all->n ? bsearch(&key, all->v, all->n, sizeof(key), by_name) : NULL;
	return e ? kind_of(e->uuid) : PORT_NONE;
}

/* --- making and removing --------------------------------------------------------- */

void port_linear(struct sr *sr, dev_t below, uint64_t bytes, struct dm_table *t)
{
	t->n = 1;
	t->target = arena_alloc(&sr->ctx->arena, sizeof(*t->target));
	*t->target = (struct dm_target){
		.length = bytes / 512, .type = "linear",
		.params = arena_printf(&sr->ctx->arena, "%u:%u 0", major(below), minor(below)),
	};
}

static int put(struct sr *sr, const struct vdi *vdi, const struct dm_table *t,
	       enum port_kind kind, bool writable, struct attachment *at)
{
	_close_ int ctl = open_dm(sr);
	struct dm_device d;
	int err;

	if (ctl < 0)
		return ctl;
	describe(sr, vdi, kind, &d);
	d.table = t;
	d.read_only = !writable;
	err = dm_activate(ctl, &d, NULL);	/* commit */
	if (err)
		return fail(sr->ctx, err, "make %s", d.name);
	at->active = true;
	at->writable = writable;
	port_path(vdi, at->device);
	return 0;
}

int port_put(struct sr *sr, const struct vdi *vdi, const struct dm_table *t, bool writable,
	     struct attachment *at)
{
	return put(sr, vdi, t, PORT_LINEAR, writable, at);
}

int port_put_map(struct sr *sr, const struct vdi *vdi, const struct dm_table *t,
		 struct attachment *at)
{
	return put(sr, vdi, t, PORT_MAP, false, at);
}

int port_remove(struct sr *sr, const struct vdi *vdi)
{
	_close_ int ctl = dm_open();
	struct dm_device d;
	int err;

	if (ctl < 0)
		return 0;
	describe(sr, vdi, PORT_LINEAR, &d);
	d.uuid = NULL;		/* of any kind */
	err = dm_deactivate(ctl, &d);		/* commit */
	if (err == -EBUSY) {
		hint(sr->ctx, "see who has it open: fuser /dev/mapper/%s", d.name);
		return fail(sr->ctx, -E_VDI_IN_USE, "/dev/mapper/%s is open", d.name);
	}
	return err ? fail(sr->ctx, err, "remove %s", d.name) : 0;
}

static bool is_served(int ctl, const char *name, const struct dm_table *now, struct arena *a)
{
	char below[32];
	dev_t *devs;
	size_t n;

	return now->n == 1 && !dm_deps(ctl, dm_by_name(name), a, &devs, &n) && n == 1 &&
	       !blk_name(devs[0], below, sizeof(below)) && !strncmp(below, "nbd", 3);
}

/*
 * The table, which tells the size, is loaded beside the old one: who removes the port
 * or gives it another table drops it.  The kernel holds new requests back from the
 * beginning of the resume, so a death anywhere leaves the old table or the new one.
 */
int port_fail(struct sr *sr, const struct vdi *vdi, int *lock)
{
	_close_ int ctl = dm_open();
	struct dm_target all = { .type = "error", .params = "" };
	struct dm_table now, t = { .target = &all, .n = 1 };
	struct dm_device d;
	int err;

	if (ctl < 0)
		return 0;
	describe(sr, vdi, PORT_LINEAR, &d);
	err = dm_table(ctl, dm_by_name(d.name), false, &sr->ctx->arena, &now);
	if (err == -ENXIO || (!err && (!now.n || !strcmp(now.target[0].type, all.type) ||
				       is_served(ctl, d.name, &now, &sr->ctx->arena))))
		return 0;
	for (size_t i = 0; !err && i < now.n; i++)
		all.length += now.target[i].length;
	if (!err)
		err = dm_load(ctl, dm_by_name(d.name), &t, false);
	lock_drop(lock);
	if (!err)
		err = dm_resume(ctl, dm_by_name(d.name), DM_NO_FLUSH, NULL);	/* commit */
	/* Without the lock a server may have loaded its own in the place of ours; the next look is soon. */
	if (!err)
		err = dm_table(ctl, dm_by_name(d.name), false, &sr->ctx->arena, &now);
	if (err == -ENXIO)
		return 0;
	if (!err && (!now.n || strcmp(now.target[0].type, all.type)))
		err = -EAGAIN;
	return err ? fail(sr->ctx, err, "let %s fail", d.name) : 1;
}

/* --- live operations ----------------------------------------------------------------
 * The watcher is who suspends: that is a call which waits for requests and which
 * only a signal ends, and a process can be killed at any time.
 */

static int wait_ms(uint64_t until)
{
	uint64_t ms = clock_left(until) / NS_PER_MS;

	return ms > INT_MAX - 1 ? -1 : (int)ms + 1;
}

static void let_go(int ctl, dev_t dev)
{
	dm_clear(ctl, dm_by_dev(dev));
	dm_resume(ctl, dm_by_dev(dev), 0, NULL);
}


static _Noreturn void watch(const struct port_hold *h, int end)
{
	static const int deadly[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE };
	struct pollfd p = { .fd = end, .events = POLLIN };
	int err, ready;
	char word;

	for (size_t i = 0; i < ARRAY_SIZE(deadly); i++)
		signal(deadly[i], SIG_IGN);
	proc_guard();
	err = dm_suspend(h->ctl, dm_by_dev(h->port.dev), 0);
	if (send(end, &err, sizeof(err), MSG_NOSIGNAL) != sizeof(err) || err) {
		if (!err)
			let_go(h->ctl, h->port.dev);
		_exit(1);
	}
	do {
		ready = poll(&p, 1, wait_ms(h->deadline + GRACE));
	} while (ready < 0 && errno == EINTR);
	/* A word says that all is well; without one they have died, or sleep. */
	if (ready == 1 && read(end, &word, 1) == 1)
		_exit(0);
	let_go(h->ctl, h->port.dev);
	_exit(1);
}

static void reap(const struct port_hold *h)
{
	while (h->watcher > 0 && waitpid(h->watcher, NULL, 0) < 0 && errno == EINTR)
		;
}

static void end_watcher(struct port_hold *h)
{
	reap(h);
	close(take_fd(&h->watch));
	close(take_fd(&h->ctl));
}

/* What the suspend came to; by its death, if it takes too long. */
static int hear(struct port_hold *h)
{
	struct pollfd p = { .fd = h->watch, .events = POLLIN };
	struct dm_info now;
	int err, ready;

	do {
		ready = poll(&p, 1, wait_ms(h->deadline));
	} while (ready < 0 && errno == EINTR);
	if (ready == 1 && read(h->watch, &err, sizeof(err)) == sizeof(err))
		return err;
	kill(h->watcher, SIGKILL);
	reap(h);
	/* It may just have come to rest. */
	if (!dm_info(h->ctl, dm_by_dev(h->port.dev), &now) && now.suspended)
		let_go(h->ctl, h->port.dev);
	return -E_DEADLINE;
}

static int start(struct port_hold *h)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -errno;
	h->watcher = fork();
	if (!h->watcher) {
		close(ends[0]);		/* or it would never see us die */
		watch(h, ends[1]);
	}
	close(ends[1]);
	h->watch = ends[0];
	return h->watcher < 0 ? -errno : hear(h);
}

int port_pause(struct sr *sr, const struct vdi *vdi, uint64_t deadline, struct port_hold *h)
{
	struct port p;
	int err = port_need(sr);

	*h = (struct port_hold){ .sr = sr, .vdi = vdi, .ctl = -1, .watch = -1, .deadline = deadline };
	if (!err)
		err = port_find(sr, vdi, &p);
	if (err)
		return err;
	if (!p.there)
		return fail_say(sr->ctx, -E_VDI_UNAVAILABLE, "VDI %s has no device", vdi->uuid.s);
	h->port = p;
	h->ctl = dm_open();
	err = h->ctl < 0 ? h->ctl : start(h);
	if (!err)
		return 0;
	if (h->watch >= 0)
		end_watcher(h);
	else if (h->ctl >= 0)
		close(take_fd(&h->ctl));
	if (err == -E_DEADLINE)
		hint(sr->ctx, "see what it waits for: the log, and the disks below");
	return fail(sr->ctx, err, "pause VDI %s", vdi->uuid.s);
}

static int go_on(struct port_hold *h, const struct dm_table *t)
{
	struct dm_device d;
	struct dm_info now = { .suspended = true };
	int err = dm_info(h->ctl, dm_by_dev(h->port.dev), &now);

	describe(h->sr, h->vdi, h->port.kind, &d);
	d.table = t;
	d.read_only = !h->port.writable;
	/* Later the watcher might clear the table that we load. */
	if (!err && (!now.suspended || !clock_left(h->deadline)))
		err = -E_DEADLINE;
	else if (!err && t)
		err = dm_reload(h->ctl, &d, 0);		/* commit */
	else if (!err)
		err = dm_resume(h->ctl, dm_by_dev(h->port.dev), 0, NULL);
	/* The kernel's refusal of a table leaves it held, with the old one. */
	if (err && now.suspended)
		let_go(h->ctl, h->port.dev);
	/* The watcher may have been killed, which does not matter any more. */
	send(h->watch, "", 1, MSG_NOSIGNAL);
	end_watcher(h);
	return err ? fail(h->sr->ctx, err, "resume VDI %s", h->vdi->uuid.s) : 0;
}

int port_resume(struct port_hold *h)
{
	return go_on(h, NULL);
}

int port_swap(struct port_hold *h, const struct dm_table *t)
{
	return go_on(h, t);
}
