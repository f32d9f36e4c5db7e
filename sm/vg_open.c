/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "arch/clock.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/lvm2/check.h"
#include "sm/vg.h"

/* Longer commands are not typed from a hint. */
#define NAMES_MOST 120

static void pause_before_retry(unsigned int attempt)
{
	clock_sleep((10 << attempt) * NS_PER_MS);
}

/* --- opening ------------------------------------------------------------------- */

static int open_path(struct ctx *ctx, const char *path, int flags, struct io **io)
{
	/* Around the cache: lvm2, or another host, may have written since. */
	int err = io_open(io, AT_FDCWD, path, flags | IO_DIRECT);

	if (err == -EACCES || err == -EPERM)
		hint(ctx, "as root, or on a copy of your own");
	if (err == -EINVAL || err == -EISDIR || err == -ENXIO)
		return fail_say(ctx, -E_ARG, "%s is neither a block device nor a file", path);
	return err ? fail_path(ctx, err, path) : 0;
}

static bool is_same(int a, int b)
{
	struct stat x, y;

	if (fstat(a, &x) || fstat(b, &y))
		return false;
	if (S_ISBLK(x.st_mode) && S_ISBLK(y.st_mode))
		return x.st_rdev == y.st_rdev;
	return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static const char *names_of(const struct request *rq, struct arena *a)
{
	_buf_free_ struct buf b = { 0 };

	for (size_t i = 0; i < rq->n_paths && b.n <= NAMES_MOST; i++)
		buf_printf(&b, "%s%s", i ? " " : "", rq->paths[i]);
	return b.n > NAMES_MOST ? "PATH…" : arena_strdup(a, buf_str(&b));
}

/* The sentence without the path that it begins with: a problem has that beside it. */
static const char *without_path(const char *why, const char *path)
{
	size_t n = strlen(path);

	return !strncmp(why, path, n) && !strncmp(why + n, ": ", 2) ? why + n + 2 : why;
}

/* One that cannot be opened is told of and left out, unless it is the only one. */
static int open_one(struct vg_look *v, const char *path, int flags)
{
	struct run *r = v->r;
	struct lvm_dev *d = &v->dev[v->n];
	int err;

	err = open_path(r->ctx, path, flags, &d->io);
	if (err && r->rq->n_paths > 1) {
		v->bad[v->n_bad++] = (struct lvm_problem){
			.path = path, .err = err,
			.what = arena_strdup(&r->ctx->arena, without_path(r->ctx->why, path)),
		};
		fail_clear(r->ctx);
		r->rp->several = true;
		return 0;
	}
	if (err)
		return err;
	d->path = path;
	v->n++;
	for (size_t i = 0; i + 1 < v->n; i++)
		if (is_same(v->dev[i].io->fd, d->io->fd)) {
			hint(r->ctx, "one of them");
			return fail_say(r->ctx, -E_USAGE, "%s and %s are the same device",
					v->dev[i].path, path);
		}
	return 0;
}

int vg_look(struct run *r, int io_flags, struct vg_look *v)
{
	struct lvm_scan_how how = { .verify = true, .pause = pause_before_retry };
	struct arena *a = &r->ctx->arena;
	int err = 0;

	*v = (struct vg_look){ .r = r, .names = names_of(r->rq, a) };
	v->dev = arena_array(a, r->rq->n_paths, sizeof(*v->dev));
	v->bad = arena_array(a, r->rq->n_paths, sizeof(*v->bad));
	for (size_t i = 0; i < r->rq->n_paths && !err; i++)
		err = open_one(v, r->rq->paths[i], io_flags);
	if (err)
		return err;
	if (!v->n)
		return fail_say(r->ctx, v->bad[0].err, "%s: %s, and so on: no path can be opened",
				v->bad[0].path, v->bad[0].what);
	lvm_scan(a, v->dev, v->n, &how, &v->set);
	for (size_t i = 0; i < v->n_bad; i++)
		lvm_problem(&v->set, v->bad[i].path, v->bad[i].err, "%s", v->bad[i].what);
	r->rp->several |= v->set.n_found > 1;
	return 0;
}

void vg_look_close(struct vg_look *v)
{
	for (size_t i = 0; i < v->n; i++) {
		io_close(v->dev[i].io);
		v->dev[i].io = NULL;
	}
	v->n = 0;
}

/* --- the past ------------------------------------------------------------------- */

const struct lvm_past *vg_history(struct vg_look *v)
{
	if (!v->dug)
		v->past = lvm_history(&v->set, v->r->rq->vg);
	v->dug = true;
	return v->past;
}

int vg_history_of_one(struct vg_look *v, const struct lvm_past **past)
{
	struct run *r = v->r;

	*past = vg_history(v);
	if (!*past && r->rq->vg)
		return fail_say(r->ctx, -E_LVM_VG_MISSING, "no metadata of a VG %s is on %s",
				r->rq->vg, v->names);
	if (!*past)
		return fail_say(r->ctx, -E_LVM_VG_MISSING, "no metadata of a VG is on %s", v->names);
	if (!lvm_past_is_one_vg(*past)) {
		hint(r->ctx, "--vg with a uuid of: sm vg history %s", v->names);
		return fail_say(r->ctx, -E_AMBIGUOUS, "there are several VGs on %s", v->names);
	}
	return 0;
}

int vg_version(struct vg_look *v, const struct lvm_past *past, const struct lvm_past **version)
{
	struct run *r = v->r;
	uint64_t seqno = r->rq->seqno;
	const struct lvm_past *p = past;

	*version = lvm_past_find(past, seqno);
	if (*version && lvm_past_is_doubtful(past, *version)) {
		hint(r->ctx, "sm vg history with one path at a time, and restore --from FILE");
		return fail_say(r->ctx, -E_AMBIGUOUS, "VG %s: different texts have the seqno %llu",
				past->is.name, (unsigned long long)seqno);
	}
	if (*version)
		return 0;
	while (p && p->is.seqno != seqno)
		p = p->next;
	hint(r->ctx, "sm vg history %s", v->names);
	if (!p)
		return fail_say(r->ctx, -E_LVM_VG_MISSING, "VG %s: no text with seqno %llu is left",
				past->is.name, (unsigned long long)seqno);
	return fail_say(r->ctx, -E_LVM_BAD, "VG %s: the text with seqno %llu is damaged: %s",
			p->is.name, (unsigned long long)seqno,
			p->why ? p->why : "its checksum is wrong");
}

/* --- what is wrong, and what to do -------------------------------------------------- */

const char *vg_way_out(struct vg_look *v)
{
	struct arena *a = &v->r->ctx->arena;
	const struct lvm_past *all = vg_history(v), *to = lvm_past_newest(all);

	if (!all)
		return arena_printf(a, LVM_RESTORE " %s --from BACKUP", v->names);
	if (!lvm_past_is_one_vg(all))
		return arena_printf(a, "sm vg history %s", v->names);
	if (!to)
		return arena_printf(a, LVM_RESTORE " %s --from /etc/lvm/backup/%s", v->names,
				    all->is.name);
	return arena_printf(a, LVM_RESTORE " %s --seqno %u", v->names, to->is.seqno);
}

int vg_must_be_there(struct vg_look *v)
{
	struct ctx *ctx = v->r->ctx;

	for (size_t i = 0; i < v->n; i++)
		if (v->dev[i].err != -E_LVM_NO_LABEL)
			return 0;
	if (v->n_bad)
		return 0;
	if (vg_history(v))
		hint(ctx, "sm vg history %s: there is metadata without a label", v->names);
	return fail_say(ctx, -E_LVM_NO_LABEL, "no LVM physical volume is on %s", v->names);
}

void vg_bad_paths(struct vg_look *v)
{
	struct run *r = v->r;

	for (size_t i = 0; i < v->n_bad; i++)
		vdis_problem(&r->ctx->arena, &r->rp->vdis, &(struct problem){
			.object = v->bad[i].path, .what = v->bad[i].what,
			.severity = lvm_severity_name(LVM_ERROR) });
}

void vg_problems(struct vg_look *v)
{
	struct run *r = v->r;

	for (const struct lvm_problem *p = v->set.problem; p; p = p->next) {
		const char *repair;
		enum lvm_severity severity = lvm_problem_severity(p, &repair);

		if (repair && !strcmp(repair, LVM_RESTORE))
			repair = vg_way_out(v);
		vdis_problem(&r->ctx->arena, &r->rp->vdis, &(struct problem){
			.object = p->path, .what = p->what, .repair = repair,
			.severity = lvm_severity_name(severity) });
	}
}
