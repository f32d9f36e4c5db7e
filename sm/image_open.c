/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/lvm2/dm.h"
#include "sm/image.h"

static const char mapper[] = "/dev/mapper";

/* --- formats by name ------------------------------------------------------- */

static bool format_of_name(const char *name, enum image_format *f)
{
	static const struct { const char *ending; enum image_format f; } endings[] = {
		{ ".vhd", IMAGE_VHD }, { ".avhd", IMAGE_VHD }, { ".qcow2", IMAGE_QCOW2 },
		{ ".raw", IMAGE_RAW }, { ".img", IMAGE_RAW }, { ".iso", IMAGE_RAW },
	};
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && i < ARRAY_SIZE(endings); i++) {
		if (strcasecmp(dot, endings[i].ending))
			continue;
		*f = endings[i].f;
		return true;
	}
	return false;
}

/* The names of volumes in SRs, which only the storage manager gives. */
static bool format_of_lv(const char *lv, enum image_format *f)
{
	static const struct { const char *start; enum image_format f; } starts[] = {
		{ "VHD-", IMAGE_VHD }, { "LV-", IMAGE_RAW }, { "QCOW2-", IMAGE_QCOW2 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		if (strncmp(lv, starts[i].start, strlen(starts[i].start)))
			continue;
		*f = starts[i].f;
		return true;
	}
	return false;
}

/* --- operands -------------------------------------------------------------- */

/* The part before the last slash; "" for none. */
static const char *dir_of(struct arena *a, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return "";
	return arena_strndup(a, path, slash == path ? 1 : (size_t)(slash - path));
}

static const char *last_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static const char *join(struct arena *a, const char *dir, const char *name)
{
	size_t n = strlen(dir);

	return arena_printf(a, "%s%s%s", dir, n && dir[n - 1] != '/' ? "/" : "", name);
}

/* "/dev/VG/LV" and "/dev/mapper/VG-LV": volumes know each other by these names. */
static void name_volume(struct arena *a, struct image_place *p)
{
	char *vg, *lv, *layer;

	p->dir = p->shown = dir_of(a, p->path);
	p->name = last_of(p->path);
	p->vg = last_of(p->dir);
	p->lv = p->name;
	if (strcmp(p->dir, mapper))
		return;
	p->vg = "";
	if (!lvm_dm_split(a, p->name, &vg, &lv, &layer) && !*layer) {
		p->vg = vg;
		p->lv = lv;
	}
}

/* A file's parents are beside the file itself, not beside a link to it. */
static int name_file(struct image_place *p)
{
	struct arena *a = &p->ctx->arena;
	char real[PATH_MAX];
	struct stat st;

	if (p->exists) {
		if (!realpath(p->path, real))
			return -errno;
		p->dir = dir_of(a, arena_strdup(a, real));
		p->name = arena_strdup(a, last_of(real));
		p->shown = lstat(p->path, &st) || S_ISLNK(st.st_mode) ? p->dir : dir_of(a, p->path);
		return 0;
	}
	p->shown = dir_of(a, p->path);
	p->name = last_of(p->path);
	if (!name_is_safe(p->name))
		return -E_ARG;
	if (!realpath(*p->shown ? p->shown : ".", real))
		return -errno;
	p->dir = arena_strdup(a, real);
	return 0;
}

static int find_place(struct run *r, const char *path, bool may_miss, struct image_place *p)
{
	struct stat st;
	int err;

	*p = (struct image_place){ .ctx = r->ctx, .path = path, .anywhere = r->rq->anywhere };
	p->exists = !stat(path, &st);
	if (!p->exists && (errno != ENOENT || !may_miss))
		return fail_path(r->ctx, -errno, path);
	if (p->exists && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return fail_say(r->ctx, -E_ARG, "%s is neither a file nor a block device", path);
	p->device = p->exists && S_ISBLK(st.st_mode);
	if (p->device) {
		name_volume(&r->ctx->arena, p);
		return 0;
	}
	err = name_file(p);
	return err ? fail(r->ctx, err, "%s", path) : 0;
}

static int format_given(struct image_place *p, const char *fmt, bool *known)
{
	*known = true;
	if (fmt) {
		if (image_format_by_name(fmt, &p->format)) {
			hint(p->ctx, "raw, vhd or qcow2");
			return fail_say(p->ctx, -E_ARG, "'%.32s' is no image format", fmt);
		}
		return 0;
	}
	*known = p->device ? format_of_lv(p->lv, &p->format) : format_of_name(p->name, &p->format);
	return 0;
}

int image_place_new(struct run *r, const char *path, const char *fmt, struct image_place *p)
{
	bool known;
	int err = find_place(r, path, true, p);

	if (!err)
		err = format_given(p, fmt, &known);
	if (!err && !known) {
		hint(r->ctx, "-O raw or -O vhd, or a name that ends so");
		err = fail_say(r->ctx, -E_ARG, "%s: the name does not tell the format", path);
	}
	return err;
}

int image_place(struct run *r, const char *path, const char *fmt, struct image_place *p)
{
	_io_close_ struct io *io = NULL;
	bool known;
	int err = find_place(r, path, false, p);

	if (!err)
		err = format_given(p, fmt, &known);
	if (err || known)
		return err;
	err = image_place_io(p, IO_RDONLY, &io);
	if (err)
		return err;
	err = image_probe(io, &p->format);
	return err ? fail(r->ctx, err, "%s", path) : 0;
}

int image_place_io(struct image_place *p, int flags, struct io **io)
{
	int err = io_open(io, AT_FDCWD, p->path, flags);

	return err ? fail(p->ctx, err, "%s", p->path) : 0;
}

/* --- parents --------------------------------------------------------------- */

/* One name, without a folder but ".": anything else leads out of it. */
static const char *beside(const char *path)
{
	while (!strncmp(path, "./", 2))
		for (path += 2; *path == '/'; path++)
			;
	return name_is_safe(path) ? path : NULL;
}

static int outside(struct image_place *p, const char *path)
{
	hint(p->ctx, "--any-parent, if you trust the image");
	return fail_say(p->ctx, -E_IMAGE_OUTSIDE, "the parent '%.200s' is not in the folder of the image",
			path);
}

/* The volume of the same VG that a name stands for, as a path; NULL for none. */
static const char *volume_path(struct image_place *p, const char *name)
{
	struct arena *a = &p->ctx->arena;
	char *vg, *lv, *layer, dm[LVM_DM_NAME];

	if (!lvm_dm_split(a, name, &vg, &lv, &layer) && !*layer && !strcmp(vg, p->vg))
		name = lv;
	if (strcmp(p->dir, mapper))
		return join(a, p->dir, name);
	if (!*p->vg || lvm_dm_name(dm, p->vg, name, NULL))
		return NULL;
	return join(a, mapper, dm);
}

/* What the parent's format must be, by its name; strangers' words can only confirm it. */
static int judge_format(struct image_place *p, const struct image_parent *want, const char *name,
			enum image_format *f)
{
	bool named = p->device ? format_of_lv(name, f) : format_of_name(name, f);
	const char *must = p->device ? "LV-…" : "*.raw";

	if (want->raw && !p->anywhere &&
	    (p->device ? strncmp(name, "LV-", 3) : !named || strcasecmp(strrchr(name, '.'), ".raw")))
		return fail_say(p->ctx, -E_IMAGE_OUTSIDE,
				"the parent '%.200s' is to be read as raw, and is not called %s", name, must);
	if (want->raw)
		*f = IMAGE_RAW;
	else if (want->child == IMAGE_VHD ||	/* its id is compared */
		 (!named && want->format && !strcmp(want->format, "vpc")))
		*f = IMAGE_VHD;
	else if (!named)
		*f = IMAGE_QCOW2;
	return 0;
}

static void found(struct image_place *p, const char *path, enum image_format f)
{
	p->files = arena_grow(&p->ctx->arena, p->files, p->n, p->n + 1, sizeof(*p->files));
	p->files[p->n++] = (struct image_file){ path, f };
}

static int open_beside(struct image_place *p, const struct image_parent *want, const char *path,
		       struct io **io, enum image_format *f)
{
	const char *name = beside(path), *full;
	struct stat st;
	int err;

	if (!name)
		return outside(p, path);
	full = p->device ? volume_path(p, name) : join(&p->ctx->arena, p->dir, name);
	if (!full)
		return outside(p, path);
	/* Names below /dev are links that only root makes; of files none is followed. */
	err = io_open(io, AT_FDCWD, full, p->device ? IO_RDONLY : IO_RDONLY | IO_NOFOLLOW);
	if (!err && fstat((*io)->fd, &st))
		err = -errno;
	if (!err && p->device != !!S_ISBLK(st.st_mode))
		err = -EINVAL;
	if (err == -ELOOP)
		return fail_say(p->ctx, -E_IMAGE_OUTSIDE, "the parent '%.200s' is a link", path);
	if (err == -EINVAL || err == -EISDIR || err == -ENXIO)
		return fail_say(p->ctx, -E_IMAGE_OUTSIDE, "the parent '%.200s' is not a %s", path,
				p->device ? "block device" : "file");
	if (err)
		return fail(p->ctx, err, "the parent '%.200s'", path);
	name = last_of(full);
	if (p->device && !strcmp(p->dir, mapper)) {
		char *vg, *lv, *layer;

		if (!lvm_dm_split(&p->ctx->arena, name, &vg, &lv, &layer))
			name = lv;
	}
	err = judge_format(p, want, name, f);
	if (!err)
		found(p, join(&p->ctx->arena, p->shown, last_of(full)), *f);
	return err;
}

/* Told to: wherever the path leads, from the folder of the child. */
static int open_anywhere(struct image_place *p, const struct image_parent *want, const char *path,
			 struct io **io, enum image_format *f)
{
	const char *full = path[0] == '/' ? path : join(&p->ctx->arena, p->dir, path);
	char real[PATH_MAX];
	int err = io_open(io, AT_FDCWD, full, IO_RDONLY);

	if (!err && !realpath(full, real))
		err = -errno;
	if (err)
		return fail(p->ctx, err, "the parent '%.200s'", path);
	err = judge_format(p, want, last_of(real), f);
	if (!err) {
		p->dir = dir_of(&p->ctx->arena, real);
		found(p, arena_strdup(&p->ctx->arena, real), *f);
	}
	return err;
}

/* The first of the texts by which a parent is there; else the best reason why not. */
static int find_parent(void *arg, const struct image_parent *want, struct io **io,
		       enum image_format *f)
{
	struct image_place *p = arg;
	int first = -E_IMAGE_PARENT, err;
	char why[sizeof(p->ctx->why)] = "";

	for (size_t i = 0; i < want->n; i++) {
		err = p->anywhere ? open_anywhere(p, want, want->paths[i], io, f) :
			open_beside(p, want, want->paths[i], io, f);
		if (!err) {
			p->ctx->hint[0] = p->ctx->why[0] = '\0';
			return 0;
		}
		io_close(*io);
		*io = NULL;
		if (!why[0] || err_kind(first) == -ENOENT) {
			first = err;
			memcpy(why, p->ctx->why, sizeof(why));
		}
		p->ctx->why[0] = '\0';
	}
	memcpy(p->ctx->why, why, sizeof(why));
	return first == -ENOENT ? -E_IMAGE_PARENT : first;
}

int image_place_open(struct image_place *p, int flags, struct image **im)
{
	struct io *io = NULL;
	int err = image_place_io(p, flags & IMAGE_RDWR ? IO_RDWR : IO_RDONLY, &io);

	if (err)
		return err;
	p->n = 0;
	found(p, p->path, p->format);
	err = image_open(im, io, p->format, flags, find_parent, p);
	if (err && !p->ctx->why[0] && p->n > 1)
		fail(p->ctx, err, "the parent %s", p->files[p->n - 1].path);
	if (err == -E_VHD_POISON && p->n == 1)
		hint(p->ctx, "sm image repair %s", p->path);
	if (err_kind(err) == -EUCLEAN && p->format == IMAGE_VHD && p->n == 1 && !p->device)
		hint(p->ctx, "sm image check %s", p->path);
	return err ? fail(p->ctx, err, "%s", p->path) : 0;
}
