/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vhd: blocks as they are written, and the rest in a parent. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "arch/clock.h"
#include "drivers/format.h"
#include "lib/arena.h"
#include "lib/ctx.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/kconfig.h"
#include "lib/vhd/check.h"
#include "lib/vhd/coalesce.h"
#include "lib/vhd/create.h"
#include "lib/vhd/edit.h"
#include "lib/vhd/open.h"
#include "lib/vhd/parent.h"
#include "lib/vhd/resize.h"
#include "lib/vhd/scan.h"
#include "lib/vhd/write.h"

/* Room that a file's table has for growing, as a multiple of its size: 4 bytes each 2 MiB. */
#define GROW_TIMES	4

static int vhd_round(struct ctx *ctx, uint64_t size, uint64_t *rounded)
{
	*rounded = size;
	if (size < MiB || vhd_round_size(rounded))
		return fail_say(ctx, -E_VDI_SIZE, "a VHD has between 1 MiB and 2040 GiB, not %llu bytes",
				(unsigned long long)size);
	return 0;
}

/* What the tables of a new image are made for. */
static uint64_t room_of(uint64_t size, uint64_t room_for)
{
	if (!room_for)
		room_for = size > VHD_MSIZE / GROW_TIMES ? VHD_MSIZE : size * GROW_TIMES;
	return room_for > size ? room_for : size;
}

static uint64_t vhd_space(uint64_t size, uint64_t room_for, bool full)
{
	uint64_t empty = vhd_overhead_empty(room_of(size, room_for));

	return full ? empty + size + vhd_overhead_bitmap(size) : empty;
}

/*
 * For writing.  Footers that a death has left unlike each other are written
 * again first: the one at the end counts, and nobody else has the image open.
 */
static int open_rw(struct ctx *ctx, struct io *io, struct vhd **v)
{
	int err = vhd_open(v, io, VHD_RDWR);

	if (err == -E_VHD_FOOTERS) {
		err = vhd_repair(io, NULL);
		if (!err)
			err = vhd_open(v, io, VHD_RDWR);
	}
	return err ? fail(ctx, err, "open the VHD") : 0;
}

static int open_ro(struct ctx *ctx, struct io *io, int flags, struct vhd **v)
{
	int err = vhd_open(v, io, flags);

	return err ? fail(ctx, err, "read the VHD") : 0;
}

/* --- making ------------------------------------------------------------------ */

static uint32_t vhd_time(int64_t unix_time)
{
	return unix_time < VHD_EPOCH ? 0 : (uint32_t)(unix_time - VHD_EPOCH);
}

/* When the parent was changed last: nobody refuses a child over it. */
static uint32_t time_of(const struct io *io)
{
	struct stat st;

	if (io->fd >= 0 && !fstat(io->fd, &st) && S_ISREG(st.st_mode))
		return vhd_time(st.st_mtime);
	return vhd_time(clock_now_real(NULL));
}

static int vhd_make(struct ctx *ctx, struct io *io, const struct image_new *how)
{
	struct vhd_create c = {
		.type = VHD_DYNAMIC, .size = how->virtual_size,
		.max_size = room_of(how->virtual_size, how->room_for),
		.time = vhd_time(clock_now_real(NULL)),
	};
	_vhd_close_ struct vhd *parent = NULL;
	struct uuid id;
	int err = 0;

	random_uuid(&id);
	uuid_bytes(&id, c.uuid);
	if (how->parent) {
		c.type = VHD_DIFF;
		c.parent_path = how->parent_path;
		c.parent_time = time_of(how->parent);
		if (!how->parent_format->direct)
			err = open_ro(ctx, how->parent, 0, &parent);
	}
	if (err)
		return fail(ctx, err, "parent");
	err = parent ? vhd_snapshot(io, parent, &c) : vhd_create(io, &c);
	return err ? fail(ctx, err, "make the VHD") : 0;
}

/* --- reading ----------------------------------------------------------------- */

static void facts_of(const struct vhd_footer *f, const struct vhd_header *h, struct image_facts *to)
{
	*to = (struct image_facts){
		.virtual_size = f->size, .hidden = f->hidden, .has_parent = f->type == VHD_DIFF,
	};
	memcpy(to->id, f->uuid, sizeof(to->id));
	if (to->has_parent)
		memcpy(to->parent_id, h->parent_uuid, sizeof(to->parent_id));
}

/*
 * The header's name is changed by the same sector as the parent's id, so it is
 * what counts; the locators, which may run ahead of it, only where it is empty.
 */
static int parent_name(struct ctx *ctx, struct vhd *v, struct image_facts *f)
{
	char name[VHD_NAME_MAX];
	struct vhd_parent p;
	int err = 0;

	if (!vhd_header_name(&v->header, name) && name[0]) {
		f->parent_name = arena_strdup(&ctx->arena, vhd_basename(name));
		return 0;
	}
	err = vhd_parent(v, &ctx->arena, &p);
	if (!err)
		f->parent_name = vhd_basename(p.paths[0]);
	return err ? fail(ctx, err, "read the VHD") : 0;
}

static int vhd_load(struct ctx *ctx, struct io *io, struct image_facts *f)
{
	_vhd_close_ struct vhd *v = NULL;
	int err = open_ro(ctx, io, VHD_HEADERS, &v);

	if (err)
		return err;
	facts_of(&v->footer, &v->header, f);
	f->mend = v->degraded || v->differ || v->short_footer || v->torn;
	return f->has_parent ? parent_name(ctx, v, f) : 0;
}

/* The primary footer counts; what is unusual in any way is left to load(). */
static int vhd_peek_at(struct ctx *ctx, struct view head, struct view tail, uint64_t size,
		       struct image_facts *f)
{
	struct vhd_footer first, last;
	struct vhd_header h;
	char name[VHD_NAME_MAX] = "";
	int err = vhd_peek(&first, &h, head.p, head.n);

	if (!err && vhd_by_tap(&first) && first.creator_version == 0x00010001)
		return -E_VHD_VERSION;
	if (!err && (first.size + VHD_BLOCK - 1) / VHD_BLOCK > h.max_bat)
		return -E_VHD_TABLE_SMALL;
	if (!err && !range_ok(h.table_at, vhd_table_len(h.max_bat), size))
		return -E_VHD_TABLE;
	if (!err && tail.n)
		err = vhd_footer_decode(&last, tail.p, tail.n);
	if (!err && tail.n && memcmp(head.p, tail.p, sizeof(struct vhd_footer_disk)))
		err = -E_VHD_FOOTERS;
	if (!err && first.type == VHD_DIFF && (vhd_header_name(&h, name) || !name[0]))
		err = -E_VHD_PARENT_NAME;
	if (err)
		return err;
	facts_of(&first, &h, f);
	if (f->has_parent)
		f->parent_name = arena_strdup(&ctx->arena, vhd_basename(name));
	return 0;
}

#define COUNT_MOST	64u	/* blocks, of each of which the bitmap is read */

static int count_sectors(struct vhd *v, uint64_t *bytes)
{
	*bytes = 0;
	for (uint64_t at = 0, n; at < v->footer.size; at += n) {
		uint64_t pos;
		int where;

		n = v->footer.size - at;
		where = vhd_lookup(v, at, &n, &pos);
		if (where < 0)
			return where;
		*bytes += where == VHD_HERE ? n : 0;
	}
	return 0;
}

/* How many blocks are in use is mostly known without the table. */
static int open_used(struct ctx *ctx, struct io *io, bool table, struct vhd **v, uint32_t *used)
{
	bool known = false;
	int err = IS_ENABLED(CONFIG_GC_SHARE) && !table ? open_ro(ctx, io, VHD_NO_TABLE, v) : 0;

	if (IS_ENABLED(CONFIG_GC_SHARE) && !err && *v && (*v)->footer.type != VHD_FIXED) {
		err = vhd_scan_used(*v, used, &known);
		if (err)
			return fail(ctx, err, "read the VHD");
		if (known)
			return 0;
		vhd_close(*v);
		*v = NULL;
	}
	if (!err && !*v)
		err = open_ro(ctx, io, 0, v);
	if (!err)
		*used = vhd_allocated(*v);
	return err;
}

static int vhd_use(struct ctx *ctx, struct io *io, struct image_use *use)
{
	_vhd_close_ struct vhd *v = NULL;
	uint32_t used;
	int err = open_used(ctx, io, use->count, &v, &used);
	bool fixed = !err && v->footer.type == VHD_FIXED;

	if (err)
		return err;
	use->end = vhd_physical_size(v);
	use->empty = !fixed && !used && !v->n_bad;
	use->data = use->counted = fixed ? v->footer.size : used * VHD_BLOCK;
	if (!IS_ENABLED(CONFIG_GC) || !use->count || fixed || used > COUNT_MOST)
		return 0;
	err = count_sectors(v, &use->counted);
	return err ? fail(ctx, err, "read the VHD") : 0;
}

/* --- changing ---------------------------------------------------------------- */

static int vhd_grow(struct ctx *ctx, struct io *io, uint64_t size, struct io *journal)
{
	_vhd_close_ struct vhd *v = NULL;
	int err = open_rw(ctx, io, &v);

	if (err)
		return err;
	err = vhd_resize(v, size, journal);
	return err ? fail(ctx, err, "grow the VHD") : 0;
}

static int vhd_journal(struct ctx *ctx, struct io *io, uint64_t size, uint64_t *bytes)
{
	_vhd_close_ struct vhd *v = NULL;
	int err = open_ro(ctx, io, 0, &v);

	if (!err)
		*bytes = vhd_resize_journal(v, size);
	return err;
}

static int vhd_undo(struct ctx *ctx, struct io *io, struct io *journal)
{
	int err = vhd_revert(io, journal);

	return err ? fail(ctx, err, "undo the resize of the VHD") : 0;
}

static int vhd_renew(struct ctx *ctx, struct io *io)
{
	_vhd_close_ struct vhd *v = NULL;
	int err = open_rw(ctx, io, &v);

	if (err)
		return err;
	random_bytes(v->footer.uuid, sizeof(v->footer.uuid));
	err = vhd_write_footers(v);
	return err ? fail(ctx, err, "give the VHD another id") : 0;
}

static int vhd_hide(struct ctx *ctx, struct io *io, bool hidden)
{
	_vhd_close_ struct vhd *v = NULL;
	int err = open_rw(ctx, io, &v);

	if (err || v->footer.hidden == hidden)
		return err;
	err = vhd_set_hidden(v, hidden);
	return err ? fail(ctx, err, "mark the VHD as %s", hidden ? "hidden" : "visible") : 0;
}

static int vhd_stand_on(struct ctx *ctx, struct io *io, const char *path, struct io *parent,
			const struct format *parent_format)
{
	_vhd_close_ struct vhd *v = NULL, *p = NULL;
	uint8_t id[16] = { 0 };
	int err = !parent || parent_format->direct ? 0 : open_ro(ctx, parent, VHD_HEADERS, &p);

	if (err)
		return fail(ctx, err, "parent");
	if (p)
		memcpy(id, p->footer.uuid, sizeof(id));
	err = open_rw(ctx, io, &v);
	if (err)
		return err;
	if (!vhd_has_parent(v))
		return fail_say(ctx, -E_UNSUPPORTED, "the VHD has no parent that could be exchanged");
	err = parent ? vhd_reparent(v, path, id, time_of(parent)) : vhd_stand_alone(v);
	return err ? fail(ctx, err, "exchange the parent of the VHD") : 0;
}

/* The footer at the new end is the commit; the copy at the start says the same. */
static int vhd_fit(struct ctx *ctx, struct io *io, uint64_t size)
{
	_vhd_close_ struct vhd *v = NULL;
	int err = vhd_open(&v, io, VHD_RDWR | VHD_MENDING);

	if (!err && (size > io->size || size % VHD_SECTOR ||
		     size < vhd_blocks_from(v) + VHD_SECTOR))
		err = -E_VHD_NO_ROOM;
	if (!err) {
		v->footer_at = size - VHD_SECTOR;
		err = vhd_write_footers(v);		/* commit */
	}
	return err ? fail(ctx, err, "move the footer of the VHD") : 0;
}

static int vhd_mend(struct ctx *ctx, struct io *io)
{
	struct uuid id;
	uint8_t bytes[16];
	int err;

	random_uuid(&id);
	uuid_bytes(&id, bytes);
	err = vhd_repair(io, bytes);
	return err ? fail(ctx, err, "mend the VHD") : 0;
}

/* --- merging ----------------------------------------------------------------- */

struct pair {
	struct vhd *child, *parent;	/* parent is NULL for a raw one */
};

static int open_pair(struct ctx *ctx, const struct image_merge *m, bool write, int flags, struct pair *p)
{
	int err = open_ro(ctx, m->child, flags, &p->child);

	if (err)
		return fail(ctx, err, "child");
	if (!m->parent_format->direct)
		err = write ? open_rw(ctx, m->parent, &p->parent) :
			open_ro(ctx, m->parent, flags, &p->parent);
	if (err)
		return fail(ctx, err, "parent");
	if (p->parent && memcmp(p->parent->footer.uuid, p->child->header.parent_uuid, 16))
		return fail(ctx, -E_VHD_PARENT_UUID, "parent");
	return 0;
}

static void close_pair(struct pair *p)
{
	vhd_close(p->child);
	vhd_close(p->parent);
}

#define KEEP_EVERY	512u	/* blocks: so much is lost by a death at most */

/*
 * A disk may be written again before it is merged, and each block that it has forgotten
 * takes another place then: is there one for all of them that the table can name?
 */
static bool has_room(const struct vhd *v)
{
	return vhd_blocks_from(v) + v->n_blocks * (VHD_BLOCK + 4096) < VHD_BAD * (uint64_t)VHD_SECTOR;
}

#define MAY_BE_WRITTEN(m)	(IS_ENABLED(CONFIG_GC_RESUME) && (m)->alone)

/*
 * What is merged is on the disk: the child may let go of it.  One that can be read
 * and not written, as others have made some, stays as it is.
 */
static int forget(struct vhd_coalesce *c, struct io *child, bool is_disk)
{
	_vhd_close_ struct vhd *own = NULL;
	int err = vhd_open(&own, child, VHD_RDWR);

	if (own && (!is_disk || has_room(own)))
		return vhd_coalesce_forget(c, own);
	return err_kind(err) == -EUCLEAN ? 0 : err;
}

static int forget_alone(void *c, struct io *child)
{
	return forget(c, child, true);
}

static int keep(const struct image_merge *m, struct vhd_coalesce *c)
{
	int err = 0;

	if (c->done == c->forgotten)
		return 0;
	if (MAY_BE_WRITTEN(m))
		err = m->alone(m->arg, forget_alone, c);
	else if (m->forgets)
		err = forget(c, m->child, false);
	c->forgotten = c->done;		/* or never */
	return err;
}

static int merge_blocks(const struct image_merge *m, struct vhd_coalesce *c, int *stop)
{
	uint64_t total = c->total * VHD_BLOCK;
	bool keeps = m->forgets || MAY_BE_WRITTEN(m);
	int err = 0;

	*stop = m->tick(m->arg, 0, total);
	while (!*stop && !err && c->done < c->total) {
		err = vhd_coalesce_step(c);
		if (err == -EAGAIN) {
			*stop = err;
			return 0;
		}
		if (!err && keeps && c->done - c->forgotten >= KEEP_EVERY && c->done < c->total) {
			err = vhd_coalesce_checkpoint(c);
			if (!err)
				err = keep(m, c);
		}
		if (!err)
			*stop = m->tick(m->arg, c->done * VHD_BLOCK, total);
	}
	return err;
}

/*
 * Who asks us to stop gets what is done so far kept.  After an error of the storage
 * all is as after a death, and nothing more is written: a flush that failed may have
 * thrown away what it could not write, and the next one, for which nothing is left to
 * do, says nothing of that.  So whoever tries again must not see it in memory either.
 * Nor may who has lost his lock to another collector write his tables over the other's.
 */
static int merge_all(const struct image_merge *m, struct vhd_coalesce *c)
{
	int stop, err = merge_blocks(m, c, &stop);
	bool asked = stop == -EINTR || stop == -E_DEADLINE;

	if (!err && (!stop || asked || (IS_ENABLED(CONFIG_GC_RESUME) && stop == -EAGAIN)))
		err = vhd_coalesce_finish(c);
	if (!err && asked)
		err = keep(m, c);
	if (err)
		io_hint(m->parent, 0, m->parent->size, IO_LOST);
	return stop ? stop : err;
}

static int vhd_merge(struct ctx *ctx, const struct image_merge *m)
{
	struct vhd_coalesce *c = NULL;
	struct pair p = { 0 };
	int err = open_pair(ctx, m, true, 0, &p);

	if (!err) {
		err = vhd_coalesce_start(&c, p.child, p.parent, p.parent ? NULL : m->parent, 0);
		if (!err) {
			c->still = m->still;
			c->arg = m->arg;
			err = merge_all(m, c);
		}
		/* Who ends it has said why. */
		if (err && err != -EAGAIN && !ctx->why[0])
			fail(ctx, err, "merge the VHD into its parent");
		vhd_coalesce_free(c);
	}
	close_pair(&p);
	return err;
}

/* Blocks that the parent has not, each with its bitmap and what aligns it. */
static int vhd_merge_space(struct ctx *ctx, const struct image_merge *m, uint64_t *more)
{
	struct pair p = { 0 };
	int err = open_pair(ctx, m, false, 0, &p);

	*more = 0;
	for (uint32_t i = 0; !err && p.child->bat && i < p.child->n_blocks; i++) {
		bool there = p.parent && (!p.parent->bat || (i < p.parent->n_blocks &&
					  vhd_entry(p.parent, i) != VHD_UNUSED));

		if (vhd_entry(p.child, i) != VHD_UNUSED && !there)
			*more += VHD_BLOCK + 4096;
	}
	close_pair(&p);
	return err;
}

/* Mostly their tables need not be kept for that. */
static int hides(struct ctx *ctx, const struct image_merge *m, int flags, bool *covers, bool *known)
{
	struct pair p = { 0 };
	int err = open_pair(ctx, m, false, flags, &p);

	*covers = false;
	*known = true;
	if (!err && p.parent && p.child->footer.type != VHD_FIXED &&
	    p.parent->footer.type != VHD_FIXED) {
		err = flags ? vhd_scan_covers(p.child, p.parent, covers, known) :
			      vhd_covers(p.child, p.parent, covers);
		err = err ? fail(ctx, err, "child") : 0;
	}
	close_pair(&p);
	return err;
}

static int vhd_hides(struct ctx *ctx, const struct image_merge *m, bool *covers)
{
	bool known;
	int err = hides(ctx, m, VHD_NO_TABLE, covers, &known);

	return err || known ? err : hides(ctx, m, 0, covers, &known);
}

static const struct format vhd = {
	.name = "vhd",
	.round = vhd_round,
	.create = vhd_make,
	.load = vhd_load,
	.resize = vhd_grow,
	.peek = vhd_peek_at,
	.space = vhd_space,
	.journal = vhd_journal,
	.revert = vhd_undo,
	.renew = IS_ENABLED(CONFIG_VDI_COPY) ? vhd_renew : NULL,
	.hide = vhd_hide,
	.reparent = vhd_stand_on,
	.use = vhd_use,
	.fit = vhd_fit,
	.mend = vhd_mend,
	.merge = IS_ENABLED(CONFIG_GC) ? vhd_merge : NULL,
	.merge_space = IS_ENABLED(CONFIG_GC) ? vhd_merge_space : NULL,
	.covers = IS_ENABLED(CONFIG_GC_SHARE) ? vhd_hides : NULL,
};
REGISTER(formats, vhd);
