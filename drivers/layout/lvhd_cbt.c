/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Logs of changed blocks as logical volumes: <uuid>.cbtlog, with the tag cbtlog. */
#include <errno.h>

#include "drivers/cbt.h"
#include "drivers/layout.h"
#include "drivers/layout/lvhd.h"
#include "drivers/sr.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/lvm2/lv_io.h"
#include "lib/lvm2/ops.h"

#define TAG "cbtlog"

static const char *name_of(struct sr *sr, const struct uuid *u)
{
	return arena_printf(&sr->ctx->arena, "%s" CBT_SUFFIX, u->s);
}

static struct lvm_lv *find(struct sr *sr, const struct uuid *u)
{
	return lvm_lv_find(lvm_of(sr)->vg, name_of(sr, u));
}

static int open_log(struct sr *sr, const struct uuid *u, bool writable, struct io **io)
{
	const struct lvm_lv *lv = lvm_of(sr) && lvm_of(sr)->vg ? find(sr, u) : NULL;
	int err = lv ? lvm_lv_io(io, lvm_of(sr)->vg, lv) : -ENOENT;

	if (!err && !writable)
		(*io)->read_only = true;
	return err && err != -ENOENT ? fail(sr->ctx, err, "open %s", lv->name) : err;
}

/* Its bytes are written to extents that are nobody's yet. */
static int add(struct lvhd *h, const char *name, const struct cbt *c)
{
	_io_close_ struct io *io = NULL;
	struct lvm_lv *lv;
	int err;

	h->why = name;
	err = lvhd_new_lv(h, name, CBT_LOG_MAX, TAG, &lv);
	if (!err)
		err = lvm_lv_io(&io, h->vg, lv);
	return err ? err : cbt_create(io, c);
}

static int begin(struct sr *sr, struct lvhd *h)
{
	int err;

	lvhd_bind(sr, h);
	err = lvm_vg_may_change(h->vg, false);
	return err ? lvm_refused(sr, h->vg, err) : 0;
}

static int commit(struct sr *sr, const char *what)
{
	int err = lvm_commit_now(sr, what);

	return err == -E_LVM_HALF ? 0 : err;
}

static int make(struct sr *sr, const struct uuid *u, const struct cbt *c)
{
	struct lvhd h;
	int err = begin(sr, &h);

	if (err)
		return err;
	err = add(&h, name_of(sr, u), c);
	return err ? lvhd_failed(sr, &h, err) : commit(sr, "cbt enable");	/* commit */
}

static int rename_log(struct sr *sr, const struct uuid *from, const struct uuid *to)
{
	struct lvm_lv *lv = find(sr, from);
	struct lvhd h;
	int err = begin(sr, &h);

	if (!err)
		err = lv ? lvm_lv_rename(h.vg, lv, name_of(sr, to)) : -ENOENT;
	return err ? fail(sr->ctx, err, "rename %s", name_of(sr, from)) : commit(sr, "cbt snapshot");	/* commit */
}

static int remove_log(struct sr *sr, const struct uuid *u)
{
	struct lvm_lv *lv = find(sr, u);
	struct lvhd h;
	int err;

	if (!lv)
		return 0;
	err = begin(sr, &h);
	if (!err)
		err = lvhd_idle(sr, lv);	/* upstream's, which makes it active while it writes */
	if (!err)
		err = lvm_lv_remove(h.vg, lv);
	return err ? fail(sr->ctx, err, "remove %s", name_of(sr, u)) : commit(sr, "cbt disable");	/* commit */
}

static int list(struct sr *sr, struct uuid **v, size_t *n)
{
	*v = NULL;
	*n = 0;
	if (!lvm_of(sr) || !lvm_of(sr)->vg)
		return 0;
	for (const struct lvm_lv *lv = lvm_of(sr)->vg->first; lv; lv = lv->next) {
		struct lvhd_name name;

		lvhd_name_parse(lv->name, &name);
		if (name.kind != LVHD_CBT)
			continue;
		*v = arena_grow(&sr->ctx->arena, *v, *n, *n + 1, sizeof(**v));
		(*v)[(*n)++] = name.uuid;
	}
	return 0;
}

int lvhd_cbt_rotate(struct sr *sr, struct lvhd *h, const struct uuid *disk, const struct uuid *copy)
{
	struct lvm_lv *lv = find(sr, disk);
	struct cbt c;
	int err = lv ? cbt_get(sr, disk, false, &c) : 0;

	if (err || !lv)
		return err;
	err = lvm_lv_rename(h->vg, lv, name_of(sr, copy));
	c = (struct cbt){ .parent = *copy, .child = c.child, .consistent = true, .size = c.size, .n = c.n };
	if (!err)
		err = add(h, name_of(sr, disk), &c);
	return err ? lvhd_failed(sr, h, err) : 0;
}

const struct cbt_store lvhd_logs = {
	.open = open_log,
	.make = make,
	.rename = rename_log,
	.remove = remove_log,
	.list = list,
};
