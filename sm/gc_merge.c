/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The data of an image on its way into its parent.
 *
 * The journal and the room (merge_begin()); the copy, without a lock, on the way of
 * which the node forgets what its parent shows in its place by then, so that no work
 * is lost; then the SR is looked at again, and if it still is that child of that
 * parent, a journal says that the copy is whole.
 *
 * A leaf may be written at any time while it is copied.  Who is about to do that
 * removes its mark (gc_disturb()); without it, or with other times of its file,
 * the copy is worth nothing, and it is done again when nobody has it attached.  So it
 * forgets under the SR's lock, once it is known to lie still, and what it forgets has
 * been written to the disk in its parent before.  A volume forgets nothing: it has no
 * more room than what it holds takes, and would need it again if it is written.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "arch/clock.h"
#include "drivers/lease.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/log.h"
#include "sm/gc.h"
#include "sm/lease.h"
#include "sm/live.h"
#include "sm/tree.h"

static const struct layout *layout_of(const struct gc_look *k)
{
	return k->run.sr.type->layout;
}

/* --- the copy --------------------------------------------------------------------------- */

/* A pair, and what it was when its copy began. */
struct merge {
	struct gc *g;
	struct uuid vdi, parent;
	bool leaf;
	uint64_t done;		/* bytes */
	uint64_t size, more;	/* bytes: of the disk, and by which the parent may grow */
	struct image_merge im;
	struct stat was;
	struct lease lease;	/* of the disk, as it was then */
};

static void arm(struct gc *g)
{
	g->armed = g->hold.renewed;
	lease_alarm(&g->alarm, g->armed);
}

/*
 * That we live, to other hosts; else we end before one of them goes on with what we
 * write to.  And nobody wants us to stop.
 */
static int may_go_on(struct gc *g)
{
	int err = 0;

	if (WITH_READERS && !g->open) {
		err = WITH_JOBS && g->me ? gc_job_hold_on(g) : lease_hold_on(g->r, &g->hold);
		/* Also what was renewed while the SR was looked at: alone(). */
		if (!err && g->hold.held && g->hold.renewed != g->armed)
			arm(g);
		if (WITH_JOBS && g->share && !g->me)
			gc_jobs_renewed(g);
	}
	return err ? err : gc_must_stop(g);
}

/* All who copy take from one account; what has not been used is worth a second at most. */
static uint64_t when_due(struct gc *g, uint64_t bytes)
{
	uint64_t least = clock_now_mono() - NS_PER_S, old = WITH_JOBS && g->share ?
		__atomic_load_n(&g->share->due, __ATOMIC_RELAXED) : g->due, due;

	do {
		due = (old < least ? least : old) + bytes / g->cap * NS_PER_S +
			bytes % g->cap * NS_PER_S / g->cap;
	} while (WITH_JOBS && g->share &&
		 !__atomic_compare_exchange_n(&g->share->due, &old, due, false, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return g->due = due;
}

static int hold_rate(struct gc *g, uint64_t bytes)
{
	uint64_t now, due = g->cap ? when_due(g, bytes) : 0;
	int err;

	while (!(err = may_go_on(g)) && (now = clock_now_mono()) < due)
		clock_sleep(due - now < 50 * NS_PER_MS ? due - now : 50 * NS_PER_MS);
	return err;
}

/* Then who began tells how far all of them are. */
static bool busy(const struct gc *g)
{
	return WITH_JOBS && (g->me || gc_jobs_busy(g));
}

static int tick(void *arg, uint64_t done, uint64_t total)
{
	struct merge *m = arg;
	struct gc *g = m->g;
	uint64_t ms, more = done - m->done;
	int err;

	g->progress.total = g->st.total = total;
	g->st.done = m->done = done;
	watch_copying(g->r->ctx, done + 1);
	err = hold_rate(g, more);
	ms = (clock_now_mono() - g->started) / NS_PER_MS;
	if (ms && done)
		g->st.rate = done / ms * 1000 + done % ms * 1000 / ms;
	gc_tell(g, "copying");
	if (IS_ENABLED(CONFIG_FRONT_CLI) && !busy(g))
		progress_step(&g->progress, done);
	return err;
}

/*
 * A leaf may be attached, and it may grow, and blocks of one that grows move: what is
 * read by the old table then is anything, and where the leaf has nothing itself it would
 * be seen in the parent.  Whoever does either says so before.
 */
static int still(void *arg)
{
	struct merge *m = arg;

	if (m->leaf && (!gc_is_still_marked(m->g, &m->vdi) ||
			(WITH_READERS && lease_has_changed(m->g->r, &m->vdi, &m->lease))))
		return fail_say(m->g->r->ctx, -EAGAIN, "VDI %s has been attached, or has grown", m->vdi.s);
	return 0;
}

static int run_merge(struct ctx *ctx, struct merge *m, const struct format *f)
{
	struct gc *g = m->g;
	int err;

	g->started = clock_now_mono();
	m->done = 0;
	if (IS_ENABLED(CONFIG_FRONT_CLI) && !busy(g))
		progress_start(&g->progress, (enum progress_mode)g->r->rq->progress, "coalesce", 0);
	m->im.tick = tick;
	m->im.still = still;
	m->im.arg = m;
	if (WITH_READERS && g->hold.held && !g->open)
		arm(g);
	err = f->merge(ctx, &m->im);
	if (WITH_READERS)
		clock_alarm(&g->alarm, 0);
	watch_copying(g->r->ctx, 0);
	g->st.copied += m->done;
	if (IS_ENABLED(CONFIG_FRONT_CLI) && !busy(g))
		progress_end(&g->progress);
	return err;
}

static int stat_of(const struct io *io, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	return io->fd >= 0 && fstat(io->fd, st) ? -errno : 0;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void close_pair(struct merge *m)
{
	io_close(m->im.child);
	io_close(m->im.parent);
	m->im.child = m->im.parent = NULL;
}

/* How much may the parent grow?  Of two that nobody writes this can be asked before anybody waits. */
static int look_at_pair(struct gc_look *k, struct merge *m, const struct vdi *vdi, struct vdi *parent)
{
	const struct layout *layout = layout_of(k);
	const struct format *f = sr_format(k->run.sr.type, vdi->format);
	int err = layout->volume_io(&k->run.sr, vdi, false, &m->im.child);

	m->im.parent_format = sr_format(k->run.sr.type, parent->format);
	if (!err)
		err = layout->volume_io(&k->run.sr, parent, false, &m->im.parent);
	if (!err)
		err = f->merge_space(&k->ctx, &m->im, &m->more);
	close_pair(m);
	return err;
}

/* Room in the parent, the journal, and both images open. */
static int open_pair(struct gc_look *k, struct merge *m, const struct vdi *vdi, struct vdi *parent)
{
	const struct layout *layout = layout_of(k);
	int err = layout->volume_io(&k->run.sr, vdi, vdi->hidden, &m->im.child);

	m->im.forgets = vdi->hidden;
	if (!err && m->leaf)
		err = gc_mark(m->g, &vdi->uuid);
	k->run.vdi = *vdi;
	if (WITH_LOCKS && !err && m->leaf)
		err = lease_before_copy(&k->run, &m->lease);
	if (!err)
		err = layout->merge_begin(&k->run.sr, vdi, parent, m->more);
	if (!err)
		err = layout->volume_io(&k->run.sr, parent, true, &m->im.parent);
	return err ? err : stat_of(m->im.child, &m->was);
}

/* Has a disk above it grown, which would show there what the parent holds? */
static bool shows_more(const struct gc_look *k, const struct vdi *vdi, const struct vdi *parent)
{
	if (parent->virtual_size <= vdi->virtual_size)
		return false;
	for (size_t i = 0; i < vdi->n_children; i++) {
		const struct vdi *child = tree_find(&k->l, &vdi->children[i]);

		if (!child || child->virtual_size > vdi->virtual_size)
			return true;
	}
	return false;
}

static bool is_marked(const struct merge *m, bool last)
{
	return IS_ENABLED(CONFIG_GC_RESUME) && !last ? gc_is_still_marked(m->g, &m->vdi) :
		gc_is_marked(m->g, &m->vdi);
}

/* Still the same two, and nobody between or beside them? */
static int verify(struct gc_look *k, const struct merge *m, bool last, struct vdi **vdi,
		  struct vdi **parent)
{
	struct io *io = NULL;
	struct stat now;
	int err;

	*vdi = tree_find(&k->l, &m->vdi);
	*parent = *vdi ? tree_parent(&k->l, *vdi) : NULL;
	if (!*parent || !uuid_equal(&(*parent)->uuid, &m->parent) || (*parent)->n_children != 1 ||
	    !(*parent)->hidden || (*vdi)->hidden == m->leaf || (*vdi)->virtual_size != m->size ||
	    !tree_is_whole(&k->l) || shows_more(k, *vdi, *parent))
		return fail_say(&k->ctx, -EAGAIN, "VDI %s: the tree has changed", m->vdi.s);
	if (!m->leaf)
		return 0;
	if (IS_ENABLED(CONFIG_CBT) && (*vdi)->cbt && strcmp((*parent)->format, (*vdi)->format))
		return fail_say(&k->ctx, -EAGAIN, "VDI %s: its changed blocks are tracked now", m->vdi.s);
	/* A hidden one can be read, too; by another name nobody could detach it. */
	if ((*parent)->at.attached || (*parent)->at.active)
		return fail_say(&k->ctx, -EAGAIN, "VDI %s has been attached", m->parent.s);
	if ((*vdi)->at.attached || (*vdi)->at.active || !is_marked(m, last))
		return fail_say(&k->ctx, -EAGAIN, "VDI %s has been attached", m->vdi.s);
	err = layout_of(k)->volume_io(&k->run.sr, *vdi, false, &io);
	if (!err)
		err = stat_of(io, &now);
	io_close(io);
	return err ? err : is_same(&m->was, &now) ? 0 :
		fail_say(&k->ctx, -EAGAIN, "VDI %s has been written", m->vdi.s);
}

static int finish(struct gc_look *k, struct merge *m)
{
	struct vdi *vdi, *parent;
	int err = verify(k, m, true, &vdi, &parent);

	if (WITH_READERS && !err)
		err = gc_hold(k);
	if (err)
		return err;
	if (!m->leaf)
		return layout_of(k)->merge_copied(&k->run.sr, vdi);	/* commit */
	/* Another host may have attached it and let go of it since, or be about to. */
	k->run.vdi = *vdi;
	err = WITH_LOCKS ? lease_before_replace(&k->run, &m->lease) : 0;
	if (err)
		return err;
	err = layout_of(k)->merge_leaf(&k->run.sr, vdi, parent, NULL, NULL);	/* commit */
	if (WITH_LOCKS)
		lease_after_replace(&k->run);
	if (!err)
		logf_info(&k->ctx, "gc: VDI %s: its parent %s has taken its place", m->vdi.s,
			  m->parent.s);
	m->g->st.merged += !err;
	return err;
}

/* --- a leaf forgets ------------------------------------------------------------------------ */

/*
 * Whoever writes it again needs so much space that it would not have needed before; and what was forgotten is in the
 * file until it is merged, so often that once is enough.
 */
static bool may_forget(struct gc_look *k, const struct vdi *vdi)
{
	struct sr_info info = { 0 };

	return vdi->physical_size / 2 < vdi->virtual_size &&
	       !layout_of(k)->stat(&k->run.sr, &info) && info.size - info.used >= k->g->st.done;
}

/* Nobody may attach it until this returns, here by the SR's lock, elsewhere by its own. */
static int change_leaf(struct gc_look *k, struct merge *m, int (*fn)(void *arg, struct io *leaf), void *arg)
{
	struct vdi *vdi, *parent;
	struct io *io = NULL;
	int err = verify(k, m, false, &vdi, &parent), after;

	if (WITH_READERS && !err)
		err = gc_hold(k);
	if (err || !may_forget(k, vdi))
		return err;
	k->run.vdi = *vdi;
	err = WITH_LOCKS ? lease_before_replace(&k->run, &m->lease) : 0;
	if (err)
		return err;
	err = layout_of(k)->volume_io(&k->run.sr, vdi, true, &io);
	if (!err)
		err = fn(arg, io);
	if (!err)
		err = stat_of(io, &m->was);		/* its times are of our making */
	io_close(io);
	after = WITH_LOCKS ? lease_after_change(&k->run, &m->lease) : 0;
	return err ? err : after;
}

static int alone(void *merge, int (*fn)(void *arg, struct io *leaf), void *arg)
{
	struct merge *m = merge;
	struct gc_look k;
	int err = gc_look(m->g, &k, true);

	if (!err)
		err = change_leaf(&k, m, fn, arg);
	return gc_look_close(&k, err);
}

/* What was begun and cannot be ended now is left as it was before, but for data nobody sees. */
static void give_up(struct gc *g, const struct merge *m)
{
	struct gc_look k;
	int err = gc_look(g, &k, true);

	if (WITH_READERS && !err)
		err = gc_hold(&k);
	if (!err) {
		const struct vdi *vdi = tree_find(&k.l, &m->vdi), *p = tree_find(&k.l, &m->parent);

		if (vdi && p && p->hidden && !k.facts[vdi - k.l.v].relink)
			err = layout_of(&k)->merge_end(&k.run.sr, vdi, p);
	}
	if (err)
		logf_warn(&k.ctx, "gc: %s", k.ctx.why);
	k.ctx.why[0] = '\0';
	gc_look_close(&k, 0);
}

/* --- a disk in use ----------------------------------------------------------------------- */

/* All under the SR's lock, while the disk waits: some milliseconds for each MiB. */
static int merge_live(struct gc_look *k, struct merge *m, const struct vdi *vdi, struct vdi *parent)
{
	uint64_t data, cap = m->g->cap;
	int err = gc_too_much(k, vdi, &data);

	/* It may say something odd while it is written. */
	if (err < 0)
		fail_clear(&k->ctx);
	if (err <= 0)
		err = gc_hold_pair(k, vdi, parent);
	if (!err)
		err = gc_too_much(k, vdi, &data);
	if (err > 0)
		return gc_split(k, vdi, data);
	if (!err)
		err = look_at_pair(k, m, vdi, parent);
	if (err)
		return err;
	m->leaf = false;			/* nothing can happen to it meanwhile */
	m->g->cap = 0;				/* somebody waits */
	m->g->open = true;
	err = open_pair(k, m, vdi, parent);
	if (!err)
		err = run_merge(&k->ctx, m, sr_format(k->run.sr.type, vdi->format));
	if (!err)
		err = layout_of(k)->merge_leaf(&k->run.sr, vdi, parent, gc_go_on, k);	/* commit */
	if (!err)
		logf_info(&k->ctx, "gc: VDI %s, in use: its parent %s has taken its place", vdi->uuid.s,
			  parent->uuid.s);
	m->g->cap = cap;
	m->g->open = false;
	m->g->st.merged += !err;
	return err;
}

int gc_merge(struct gc_look *k, const struct gc_step *s)
{
	struct vdi *vdi = tree_find(&k->l, &s->vdi), *parent = tree_find(&k->l, &s->parent);
	struct merge m = {
		.g = k->g, .vdi = s->vdi, .parent = s->parent, .leaf = s->action == GC_LEAF,
		.size = vdi->virtual_size,
	};
	struct gc_look after;
	bool live = m.leaf && (vdi->at.attached || vdi->at.active);
	int err = 0;

	if (IS_ENABLED(CONFIG_GC_RESUME) && m.leaf && !live && !layout_of(k)->unit)
		m.im.alone = alone;
	if (!live)
		err = look_at_pair(k, &m, vdi, parent);
	/* Its blocks may move when it grows, and servers have its table in memory; a volume gets room. */
	if (!err && !live && (layout_of(k)->unit || parent->virtual_size < vdi->virtual_size))
		err = gc_hold_pair(k, vdi, parent);
	if (!err)
		err = live ? merge_live(k, &m, vdi, parent) : open_pair(k, &m, vdi, parent);
	if (!err)
		gc_go_on(k);
	if (!err && !live) {
		gc_look_unlock(k);
		if (IS_ENABLED(CONFIG_SERVE) && live_go(&k->run))
			fail_clear(&k->ctx);	/* it has been logged */
		err = run_merge(&k->ctx, &m, sr_format(k->run.sr.type, vdi->format));
	}
	gc_forget(m.g, &m.vdi);
	gc_forget(m.g, &m.parent);
	close_pair(&m);
	err = gc_look_close(k, err);
	if (live)
		return err;
	if (!err) {
		err = gc_look(m.g, &after, true);
		if (!err)
			err = finish(&after, &m);
		err = gc_look_close(&after, err);
	}
	if (err)
		give_up(m.g, &m);
	return err;
}
