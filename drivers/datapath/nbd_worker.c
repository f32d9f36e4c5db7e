/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/fs.h"
#include "arch/lock.h"
#include "arch/proc.h"
#include "arch/sock.h"
#include "drivers/control.h"
#include "drivers/datapath/hybrid.h"
#include "drivers/datapath/nbd_worker.h"
#include "drivers/layout.h"
#include "drivers/sr.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/kconfig.h"
#include "lib/log.h"
#include "lib/num.h"
#include "lib/serve/server.h"

#define HEAR_MS		1000			/* who connects has something to say */
#define TRY_FIRST	(2 * NS_PER_MS)		/* for the lock, ever more rarely */
#define TRY_MOST	(50 * NS_PER_MS)
#define TRY_AGAIN	(1 * NS_PER_S)		/* after a failure */
#define OPEN_PATIENCE	(10 * NS_PER_S)		/* for lvm2's lock and the like */
#define FAIL_AFTER	(20 * NS_PER_S)		/* requests wait so long for an image */
#define LOCK_PATIENCE	(90 * NS_PER_S)		/* and so long for a lock */
#define LOOK_MS		500			/* is the device still there? */
#define LOCK_EVERY	(10 * NS_PER_S)		/* is the disk's lock still ours? */
#define WITH_SHARED	IS_ENABLED(CONFIG_SHARED_SR)
#define WITH_GROWTH	IS_ENABLED(CONFIG_LVM_THIN_GROW)

struct worker {
	struct nbd_disk *k;
	struct disk *d;
	struct server *s;
	struct hybrid hybrid;
	int left;			/* all clients have: an eventfd */

	enum { RUNNING, PAUSED, OPENING } state;
	bool kept;			/* PAUSED: with its images */
	int heir;			/* 1: a dead one may have left what nobody has flushed yet; or why that failed */
	int boss;			/* who has it paused, or waits to hear of it; -1 */
	bool asked;			/* it has said "resume" */
	uint64_t held;			/* not RUNNING: since when */
	uint64_t until;			/* PAUSED: the boss has no longer */
	uint64_t since, next, pause;	/* OPENING: from when on, and when to try again */
	int failed;			/* OPENING: with this, as has been told */
	bool found;			/* the kernel, partitions of the guest, which it is to forget */
	uint64_t look;			/* at the lock, next; 0 = at no time */
	struct nbd_room room;
};

static void drop_boss(struct worker *w)
{
	if (w->boss >= 0)
		close(take_fd(&w->boss));
	w->asked = false;
}

/* Who does not listen need not know. */
static void tell_boss(struct worker *w, const char *word, const char *what)
{
	if (w->boss >= 0)
		control_say(w->boss, "%s%s", word, what);
	drop_boss(w);
}

/* --- going on ------------------------------------------------------------------ */

static void start_opening(struct worker *w)
{
	/* It may have become another's parent. */
	if (w->kept)
		disk_forget(w->d);
	w->kept = false;
	w->state = OPENING;
	w->since = w->next = clock_now_mono();
	w->pause = TRY_FIRST;
	w->failed = 0;
}

/* A base copy is never written, whatever was thought of it before. */
static int find_image(struct worker *w, struct sr *sr, struct image **im)
{
	struct vdi vdi;
	bool writable = w->k->writable;
	int err = sr->type->layout->find(sr, &w->k->vdi->uuid, &vdi);

	if (err)
		return fail(sr->ctx, err, "find it");
	if (vdi.hidden && writable)
		return fail(sr->ctx, -E_VDI_HIDDEN, "it has become an inner node");
	if (IS_ENABLED(CONFIG_CBT) && writable)
		err = cbt_begin(sr, &vdi, &w->k->shared->cbt);
	return err ? err : chain_open(sr, &vdi, CHAIN_DIRECT | (writable ? CHAIN_WRITE | CHAIN_GROWS : 0), im);
}

/*
 * What a dead one had acknowledged may be in an image that is a parent by now, which no flush
 * of the disk reaches.  And what it had not may be under way still, which must not come after ours.
 */
static int flush_all(struct worker *w, const struct image *im)
{
	for (size_t i = 0; w->heir > 0 && w->k->writable && i < im->n; i++) {
		int fd = im->levels[i].io->fd, err = fd < 0 ? 0 : fs_settle(fd);

		if (err)
			return err;
		if (fd >= 0 && fdatasync(fd))
			w->heir = -errno;	/* for good: the kernel tells it once */
	}
	if (w->heir > 0)
		w->heir = 0;
	return w->heir;
}

struct sr nbd_same_sr(const struct sr *was, struct ctx *ctx)
{
	return (struct sr){
		.ctx = ctx, .type = was->type, .uuid = was->uuid, .name = was->name,
		.description = was->description, .dconf = was->dconf,
		.sm_config = was->sm_config, .write = true, .dir = -1,
		.shared = was->shared, .verb = "serve",
	};
}

/* Before anybody is inside. */
static void track(struct nbd_disk *k, struct disk *d)
{
	struct cbt_live *live = &k->shared->cbt;

	if (IS_ENABLED(CONFIG_CBT))
		disk_track(d, live->on ? live->bits : NULL, live->touched);
}

int nbd_log(struct nbd_disk *k, bool last)
{
	struct ctx ctx = { .root = k->sr->ctx->root, .dry_run = true };	/* it takes no lock */
	struct sr sr = nbd_same_sr(k->sr, &ctx);
	struct cbt_live *live = &k->shared->cbt;
	int err;

	if (!live->on)
		return 0;
	err = sr_open(&sr, false);
	if (!err)
		err = (last ? cbt_end : cbt_save)(&sr, &k->vdi->uuid, live);
	if (err)
		logf_err(&ctx, "nbd: VDI %s: write its log of changed blocks: %s", k->vdi->uuid.s,
			 ctx.why[0] ? ctx.why : err_text(err));
	live->on &= !last;
	sr_close(&sr);
	arena_free(&ctx.arena);
	return err;
}

/* -EAGAIN: somebody has the lock. */
static int open_again(struct worker *w, struct ctx *ctx)
{
	struct sr sr = nbd_same_sr(w->k->sr, ctx);
	_unlock_ int lock = -1;
	struct image *im = NULL;
	int err = lock_take(&lock, sm_path(ctx, "/var/lock/sm/%s/sr", sr.uuid.s), false, LOCK_TRY);

	if (err)
		return err == -ETIMEDOUT ? -EAGAIN : fail(ctx, err, "lock the SR");
	ctx->deadline = clock_now_mono() + OPEN_PATIENCE;
	err = sr_open(&sr, true);
	/* Where several hosts share it another one may be at work: that is waited for as for a lock of ours. */
	if (WITH_SHARED && sr.shared && (err == -E_DEADLINE || err == -E_BUSY))
		err = -EAGAIN;
	if (WITH_SHARED && !err)
		err = nbd_lock_check(w->k, &sr);
	if (!err)
		err = find_image(w, &sr, &im);
	if (!err && (err = flush_all(w, im))) {
		image_close(im);
		fail(ctx, err, "flush what was written before");
	} else if (!err) {
		track(w->k, w->d);
		err = disk_resume(w->d, im, w->k->writable ? &w->k->shared->notes : NULL);
		if (err)
			fail(ctx, err, "use the image");
	}
	sr_close(&sr);
	return err;
}

/* Whoever was quick enough to open one keeps it until he lets go. */
static int forget(struct worker *w)
{
	int err = nbd_forget(w->k->shared->n);

	w->found = err == -EBUSY;
	return err;
}

/* The kernel's device follows; dm above it is the commander's. */
static void show_size(struct worker *w, struct ctx *ctx)
{
	struct nbd_setup setup = w->k->setup;
	int n = w->k->shared->n, err;
	struct nbd_now now;

	setup.size = disk_size(w->d);
	server_resized(w->s);
	if (n < 0 || nbd_info(n, &now) || now.size == setup.size)
		return;
	err = nbd_resize(n, &setup);
	if (!err)
		err = forget(w);
	if (err)
		logf_err(ctx, "nbd: VDI %s: show its new size: %s", w->k->vdi->uuid.s, err_text(err));
}

static void tell_running(struct worker *w)
{
	char size[24];

	snprintf(size, sizeof(size), "%llu", (unsigned long long)disk_size(w->d));
	tell_boss(w, "running ", size);
}

static void goes_on(struct worker *w, struct ctx *ctx)
{
	show_size(w, ctx);
	w->state = RUNNING;
	if (w->asked)
		tell_running(w);
	logf_info(ctx, "nbd: VDI %s: goes on after %llu ms", w->k->vdi->uuid.s,
		  (unsigned long long)((clock_now_mono() - w->held) / NS_PER_MS));
}

/*
 * A commander who has the lock says what the disk is.  An image that is hidden is
 * a base copy, whoever says otherwise.
 */
static int use_top(struct worker *w, struct chain *c)
{
	struct disk_top top = { .base_format = c->level[0].format, .leaf_format = c->level[1].format };
	int err = io_from_fd(&top.base, take_fd(&c->level[0].fd), IO_RDONLY | IO_DIRECT);

	if (!err)
		err = io_from_fd(&top.leaf, take_fd(&c->level[1].fd),
				 (w->k->writable ? IO_RDWR : IO_RDONLY) | IO_DIRECT);
	return err ? (io_close(top.base), err) : disk_push(w->d, &top);
}

static int use_all(struct worker *w, struct chain *c)
{
	struct image *im;
	int err;

	if (w->kept)
		disk_forget(w->d);
	w->kept = false;
	c->writable = w->k->writable;
	err = chain_again(c, &im);
	if (err)
		return err;
	err = flush_all(w, im);
	if (err) {
		image_close(im);
		return err;
	}
	track(w->k, w->d);
	return disk_resume(w->d, im, w->k->writable ? &w->k->shared->notes : NULL);
}

static void goes_at_once(struct worker *w, struct chain *c, const char *line)
{
	struct ctx ctx = { .root = w->k->sr->ctx->root };
	bool as_it_was = !strcmp(line, "go");
	int err = w->state != PAUSED || (!w->kept && !c->all) ? -EBUSY : as_it_was ? 0 :
		c->all && c->n ? use_all(w, c) : c->n == 2 ? use_top(w, c) : -EPROTO;

	if (err) {
		control_say(w->boss, "error %s", err_text(err));
	} else {
		disk_go_on(w->d);
		w->kept = false;
		w->asked = true;
		goes_on(w, &ctx);
	}
	arena_free(&ctx.arena);
}

static void try_later(struct worker *w, struct ctx *ctx, int err)
{
	bool locked = err == -EAGAIN;
	uint64_t now = clock_now_mono(), patience = locked ? LOCK_PATIENCE : FAIL_AFTER;

	w->next = now + (locked ? w->pause : TRY_AGAIN);
	w->pause = w->pause * 2 < TRY_MOST ? w->pause * 2 : TRY_MOST;
	if (!locked && err != w->failed) {
		logf_err(ctx, "nbd: VDI %s: open it again: %s", w->k->vdi->uuid.s, ctx->why);
		tell_boss(w, "error ", ctx->why);
		w->failed = err;
	}
	/* What is damaged or gone does not come back by waiting. */
	if (now - w->since > patience || (!locked && (err_kind(err) == -EUCLEAN || err_kind(err) == -ENOENT)))
		disk_refuse(w->d, -EIO);
}

/* --- what needs no server ----------------------------------------------------------- */

static bool has_shortcuts(const struct worker *w)
{
	return IS_ENABLED(CONFIG_DATAPATH_HYBRID) && w->k->writable;
}

static void tick(struct worker *w)
{
	struct ctx ctx = { .root = w->k->sr->ctx->root };

	if (IS_ENABLED(CONFIG_DATAPATH_HYBRID) && w->k->shared->n >= 0)
		hybrid_tick(&w->hybrid, &ctx, w->k->shared->n);
	arena_free(&ctx.arena);
}

/* Also what a dead one has left.  Threads go on meanwhile, so what is under way ends. */
static int demote(struct worker *w)
{
	struct ctx ctx = { .root = w->k->sr->ctx->root };
	int err = 0;

	if (IS_ENABLED(CONFIG_DATAPATH_HYBRID) && has_shortcuts(w))
		err = hybrid_demote(&w->hybrid, &ctx, w->k->shared->n);
	arena_free(&ctx.arena);
	return err;
}

/*
 * Another host may write the disk: as a death here, of which nobody is to make up.
 * What guests ask for from now on fails, so that they learn of it.
 */
static _Noreturn void give_up(struct worker *w)
{
	disk_refuse(w->d, -EIO);	/* the rest takes its time */
	logf_err(NULL, "nbd: VDI %s: its lock has been broken by another host: given up, nothing more is written",
		 w->k->vdi->uuid.s);
	w->k->shared->cbt.on = false;
	/* Else one more worker takes back the full blocks, and comes to this again. */
	w->k->shared->given_up = !demote(w);
	nbd_disconnect(w->k->shared->n);
	_exit(1);
}

static void look_at_lock(struct worker *w)
{
	if (nbd_lock_look(w->k) == -E_NOT_LOCKED)
		give_up(w);
	w->look = clock_now_mono() + LOCK_EVERY;
}

static void go_on(struct worker *w)
{
	struct ctx ctx = { .root = w->k->sr->ctx->root };
	int err = demote(w);		/* after a pause that is nothing */

	err = err ? fail(&ctx, err, "take back its full blocks") : open_again(w, &ctx);
	if (WITH_SHARED && err == -E_NOT_LOCKED)
		give_up(w);
	if (err)
		try_later(w, &ctx, err);
	else
		goes_on(w, &ctx);
	arena_free(&ctx.arena);
}

/* --- commanders ----------------------------------------------------------------- */

/* What a dead worker noted is not in the image, or in the log: nobody may take that for whole. */
static bool is_whole(const struct worker *w)
{
	const struct disk_notes *n = &w->k->shared->notes;

	return !w->k->writable || (n->from == n->to && !w->k->shared->cbt.on);
}

static void do_pause(struct worker *w, int fd, uint64_t ms, bool keep)
{
	int err;

	if (w->state == PAUSED || (w->state == OPENING && !is_whole(w))) {
		control_say(fd, "busy %s", w->state == PAUSED ? "another process has it paused" :
			    "it is being started again");
		close(fd);
		return;
	}
	if (ms > INT_MAX)
		ms = INT_MAX;
	/* The log of changed blocks may be another one afterwards. */
	keep &= !IS_ENABLED(CONFIG_CBT) || !w->k->shared->cbt.on;
	err = demote(w);
	if (w->state == RUNNING && !err)	/* most of it, while all goes on */
		err = disk_flush(w->d);
	if (w->state == RUNNING)
		w->held = clock_now_mono();
	if (w->state == RUNNING && !err)
		err = disk_pause(w->d, (unsigned int)(ms / 2), keep);
	if (err) {
		control_say(fd, "%s %s", err == -ETIMEDOUT ? "busy" : "error", err == -ETIMEDOUT ?
			    "its requests do not end" : err_text(err));
		close(fd);
		return;
	}
	if (IS_ENABLED(CONFIG_CBT) && w->state == RUNNING)
		nbd_log(w->k, true);
	tell_boss(w, "later", "");
	w->boss = fd;
	w->kept = keep && w->state == RUNNING;
	w->state = PAUSED;
	w->until = clock_now_mono() + ms * NS_PER_MS;
	disk_refuse(w->d, 0);
	if (control_say(fd, "paused")) {
		drop_boss(w);
		start_opening(w);
	}
}

static void do_state(struct worker *w, int fd)
{
	static const char *const words[] = {
		[RUNNING] = "running", [PAUSED] = "paused", [OPENING] = "opening",
	};

	control_say(fd, "%s", w->state == OPENING && w->failed ? "failed" : words[w->state]);
	close(fd);
}

static bool is_pause(const char *line, uint64_t *ms)
{
	const char *p = !strncmp(line, "pause ", 6) ? line + 6 : !strncmp(line, "hold ", 5) ? line + 5 : NULL;

	return p && num_take(&p, ms) && !*p;
}

/* For who wants to read the log of a disk in use. */
static void do_log(struct worker *w, int fd)
{
	int err = w->state == RUNNING ? nbd_log(w->k, false) : -EBUSY;

	if (err)
		control_say(fd, "%s %s", err == -EBUSY ? "busy" : "error", err_text(err));
	else
		control_say(fd, "logged");
	close(fd);
}

static void hear_new(struct worker *w)
{
	char line[CONTROL_LINE];
	int fd = accept4(w->k->control, NULL, NULL, SOCK_CLOEXEC);
	uint64_t ms;

	if (fd < 0)
		return;
	if (control_hear(fd, line, HEAR_MS)) {
		close(fd);
	} else if (is_pause(line, &ms)) {
		do_pause(w, fd, ms, *line == 'h');
	} else if (IS_ENABLED(CONFIG_CBT) && !strcmp(line, "log")) {
		do_log(w, fd);
	} else if (!strcmp(line, "state")) {
		do_state(w, fd);
	} else {
		control_say(fd, "error what?");
		close(fd);
	}
}

/* It says "resume", or it has gone, which comes to the same. */
static void hear_boss(struct worker *w)
{
	struct chain *c = must_alloc(sizeof(*c));
	char line[CONTROL_LINE];
	int err, go;

	*c = (struct chain){ 0 };
	err = control_hear_go(w->boss, line, HEAR_MS, c);
	go = !err && (!strncmp(line, "go", 2) || !strncmp(line, "all ", 4));
	if (go)
		goes_at_once(w, c, line);
	chain_drop(c);
	free(c);
	if (go)
		return;
	if (err || strcmp(line, "resume"))
		drop_boss(w);
	else
		w->asked = true;
	if (w->state == PAUSED)
		start_opening(w);
	else if (w->state == RUNNING)
		tell_running(w);
}

/* The kernel does not tell whose lock it is; who has none any more has closed it. */
static bool is_locked_by(struct worker *w, pid_t pid)
{
	struct ctx ctx = { .root = w->k->sr->ctx->root };
	const char *path = sm_path(&ctx, "/var/lock/sm/%s/sr", w->k->sr->uuid.s);
	_unlock_ int lock = -1;
	bool locked = lock_take(&lock, path, false, LOCK_TRY) == -ETIMEDOUT &&
		      proc_may_have(pid, path);

	arena_free(&ctx.arena);
	return locked;
}

/*
 * It may be about to commit what it was asked to do: as long as it lives, and
 * has the lock, nobody can go on.  It is made to survive this.  One without the
 * lock is done and just slow, maybe with the many disks that it had paused.
 */
static void end_boss(struct worker *w)
{
	pid_t pid = sock_peer(w->boss);

	if (!is_locked_by(w, pid)) {
		start_opening(w);
		return;
	}
	logf_err(NULL, "nbd: VDI %s: process %d has it paused for too long: killed",
		 w->k->vdi->uuid.s, (int)pid);
	if (pid > 1 && pid != getpid())
		kill(pid, SIGKILL);
	drop_boss(w);
	start_opening(w);
}

/* --- life ------------------------------------------------------------------------ */

/* Without an image nobody who asks gets out again, unless he is let. */
static void let_out(struct worker *w)
{
	struct nbd_now now;

	if (w->k->shared->n >= 0 && nbd_info(w->k->shared->n, &now))
		disk_refuse(w->d, -ESHUTDOWN);
}

static int ms_until(uint64_t when)
{
	uint64_t left = clock_left(when);

	return left > LOOK_MS * NS_PER_MS ? LOOK_MS : (int)((left + NS_PER_MS - 1) / NS_PER_MS);
}

/* More room, if it is needed by now. */
static void grow(struct worker *w)
{
	if (w->state != RUNNING || !w->room.next || clock_left(w->room.next))
		return;
	if (nbd_room_get(&w->room, w->k, w->d) == -E_NOT_LOCKED)
		give_up(w);
}

/* Until something is to be done by itself; looks: for what is full, or found. */
static int wait_ms(const struct worker *w, bool looks)
{
	int ms = looks ? HYBRID_TICK_MS : w->state != RUNNING ?
		ms_until(w->state == PAUSED ? w->until : w->next) :
		WITH_SHARED && w->look ? (int)(LOCK_EVERY / NS_PER_MS) : -1;
	int room = WITH_GROWTH && w->state == RUNNING && w->room.next ? ms_until(w->room.next) : -1;

	return room >= 0 && (ms < 0 || room < ms) ? room : ms;
}

static void live(struct worker *w)
{
	for (;;) {
		struct pollfd p[] = {
			{ .fd = w->left, .events = POLLIN },
			{ .fd = w->k->control, .events = POLLIN },
			{ .fd = w->boss, .events = POLLIN },
			{ .fd = w->room.fd, .events = POLLIN },
		};
		/*
		 * What goes past us we cannot mark as changed.  And what may wait for room, which we
		 * get, is not waited for here: past a switch that nobody has settled it is below.
		 */
		bool idle = w->state == RUNNING && !(WITH_GROWTH && disk_may_wait(w->d));
		bool looks = idle && has_shortcuts(w) && !w->hybrid.off && !w->k->shared->cbt.on;
		bool forgets = idle && w->found;
		int ms = wait_ms(w, looks || forgets), n = poll(p, ARRAY_SIZE(p), ms);

		if (n < 0)
			continue;
		if (!server_clients(w->s))
			return;
		if (p[0].revents)	/* between the first socket and the second */
			eventfd_read(w->left, &(eventfd_t){ 0 });
		if (p[2].revents)
			hear_boss(w);
		if (p[1].revents)
			hear_new(w);
		if (WITH_SHARED && w->state == RUNNING && w->look && !clock_left(w->look))
			look_at_lock(w);
		if (w->state == PAUSED && !clock_left(w->until))
			end_boss(w);
		if (w->state == OPENING && !clock_left(w->next))
			go_on(w);
		if (WITH_GROWTH && p[3].revents)
			nbd_room_hear(&w->room);
		if (WITH_GROWTH)
			grow(w);
		if (!n && forgets)
			forget(w);
		if (!n && looks && ms == HYBRID_TICK_MS)
			tick(w);
		if (!n && w->state != RUNNING)
			let_out(w);
	}
}

static int open_first(struct nbd_disk *k, struct disk **d)
{
	struct image *im = NULL;
	int err = chain_again(&k->chain, &im);

	if (err)
		return err;
	disk_open(d, im);
	track(k, *d);
	return disk_recover(*d, &k->shared->notes);
}

static int open_later(struct nbd_disk *k, struct disk **d)
{
	struct nbd_now now;
	int err = nbd_info(k->shared->n, &now);

	if (!err)
		disk_prepare(d, now.size, k->writable);
	return err;
}

int nbd_work(struct nbd_disk *k, int *ends, size_t n_ends)
{
	struct worker w = { .k = k, .boss = -1, .room.fd = -1, .left = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	bool first = k->chain.n;
	int err = w.left < 0 ? -errno : first ? open_first(k, &w.d) : open_later(k, &w.d);

	if (err) {
		logf_err(k->sr->ctx, "nbd: VDI %s: open: %s", k->vdi->uuid.s, err_text(err));
		return 1;
	}
	chain_drop(&k->chain);		/* there are copies; who pauses us wants all of them closed */
	w.held = clock_now_mono();
	w.heir = !first;
	w.found = !first;		/* the dead one may have been at it */
	w.hybrid.vdi = &k->vdi->uuid;
	w.hybrid.disk = w.d;
	/* Past us go full blocks, or went, what a dead one had not flushed, or who had the disk before. */
	if (k->writable)
		disk_shared(w.d);
	if (WITH_GROWTH)
		nbd_room_open(&w.room, k, w.d);
	/* A bitmap that is full may have been written by one who died before his flush. */
	if (IS_ENABLED(CONFIG_DATAPATH_HYBRID) && k->writable && first)
		disk_flush(w.d);		/* a failure is kept, and told by all others */
	if (!first)
		start_opening(&w);
	w.look = WITH_SHARED && k->sr->shared && k->writable ? clock_now_mono() + LOCK_EVERY : 0;
	if (WITH_SHARED && w.look && first)
		nbd_lock_look(k);	/* that it is ours; else nobody would see that it is so no more */
	proc_guard();
	server_start(&w.s, w.d, k->vdi->uuid.s);
	server_tell_left(w.s, w.left);
	for (size_t i = 0; i < n_ends && !err; i++)
		err = server_add(w.s, take_fd(&ends[i]), false);
	if (!err)
		live(&w);
	drop_boss(&w);
	server_stop(w.s);
	/* What is held may be another's parent by now, and all of it is written. */
	if (w.kept)
		disk_forget(w.d);
	err = disk_close(w.d);
	if (err) {
		logf_err(k->sr->ctx, "nbd: VDI %s: write the last of it: %s", k->vdi->uuid.s,
			 err_text(err));
		k->shared->lost = true;
	}
	return err ? 1 : 0;
}
