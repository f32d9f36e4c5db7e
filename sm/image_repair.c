/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sm image repair: footers, batmap, an interrupted resize.
 *
 * What is overwritten or cut off is kept first, in PATH.before-repair: a file
 * as long as the image, with the old bytes at their old places and holes
 * elsewhere.
 */
#include <fcntl.h>
#include <string.h>

#include "arch/clock.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/io_keep.h"
#include "lib/vhd/check.h"
#include "sm/image.h"

#define TRIES	100u

/* An unused name; --backup FILE is taken as it is. */
static int make_backup(struct run *r, struct image_place *p, struct io **io, const char **path)
{
	struct arena *a = &r->ctx->arena;
	int err = -EEXIST;

	if (p->device && !r->rq->backup) {
		*path = NULL;
		return 0;
	}
	for (unsigned i = 1; i < TRIES && err == -EEXIST; i++) {
		*path = r->rq->backup ? r->rq->backup :
			i == 1 ? arena_printf(a, "%s.before-repair", p->path) :
			arena_printf(a, "%s.before-repair.%u", p->path, i);
		err = io_open(io, AT_FDCWD, *path, IO_RDWR | IO_CREATE);
		if (r->rq->backup)
			break;
	}
	if (!err)
		err = image_sync_folder(r, *path);	/* before anything depends on it */
	return err ? fail(r->ctx, err, "%s", *path) : 0;
}

static int mend(struct run *r, struct image_place *p, struct io *io)
{
	_io_close_ struct io *side = NULL, *kept = NULL;
	const char *backup;
	uint8_t id[16];
	int err = make_backup(r, p, &side, &backup);

	if (err)
		return err;
	if (side)
		kept = io_keep(io, side);
	random_bytes(id, sizeof(id));
	id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);	/* a random one, as RFC 4122 marks it */
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
	err = vhd_repair(side ? kept : io, id);
	return err ? fail(r->ctx, err, "%s", p->path) : 0;
}

/* Is there anything to do, and what? */
static int look(struct run *r, struct image_place *p, struct io *io, bool *any)
{
	struct vhd_findings f = { .arena = &r->ctx->arena };
	int err = vhd_check(io, VHD_CHECK_BITMAPS, 0, &f);

	*any = false;
	for (size_t i = 0; i < f.n && !err; i++) {
		if (!f.v[i].mendable)
			continue;
		*any = true;
		if (r->ctx->dry_run)
			plan(r, 0, "mend %s: %s", p->path, f.v[i].what);
	}
	return err ? fail(r->ctx, err, "%s", p->path) : 0;
}

static int plan_only(struct run *r, struct image_place *p)
{
	_io_close_ struct io *io = NULL;
	struct vhd *v = NULL;
	bool any;
	int err = image_place_io(p, IO_RDONLY, &io);

	if (err)
		return err;
	err = vhd_open(&v, io, VHD_HEADERS);
	vhd_close(v);
	if (err == -E_VHD_POISON)
		return plan(r, 0, "undo the interrupted resize of %s", p->path);
	err = look(r, p, io, &any);
	if (!err && !any)
		plan(r, 0, "nothing to mend in %s", p->path);
	return err;
}

int do_image_repair(struct run *r)
{
	_io_close_ struct io *io = NULL;
	struct image_place p;
	bool any;
	int err = image_place(r, r->rq->paths[0], r->rq->format, &p);

	if (err)
		return err;
	if (p.format != IMAGE_VHD) {
		if (p.format == IMAGE_QCOW2)
			hint(r->ctx, "convert it: reading needs no repair");
		return fail_say(r->ctx, -E_ARG, "%s: only VHDs are repaired", p.path);
	}
	if (r->ctx->dry_run)
		return plan_only(r, &p);
	err = image_edit_open(r, &p, &io);
	if (!err)
		err = look(r, &p, io, &any);
	if (!err && any)
		err = mend(r, &p, io);
	return err ? err : image_check_reply(r, &p);
}
