/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sm vg show, check, history, backup: looking into LVM metadata.  Nothing is written to it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/lvmhost.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/io.h"
#include "lib/lvm2/backup.h"
#include "lib/lvm2/check.h"
#include "sm/vg.h"

int do_vg_show(struct run *r)
{
	_vg_close_ struct vg_look v = { 0 };
	int err = vg_look(r, IO_RDONLY, &v);

	if (!err)
		err = vg_must_be_there(&v);
	if (err)
		return err;
	vg_problems(&v);
	r->rp->kind = REPLY_VGS;
	r->rp->vgs = arena_copy(&r->ctx->arena, &v.set, sizeof(v.set));
	return 0;
}

int do_vg_check(struct run *r)
{
	_vg_close_ struct vg_look v = { 0 };
	struct vdis *l = &r->rp->vdis;
	size_t n_errors = 0;
	int err = vg_look(r, IO_RDONLY, &v);

	if (!err)
		err = vg_must_be_there(&v);
	if (err)
		return err;
	for (const struct lvm_finding *f = lvm_check(&v.set); f; f = f->next) {
		bool lost = f->repair && !strcmp(f->repair, LVM_RESTORE);

		vdis_problem(&r->ctx->arena, l, &(struct problem){
			.object = f->object, .what = f->what,
			.repair = lost ? vg_way_out(&v) : f->repair,
			.severity = lvm_severity_name(f->severity) });
	}
	r->rp->kind = REPLY_CHECK;
	r->rp->object = v.names;
	for (size_t i = 0; i < l->n_problems; i++)
		n_errors += !strcmp(l->problems[i].severity, "error");
	return !n_errors ? 0 : fail_say(r->ctx, -E_DAMAGED, "%zu problem%s found", l->n_problems,
					l->n_problems == 1 ? "" : "s");
}

/* --- the past --------------------------------------------------------------------- */

/* As an answer that brings its own line end. */
static const char *without_last_line_end(struct arena *a, struct view text)
{
	const char *p = text.p;
	size_t n = strnlen(p, text.n);

	return arena_strndup(a, p, n && p[n - 1] == '\n' ? n - 1 : n);
}

int do_vg_history(struct run *r)
{
	_vg_close_ struct vg_look v = { 0 };
	const struct lvm_past *past, *version;
	int err = vg_look(r, IO_RDONLY, &v);

	if (err)
		return err;
	if (!r->rq->has_seqno && vg_history(&v)) {
		vg_bad_paths(&v);
		r->rp->kind = REPLY_HISTORY;
		r->rp->past = v.past;
		return 0;
	}
	err = vg_history_of_one(&v, &past);
	if (!err)
		err = vg_version(&v, past, &version);
	if (err)
		return err;
	r->rp->kind = REPLY_TEXT;
	r->rp->text = without_last_line_end(&r->ctx->arena, version->text);
	return 0;
}

/* --- backup ------------------------------------------------------------------------ */

/* The VG that is meant, when nobody asked for an old version: its text must be good. */
static int committed_text(struct vg_look *v, struct view *text)
{
	struct run *r = v->r;
	const struct lvm_found *f = NULL;

	for (size_t i = 0; i < v->set.n_found; i++) {
		const struct lvm_found *x = v->set.found[i];

		if (r->rq->vg && strcmp(x->best->is.name, r->rq->vg) &&
		    strcmp(x->best->is.id.s, r->rq->vg))
			continue;
		if (f) {
			hint(r->ctx, "--vg with a name or uuid of: sm vg show %s", v->names);
			return fail_say(r->ctx, -E_AMBIGUOUS, "there are several VGs on %s",
					v->names);
		}
		f = x;
	}
	if (f && !f->err) {
		*text = f->best->text;
		return 0;
	}
	if (vg_history(v))
		hint(r->ctx, "sm vg history %s: older metadata", v->names);
	if (f)
		return fail_say(r->ctx, f->err, "VG %s: %s", f->best->is.name, f->why);
	if (v->set.problem)
		return fail_say(r->ctx, v->set.problem->err, "%s: %s", v->set.problem->path,
				v->set.problem->what);
	return fail_say(r->ctx, -E_LVM_VG_MISSING, "no VG %s%sis on %s", r->rq->vg ? r->rq->vg : "",
			r->rq->vg ? " " : "", v->names);
}

static int text_of(struct vg_look *v, struct view *text)
{
	const struct lvm_past *past, *version;
	int err;

	if (!v->r->rq->has_seqno)
		return committed_text(v, text);
	err = vg_history_of_one(v, &past);
	if (!err)
		err = vg_version(v, past, &version);
	if (!err)
		*text = version->text;
	return err;
}

/* The file has the old content or the new.  A device or a link is not replaced by a file. */
static int save(struct run *r, const char *path, const struct buf *b)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	const char *folder = !slash ? "." : slash == path ? "/" :
		arena_strndup(&r->ctx->arena, path, (size_t)(slash - path));
	_close_ int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int err;

	if (dir < 0)
		return fail(r->ctx, -errno, "%s", folder);
	if (!name_is_safe(name) || (!fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) &&
				    !S_ISREG(st.st_mode)))
		return fail_say(r->ctx, -E_ARG, "--to %s is not the name of a file", path);
	err = file_replace(dir, name, b->p, b->n, 0600);	/* commit */
	return err ? fail(r->ctx, err, "write %s", path) : 0;
}

int do_vg_backup(struct run *r)
{
	_vg_close_ struct vg_look v = { 0 };
	_buf_free_ struct buf b = { 0 };
	struct lvm_stamp stamp;
	struct view text;
	int err = vg_look(r, IO_RDONLY, &v);

	if (!err)
		err = text_of(&v, &text);
	if (err)
		return err;
	lvmhost_stamp(&r->ctx->arena, &stamp, arena_printf(&r->ctx->arena, "vg backup %s", v.names));
	err = lvm_backup_print(&b, text, &stamp);
	if (err)
		return fail(r->ctx, err, "the text on %s", v.names);
	if (r->rq->to && r->ctx->dry_run)
		return plan(r, b.n, "write %zu bytes to %s", b.n, r->rq->to);
	if (r->rq->to)
		return save(r, r->rq->to, &b);
	r->rp->kind = REPLY_TEXT;
	r->rp->text = without_last_line_end(&r->ctx->arena, (struct view){ b.p, b.n });
	return 0;
}
