/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sm image coalesce: a child's data merged into its parent.
 *
 * The child is only read, and overrides what is being merged until its user
 * lets its children stand on the parent, or removes it.  So stopping or dying
 * anywhere costs nothing but doing it again.  Whoever else stands on the
 * parent sees it change; that nobody does is for the caller, as no verb opens
 * more than an image and its chain.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "arch/fs.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/text/size.h"
#include "lib/vhd/coalesce.h"
#include "sm/image.h"

struct merge {
	struct run *r;
	struct image_place child, parent;
	struct io *child_io, *parent_io;
	struct vhd *c, *p;		/* p is NULL for a raw parent */
	struct stat found;		/* which file the chain calls the parent */
};

/* --- opening --------------------------------------------------------------- */

/* An earlier attempt died while it gave the parent the size of the child. */
static int undo_growth(struct merge *m)
{
	const struct image_file *f = &m->child.files[1];
	_io_close_ struct io *io = NULL;
	struct image_place p;
	int err = m->r->ctx->dry_run ? -E_VHD_POISON :
		  image_place(m->r, f->path, image_format_name(f->format), &p);

	return err ? err : image_edit_open(m->r, &p, &io);
}

static int find_parent(struct merge *m)
{
	struct run *r = m->r;
	struct image *im = NULL;
	int err = image_place(r, r->rq->paths[0], r->rq->format, &m->child);

	if (err)
		return err;
	if (m->child.format != IMAGE_VHD)
		return fail_say(r->ctx, -E_ARG, "%s: only VHDs are merged", m->child.path);
	err = image_place_open(&m->child, 0, &im);
	if (err == -E_VHD_POISON && m->child.n == 2) {
		fail_clear(r->ctx);
		err = undo_growth(m);
		if (!err)
			err = image_place_open(&m->child, 0, &im);
	}
	if (!err && im->n < 2)
		err = fail_say(r->ctx, -E_ARG, "%s has no parent", m->child.path);
	if (!err && fstat(im->levels[1].io->fd, &m->found))
		err = fail(r->ctx, -errno, "%s", m->child.files[1].path);
	image_close(im);
	return err ? err : image_place(r, m->child.files[1].path,
			   image_format_name(m->child.files[1].format), &m->parent);
}

static int open_child(struct merge *m)
{
	int err = vhd_open(&m->c, m->child_io, 0);

	return err ? fail(m->r->ctx, err, "%s", m->child.path) : 0;
}

/* Between looking and opening for writing another may have taken its name. */
static bool is_same(struct merge *m)
{
	struct stat st;

	return !fstat(m->parent_io->fd, &st) && st.st_dev == m->found.st_dev &&
	       st.st_ino == m->found.st_ino && st.st_rdev == m->found.st_rdev;
}

static int open_both(struct merge *m)
{
	bool vhd = m->parent.format == IMAGE_VHD;
	int err = image_place_io(&m->child, IO_RDONLY, &m->child_io);

	if (!err)
		err = open_child(m);
	if (!err)
		err = image_edit_open(m->r, &m->parent, &m->parent_io);
	if (!err && vhd)
		err = image_edit_vhd(m->r, &m->parent, m->parent_io, &m->p);
	if (!err && (!is_same(m) || (vhd && memcmp(m->p->footer.uuid, m->c->header.parent_uuid, 16))))
		err = fail(m->r->ctx, -E_VHD_PARENT_UUID, "%s", m->parent.path);
	return err;
}

/* --- room ------------------------------------------------------------------ */

/* Bytes that the parent's file will take more than now, at most. */
static uint64_t need(const struct merge *m)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < m->c->n_blocks; i++) {
		bool there = m->p && (!m->p->bat || (i < m->p->n_blocks &&
						     vhd_entry(m->p, i) != VHD_UNUSED));

		if (m->c->bat && vhd_entry(m->c, i) != VHD_UNUSED && !there)
			n += VHD_BLOCK + 4096;
	}
	return n;
}

static int make_room(struct merge *m)
{
	struct ctx *ctx = m->r->ctx;
	uint64_t size = m->c->footer.size, more = need(m);
	struct fs_space space;
	int err = 0;

	if (!m->parent.device && !fs_space(m->parent_io->fd, &space) && space.avail < more &&
	    !m->r->rq->force)
		return fail_say(ctx, -E_SR_NO_SPACE, "%s: up to %s needed, %s free", m->parent.path,
				SIZE_STR(more), SIZE_STR(space.avail));
	if (m->p && m->p->footer.size < size)
		return image_grow_vhd(m->r, &m->parent, m->parent_io, m->p, size);
	if (!m->p && m->parent_io->size < size)
		err = m->parent.device ? -ENOSPC : io_resize(m->parent_io, size);
	return err ? fail(ctx, err, "%s must have the size of its child, %s", m->parent.path,
			  SIZE_STR(size)) : 0;
}

/* --- merging --------------------------------------------------------------- */

static int merge_all(struct merge *m, struct vhd_coalesce *c)
{
	struct image_job j;
	int err = 0, end;

	image_job_start(m->r, &j, "coalesce", c->total * VHD_BLOCK);
	while (!err && c->done < c->total) {
		err = vhd_coalesce_step(c);
		if (err)
			fail(m->r->ctx, err, "merge block %u", c->turns[c->done].block);
		else
			err = image_job_tick(&j, c->done * VHD_BLOCK);
	}
	/* What was done so far is left in good order also when we were stopped. */
	end = vhd_coalesce_finish(c);
	image_job_end(&j);
	if (!err && end)
		err = fail(m->r->ctx, end, "write %s", m->parent.path);
	if (err)
		hint(m->r->ctx, "again: nothing is lost, %s still has all", m->child.path);
	return err;
}

static int merge(struct merge *m)
{
	struct vhd_coalesce *c = NULL;
	int err = find_parent(m);

	if (err)
		return err;
	if (m->r->ctx->dry_run) {
		err = image_place_io(&m->child, IO_RDONLY, &m->child_io);
		if (!err)
			err = open_child(m);
		return err ? err : plan(m->r, need(m), "merge %u blocks of %s into %s",
					vhd_allocated(m->c), m->child.path, m->parent.path);
	}
	err = open_both(m);
	if (!err)
		err = make_room(m);
	if (err)
		return err;
	err = vhd_coalesce_start(&c, m->c, m->p, m->p ? NULL : m->parent_io, 0);
	if (err)
		return fail(m->r->ctx, err, "%s", m->parent.path);
	err = merge_all(m, c);
	vhd_coalesce_free(c);
	return err;
}

int do_image_coalesce(struct run *r)
{
	struct merge m = { .r = r };
	int err = merge(&m);

	vhd_close(m.c);
	vhd_close(m.p);
	io_close(m.child_io);
	io_close(m.parent_io);
	return err || r->ctx->dry_run ? err : image_reply_new(r, &m.parent);
}
