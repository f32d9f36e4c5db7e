/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "drivers/chain.h"
#include "drivers/format.h"
#include "drivers/layout.h"
#include "drivers/sr.h"
#include "lib/err.h"
#include "lib/image.h"

/* Going down. */
struct walk {
	struct sr *sr;
	struct vdi at;		/* the level that was opened last */
	int flags;
};

static int open_volume(struct walk *w, bool writable, struct io **io, enum image_format *f)
{
	int flags = (writable ? IO_RDWR : IO_RDONLY) | (w->flags & CHAIN_DIRECT ? IO_DIRECT : 0);
	int fd = -1;
	int err = image_format_by_name(w->at.format, f);

	if (err)
		return fail(w->sr->ctx, err, "VDI %s", w->at.uuid.s);
	err = w->sr->type->layout->volume_open(w->sr, &w->at, writable, &fd);
	if (err)
		return err;
	err = io_from_fd(io, fd, flags);
	return err ? fail(w->sr->ctx, err, "VDI %s", w->at.uuid.s) : 0;
}

static int find_parent(void *arg, const struct image_parent *want, struct io **io,
		       enum image_format *f)
{
	struct walk *w = arg;
	struct uuid up = w->at.parent;
	int err;

	if (!up.s[0])
		return fail(w->sr->ctx, -E_IMAGE_PARENT, "the parent of VDI %s", w->at.uuid.s);
	err = w->sr->type->layout->find(w->sr, &up, &w->at);
	if (err)
		return fail(w->sr->ctx, err, "the parent %s", up.s);
	return open_volume(w, false, io, f);
}

int chain_open(struct sr *sr, const struct vdi *vdi, int flags, struct image **im)
{
	struct walk w = { .sr = sr, .at = *vdi, .flags = flags };
	bool writable = flags & CHAIN_WRITE;
	enum image_format f;
	struct io *io = NULL;
	int err;

	if (!sr->type->layout->volume_open)
		return fail(sr->ctx, -E_UNSUPPORTED, "open a volume of this SR");
	err = open_volume(&w, writable, &io, &f);
	if (err)
		return err;
	err = image_open(im, io, f, writable ? IMAGE_RDWR : 0, find_parent, &w);
	if (err && !sr->ctx->why[0])
		return fail(sr->ctx, err, "VDI %s", w.at.uuid.s);
	return err;
}
