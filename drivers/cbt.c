/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Logs of changed blocks and their chains. */
#include <errno.h>
#include <string.h>

#include "arch/clock.h"
#include "arch/lock.h"
#include "drivers/cbt.h"
#include "drivers/layout.h"
#include "drivers/sr.h"
#include "lib/arena.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/log.h"

#define PATIENCE	(5 * NS_PER_S)	/* for upstream, which holds it for a moment */
#define CHAIN_MOST	4096u		/* logs in one; a longer one goes in circles */

bool cbt_can(const struct sr *sr)
{
	return sr->type->layout->logs;
}

static const struct cbt_store *store(const struct sr *sr)
{
	return sr->type->layout->logs;
}

static int lock_log(struct sr *sr, const struct uuid *u, int *lock)
{
	int err = lock_take(lock, sm_path(sr->ctx, "/var/lock/sm/%s/cbtlog", u->s), false,
			    clock_now_mono() + PATIENCE);

	return err ? fail(sr->ctx, err == -ETIMEDOUT ? -E_BUSY : err, "lock the log of VDI %s", u->s) : 0;
}

static int failed(struct sr *sr, const struct uuid *u, int err)
{
	return err && err != -ENOENT ? fail(sr->ctx, err == -E_SHORT ? -E_CBT_LOG : err, "%s" CBT_SUFFIX, u->s) :
		err;
}

static bool is_damage(int err) { return err_kind(err) == -EUCLEAN || err == -E_SHORT; }

int cbt_get(struct sr *sr, const struct uuid *u, bool bits, struct cbt *c)
{
	_io_close_ struct io *io = NULL;
	int err = store(sr)->open(sr, u, false, &io);

	if (!err)
		err = bits ? cbt_read(io, &sr->ctx->arena, c) : cbt_read_head(io, c);
	return failed(sr, u, err);
}

bool cbt_has(struct sr *sr, const struct uuid *u)
{
	_io_close_ struct io *io = NULL;
	bool has = cbt_can(sr) && !store(sr)->open(sr, u, false, &io);

	fail_clear(sr->ctx);
	return has;
}

/* --- single steps ------------------------------------------------------------------- */

int cbt_point(struct sr *sr, const struct uuid *u, enum cbt_end end, const struct uuid *was,
	      const struct uuid *to)
{
	_io_close_ struct io *io = NULL;
	_unlock_ int lock = -1;
	struct uuid *p;
	struct cbt c;
	int err = u->s[0] ? lock_log(sr, u, &lock) : -ENOENT;

	if (!err)
		err = store(sr)->open(sr, u, true, &io);
	if (!err)
		err = cbt_read_head(io, &c);
	if (err)
		return err == -ENOENT ? 0 : failed(sr, u, err);
	p = end == CBT_PARENT ? &c.parent : &c.child;
	if (uuid_equal(p, to) || (was && !uuid_equal(p, was)))
		return 0;
	*p = *to;
	return failed(sr, u, cbt_write_head(io, &c));		/* commit */
}

static int drop(struct sr *sr, const struct uuid *u)
{
	_unlock_ int lock = -1;
	int err = lock_log(sr, u, &lock);

	return err ? err : store(sr)->remove(sr, u);
}

/* --- enabling ---------------------------------------------------------------------- */

int cbt_enable(struct sr *sr, const struct vdi *vdi)
{
	struct cbt c = {
		.consistent = true, .size = vdi->virtual_size, .n = cbt_bytes(vdi->virtual_size),
	};
	_unlock_ int lock = -1;
	int err;

	if (!cbt_size_ok(vdi->virtual_size))
		return fail_say(sr->ctx, -E_VDI_SIZE, "VDI %s is too large: there are logs for up to "
				"2 TiB less 24 MiB", vdi->uuid.s);
	err = lock_log(sr, &vdi->uuid, &lock);
	if (!err)
		err = store(sr)->make(sr, &vdi->uuid, &c);	/* commit */
	return err;
}

/* Neighbours that lead to it lead nowhere, then it goes. */
int cbt_disable(struct sr *sr, const struct uuid *u)
{
	const struct uuid none = { "" };
	struct cbt c = { 0 };
	int err = cbt_get(sr, u, false, &c);

	if (err == -ENOENT)
		return 0;
	if (err)
		fail_clear(sr->ctx);		/* a damaged one goes all the same */
	err = cbt_point(sr, &c.parent, CBT_CHILD, u, &none);
	if (!err)
		err = cbt_point(sr, &c.child, CBT_PARENT, u, &none);
	return err ? err : drop(sr, u);				/* commit */
}

static int give_up(struct sr *sr, const struct uuid *u, const char *why)
{
	logf_warn(sr->ctx, "VDI %s: its changed blocks are not tracked any more: %s", u->s, why);
	fail_clear(sr->ctx);
	return cbt_disable(sr, u);
}

/* --- snapshots ------------------------------------------------------------------------ */

/* Each step sees what is there, so any of them can be the one after a death. */
int cbt_link(struct sr *sr, const struct uuid *disk, const struct uuid *copy)
{
	struct cbt c;
	int err = cbt_get(sr, copy, false, &c);

	if (err)
		return err == -ENOENT ? 0 : err;
	err = cbt_point(sr, &c.parent, CBT_CHILD, disk, copy);
	return err ? err : cbt_point(sr, copy, CBT_CHILD, NULL, disk);
}

static int make_next(struct sr *sr, const struct uuid *disk, const struct uuid *copy,
		     const struct cbt *was)
{
	struct cbt c = {
		.parent = *copy, .child = was->child, .consistent = true, .size = was->size, .n = was->n,
	};
	_unlock_ int lock = -1;
	int err = lock_log(sr, disk, &lock);

	return err ? err : store(sr)->make(sr, disk, &c);
}

static int hand_over(struct sr *sr, const struct uuid *disk, const struct uuid *copy)
{
	_unlock_ int lock = -1, lock2 = -1;
	int err = lock_log(sr, disk, &lock);

	if (!err)
		err = lock_log(sr, copy, &lock2);
	return err ? err : store(sr)->rename(sr, disk, copy);
}

/*
 * The snapshot has been made, and there is no room for the disk's new log: then that is
 * not tracked any more, which is better than an SR that waits for the room.
 */
static int end_here(struct sr *sr, const struct uuid *disk, const struct uuid *copy, const struct cbt *c)
{
	const struct uuid none = { "" };
	int err;

	logf_warn(sr->ctx, "VDI %s: its changed blocks are not tracked any more: %s", disk->s, sr->ctx->why);
	fail_clear(sr->ctx);
	err = cbt_point(sr, &c->parent, CBT_CHILD, disk, copy);
	return err ? err : cbt_point(sr, copy, CBT_CHILD, NULL, &none);
}

/* The old log under its new name, a new one, and then who leads to whom. */
int cbt_rotate(struct sr *sr, const struct uuid *disk, const struct uuid *copy)
{
	struct cbt c;
	int err;

	if (!cbt_has(sr, copy)) {
		if (!cbt_has(sr, disk))
			return 0;
		err = hand_over(sr, disk, copy);
		if (err)
			return err;
	}
	err = cbt_get(sr, copy, false, &c);
	if (!err && !cbt_has(sr, disk))
		err = make_next(sr, disk, copy, &c);
	if (err_kind(err) == -ENOSPC)
		return end_here(sr, disk, copy, &c);
	return err ? err : cbt_link(sr, disk, copy);
}

/* --- changes of the disk ----------------------------------------------------------------- */

/* A log of a larger disk than there is does no harm, one of a smaller disk is worth nothing. */
int cbt_resize(struct sr *sr, const struct uuid *u, uint64_t size)
{
	_io_close_ struct io *io = NULL;
	_unlock_ int lock = -1;
	struct cbt c;
	int err = lock_log(sr, u, &lock);

	if (!err)
		err = store(sr)->open(sr, u, true, &io);
	if (!err)
		err = cbt_read_head(io, &c);
	if (!err && c.size < size)
		err = cbt_grow(io, &c, size);
	return err == -ENOENT ? 0 : failed(sr, u, err);
}

/* Whether it can be read now says nothing: only a log that is not what it should be goes. */
int cbt_replace(struct sr *sr, const struct uuid *u, uint64_t size)
{
	_io_close_ struct io *io = NULL;
	_unlock_ int lock = -1;
	struct cbt c;
	int err = store(sr)->open(sr, u, true, &io);

	if (!err)
		err = lock_log(sr, u, &lock);
	if (!err)
		err = cbt_read(io, &sr->ctx->arena, &c);
	if (!err && c.size == size) {
		cbt_mark_all(&c);
		err = cbt_write_bits(io, &c, NULL);
	} else if (!err || is_damage(err)) {
		lock_drop(&lock);
		return give_up(sr, u, err ? err_text(err) : "it is of another size now");
	}
	return err == -ENOENT ? 0 : failed(sr, u, err);
}

static int merge_into(struct sr *sr, const struct uuid *u, const struct cbt *from)
{
	_io_close_ struct io *io = NULL;
	_unlock_ int lock = -1;
	struct cbt c;
	int err = lock_log(sr, u, &lock);

	if (!err)
		err = store(sr)->open(sr, u, true, &io);
	if (!err)
		err = cbt_read(io, &sr->ctx->arena, &c);
	if (!err)
		err = cbt_merge(&c, from);
	if (!err)
		err = cbt_write_bits(io, &c, NULL);
	return failed(sr, u, err);
}

/*
 * The bits first, which are never too many; then the way from the parent (commit),
 * by which answers are found; then the way back.  Past a log that lacks something
 * no chain may lead: cbt_disable() will cut it.
 */
int cbt_bypass(struct sr *sr, const struct uuid *u)
{
	struct cbt c;
	int err = cbt_get(sr, u, true, &c);

	if (err_kind(err) == -EUCLEAN)
		fail_clear(sr->ctx);
	if (err)
		return err == -ENOENT || err_kind(err) == -EUCLEAN ? 0 : err;
	if (!c.consistent)
		return 0;
	if (c.child.s[0] && cbt_has(sr, &c.child))
		err = merge_into(sr, &c.child, &c);
	if (!err)
		err = cbt_point(sr, &c.parent, CBT_CHILD, u, &c.child);		/* commit */
	return err ? err : cbt_point(sr, &c.child, CBT_PARENT, u, &c.parent);
}

/* --- answers --------------------------------------------------------------------------- */

static int must_have(struct sr *sr, const struct uuid *u, struct cbt *c)
{
	int err = cbt_get(sr, u, false, c);

	if (err != -ENOENT)
		return err;
	hint(sr->ctx, "sm cbt enable %s, before the first snapshot", u->s);
	return fail(sr->ctx, -E_CBT_NONE, "VDI %s", u->s);
}

/*
 * The log at which the way goes on, if the chain says so in both directions.  Where it
 * does not, others are at work, or have died.  Who snapshots a disk has given its old
 * log another name, and the new one leads back to that: it is what lies between.  Who
 * deletes one has put its marks into the next, and lets that lead back past it.
 */
static int next_log(struct sr *sr, const struct uuid *at, const struct cbt *c, struct cbt *next,
		    struct cbt *between)
{
	int err = c->child.s[0] ? cbt_get(sr, &c->child, true, next) : -ENOENT;

	between->n = 0;
	if (err || uuid_equal(&next->parent, at))
		return err;
	if (!next->parent.s[0] || uuid_equal(&next->parent, &c->parent))
		return next->parent.s[0] ? 0 : -ENOENT;
	err = cbt_get(sr, &next->parent, true, between);
	return err ? err : uuid_equal(&between->parent, at) ? 0 : -ENOENT;
}

static int add_log(struct sr *sr, const struct uuid *u, const struct cbt *c, bool saved, struct cbt *sum)
{
	if (c->consistent || saved)
		return failed(sr, u, cbt_add(&sr->ctx->arena, sum, c));
	hint(sr->ctx, "copy all of the disk");
	return fail(sr->ctx, -E_CBT_STALE, "VDI %s", u->s);
}

int cbt_changed(struct sr *sr, const struct uuid *from, const struct uuid *to, bool saved, struct cbt *sum)
{
	struct uuid at = *from;
	struct cbt c, next, between;
	int err = must_have(sr, from, &c);

	*sum = (struct cbt){ 0 };
	if (!err && uuid_equal(from, to))
		err = fail_say(sr->ctx, -E_CBT_UNRELATED, "source and target are the same VDI");
	if (!err)
		err = must_have(sr, to, &next);
	for (unsigned int i = 0; !err && !uuid_equal(&at, to); i++) {
		err = i < CHAIN_MOST ? next_log(sr, &at, &c, &next, &between) : -ENOENT;
		if (err == -ENOENT)
			return fail(sr->ctx, -E_CBT_UNRELATED, "VDI %s and VDI %s", from->s, to->s);
		if (!err && between.n)
			err = add_log(sr, &next.parent, &between, false, sum);
		at = c.child;
		c = next;
		if (!err)
			err = add_log(sr, &at, &c, saved && uuid_equal(&at, to), sum);
	}
	return err;
}

/* --- while a disk is written ----------------------------------------------------------- */

static int begin_log(struct sr *sr, const struct vdi *vdi, struct io *io, struct cbt_live *live)
{
	struct cbt *c = &live->log;
	int err = cbt_read_head(io, c);

	if (!err)
		err = !c->consistent ? -E_CBT_STALE : c->size < vdi->virtual_size ? -E_CBT_LOG : 0;
	if (!err)
		err = io_read(io, CBT_HEAD, live->bits, c->n);
	if (err)
		return err;
	memset(live->touched, 0, sizeof(live->touched));
	c->consistent = false;
	err = cbt_write_head(io, c);				/* commit */
	live->on = !err;
	return err;
}

int cbt_begin(struct sr *sr, const struct vdi *vdi, struct cbt_live *live)
{
	struct io *io = NULL;
	_unlock_ int lock = -1;
	int err;

	if (!cbt_can(sr) || live->on)
		return 0;
	err = store(sr)->open(sr, &vdi->uuid, true, &io);
	if (err)
		return err == -ENOENT ? 0 : err;
	err = lock_log(sr, &vdi->uuid, &lock);
	if (!err)
		err = begin_log(sr, vdi, io, live);
	io_close(io);
	lock_drop(&lock);
	return is_damage(err) ? give_up(sr, &vdi->uuid, err_text(err)) :
		failed(sr, &vdi->uuid, err);
}

/* Whoever deleted a snapshot meanwhile has put its marks here. */
static int gather(struct io *io, struct cbt_live *live)
{
	uint8_t there[CBT_CHUNK];
	int err = 0;

	for (size_t at = 0; at < live->log.n && !err; at += CBT_CHUNK) {
		size_t n = live->log.n - at < CBT_CHUNK ? live->log.n - at : CBT_CHUNK;

		if (!live->touched[at / CBT_CHUNK])
			continue;
		err = io_read(io, CBT_HEAD + at, there, n);
		for (size_t i = 0; i < n && !err; i++)
			if (there[i] & ~live->bits[at + i])
				__atomic_fetch_or(&live->bits[at + i], there[i], __ATOMIC_SEQ_CST);
	}
	return err;
}

static int keep(struct sr *sr, const struct uuid *u, struct cbt_live *live, bool whole)
{
	_io_close_ struct io *io = NULL;
	_unlock_ int lock = -1;
	struct cbt c = live->log;
	int err = lock_log(sr, u, &lock);

	c.bits = live->bits;
	if (!err)
		err = store(sr)->open(sr, u, true, &io);
	if (!err)
		err = gather(io, live);
	if (!err)
		err = cbt_write_bits(io, &c, live->touched);
	/* The head as it is now: the chain may have changed. */
	if (!err && whole)
		err = cbt_read_head(io, &c);
	c.consistent = true;
	if (!err && whole)
		err = cbt_write_head(io, &c);			/* commit */
	return failed(sr, u, err);
}

int cbt_end(struct sr *sr, const struct uuid *u, struct cbt_live *live)
{
	int err = live->on ? keep(sr, u, live, true) : 0;

	live->on = false;
	return err;
}

int cbt_save(struct sr *sr, const struct uuid *u, struct cbt_live *live)
{
	return live->on ? keep(sr, u, live, false) : 0;
}
