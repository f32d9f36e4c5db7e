/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/err.h"
#include "lib/image.h"
#include "lib/kconfig.h"
#include "lib/qcow2/qcow2.h"
#include "lib/vhd/parent.h"

static const char *const names[] = { "raw", "vhd", "qcow2" };

const char *image_format_name(enum image_format f)
{
	return names[f];
}

int image_format_by_name(const char *name, enum image_format *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(name, names[i]))
			continue;
		*f = (enum image_format)i;
		return 0;
	}
	return -E_IMAGE_FORMAT;
}

static bool is_vhd_cookie(const void *p)
{
	return !memcmp(p, "conectix", 8) || !memcmp(p, "v_poison", 8);
}

int image_probe(struct io *io, enum image_format *f)
{
	uint8_t head[512] = { 0 }, tail[512] = { 0 };
	size_t n = io->size < 512 ? (size_t)io->size : 512;
	int err = io_read(io, 0, head, n);

	if (!err)
		err = io_read(io, io->size - n, tail, n);
	if (err)
		return err;
	if (!memcmp(head, "QFI\xfb", 4))
		*f = IMAGE_QCOW2;
	else if (is_vhd_cookie(head) || is_vhd_cookie(tail) || is_vhd_cookie(tail + 1))
		*f = IMAGE_VHD;
	else
		*f = IMAGE_RAW;
	return 0;
}

/* --- opening a chain ----------------------------------------------------- */

static bool is_same_file(const struct io *a, const struct io *b)
{
	struct stat x, y;

	if (a == b)
		return true;
	if (a->fd < 0 || b->fd < 0 || fstat(a->fd, &x) || fstat(b->fd, &y))
		return false;
	return S_ISBLK(x.st_mode) ? S_ISBLK(y.st_mode) && x.st_rdev == y.st_rdev :
		x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static bool is_same_image(const struct image_level *a, const struct image_level *b)
{
	if (a->vhd && b->vhd && !memcmp(a->vhd->footer.uuid, b->vhd->footer.uuid, 16))
		return true;
	return is_same_file(a->io, b->io);
}

static int open_level(struct image_level *l, int flags)
{
	int err = 0, how = 0;

	switch (l->format) {
	case IMAGE_RAW:
		l->size = l->io->size;
		break;
	case IMAGE_VHD:
		how |= flags & IMAGE_RDWR ? VHD_RDWR | VHD_ALONE : 0;
		how |= flags & IMAGE_HEADERS ? VHD_HEADERS : 0;
		how |= flags & IMAGE_NO_BATMAP ? VHD_NO_BATMAP : 0;
		err = IS_ENABLED(CONFIG_VHD) ? vhd_open(&l->vhd, l->io, how) : -E_IMAGE_FORMAT;
		l->size = err ? 0 : l->vhd->footer.size;
		break;
	case IMAGE_QCOW2:
		if (flags & IMAGE_RDWR)
			return -EROFS;
		err = IS_ENABLED(CONFIG_QCOW2) ? qcow2_open(&l->qcow2, l->io) : -E_IMAGE_FORMAT;
		l->size = err ? 0 : l->qcow2->size;
		break;
	}
	return err;
}

/* 1 when the level names a parent, 0 when it has none. */
static int parent_of(struct image *im, const struct image_level *l, struct image_parent *p)
{
	struct vhd_parent vp;
	const char **paths;
	int err;

	*p = (struct image_parent){ .child = l->format };
	if (l->vhd && vhd_has_parent(l->vhd)) {
		err = vhd_parent(l->vhd, &im->arena, &vp);
		if (err)
			return err;
		p->raw = vp.raw;
		memcpy(p->uuid, vp.uuid, sizeof(p->uuid));
		p->n = vp.n;
		p->paths = arena_copy(&im->arena, vp.paths, sizeof(vp.paths));
		return 1;
	}
	if (l->qcow2 && l->qcow2->backing) {
		paths = arena_array(&im->arena, 1, sizeof(*paths));
		paths[0] = l->qcow2->backing;
		p->format = l->qcow2->backing_format;
		p->raw = p->format && !strcmp(p->format, "raw");
		p->paths = paths;
		p->n = 1;
		return 1;
	}
	return 0;
}

/* Is the parent that was found the one the child means? */
static int check_parent(const struct image *im, const struct image_parent *want,
			const struct image_level *got)
{
	if (im->n > IMAGE_DEPTH_MAX)
		return -E_IMAGE_DEEP;
	for (size_t i = 0; i + 1 < im->n; i++)
		if (is_same_image(&im->levels[i], got))
			return -E_IMAGE_LOOP;
	if (want->child != IMAGE_VHD)
		return want->raw == (got->format == IMAGE_RAW) ? 0 : -E_QCOW2_BACKING;
	if (want->raw != (got->format == IMAGE_RAW) || (!want->raw && !got->vhd))
		return -E_VHD_PARENT_UUID;
	return want->raw || !memcmp(got->vhd->footer.uuid, want->uuid, 16) ?
		0 : -E_VHD_PARENT_UUID;
}

static struct image_level *add_level(struct image *im, struct io *io, enum image_format f)
{
	im->levels = arena_grow(&im->arena, im->levels, im->n, im->n + 1, sizeof(*im->levels));
	im->levels[im->n] = (struct image_level){ .io = io, .format = f };
	return &im->levels[im->n++];
}

static int open_parents(struct image *im, int flags, image_find_fn *find, void *arg)
{
	struct image_parent want;
	int more, err;

	while ((more = parent_of(im, &im->levels[im->n - 1], &want)) > 0) {
		struct image_level *l;
		enum image_format f = IMAGE_RAW;
		struct io *io = NULL;

		if (!find) {
			im->cut = true;
			im->parent = want;
			return 0;
		}
		err = find(arg, &want, &io, &f);
		if (err)
			return err;
		l = add_level(im, io, f);
		err = open_level(l, flags & ~IMAGE_RDWR);
		if (!err)
			err = check_parent(im, &want, l);
		if (err)
			return err;
	}
	return more;
}

int image_open(struct image **out, struct io *io, enum image_format f, int flags,
	       image_find_fn *find, void *arg)
{
	struct image *im = must_alloc(sizeof(*im));
	int err;

	*im = (struct image){ 0 };
	add_level(im, io, f);
	err = open_level(&im->levels[0], flags);
	if (!err)
		err = open_parents(im, flags, find, arg);
	if (err) {
		image_close(im);
		return err;
	}
	im->size = im->levels[0].size;
	*out = im;
	return 0;
}

/* Level by level, as when they are opened one after the other. */
static int check_below(struct image *im, const struct image *old, struct io *base,
		       enum image_format base_format)
{
	struct image_parent want;
	int err = parent_of(im, &im->levels[0], &want);

	if (err <= 0)
		return err ? err : -E_VHD_PARENT_UUID;
	if (old->levels[0].format != base_format || !is_same_file(old->levels[0].io, base))
		return -E_VHD_PARENT_UUID;
	if (old->n + 1 > IMAGE_DEPTH_MAX)
		return -E_IMAGE_DEEP;
	if (im->levels[0].size < old->size)
		return -E_RANGE;
	err = check_parent(im, &want, &old->levels[0]);
	for (size_t i = 0; !err && i < old->n; i++)
		if (is_same_image(&im->levels[0], &old->levels[i]))
			err = -E_IMAGE_LOOP;
	return err;
}

int image_push(struct image **out, struct io *io, enum image_format f, int flags, struct image *old,
	       struct io *base, enum image_format base_format)
{
	struct image *im = must_alloc(sizeof(*im));
	int err;

	*im = (struct image){ 0 };
	add_level(im, io, f);
	err = open_level(&im->levels[0], flags);
	if (!err)
		err = check_below(im, old, base, base_format);
	if (err) {
		image_close(im);
		io_close(base);
		return err;
	}
	im->size = im->levels[0].size;
	for (size_t i = 0; i < old->n; i++)
		*(add_level(im, NULL, IMAGE_RAW)) = old->levels[i];
	io_close(im->levels[1].io);
	im->levels[1].io = base;
	if (im->levels[1].vhd) {
		im->levels[1].vhd->io = base;
		im->levels[1].vhd->writable = false;
	}
	arena_free(&old->arena);
	free(old);
	*out = im;
	return 0;
}

void image_close(struct image *im)
{
	if (!im)
		return;
	for (size_t i = 0; i < im->n; i++) {
		struct image_level *l = &im->levels[i];

		if (IS_ENABLED(CONFIG_VHD))
			vhd_close(l->vhd);
		if (IS_ENABLED(CONFIG_QCOW2))
			qcow2_close(l->qcow2);
		io_close(l->io);
	}
	arena_free(&im->arena);
	free(im);
}
