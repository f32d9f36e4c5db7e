/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sm vdi serve: a disk on a Unix socket, by the NBD protocol, until a signal.
 *
 * The order: the socket's name is looked at, the lock of the server is taken, and
 * the storage's, the images are opened, the server is told of, the disk counts as
 * attached (commit); only then are the locks of SR and VDI let go and the socket appears.  A
 * server that died leaves a record of an attached disk without a device, which
 * detach takes away, or the next one to serve it takes over.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/lock.h"
#include "arch/sock.h"
#include "drivers/chain.h"
#include "drivers/datapath/nbd_worker.h"
#include "drivers/lease.h"
#include "drivers/server.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/image.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/serve/disk.h"
#include "lib/serve/server.h"
#include "sm/cbt.h"
#include "sm/core.h"
#include "sm/lease.h"
#include "sm/locks.h"
#include "sm/snapshot.h"
#include "sm/state.h"

#define LOOK_EVERY	(10 * NS_PER_S)		/* is the disk's lock still ours? */
#define WITH_GROWTH	IS_ENABLED(CONFIG_LVM_THIN_GROW)

static int may_serve(struct run *r)
{
	const struct vdi *vdi = &r->vdi;
	bool writable = r->rq->writable;

	if (vdi->hidden && writable)
		return fail(r->ctx, -E_VDI_HIDDEN, "VDI %s", vdi->uuid.s);
	if (vdi->read_only && writable) {
		hint(r->ctx, "sm vdi serve %s --read-only", vdi->uuid.s);
		return fail_say(r->ctx, -E_VDI_UNAVAILABLE, "VDI %s is read-only", vdi->uuid.s);
	}
	if (vdi->at.active || (vdi->at.attached && vdi->at.writable != writable)) {
		hint(r->ctx, "sm vdi detach %s", vdi->uuid.s);
		return fail_say(r->ctx, -E_VDI_IN_USE, "VDI %s is attached%s%s", vdi->uuid.s,
				vdi->at.device[0] ? " as " : "", vdi->at.device);
	}
	return IS_ENABLED(CONFIG_SNAPSHOTS) && writable ? must_be_leaf(r) : 0;
}

/* For others, who have another working directory. */
static const char *whole_path(struct run *r, const char *path)
{
	char dir[PATH_MAX];

	if (path[0] == '/' || !getcwd(dir, sizeof(dir)))
		return path;
	return arena_printf(&r->ctx->arena, "%s/%s", dir, path);
}

/*
 * Another host has broken the disk's lock and may write it: not another byte,
 * not what a flush would write, and no word to the clients that they could take
 * for an answer.  Who only reads would read half of the old and half of the new.
 */
static _Noreturn void give_up(struct run *r, const char *path)
{
	static const char text[] = "sm: vdi serve: the lock of the disk has been broken by another host: given up, "
		"nothing more is read or written\n";

	logf_err(r->ctx, "vdi serve: VDI %s: its lock has been broken by another host: given up", r->vdi.uuid.s);
	unlink(path);
	state_remove(&r->sr, &r->vdi.uuid);
	_exit(write_all(STDERR_FILENO, text, sizeof(text) - 1) ? 4 : 3);
}

/*
 * A thin disk that fills (nbd_worker.h), as behind the kernel's device.  But not where
 * hosts share the SR: whoever has its lock dies when that may be another's, and nobody would
 * come after this server.
 */
static bool can_grow(struct run *r)
{
	return r->rq->writable && !(IS_ENABLED(CONFIG_SHARED_SR) && lease_is_shared(r));
}

struct growth {
	struct nbd_disk disk;
	struct nbd_room room;
	struct disk *d;
};

static void start_growing(struct run *r, struct growth *g, struct disk *d)
{
	*g = (struct growth){
		.disk = { .sr = &r->sr, .vdi = &r->vdi, .writable = r->rq->writable, .control = -1 },
		.room = { .fd = -1 }, .d = d,
	};
	if (!WITH_GROWTH || !can_grow(r))
		return;
	g->disk.shared = must_alloc(sizeof(*g->disk.shared));
	nbd_room_open(&g->room, &g->disk, d);
}

static void grow(struct run *r, struct growth *g, const char *path)
{
	if (g->room.next && !clock_left(g->room.next) && nbd_room_get(&g->room, &g->disk, g->d) == -E_NOT_LOCKED)
		give_up(r, path);
}

/* Nobody gets room from here on: once more, and who still waits for some hears so. */
static void grow_no_more(struct run *r, struct growth *g, const char *path)
{
	if (g->room.fd < 0)
		return;
	nbd_room_hear(&g->room);
	g->room.next = g->room.next ? clock_now_mono() : 0;
	grow(r, g, path);
	disk_no_room(g->d);
}

static void stop_growing(struct growth *g)
{
	if (g->room.fd >= 0)
		close(g->room.fd);
	free(g->disk.shared);
}

/* When it is time to look at the lock, or for room; 0 = at no time. */
static int wait_ms(uint64_t due, uint64_t room)
{
	uint64_t at = room && (!due || room < due) ? room : due;

	return at ? (int)(clock_left(at) / NS_PER_MS) + 1 : -1;
}

static void look_at_lock(struct run *r, bool *had, const char *path)
{
	int has = WITH_READERS ? lease_is_ours(r) : -1;

	if (!has && *had)		/* to read an SR that is read-only nobody ever had one */
		give_up(r, path);
	*had = *had || has > 0;
}

/* Clients come and go until somebody wants us to end. */
static int answer_clients(struct run *r, struct server *s, struct growth *g, int fd, int signals, const char *path)
{
	bool shared = IS_ENABLED(CONFIG_SHARED_SR) && lease_is_shared(r), had = r->rq->writable;
	uint64_t due = shared ? clock_now_mono() : 0;
	int client, err;

	do {
		err = sock_accept(fd, signals, g->room.fd, wait_ms(due, g->room.next), &client);
		if (!err && (err = server_add(s, client, true))) {
			logf_err(r->ctx, "vdi serve: a client was turned away: %s", err_text(err));
			err = 0;
		}
		if (WITH_GROWTH && err == -EAGAIN)
			nbd_room_hear(&g->room);
		if (WITH_GROWTH)
			grow(r, g, path);
		if (!shared || clock_left(due))
			continue;
		look_at_lock(r, &had, path);
		due = clock_now_mono() + LOOK_EVERY;
	} while (!err || err == -ETIMEDOUT || err == -EAGAIN);
	return err == -EINTR ? 0 : fail(r->ctx, err, "wait for clients");
}

/* From the moment that the disk counts as attached until it does not. */
static int serve(struct run *r, struct disk *d, const char *path, int signals)
{
	_close_ int fd = -1;
	struct server *s = NULL;
	struct growth growth;
	int err = sock_listen(path, &fd), bad;

	if (err)
		fail(r->ctx, err, "listen on %s", path);
	/* The layout lets go of what it has locked by itself, and keeps what is open. */
	if (IS_ENABLED(CONFIG_SHARED_SR))
		sr_leave(&r->sr);
	if (r->sr.type->layout->close)
		r->sr.type->layout->close(&r->sr);
	lock_drop(&r->vdi_lock);
	lock_drop(&r->sr_lock);
	if (!err) {
		logf_info(r->ctx, "vdi serve: VDI %s on %s", r->vdi.uuid.s, path);
		start_growing(r, &growth, d);
		server_start(&s, d, r->vdi.uuid.s);
		err = answer_clients(r, s, &growth, fd, signals, path);
		unlink(path);
		if (WITH_GROWTH)
			grow_no_more(r, &growth, path);
		server_stop(s);
		stop_growing(&growth);
	}
	bad = disk_close(d);
	return bad && !err ? fail(r->ctx, bad, "write the last of VDI %s", r->vdi.uuid.s) : err;
}

static int open_disk(struct run *r, struct disk **d, struct cbt_live **live)
{
	struct image *im;
	int how = !r->rq->writable ? 0 : WITH_GROWTH && can_grow(r) ? CHAIN_WRITE | CHAIN_GROWS : CHAIN_WRITE;
	int err = chain_open(&r->sr, &r->vdi, how, &im);

	if (err)
		return err;
	disk_open(d, im);
	if (!WITH_CBT || !r->vdi.cbt || !r->rq->writable)
		return 0;
	*live = must_alloc(sizeof(**live));
	err = cbt_begin(&r->sr, &r->vdi, *live);
	if ((*live)->on)
		disk_track(*d, (*live)->bits, (*live)->touched);
	return err;
}

/* The record goes with the lock, so that nobody sees one without the other for long. */
static int take_back(struct run *r, int *lock, struct cbt_live *live)
{
	int err = lock_host(r->ctx, r->sr.uuid.s, "sr", &r->sr_lock);

	/* What the SR is now, after others have changed it. */
	sr_close(&r->sr);
	if (!err)
		err = sr_open(&r->sr, true);
	if (WITH_CBT && !err && live)
		err = cbt_end(&r->sr, &r->vdi.uuid, live);
	if (!err)
		err = state_remove(&r->sr, &r->vdi.uuid);
	if (WITH_LOCKS && !err)
		err = lease_detach(r);
	if (!err)
		err = chain_release(&r->sr, &r->vdi);
	server_unlock(&r->sr, &r->vdi.uuid, lock);
	return err;
}

/* What has the disk to itself from here on, up to its commit. */
static int begin(struct run *r, const struct server_note *note, int lock, struct disk **d,
		 struct cbt_live **live)
{
	int err = WITH_LOCKS ? lease_attach(r, r->rq->writable) : 0;

	if (!err)
		err = open_disk(r, d, live);
	if (!err)
		err = server_tell(&r->sr, lock, note);
	return err ? err : state_put(&r->sr, &r->vdi.uuid, r->rq->writable, 0);	/* commit */
}

/* Why it failed is what matters.  A disk that was attached before has its record, and its lock. */
static void undo(struct run *r, struct disk *d, struct cbt_live *live)
{
	bool fresh = !r->vdi.at.attached;
	struct fail_words words;

	fail_keep(r->ctx, &words);
	disk_close(d);
	if (WITH_CBT && live)
		cbt_end(&r->sr, &r->vdi.uuid, live);
	free(live);
	if (fresh)
		state_remove(&r->sr, &r->vdi.uuid);
	if (WITH_LOCKS && fresh)
		lease_detach(r);
	chain_release(&r->sr, &r->vdi);
	fail_again(r->ctx, &words);
}

int do_vdi_serve(struct run *r)
{
	struct server_note note = { .writable = r->rq->writable, .backend = "socket" };
	const char *path = whole_path(r, r->rq->socket);
	struct cbt_live *live = NULL;
	struct disk *d = NULL;
	_close_ int signals = -1;
	_unlock_ int lock = -1;
	int err = may_serve(r), bad;

	if (err)
		return err;
	if (strlen(path) >= sizeof(note.device))
		return fail(r->ctx, -ENAMETOOLONG, "socket %.64s…", path);
	if (r->ctx->dry_run)
		return plan(r, 0, "serve VDI %s on %s", r->vdi.uuid.s, path);
	snprintf(note.device, sizeof(note.device), "%s", path);
	err = sock_signals(&signals);
	if (err)
		return fail(r->ctx, err, "wait for signals");
	err = server_lock(&r->sr, &r->vdi.uuid, &lock);
	if (err)
		return err;
	err = begin(r, &note, lock, &d, &live);
	if (err) {
		undo(r, d, live);
		server_unlock(&r->sr, &r->vdi.uuid, &lock);
		return err;
	}
	err = serve(r, d, r->rq->socket, signals);
	bad = take_back(r, &lock, live);
	free(live);
	return err ? err : bad;
}
