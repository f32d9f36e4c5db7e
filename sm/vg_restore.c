/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sm vg restore: who may be disturbed by it, lvm2's locks, and then
 * lib/lvm2/restore.h does it.
 *
 * Everything is looked at twice: without locks, to learn which ones to take and
 * to refuse what can be refused, and again under them.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "arch/clock.h"
#include "arch/flock.h"
#include "arch/lvmhost.h"
#include "arch/scan.h"
#include "drivers/lvm2_lock.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/lvm2/restore.h"
#include "sm/vg.h"

/* --- what is to be restored ---------------------------------------------------------- */

static int text_of(struct vg_look *v, struct lvm_restore *lr)
{
	struct run *r = v->r;
	const struct lvm_past *past;
	int err;

	if (r->rq->from) {
		err = file_read_small(AT_FDCWD, r->rq->from, &r->ctx->arena, LVM_TEXT_MAX, &lr->text);
		return err ? fail(r->ctx, err, "%s", r->rq->from) : 0;
	}
	err = vg_history_of_one(v, &past);
	if (!err)
		err = vg_version(v, past, &lr->version);
	if (!err)
		lr->text = lr->version->text;
	return err;
}

/* --pv UUID=PATH. */
static int said(struct run *r, struct lvm_restore *lr)
{
	const struct kvs *pvs = &r->rq->pvs;
	struct lvm_said *s = arena_array(&r->ctx->arena, pvs->n, sizeof(*s));

	lr->said = s;
	for (size_t i = 0; i < pvs->n; i++, s++) {
		const char *id = pvs->v[i].key;
		int err = lvm_id_parse(&s->pv, id, strlen(id));

		if (err) {
			hint(r->ctx, "--pv with the uuid of a PV and the path of a device");
			return fail(r->ctx, err, "--pv %.64s", id);
		}
		s->path = pvs->v[i].value;
		lr->n_said++;
	}
	return 0;
}

static int make_plan(struct vg_look *v, struct lvm_restore *lr)
{
	struct run *r = v->r;
	int err;

	/* Not even --force goes on without a device that is there. */
	if (v->n_bad)
		return fail_say(r->ctx, v->bad[0].err, "%s: %s", v->bad[0].path, v->bad[0].what);
	*lr = (struct lvm_restore){ .set = &v->set, .force = r->rq->force };
	err = said(r, lr);
	if (!err)
		err = text_of(v, lr);
	if (err)
		return err;
	lr->past = vg_history(v);
	err = lvm_restore_plan(lr);
	if (!err)
		return 0;
	if (lr->try)
		hint(r->ctx, "%s", lr->try);
	return fail_say(r->ctx, err, "%s%s%s", r->rq->from ? r->rq->from : "",
			r->rq->from ? ": " : "", lr->why);
}

/* --- who uses it ------------------------------------------------------------------------ */

/* "LVM-" and the uuid of the VG without dashes: what all of its devices have. */
static bool is_lv_of(const struct scan_device *d, const struct lvm_vg *vg)
{
	char bare[32];

	lvm_id_bare(&vg->id, bare);
	return d->dm_uuid && !strncmp(d->dm_uuid, "LVM-", 4) &&
	       !strncmp(d->dm_uuid + 4, bare, sizeof(bare));
}

/* A file that is a loop device: written behind its back, that would not see it. */
static int file_is_free(struct run *r, const struct scan *s, const char *path)
{
	char full[PATH_MAX];

	if (!realpath(path, full))
		return fail(r->ctx, -errno, "%s", path);
	for (size_t i = 0; i < s->n; i++)
		if (s->dev[i].loop_file && !strcmp(s->dev[i].loop_file, full)) {
			hint(r->ctx, "give that instead, or detach it");
			return fail_say(r->ctx, -E_BUSY, "%s is %s", path, s->dev[i].path);
		}
	return 0;
}

static int device_is_free(struct run *r, const struct scan *s, const struct lvm_vg *vg,
			  const struct lvm_dev *dev, dev_t number)
{
	const struct scan_device *d = scan_find(s, number);
	const char *why;

	if (!d)
		return 0;		/* not one of this host: nobody here has anything on it */
	why = scan_refuses(s, d, true);
	if (why)
		return fail_say(r->ctx, -E_LVM_PV_USED, "%s is %s", dev->path, why);
	if (d->mounted || d->swap)
		return fail_say(r->ctx, -E_LVM_PV_USED, "%s is %s%s", dev->path,
				d->mounted ? "mounted at " : "used as swap",
				d->mounted ? d->mounted : "");
	for (size_t i = 0; i < d->n_holders; i++) {
		const struct scan_device *h = scan_find_name(s, d->holders[i]);

		if (!h || !is_lv_of(h, vg))
			return fail_say(r->ctx, -E_LVM_PV_USED, "%s is a part of %s", dev->path,
					h ? h->path : d->holders[i]);
	}
	return 0;
}

static int dev_is_free(struct run *r, const struct scan *s, const struct lvm_vg *vg,
		       const struct lvm_dev *dev)
{
	struct stat st;

	if (fstat(dev->io->fd, &st))
		return fail(r->ctx, -errno, "%s", dev->path);
	return S_ISBLK(st.st_mode) ? device_is_free(r, s, vg, dev, st.st_rdev) :
				     file_is_free(r, s, dev->path);
}

/* What is active keeps the table it has, whatever the metadata says from now on. */
static int lvs_are_quiet(struct run *r, const struct scan *s, const struct lvm_vg *vg)
{
	for (size_t i = 0; i < s->n; i++) {
		if (!is_lv_of(&s->dev[i], vg))
			continue;
		if (r->rq->force) {
			logf_warn(r->ctx, "vg restore: %s is active", s->dev[i].dm_name);
			continue;
		}
		hint(r->ctx, "detach its disks, or vgchange -an %s; --force leaves them as they are",
		     vg->name);
		return fail_say(r->ctx, -E_LVM_LV_USED, "VG %s: %s is active", vg->name,
				s->dev[i].dm_name);
	}
	return 0;
}

static bool any_device(const struct vg_look *v)
{
	struct stat st;

	for (size_t i = 0; i < v->n; i++)
		if (!fstat(v->dev[i].io->fd, &st) && S_ISBLK(st.st_mode))
			return true;
	return false;
}

static int is_free(struct vg_look *v, const struct lvm_restore *lr)
{
	struct run *r = v->r;
	const struct lvm_vg *vg = lr->vg;
	struct scan s;
	int err = scan_devices(&r->ctx->arena, "", &s);

	/* Without /sys and /proc nobody can tell who uses a device; a file is our own. */
	if (err && any_device(v))
		return fail(r->ctx, err, "look who uses the devices");
	if (err)
		return 0;
	for (uint32_t i = 0; i < vg->n_devs && !err; i++)
		err = dev_is_free(r, &s, vg, vg->dev[i]);
	for (uint32_t i = 0; i < vg->n_leaving && !err; i++)
		err = dev_is_free(r, &s, vg, vg->leaving[i]);
	return err ? err : lvs_are_quiet(r, &s, vg);
}

/* --- lvm2's locks ------------------------------------------------------------------------ */

/* The global one, for labels; then the VG's, by the names that it has and will have. */
struct locks {
	char *path[3];
	int fd[3];
	size_t n;
};

static void locks_drop(struct locks *l)
{
	while (l->n) {
		l->n--;
		flock_drop(&l->fd[l->n], l->path[l->n]);
	}
}

static int lock(struct run *r, struct locks *l, const char *name)
{
	int err = lvm2_lock(r->ctx, &l->fd[l->n], &l->path[l->n], name, false);

	l->n += !err;
	return err;
}

/* What the VG is called on the devices now; NULL: nothing good says so. */
static const char *name_now(const struct lvm_restore *lr)
{
	for (size_t i = 0; i < lr->set->n_found; i++)
		if (!strcmp(lr->set->found[i]->best->is.id.s, lr->vg->id.s))
			return lr->set->found[i]->best->is.name;
	return NULL;
}

static int take_locks(struct run *r, const struct lvm_restore *lr, struct locks *l)
{
	struct arena *a = &r->ctx->arena;
	const char *first = lr->vg->name, *second = name_now(lr);
	int err = lock(r, l, "P_global"), order = second ? strcmp(first, second) : 0;

	if (order > 0) {
		second = first;
		first = name_now(lr);
	}
	if (!err)
		err = lock(r, l, arena_printf(a, "V_%s", first));
	if (!err && order)
		err = lock(r, l, arena_printf(a, "V_%s", second));
	return err;
}

/* --- doing it --------------------------------------------------------------------------------- */

static void tell(struct run *r, const struct lvm_restore *lr, enum reply_kind kind)
{
	for (size_t i = 0; i < lr->n_steps; i++)
		plan(r, 0, "%s", lr->step[i]);
	r->rp->kind = kind;
}

static int commit(struct vg_look *v, struct lvm_restore *lr)
{
	struct run *r = v->r;
	struct lvm_stamp stamp;
	int err;

	lvmhost_stamp(&r->ctx->arena, &stamp, "vg restore");
	err = lvm_restore_commit(lr, &stamp);		/* commit */
	if (err == -E_LVM_HALF)
		hint(r->ctx, "the same once more, when the device works again");
	if (err)
		return fail(r->ctx, err, "VG %s", lr->vg->name);
	for (size_t i = 0; i < lr->n_steps; i++)
		logf_info(r->ctx, "vg restore: %s", lr->step[i]);
	tell(r, lr, REPLY_DONE);
	err = any_device(v) ? lvmhost_look_again(r->ctx->root) : 0;
	return err ? fail(r->ctx, err, "tell lvm2 to look again") : 0;
}

static int under_locks(struct run *r, const struct lvm_restore *before)
{
	_vg_close_ struct vg_look v = { 0 };
	struct lvm_restore lr;
	int err = vg_look(r, IO_RDWR, &v);

	if (!err)
		err = make_plan(&v, &lr);
	if (!err && (strcmp(before->vg->name, lr.vg->name) || strcmp(before->vg->id.s, lr.vg->id.s)))
		err = fail(r->ctx, -E_LVM_CHANGED, "VG %s", lr.vg->name);
	if (!err)
		err = is_free(&v, &lr);
	return err ? err : commit(&v, &lr);
}

int do_vg_restore(struct run *r)
{
	__attribute__((cleanup(locks_drop))) struct locks l = { 0 };
	_vg_close_ struct vg_look v = { 0 };
	struct lvm_restore lr;
	int err;

	if (!r->rq->from == !r->rq->has_seqno) {
		hint(r->ctx, "sm help vg restore");
		return fail_say(r->ctx, -E_USAGE, "what to restore: --from or --seqno");
	}
	err = vg_look(r, r->ctx->dry_run ? IO_RDONLY : IO_RDWR, &v);
	if (!err)
		err = make_plan(&v, &lr);
	if (!err)
		err = is_free(&v, &lr);
	if (err)
		return err;
	if (r->ctx->dry_run) {
		tell(r, &lr, REPLY_PLAN);
		return 0;
	}
	if (any_device(&v))
		err = take_locks(r, &lr, &l);
	return err ? err : under_locks(r, &lr);
}
