/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sm image info, map and check: everything here opens read-only. */
#include <fcntl.h>
#include <string.h>

#include "arch/clock.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/kconfig.h"
#include "lib/qcow2/check.h"
#include "lib/vhd/check.h"
#include "sm/image.h"

void image_problem(struct run *r, const char *object, const char *what, const char *severity,
		   const char *repair)
{
	struct problem p = { object, what, severity, repair };

	vdis_problem(&r->ctx->arena, &r->rp->vdis, &p);
}

int image_judge(int err)
{
	static const int damage[] = { E_VHD_BLOCK, E_QCOW2_TABLE, E_QCOW2_DEFLATE };

	for (size_t i = 0; i < ARRAY_SIZE(damage); i++)
		if (err == -damage[i])
			return -E_DAMAGED;
	return err;
}

/* --- info ------------------------------------------------------------------ */

/* What of the info lives as long as the image, copied for as long as the request. */
static void keep_strings(struct arena *a, struct image_info *i)
{
	i->creator = arena_strdup(a, i->creator);
	if (i->parent_path)
		i->parent_path = arena_strdup(a, i->parent_path);
}

int image_reply(struct run *r, struct image_place *p, struct image *im)
{
	struct arena *a = &r->ctx->arena;
	struct image_report *rep = arena_alloc(a, sizeof(*rep));
	int err = image_info(im, 0, &rep->info);

	if (err)
		return fail(r->ctx, err, "%s", p->path);
	keep_strings(a, &rep->info);
	rep->path = p->path;
	rep->levels = p->n;
	if (rep->info.has_parent) {
		bool is_found = p->n > 1;

		rep->parent_path = is_found ? p->files[1].path : rep->info.parent_path;
		rep->parent_format = is_found ? image_format_name(p->files[1].format) : NULL;
	}
	for (size_t i = 0; i < rep->info.n_problems; i++)
		image_problem(r, p->path, rep->info.problems[i].what,
			rep->info.problems[i].damage ? "error" : "warning", NULL);
	r->rp->kind = REPLY_IMAGE;
	r->rp->image = rep;
	return 0;
}

/* The image itself is readable and its chain is not: tell what there is to tell. */
static void info_alone(struct run *r, struct image_place *p)
{
	const char *why = r->ctx->why[0] ? arena_strdup(&r->ctx->arena, r->ctx->why) : NULL;
	struct image *im = NULL;
	struct io *io = NULL;

	if (io_open(&io, AT_FDCWD, p->path, IO_RDONLY) ||
	    image_open(&im, io, p->format, 0, NULL, NULL))
		return;
	if (!image_reply(r, p, im) && why)
		image_problem(r, NULL, why, "error", NULL);
	image_close(im);
}

int image_reply_new(struct run *r, struct image_place *p)
{
	struct image *im = NULL;
	int err = image_place_open(p, 0, &im);

	if (!err)
		err = image_reply(r, p, im);
	image_close(im);
	return err;
}

int do_image_info(struct run *r)
{
	struct image *im = NULL;
	struct image_place p;
	int err = image_place(r, r->rq->paths[0], r->rq->format, &p);

	if (err)
		return err;
	err = image_place_open(&p, 0, &im);
	if (!err)
		err = image_reply(r, &p, im);
	else
		info_alone(r, &p);
	image_close(im);
	return err;
}

/* --- map ------------------------------------------------------------------- */

static int map_all(struct run *r, struct image *im, struct image_map *m)
{
	struct image_run *v = NULL;
	uint64_t at = 0;
	size_t room = 0;

	while (at < im->size) {
		int err;

		if (m->n == room) {
			room = room ? room * 2 : 64;
			v = arena_grow(&r->ctx->arena, v, m->n, room, sizeof(*v));
		}
		err = image_map(im, at, IMAGE_MAP_BLOCKS, &v[m->n]);
		if (err)
			return fail_say(r->ctx, image_judge(err), "byte %llu: %s",
					(unsigned long long)at, err_text(err));
		at += v[m->n++].length;
	}
	m->runs = v;
	return 0;
}

int do_image_map(struct run *r)
{
	struct image_map *m = arena_alloc(&r->ctx->arena, sizeof(*m));
	struct image *im = NULL;
	struct image_place p;
	int err = image_place(r, r->rq->paths[0], r->rq->format, &p);

	if (!err)
		err = image_place_open(&p, 0, &im);
	if (err)
		return err;
	err = map_all(r, im, m);
	image_close(im);
	if (err)
		return fail(r->ctx, err, "%s", p.path);
	m->files = p.files;
	m->n_files = p.n;
	r->rp->kind = REPLY_MAP;
	r->rp->map = m;
	return 0;
}

/* --- check ----------------------------------------------------------------- */

/* Seconds since 2000; 0, do not ask, when the clock is not set. */
uint32_t image_vhd_time(int64_t unix_time)
{
	int64_t t = unix_time - VHD_EPOCH;

	return t > 0 && t < UINT32_MAX ? (uint32_t)t : 0;
}

static int check_vhd(struct run *r, const char *path, struct io *io)
{
	struct vhd_findings f = { .arena = &r->ctx->arena };
	int err = vhd_check(io, VHD_CHECK_BITMAPS, image_vhd_time(clock_now_real(NULL)), &f);

	if (err)
		return err;
	for (size_t i = 0; i < f.n; i++)
		image_problem(r, path, f.v[i].what, f.v[i].severity == VHD_NOTE ? "warning" : "error",
			!f.v[i].mendable ? NULL :
			arena_printf(&r->ctx->arena, "sm image repair %s", path));
	if (f.dropped)
		image_problem(r, path, arena_printf(&r->ctx->arena, "%zu more findings", f.dropped), "error",
			NULL);
	return 0;
}

static void count(struct run *r, const char *path, uint64_t n, const char *what,
		  const char *severity)
{
	if (n)
		image_problem(r, path, arena_printf(&r->ctx->arena, "%s: %llu", what, (unsigned long long)n),
			severity, NULL);
}

static int check_qcow2(struct run *r, const char *path, struct io *io)
{
	struct qcow2_findings f;
	struct qcow2 *q = NULL;
	int err = qcow2_open(&q, io);

	if (err_kind(err) == -EUCLEAN || err_kind(err) == -EOPNOTSUPP) {
		image_problem(r, path, err_text(err), "error", NULL);
		return 0;
	}
	if (err)
		return err;
	err = qcow2_check(q, &f);
	if (!err) {
		count(r, path, f.bad, "table entries that lead nowhere", "error");
		count(r, path, f.low, "clusters counted less often than used", "error");
		count(r, path, f.leaks, "clusters counted and not used, so that space is lost", "warning");
	}
	if (q->incompatible & QCOW2_CORRUPT)
		image_problem(r, path, "the image is marked corrupt", "error", NULL);
	if (q->incompatible & QCOW2_DIRTY)
		image_problem(r, path, "not closed cleanly: reference counts may be wrong", "warning", NULL);
	qcow2_close(q);
	return err;
}

static int check_file(struct run *r, const struct image_file *f)
{
	_io_close_ struct io *io = NULL;
	int err = io_open(&io, AT_FDCWD, f->path, IO_RDONLY);

	if (!err && f->format == IMAGE_VHD)
		err = check_vhd(r, f->path, io);
	else if (!err && f->format == IMAGE_QCOW2)
		err = check_qcow2(r, f->path, io);
	return err ? fail(r->ctx, err, "%s", f->path) : 0;
}

/* Each level by itself, and then what only shows between them. */
static int check_chain(struct run *r, struct image_place *p)
{
	struct image *im = NULL;
	int err = image_place_open(p, 0, &im), bad = 0;
	const char *why = arena_strdup(&r->ctx->arena, r->ctx->why);
	size_t before;

	image_close(im);
	fail_clear(r->ctx);
	for (size_t i = 0; i < p->n && !bad; i++)
		bad = check_file(r, &p->files[i]);
	if (bad || !err)
		return bad;
	/* What keeps one level from opening was said there. */
	before = r->rp->vdis.n_problems;
	if (p->n > 1 || !before || err_kind(err) == -ENOENT || err == -E_IMAGE_OUTSIDE ||
	    err == -E_IMAGE_LOOP)
		image_problem(r, NULL, why, "error", NULL);
	return 0;
}

int image_check_reply(struct run *r, struct image_place *p)
{
	const struct vdis *l = &r->rp->vdis;
	size_t n = 0;
	int err = check_chain(r, p);

	if (err)
		return err;
	r->rp->kind = REPLY_CHECK;
	r->rp->object = p->path;
	for (size_t i = 0; i < l->n_problems; i++)
		n += !strcmp(l->problems[i].severity, "error");
	return !n ? 0 : fail_say(r->ctx, -E_DAMAGED, "%s: %zu problem%s found", p->path, n,
				 n == 1 ? "" : "s");
}

int do_image_check(struct run *r)
{
	struct image_place p;
	int err = image_place(r, r->rq->paths[0], r->rq->format, &p);

	return err ? err : image_check_reply(r, &p);
}
