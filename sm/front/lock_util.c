/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lock-util, the lock tool that the drivers of 2007 called:
 *
 *	lock-util lock PATH w 0|1 HOLDER SECONDS	prints "STATUS SECONDS"
 *	lock-util delta PATH				prints "SECONDS SECONDS"
 *	lock-util unlock PATH w HOLDER
 *
 * A status below 0: somebody else has it.  delta tells for how long it has not
 * been renewed, by the server's clock, and its lease; -1 when there is no lock.
 * PATH is that of a lock beside a disk, UUID.TYPE.xenlk, which is then the one
 * of vdi_lock, or any other; without .xenlk it is that of what is locked, which
 * is not touched.  Here HOLDER:w owns it.
 *
 * What was answered exits with 0; a call that is none, and an unlock of
 * somebody else's lock, with 1, and a line on stderr.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drivers/layout/lease_file.h"
#include "drivers/lease.h"
#include "drivers/sr.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/num.h"
#include "lib/utf8.h"
#include "sm/front.h"

#define TRIES	64u
#define END	".xenlk"

struct tool {
	struct ctx *ctx;
	const char *name;		/* of the lock, in its directory */
	struct lease_stem stem;
	int dir;
	struct lease l;			/* what is to be */
	bool force;
};

static bool claims(int argc, char **argv)
{
	return !strcmp(argv[0], "lock-util");
}

static int usage(struct ctx *ctx)
{
	return fail_say(ctx, -E_USAGE, "usage: lock-util lock PATH w 0|1 HOLDER SECONDS | delta PATH | "
			"unlock PATH w HOLDER");
}

/* The record is shown by that name, in the place of whatever has it: never a disk's own. */
static const char *shown(struct tool *t, const char *name)
{
	size_t n = strlen(name), end = strlen(END);

	return n > end && !strcmp(name + n - end, END) ? name : arena_printf(&t->ctx->arena, "%s" END, name);
}

/* Nothing of it is created: a lock without its disk is nobody's. */
static int open_place(struct tool *t, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *dir = !slash ? "." : slash == path ? "/" :
		arena_strndup(&t->ctx->arena, path, (size_t)(slash - path));
	struct uuid u;
	int err;

	t->name = slash ? slash + 1 : path;
	if (!*t->name)
		return usage(t->ctx);
	err = lease_file_stem(&t->stem, t->name);
	t->name = shown(t, t->name);
	if (!err)
		t->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!err && t->dir < 0)
		err = -errno;
	if (!uuid_parse_n(&u, t->name, strnlen(t->name, UUID_LEN)))
		t->l.vdi = u;
	return err ? fail(t->ctx, err, "%.200s", path) : 0;
}

static int set_owner(struct tool *t, const char *holder)
{
	if (!*holder || !lease_owner_good(holder))
		return usage(t->ctx);
	return snprintf(t->l.owner, sizeof(t->l.owner), "%s:w", holder) < (int)sizeof(t->l.owner) ?
		0 : usage(t->ctx);
}

static int read_lock(struct tool *t, struct lease *now, int64_t *age)
{
	int err = -EAGAIN;

	for (unsigned int i = 0; i < TRIES && err == -EAGAIN; i++)
		err = lease_file_read(t->dir, &t->stem, now, age);
	return err == -E_DAMAGED && t->force ? 0 : err;
}

/* One attempt: 1 when it is ours, 0 when it is somebody else's. */
static int lock_once(struct tool *t, struct lease *now)
{
	int err = read_lock(t, now, NULL);
	bool ours = !strcmp(now->owner, t->l.owner);

	if (err)
		return err;
	if (now->state != LEASE_FREE && ours && now->kind == LEASE_MARK) {
		now->term = t->l.term;
		err = lease_file_renew(t->ctx, t->dir, &t->stem, now);
		return err == -E_NOT_LOCKED ? -EAGAIN : err ? err : 1;
	}
	if (now->state != LEASE_FREE && !t->force)
		return ours;
	err = lease_file_swap(t->ctx, t->dir, &t->stem, t->name, now, &t->l);
	return err ? err : 1;
}

static int do_lock(struct tool *t, struct buf *b)
{
	struct lease now;
	int err = -EAGAIN;

	for (unsigned int i = 0; i < TRIES && err == -EAGAIN; i++) {
		if (i)
			lease_pause(i);
		err = lock_once(t, &now);
	}
	/* Who loses to others all the time has not got it. */
	if (err == -EAGAIN)
		err = 0;
	if (err < 0)
		return fail(t->ctx, err, "%.200s", t->name);
	buf_printf(b, "%d %u\n", err ? 0 : -1, err ? t->l.term : now.term);
	return 0;
}

static int do_delta(struct tool *t, struct buf *b)
{
	struct lease now;
	int64_t age;
	int err = read_lock(t, &now, &age);

	if (err)
		return fail(t->ctx, err, "%.200s", t->name);
	if (now.state == LEASE_FREE)
		buf_puts(b, "-1 0\n");
	else		/* one without an end has never just run out */
		buf_printf(b, "%lld %u\n", age < 0 ? 0 : (long long)age, now.term);
	return 0;
}

static int do_unlock(struct tool *t)
{
	struct lease now;
	int err = -EAGAIN;

	t->l.state = LEASE_FREE;
	for (unsigned int i = 0; i < TRIES && err == -EAGAIN; i++) {
		err = read_lock(t, &now, NULL);
		if (!err && now.state == LEASE_FREE)
			return 0;
		if (!err && strcmp(now.owner, t->l.owner))
			return fail_say(t->ctx, -E_NOT_LOCKED, "%.200s is held by '%s'", t->name, now.owner);
		if (!err)
			err = lease_file_swap(t->ctx, t->dir, &t->stem, t->name, &now, &t->l);
	}
	return err ? fail(t->ctx, err, "%.200s", t->name) : 0;
}

static int run(struct tool *t, int argc, char **argv, struct buf *b)
{
	bool lock = argc == 7 && !strcmp(argv[1], "lock");
	bool delta = argc == 3 && !strcmp(argv[1], "delta");
	bool unlock = argc == 5 && !strcmp(argv[1], "unlock");
	const char *s = lock ? argv[6] : "0";
	uint64_t term;
	int err;

	if ((!lock && !delta && !unlock) || (!delta && strcmp(argv[3], "w")) || !num_take(&s, &term) ||
	    *s || term > LEASE_TERM_MOST || (lock && strcmp(argv[4], "0") && strcmp(argv[4], "1")))
		return usage(t->ctx);
	t->force = lock && !strcmp(argv[4], "1");
	t->l.state = LEASE_HELD;
	t->l.term = (uint32_t)term;
	snprintf(t->l.verb, sizeof(t->l.verb), "lock-util %s", argv[1]);
	err = open_place(t, argv[2]);
	if (!err && !delta)
		err = set_owner(t, argv[lock ? 5 : 4]);
	if (!err)
		err = lease_sign(t->ctx, &t->l);
	if (err)
		return err;
	return lock ? do_lock(t, b) : delta ? do_delta(t, b) : do_unlock(t);
}

static int parse(struct ctx *ctx, int argc, char **argv, struct request *rq)
{
	struct tool t = { .ctx = ctx, .dir = -1 };
	_buf_free_ struct buf b = { 0 };
	int err = run(&t, argc, argv, &b);

	if (t.dir >= 0)
		close(t.dir);
	rq->door = arena_strdup(&ctx->arena, buf_str(&b));
	return err ? err : FRONT_DONE;
}

static int emit(struct ctx *ctx, const struct request *rq, const struct reply *rp, int err)
{
	_buf_free_ struct buf b = { 0 };
	const char *text = rq->door;

	if (err == FRONT_DONE)
		return write_all(STDOUT_FILENO, text, strlen(text)) ? 1 : 0;
	buf_puts(&b, "lock-util: ");
	utf8_show(&b, ctx->why[0] ? ctx->why : err_text(err));
	buf_putc(&b, '\n');
	(void)!write_all(STDERR_FILENO, b.p, b.n);
	return 1;
}

static const struct front lock_util = {
	.name = "lock-util",
	.rank = 20,
	.claims = claims,
	.parse = parse,
	.emit = emit,
};
REGISTER(fronts, lock_util);
