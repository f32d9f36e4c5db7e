/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vdi copy: a whole disk, with all it stands on, as a disk of its own in the
 * same SR or another.
 *
 * In one SR whose file system can let two files share their blocks that takes a
 * moment (shared_copy, which clones and snapshots use too).  Else the data is
 * read in parallel and written where it is not zero, or not zero yet, which may
 * take hours, and no SR is locked meanwhile:
 *
 *	1. an empty disk is made, hidden, under the lock of the SR
 *	2. the data is written to it and flushed
 *	3. it becomes visible (commit), under the lock of the SR
 *
 * The lock /var/lock/sm/<new uuid>/copy is held all the time, and lets nobody take
 * the hidden disk for garbage.  Who dies lets go of it; the next scan removes
 * what is there, and what volumes are active for us the next verb puts away
 * (chain_note).  The source is locked until all of it is read.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/fs.h"
#include "arch/lock.h"
#include "drivers/chain.h"
#include "drivers/lease.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/image_copy.h"
#include "lib/log.h"
#include "lib/serve/disk.h"
#include "sm/core.h"
#include "sm/gc.h"
#include "sm/image.h"
#include "sm/lease.h"
#include "sm/locks.h"
#include "sm/run.h"
#include "sm/snapshot.h"
#include "sm/state.h"

#define THREADS	4u	/* as image convert */

struct work {
	struct run *r;		/* its SR is where the copy goes */
	struct run from;	/* and this one's, if it is another, where the disk is */
	struct run *src;	/* the one of both that is open for the disk */
	struct vdi vdi;		/* the disk */
	struct vdi copy;
	struct volume_spec spec;
	bool same;		/* one SR */
	struct image *im;	/* the disk, once it is open */
	int from_file, to_file;	/* for a storage that copies by itself; else -1 */
	int copy_lock;
	struct lease_hold reads, writes;	/* for other hosts */
	struct chain_note from_note, to_note;
	struct clock_alarm alarm;	/* ends us before another host gives away what we write to */
	uint64_t data;		/* bytes to copy, at most */
};

/* --- which disk, and where to -------------------------------------------------- */

/* Names only: nothing is opened, nothing locked. */
static int resolve(struct work *w, struct request *rq)
{
	struct run *from = &w->from, *r = w->r;
	int err;

	*rq = *r->rq;
	rq->sr = NULL;
	*from = (struct run){
		.ctx = r->ctx, .rq = rq, .rp = r->rp, .row = op_row(OP_VDI_SHOW),
		.sr = { .ctx = r->ctx, .dir = -1 }, .sr_lock = -1, .vdi_lock = -1,
	};
	err = find_sr_of_vdi(from);
	if (!err)
		err = bind_sr(from);
	if (err)
		return err;
	if (!r->rq->sr)
		r->rq->sr = from->sr.uuid.s;
	err = bind_sr(r);
	w->same = uuid_equal(&r->sr.uuid, &from->sr.uuid);
	w->src = w->same ? r : from;
	r->rq->vdi = rq->vdi;		/* its whole uuid now */
	return err || sr_can(r->sr.type, OP_VDI_CREATE) ? err :
		fail(r->ctx, -E_UNSUPPORTED, "type %s", r->sr.type->names[0]);
}

/* Whom other hosts take for one who reads it. */
static int hold_source(struct work *w)
{
	const struct uuid *vdi = &w->src->vdi.uuid;
	struct lease_look me;
	struct uuid key;
	int err = lease_who(w->r->ctx, &me);

	if (err)
		return err;
	lease_key(vdi, &me.host, LEASE_COPIED, &key);
	return lease_hold(w->src, &key, vdi, &w->reads);
}

/* Nobody may write to it while it is read; on another host its lock says so as it is now. */
static int check_source(struct work *w)
{
	struct run *src = w->src;
	int err = bind_vdi(src);

	if (!err && !w->r->ctx->dry_run) {
		err = lock_host_inner(w->r->ctx, src->vdi.uuid.s, "vdi", &src->vdi_lock);
		if (!err)
			err = bind_vdi(src);		/* as it is now */
	}
	if (WITH_LOCKS && !err)
		err = lease_admit(src);
	if (WITH_READERS && !err && !w->r->ctx->dry_run)
		err = hold_source(w);
	w->vdi = src->vdi;
	if (err || !(w->vdi.at.attached || w->vdi.at.active) || !w->vdi.at.writable)
		return err;
	hint(w->r->ctx, "sm vdi detach %s", w->vdi.uuid.s);
	return fail_say(w->r->ctx, -E_VDI_IN_USE, "VDI %s is attached to be written", w->vdi.uuid.s);
}

static int lock_and_open(struct work *w, struct run *of)
{
	bool change = !w->r->ctx->dry_run;
	int err = change ? lock_host(w->r->ctx, of->sr.uuid.s, "sr", &of->sr_lock) : 0;

	return err ? err : sr_open(&of->sr, change);
}

/* The layout lets go of what it has locked by itself, too. */
static void close_and_unlock(struct run *of)
{
	sr_close(&of->sr);
	lock_drop(&of->sr_lock);
}

static int open_source(struct work *w)
{
	int err = w->vdi.at.active ? 0 : chain_note(&w->src->sr, &w->vdi, &w->from_note);

	if (!err)
		err = chain_open(&w->src->sr, &w->vdi, CHAIN_DIRECT, &w->im);
	if (!err)
		err = image_estimate(w->im, &w->data, &(uint64_t){ 0 });
	return err;
}

/*
 * Two SRs are never locked together, or two copies in opposite directions would
 * wait for each other.
 */
static int open_both(struct work *w)
{
	int err = lock_and_open(w, w->src);

	if (!err)
		err = check_source(w);
	if (w->same)
		return err;
	if (!err && !w->r->ctx->dry_run)
		err = open_source(w);
	close_and_unlock(w->src);
	return err ? err : lock_and_open(w, w->r);
}

static void fill_copy(struct work *w)
{
	const struct vdi *vdi = &w->vdi;
	const struct request *rq = w->r->rq;

	w->copy = (struct vdi){
		.uuid = rq->new_uuid, .type = vdi->type,
		.name = rq->name ? rq->name :
			arena_printf(&w->r->ctx->arena, "%s copy", vdi->name && *vdi->name ? vdi->name : vdi->uuid.s),
		.description = rq->description ? rq->description : vdi->description,
	};
	if (!w->copy.uuid.s[0])
		random_uuid(&w->copy.uuid);
}

/* The format that was asked for, else the disk's own where the SR keeps it. */
static int choose(struct work *w)
{
	const struct sr_type *t = w->r->sr.type;
	int err = 0;

	if (!w->r->rq->format)
		w->spec.format = sr_format(t, w->vdi.format);
	if (!w->spec.format)
		err = vdi_choose_format(w->r, &w->spec.format);
	return err ? err : vdi_round_size(w->r, w->spec.format, w->vdi.virtual_size,
					  &w->spec.virtual_size);
}

/* --- sharing --------------------------------------------------------------------- */

/*
 * A disk made of another's blocks, which are copied by who writes to one of them
 * first.  -EOPNOTSUPP when that cannot be, with nothing done and nothing said;
 * the answer of a file system is noted, and it is not asked again.
 */
int shared_copy(struct run *r, const struct vdi *of, struct vdi *copy)
{
	struct volume_spec spec = {
		.format = sr_format(r->sr.type, of->format), .virtual_size = of->virtual_size,
		.copy_of = of,
	};
	int err;

	if (!r->sr.type->layout->can_share || !spec.format || of->hidden || state_shares(&r->sr) < 0)
		return -EOPNOTSUPP;
	err = r->sr.type->layout->volume_create(&r->sr, copy, &spec);
	if (!err || err == -EOPNOTSUPP)
		state_note_shares(&r->sr, !err);
	if (err == -EOPNOTSUPP)
		fail_clear(r->ctx);
	return err;
}

static int try_to_share(struct work *w)
{
	const struct vdi *vdi = &w->vdi;

	if (!w->same || vdi->at.active ||
	    w->spec.virtual_size != vdi->virtual_size || strcmp(w->spec.format->name, vdi->format))
		return -EOPNOTSUPP;
	return shared_copy(w->r, vdi, &w->copy);
}

/* --- copying ----------------------------------------------------------------------- */

struct disk_sink {
	struct image_sink sink;		/* first: it is what the writers are given */
	struct disk *disk;
};

static int write_parts(struct image_sink *s, struct image_chunk *c)
{
	struct disk *d = ((struct disk_sink *)s)->disk;
	int err = 0;

	for (size_t i = 0; !err && i < c->n; i++)
		err = disk_write(d, c->at + c->parts[i].at, c->data + c->parts[i].at, c->parts[i].len);
	return err;
}

static int zero_stretch(struct image_sink *s, uint64_t at, uint64_t len)
{
	return disk_zero(((struct disk_sink *)s)->disk, at, len, false);
}

/* A volume shows what lay there before, unless its format says what is data. */
static bool is_old(const struct work *w)
{
	return w->spec.format->direct && w->r->sr.type->layout->volume_map;
}

struct ticks {
	struct image_job job;
	struct work *w;
};

/* Of a file that is no more nobody minds what is written to it; extents of volumes are soon another's. */
static void arm(struct work *w)
{
	if (WITH_READERS && w->writes.held && w->r->sr.type->layout->volume_map)
		lease_alarm(&w->alarm, w->writes.renewed);
}

/* Other hosts must see that we live. */
static int tick(void *arg, uint64_t done)
{
	struct ticks *t = arg;
	uint64_t before = t->w->writes.renewed;
	int err = image_job_tick(&t->job, done);

	if (WITH_READERS && !err)
		err = lease_hold_on(t->w->src, &t->w->reads);
	if (WITH_READERS && !err)
		err = lease_hold_on(t->w->r, &t->w->writes);
	if (!err && t->w->writes.renewed != before)
		arm(t->w);
	return err;
}

static int pump(struct work *w, struct image *im, struct disk *d)
{
	struct disk_sink s = { .sink = { .write = write_parts }, .disk = d };
	struct ticks t = { .w = w };
	struct image_copy y = {
		.from = im, .to = &s.sink, .threads = THREADS, .tick = tick, .arg = &t,
	};
	int err;

	if (is_old(w)) {
		s.sink.whole = true;
		s.sink.zero = zero_stretch;
	}
	image_job_start(w->r, &t.job, "copy", w->data);
	err = image_copy(&y);
	if (!err && is_old(w) && disk_size(d) > w->vdi.virtual_size)
		err = disk_zero(d, w->vdi.virtual_size, disk_size(d) - w->vdi.virtual_size, false);
	if (!err)
		err = disk_flush(d);
	image_job_end(&t.job);
	if (!err || err == -E_NOT_LOCKED || err == -EINTR || err == -E_DEADLINE)
		return err;
	return fail(w->r->ctx, err, "%s VDI %s near byte %llu", y.is_read ? "read" : "write",
		    y.is_read ? w->vdi.uuid.s : w->copy.uuid.s, (unsigned long long)y.at);
}

/* --- by the storage itself ----------------------------------------------------------- */

/*
 * Files of raw disks that lie on one server need not come here and go back.  What
 * the server says is noted, and it is not asked again.
 */
static int open_files(struct work *w)
{
	struct sr *sr = &w->r->sr;
	int err;

	if (!w->same || !sr->type->layout->can_share || state_offloads(sr) < 0 ||
	    strcmp(w->vdi.format, "raw") || strcmp(w->spec.format->name, "raw"))
		return 0;
	err = sr->type->layout->volume_open(sr, &w->vdi, false, &w->from_file);
	if (!err)
		err = sr->type->layout->volume_open(sr, &w->copy, true, &w->to_file);
	if (!err && !fs_may_offload(w->to_file)) {
		close(take_fd(&w->to_file));
		state_note_offloads(sr, false);
	}
	return err;
}

static bool cannot(int err)
{
	return err == -EOPNOTSUPP || err == -EINVAL || err == -EXDEV;
}

/* -EOPNOTSUPP, and nothing is written, where the server does not do that after all. */
static int offload(struct work *w, struct ticks *t)
{
	_io_close_ struct io *from = NULL;
	uint64_t at = 0, done = 0, len;
	bool is_data;
	int err = io_from_fd(&from, take_fd(&w->from_file), IO_RDONLY);

	while (!err && at < from->size) {
		err = io_extent(from, at, &len, &is_data);
		if (!err && is_data) {
			int n = fs_offload(w->to_file, from->fd, at, len);

			if (!done && cannot(n))
				return -EOPNOTSUPP;
			err = n < 0 ? n : n ? 0 : -E_SHORT;
			len = n > 0 ? (uint64_t)n : 0;
			done += len;
		}
		at += len;
		if (!err)
			err = tick(t, done);
	}
	if (!err && fsync(w->to_file))
		err = -errno;
	return err;
}

static int copy_by_server(struct work *w)
{
	struct ticks t = { .w = w };
	int err;

	if (w->to_file < 0)
		return -EOPNOTSUPP;
	image_job_start(w->r, &t.job, "copy", w->data);
	err = offload(w, &t);
	image_job_end(&t.job);
	if (!err || err == -EOPNOTSUPP)
		state_note_offloads(&w->r->sr, !err);
	if (!err || err == -EOPNOTSUPP || err == -EINTR || err == -E_DEADLINE)
		return err;
	return fail(w->r->ctx, err, "write VDI %s", w->copy.uuid.s);
}

/* --- step by step ----------------------------------------------------------------------- */

/* Hidden from the beginning, where the layout can hide anything. */
static int make_target(struct work *w)
{
	const struct layout *l = w->r->sr.type->layout;
	int err = lock_host(w->r->ctx, w->copy.uuid.s, "copy", &w->copy_lock);

	if (err)
		return err;
	/* Else another host's collector takes it for what a death has left. */
	err = WITH_READERS ? lease_hold(w->r, &w->copy.uuid, NULL, &w->writes) : 0;
	if (err)
		return err;
	w->copy.hidden = !!l->volume_hide;
	err = l->volume_create(&w->r->sr, &w->copy, &w->spec);
	w->copy.hidden = false;		/* whoever opens it here may write */
	return err;
}

/* The verb failed, and says why; what cannot be removed now a scan removes. */
static void remove_target(struct work *w)
{
	struct fail_words words;

	fail_keep(w->r->ctx, &words);
	w->r->sr.type->layout->volume_delete(&w->r->sr, &w->copy);
	if (WITH_READERS && w->writes.held)
		w->r->sr.type->layout->leases->forget(&w->r->sr, &w->copy.uuid);
	w->writes.held = false;
	fail_again(w->r->ctx, &words);
}

/* Without any SR locked. */
static int copy_data(struct work *w, struct image *to)
{
	struct disk *d;
	int err = copy_by_server(w), end;

	if (err != -EOPNOTSUPP) {
		image_close(to);
		return err;
	}
	disk_open(&d, to);
	err = pump(w, w->im, d);
	end = disk_close(d);
	return err || !end ? err : fail(w->r->ctx, end, "write VDI %s", w->copy.uuid.s);
}

/* What the SR is now, after others have changed it. */
static int open_again(struct work *w)
{
	int err;

	lock_drop(&w->src->vdi_lock);		/* SR locks are taken before those of disks */
	err = bind_sr(w->r);
	return err ? err : lock_and_open(w, w->r);
}

static int copy_slowly(struct work *w)
{
	struct run *r = w->r;
	struct image *to = NULL;
	int err = w->im ? 0 : open_source(w), again;

	if (!err)
		err = check_space(r, w->data);
	if (!err)
		err = make_target(w);
	if (err)
		return err;
	err = chain_note(&r->sr, &w->copy, &w->to_note);
	if (!err)
		err = chain_open(&r->sr, &w->copy, CHAIN_WRITE | CHAIN_DIRECT, &to);
	if (!err)
		err = open_files(w);
	if (err) {
		image_close(to);
		chain_note_drop(&w->to_note, !chain_release(&r->sr, &w->copy));
		remove_target(w);
		return err;
	}
	close_and_unlock(r);
	arm(w);
	err = copy_data(w, to);
	if (WITH_READERS)
		clock_alarm(&w->alarm, 0);
	again = open_again(w);
	if (again)
		return err ? err : again;	/* what is hidden goes with the next scan */
	again = chain_release(&r->sr, &w->copy);
	chain_note_drop(&w->to_note, !again);
	err = err ? err : again;
	/* Is it ours yet, under the lock of the SR? */
	if (WITH_READERS && !err)
		err = lease_hold_open(r, &w->writes);
	if (!err && r->sr.type->layout->volume_hide)
		err = r->sr.type->layout->volume_hide(&r->sr, &w->copy, false);	/* commit */
	if (err)
		remove_target(w);
	if (WITH_READERS)
		lease_let_go(r, &w->writes);
	return err;
}

/* It has been read: what had to be active for that need be no more. */
static void release_source(struct work *w)
{
	struct fail_words words;

	fail_keep(w->r->ctx, &words);	/* what matters has been said */
	image_close(w->im);
	if (w->from_note.lock >= 0) {		/* also when opening it has failed */
		if (!w->same)
			close_and_unlock(w->r);
		if (w->src->sr.opened || !lock_and_open(w, w->src))
			chain_note_drop(&w->from_note, !chain_release(&w->src->sr, &w->vdi));
	}
	if (WITH_READERS)
		lease_let_go(w->src, &w->reads);
	close_and_unlock(&w->from);
	lock_drop(&w->from.vdi_lock);
	fail_again(w->r->ctx, &words);
}

static int copy(struct work *w)
{
	struct run *r = w->r;
	int err = open_both(w);

	if (!err)
		err = choose(w);
	if (err)
		return err;
	fill_copy(w);
	if (r->ctx->dry_run)
		return plan(r, w->vdi.physical_size, "copy VDI %s to VDI %s of %llu bytes, format %s",
			    w->vdi.uuid.s, w->copy.uuid.s, (unsigned long long)w->spec.virtual_size,
			    w->spec.format->name);
	err = try_to_share(w);
	if (err == -EOPNOTSUPP)
		err = copy_slowly(w);
	if (err)
		return fail(r->ctx, err, "VDI %s", w->vdi.uuid.s);
	logf_info(r->ctx, "VDI %s: copied to VDI %s", w->vdi.uuid.s, w->copy.uuid.s);
	err = r->sr.type->layout->find(&r->sr, &w->copy.uuid, &r->vdi);
	if (!err)
		err = vdi_complete(&r->sr, &r->vdi);
	return err ? err : reply_vdi(r, REPLY_VDI);
}

int do_vdi_copy(struct run *r)
{
	struct work w = {
		.r = r, .copy_lock = -1, .from_file = -1, .to_file = -1,
		.from_note = { .lock = -1 }, .to_note = { .lock = -1 },
	};
	struct request rq;
	int err = be_watched(r);

	if (!err)
		err = resolve(&w, &rq);
	if (!err)
		err = copy(&w);
	release_source(&w);
	cleanup_close(&w.from_file);
	cleanup_close(&w.to_file);
	chain_note_drop(&w.from_note, false);	/* what could not be let go of the next verb puts away */
	chain_note_drop(&w.to_note, false);
	lock_drop(&w.copy_lock);
	/* A collector of that SR may have waited for it; of this one sm_run() thinks. */
	if (!err)
		r->was_read = w.from.was_read = w.vdi.parent.s[0];
	if (IS_ENABLED(CONFIG_GC) && !err && !w.same && !r->ctx->dry_run)
		gc_kick(&w.from);
	return err;
}
