/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "drivers/chain.h"
#include "drivers/format.h"
#include "drivers/layout.h"
#include "drivers/sr.h"
#include "lib/err.h"
#include "lib/image.h"
#include "lib/kconfig.h"
#include "lib/vhd/vhd.h"

/* Going down. */
struct walk {
	struct sr *sr;
	struct vdi at;		/* the level that was opened last */
	int flags;
};

static int open_volume(struct walk *w, bool writable, struct io **io, enum image_format *f)
{
	const struct layout *l = w->sr->type->layout;
	int flags = (writable ? IO_RDWR : IO_RDONLY) | (w->flags & CHAIN_DIRECT ? IO_DIRECT : 0);
	int fd = -1;
	int err = image_format_by_name(w->at.format, f);

	if (err)
		return fail(w->sr->ctx, err, "VDI %s", w->at.uuid.s);
	if (l->volume_open)
		err = l->volume_open(w->sr, &w->at, writable, &fd);
	else
		err = chain_lv_open(w->sr, &w->at, (writable ? CHAIN_WRITE : 0) |
				    (IS_ENABLED(CONFIG_LIVE_RAW) ? w->flags & CHAIN_BESIDE : 0), &fd);
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

/*
 * With O_DIRECT on a file 4 KiB are written whole, and a block that does not
 * begin with a page shares its first with its own bitmap or another block.
 */
static bool is_aligned(const struct image *im)
{
	const struct vhd *v = im->levels[0].vhd;

	if (!v || v->footer.type == VHD_FIXED)
		return true;
	for (uint32_t i = 0; i < v->n_blocks; i++)
		if (vhd_in_use(vhd_entry(v, i)) && (vhd_entry(v, i) + 1) % 8)
			return false;
	return true;
}

bool chain_can(const struct layout *l)
{
	return l->volume_open || l->volume_map;
}

int chain_room(struct sr *sr, const struct vdi *vdi, bool grows)
{
	const struct layout *l = sr->type->layout;
	uint64_t size;

	if (IS_ENABLED(CONFIG_LVM_THIN_GROW) && grows && l->volume_grow)
		return l->volume_grow(sr, vdi, 0, &size);
	return l->volume_inflate ? l->volume_inflate(sr, vdi) : 0;
}

int chain_open(struct sr *sr, const struct vdi *vdi, int flags, struct image **im)
{
	struct walk w = { .sr = sr, .at = *vdi, .flags = flags };
	bool writable = flags & CHAIN_WRITE;
	enum image_format f;
	struct io *io = NULL;
	int err;

	if (!chain_can(sr->type->layout))
		return fail(sr->ctx, -E_UNSUPPORTED, "open a volume of this SR");
	err = writable ? chain_room(sr, vdi, flags & CHAIN_GROWS) : 0;
	if (err)
		return err;
	err = open_volume(&w, writable, &io, &f);
	if (err)
		return err;
	err = image_open(im, io, f, writable ? IMAGE_RDWR : 0, find_parent, &w);
	if (err && !sr->ctx->why[0])
		return fail(sr->ctx, err, "VDI %s", w.at.uuid.s);
	if (!err && flags & CHAIN_DIRECT && writable && !is_aligned(*im)) {
		image_close(*im);
		return chain_open(sr, vdi, flags & ~CHAIN_DIRECT, im);
	}
	return err;
}

int chain_release(struct sr *sr, const struct vdi *vdi)
{
	const struct layout *l = sr->type->layout;
	struct vdi at = *vdi;
	int err = 0, left = IMAGE_DEPTH_MAX;

	if (l->volume_open || !l->volume_map)
		return 0;
	for (;;) {
		struct uuid up = at.parent;
		int bad = chain_lv_close(sr, &at);

		if (bad && !err)
			err = bad;
		if (!up.s[0] || !--left || l->find(sr, &up, &at))
			break;
	}
	return err || !l->volume_deflate ? err : l->volume_deflate(sr, vdi);
}

int chain_pause(struct sr *sr, const struct vdi *vdi)
{
	const struct layout *l = sr->type->layout;

	return l->volume_open || !l->volume_map ? 0 : chain_lv_close(sr, vdi);
}

/* --- for another process ------------------------------------------------------ */

static int add_level(struct sr *sr, const struct vdi *vdi, int how, struct chain *c)
{
	const struct layout *l = sr->type->layout;
	int fd = -1, err = image_format_by_name(vdi->format, &c->level[c->n].format);

	if (!err && l->volume_open)
		err = l->volume_open(sr, vdi, how & CHAIN_WRITE, &fd);
	else if (!err)
		err = chain_lv_open(sr, vdi, how, &fd);
	if (err) {
		if (fd >= 0)
			close(fd);
		return err;
	}
	c->level[c->n++].fd = fd;
	return 0;
}

/* Base first: its volume lets go of the name that the new one is to have. */
int chain_new_top(struct sr *sr, const struct vdi *vdi, const struct vdi *base, bool writable,
		  struct chain *c)
{
	int err = add_level(sr, base, CHAIN_HURRY, c);

	if (!err)
		err = add_level(sr, vdi, CHAIN_HURRY | (writable ? CHAIN_WRITE : 0), c);
	return err;
}

int chain_all(struct sr *sr, const struct vdi *vdi, struct chain *c)
{
	const struct layout *l = sr->type->layout;
	int how = CHAIN_HURRY | (vdi->at.writable ? CHAIN_WRITE : 0);
	struct uuid at = vdi->uuid;
	struct vdi v;
	int err = 0;

	for (c->all = true; !err && at.s[0]; at = v.parent, how &= ~CHAIN_WRITE) {
		err = l->find(sr, &at, &v);
		if (!err && (c->n == CHAIN_SENT || (how & CHAIN_WRITE && v.hidden)))
			err = c->n ? -E_IMAGE_DEEP : -E_VDI_HIDDEN;
		if (!err && how & CHAIN_WRITE)
			err = chain_room(sr, &v, vdi->at.grows);
		if (!err)
			err = add_level(sr, &v, how, c);
	}
	return err;
}

int chain_keep(const struct image *im, bool writable, struct chain *c)
{
	*c = (struct chain){ .writable = writable };
	for (size_t i = 0; i < im->n; i++) {
		int fd = fcntl(im->levels[i].io->fd, F_DUPFD_CLOEXEC, 3);

		if (fd < 0) {
			int err = -errno;

			chain_drop(c);
			return err;
		}
		c->level[i].fd = fd;
		c->level[i].format = im->levels[i].format;
		c->n++;
	}
	return 0;
}

void chain_drop(struct chain *c)
{
	for (size_t i = 0; i < c->n; i++)
		close(c->level[i].fd);
	c->n = 0;
}

struct again {
	const struct chain *c;
	size_t next;
};

static int take_level(struct again *a, int flags, struct io **io, enum image_format *f)
{
	int fd, how;

	if (a->next == a->c->n)
		return -E_IMAGE_PARENT;
	fd = fcntl(a->c->level[a->next].fd, F_DUPFD_CLOEXEC, 3);
	how = fd < 0 ? -1 : fcntl(fd, F_GETFL);
	if (how < 0)
		return -errno;
	*f = a->c->level[a->next].format;
	a->next++;
	return io_from_fd(io, fd, flags | (how & O_DIRECT || a->c->all ? IO_DIRECT : 0));
}

static int next_parent(void *arg, const struct image_parent *want, struct io **io,
		       enum image_format *f)
{
	return take_level(arg, IO_RDONLY, io, f);
}

int chain_again(const struct chain *c, struct image **im)
{
	struct again a = { .c = c };
	struct io *io = NULL;
	enum image_format f;
	int err = take_level(&a, c->writable ? IO_RDWR : IO_RDONLY, &io, &f);

	if (!err)
		err = image_open(im, io, f, c->writable ? IMAGE_RDWR : 0, next_parent, &a);
	if (!err && c->all && c->writable && !is_aligned(*im)) {
		image_close(*im);
		return -EINVAL;		/* as chain_open() finds, and then does without */
	}
	return err;
}
