/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sm image create and snapshot: a new image, empty, or standing on another. */
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "arch/blk.h"
#include "arch/clock.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/lvm2/dm.h"
#include "lib/text/size.h"
#include "sm/image.h"

#define DEPTH_MOST	30u	/* levels that a new image may make: upstream's limit */
#define GROWTH		4u	/* the table of a file has room for so many times its size */

struct vhd_create image_create_vhd(struct run *r, const struct image_place *p, uint64_t size)
{
	uint64_t max = p->device || size > VHD_MSIZE / GROWTH ? VHD_MSIZE : size * GROWTH;
	struct vhd_create how = {
		.type = VHD_DYNAMIC, .size = size, .max_size = max,
		.time = image_vhd_time(clock_now_real(NULL)),
	};
	struct uuid u = r->rq->new_uuid;

	if (!u.s[0])
		random_uuid(&u);
	uuid_bytes(&u, how.uuid);
	return how;
}

/* --- create ---------------------------------------------------------------- */

static int check_size(struct run *r, struct image_place *p, uint64_t *size)
{
	if (!*size)
		return fail_say(r->ctx, -E_VDI_SIZE, "an image of 0 bytes");
	if (p->format == IMAGE_QCOW2)
		return fail_say(r->ctx, -E_ARG, "qcow2 images are read here, not written");
	if (p->format == IMAGE_RAW && !p->device)
		return 0;
	if (p->format == IMAGE_RAW)
		return fail_say(r->ctx, -E_ARG, "%s: a device is a raw image already", p->path);
	if (vhd_round_size(size))
		return fail_say(r->ctx, -E_VDI_SIZE, "%s asked, and a VHD has at most 2040 GiB",
				SIZE_STR(*size));
	return 0;
}

/* Write what make() writes into a device, or into a file that appears when it is whole. */
static int make_image(struct run *r, struct image_place *p, int (*make)(struct io *io, void *arg),
		      void *arg)
{
	_image_making_close_ struct image_making n = { 0 };
	_io_close_ struct io *io = NULL;
	int err;

	err = p->device ? image_place_io(p, IO_RDWR | IO_EXCL, &io) : image_making_open(&n, p, false);
	if (err)
		return err;
	err = make(p->device ? io : n.io, arg);
	if (err)
		return fail(r->ctx, err, "%s", p->path);
	return p->device ? 0 : image_making_commit(&n);
}

static int make_raw(struct io *io, void *size)
{
	return io_resize(io, *(const uint64_t *)size);
}

static int make_vhd(struct io *io, void *how)
{
	return vhd_create(io, how);
}

int do_image_create(struct run *r)
{
	uint64_t size = r->rq->size;
	struct vhd_create how;
	struct image_place p;
	int err = image_place_new(r, r->rq->paths[0], r->rq->format, &p);

	if (!err && p.exists && !p.device)
		err = fail(r->ctx, -EEXIST, "%s", p.path);
	if (!err)
		err = check_size(r, &p, &size);
	if (err)
		return err;
	if (r->ctx->dry_run)
		return plan(r, p.format == IMAGE_VHD ? vhd_overhead_empty(size) : 0,
			    "make %s (%s) of %llu bytes", p.path, image_format_name(p.format),
			    (unsigned long long)size);
	how = image_create_vhd(r, &p, size);
	err = p.format == IMAGE_RAW ? make_image(r, &p, make_raw, &size) :
		make_image(r, &p, make_vhd, &how);
	return err ? err : image_reply_new(r, &p);
}

/* --- snapshot -------------------------------------------------------------- */

struct snapshot {
	struct vhd_create how;
	const struct vhd *parent;	/* NULL: raw */
};

static int make_snapshot(struct io *io, void *arg)
{
	struct snapshot *s = arg;

	return s->parent ? vhd_snapshot(io, s->parent, &s->how) : vhd_create(io, &s->how);
}

/* Parents are looked for beside their children, so that is where those must be. */
static int check_beside(struct run *r, struct image_place *parent, struct image_place *child)
{
	const char *where = parent->device ? "VG" : "folder";

	if (child->exists && !child->device)
		return fail(r->ctx, -EEXIST, "%s", child->path);
	if (child->device != parent->device ||
	    (child->device ? strcmp(child->vg, parent->vg) : strcmp(child->dir, parent->dir)))
		return fail_say(r->ctx, -E_ARG, "%s must be in the same %s as %s", child->path, where,
				parent->path);
	if (child->format != IMAGE_VHD)
		return fail_say(r->ctx, -E_ARG, "%s: only a VHD can stand on another image",
				child->path);
	return 0;
}

/* What the child will call it, and by what our own rules will find it again. */
static int name_parent(struct run *r, struct image_place *p, struct vhd_create *how)
{
	struct arena *a = &r->ctx->arena;
	const char *dot = strrchr(p->name, '.');
	char dm[LVM_DM_NAME];
	struct stat st;
	int err;

	if (p->format == IMAGE_RAW && (p->device ? strncmp(p->lv, "LV-", 3) :
				       !dot || strcasecmp(dot, ".raw")))
		return fail_say(r->ctx, -E_ARG, "%s: a raw parent must be called %s", p->path,
				p->device ? "LV-…" : "*.raw");
	if (p->device) {
		err = *p->vg ? lvm_dm_name(dm, p->vg, p->lv, NULL) : -E_ARG;
		if (err)
			return fail(r->ctx, err, "%s", p->path);
		how->parent_path = arena_printf(a, "./%s", dm);
	} else {
		how->parent_path = arena_printf(a, "./%s", p->name);
	}
	if (!stat(p->path, &st))
		how->parent_time = image_vhd_time(st.st_mtime);
	return 0;
}

/* A volume that the parent stands on, or the parent by another name, is no place for a child. */
static int check_apart(struct run *r, const struct image_place *child, struct image *im)
{
	struct stat a, b;

	if (!child->device || stat(child->path, &b))
		return 0;
	for (size_t i = 0; i < im->n; i++)
		if (!fstat(im->levels[i].io->fd, &a) && a.st_rdev == b.st_rdev)
			return fail_say(r->ctx, -E_ARG, "%s would stand on itself", child->path);
	return 0;
}

static int take_snapshot(struct run *r, struct image_place *p, struct image_place *child,
			 struct image *im)
{
	struct snapshot s = { .parent = im->levels[0].vhd };
	int err;

	if (p->format == IMAGE_QCOW2)
		return fail_say(r->ctx, -E_ARG, "%s: a VHD cannot stand on a qcow2 image", p->path);
	if (im->n >= DEPTH_MOST) {
		hint(r->ctx, "sm image coalesce, or convert");
		return fail_say(r->ctx, -E_IMAGE_LONG, "%s has %zu levels already, at most %u are made",
				p->path, im->n, DEPTH_MOST);
	}
	s.how = image_create_vhd(r, child, (im->size + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR);
	s.how.type = VHD_DIFF;
	err = name_parent(r, p, &s.how);
	if (err)
		return err;
	if (s.how.size > VHD_SIZE_MAX || !s.how.size)
		return fail_say(r->ctx, -E_VDI_SIZE, "%s has %s, and a VHD up to 2040 GiB", p->path,
				SIZE_STR(s.how.size));
	if (r->ctx->dry_run)
		return plan(r, vhd_overhead_empty(s.how.max_size), "make %s on top of %s", child->path,
			    p->path);
	return make_image(r, child, make_snapshot, &s);
}

int do_image_snapshot(struct run *r)
{
	struct image_place parent, child;
	struct image *im = NULL;
	int err = image_place(r, r->rq->paths[0], r->rq->format, &parent);

	if (!err)
		err = image_place_new(r, r->rq->paths[1], NULL, &child);
	if (!err)
		err = check_beside(r, &parent, &child);
	if (!err)
		err = image_place_open(&parent, 0, &im);
	if (!err)
		err = check_apart(r, &child, im);
	if (!err)
		err = take_snapshot(r, &parent, &child, im);
	image_close(im);
	return err || r->ctx->dry_run ? err : image_reply_new(r, &child);
}
