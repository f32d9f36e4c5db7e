/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk of a VG that is to stand on another, and marking those that are stood on.
 *
 * A parent that is hidden already (a collector's, under its own journal) costs
 * one write.  One that is visible becomes hidden behind that, since a hidden
 * volume without children is garbage.  In this order:
 *
 *	1. the parent's LV has the tag compose_<child>
 *	2. the child's header (commit)
 *	3. the parent's image is hidden, and its record says so
 *	4. its LV is read-only, a raw one has the tag "hidden", and that tag is gone
 *
 * 1 and 4 are commits of the VG.  The next verb repeats the rest if the child
 * names the parent by then.  If it does not, the texts beside its header may name it
 * all the same (upstream goes by those): they are made to say what the header says,
 * and the tag goes.  A journal LV
 * would need an extent, and upstream would let nobody have the child for one that
 * it does not know; a tag it keeps and does not look at.
 */
#include <string.h>

#include "drivers/format.h"
#include "drivers/layout.h"
#include "drivers/layout/lvhd.h"
#include "drivers/sr.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/lvm2/lv_io.h"
#include "lib/lvm2/ops.h"

#define COMPOSE	"compose_"

static struct lvm_lv *lv_of(struct sr *sr, const struct vdi *vdi)
{
	return lvm_lv_find(lvm_of(sr)->vg, vdi->volume);
}

/* Upstream, which has lost its own list, goes by the record.  That of a copy in the making is as it will be. */
static int record_hidden(struct sr *sr, const struct vdi *vdi)
{
	struct vdi v = *vdi;

	v.hidden = v.read_only = true;
	return mgt_has(sr, &v.uuid) ? mgt_put(sr, &v) : 0;
}

/* Hidden, and read-only with it: the image and the record at once, the LV's marks by the commit. */
static int hide(struct sr *sr, struct lvhd *h, const struct vdi *vdi, bool hidden, const char *mark)
{
	struct lvm_lv *lv = lv_of(sr, vdi);
	uint32_t flags = lv->flags, n_tags = lv->tags.n;
	int err = lvhd_set_hidden(h, lv, hidden);

	if (!err)
		err = lvm_lv_set_writable(h->vg, lv, !hidden);
	if (err)
		return lvhd_failed(sr, h, err);
	err = hidden ? record_hidden(sr, vdi) : 0;
	if (!err && mark)
		err = lvm_lv_tag(h->vg, lv, mark, false);
	if (!err && (mark || flags != lv->flags || n_tags != lv->tags.n))
		err = lvm_commit_now(sr, "vdi hide");			/* commit */
	return err == -E_LVM_HALF ? 0 : err;
}

int lvhd_volume_hide(struct sr *sr, const struct vdi *vdi, bool hidden)
{
	struct lvhd h;
	int err = lvhd_begin(sr, &vdi->uuid, &h);

	if (!err)
		err = lvhd_idle(sr, lv_of(sr, vdi));
	return err ? err : hide(sr, &h, vdi, hidden, NULL);
}

/* The child's image names the parent, or nothing (NULL). */
static int stand_on(struct sr *sr, struct lvhd *h, const struct vdi *child, const struct vdi *parent)
{
	struct lvm_lv *lv = lv_of(sr, child), *to = parent ? lv_of(sr, parent) : NULL;
	const struct format *f = sr_format(sr->type, child->format);
	_io_close_ struct io *io = NULL, *below = NULL;
	char *path = NULL;
	int err = to ? lvhd_parent_path(h->arena, h->vg->name, to->name, &path) : 0;

	if (!err)
		err = lvm_lv_io(&io, h->vg, lv);
	if (!err && to)
		err = lvm_lv_io(&below, h->vg, to);
	if (err)
		return fail(sr->ctx, err, "open %s", lv->name);
	err = f->reparent(sr->ctx, io, path, below,
			  to ? sr_format(sr->type, parent->format) : NULL);
	return err ? fail(sr->ctx, err, "%s", lv->name) : 0;
}

/* A parent that is hidden already is only read. */
static int both_idle(struct sr *sr, const struct vdi *child, const struct vdi *parent)
{
	int err = lvhd_idle(sr, lv_of(sr, child));

	return err || !parent || parent->hidden ? err : lvhd_idle(sr, lv_of(sr, parent));
}

static int put_mark(struct sr *sr, struct lvhd *h, struct lvm_lv *lv, const char *mark)
{
	int err = lvm_lv_tag(h->vg, lv, mark, true);

	if (err)
		return fail(sr->ctx, err, "tag %s", lv->name);
	err = lvm_commit_now(sr, "vdi compose");
	return err == -E_LVM_HALF ? 0 : err;
}

int lvhd_volume_compose(struct sr *sr, const struct vdi *child, const struct vdi *parent)
{
	struct fail_words words;
	char *mark = NULL;
	struct lvhd h;
	int err = lvhd_begin(sr, &child->uuid, &h);

	if (!err && parent)
		err = lvhd_settled(sr, &parent->uuid);
	if (!err)
		err = both_idle(sr, child, parent);
	if (!err && parent && !parent->hidden) {
		mark = arena_printf(h.arena, COMPOSE "%s", child->uuid.s);
		err = put_mark(sr, &h, lv_of(sr, parent), mark);
	}
	if (err)
		return err;
	err = stand_on(sr, &h, child, parent);				/* commit */
	if (!err && mark)
		err = hide(sr, &h, parent, true, mark);
	if (!err || !mark)
		return err;
	/* err is what matters, and what was said of it. */
	fail_keep(sr->ctx, &words);
	if (!lvm_reload(sr))
		lvhd_compose_recover(sr);
	fail_again(sr->ctx, &words);
	return err;
}

/* --- what a death left ----------------------------------------------------------- */

static const char *mark_of(const struct lvm_lv *lv, struct uuid *child)
{
	for (uint32_t i = 0; i < lv->tags.n; i++)
		if (!strncmp(lv->tags.v[i], COMPOSE, strlen(COMPOSE)) &&
		    !uuid_parse(child, lv->tags.v[i] + strlen(COMPOSE)))
			return lv->tags.v[i];
	return NULL;
}

static int settle(struct sr *sr, struct lvm_lv *lv, const char *mark, const struct uuid *u)
{
	struct vdi child, parent;
	struct lvhd_name n;
	struct lvhd h;
	bool stands;
	int err = lvm_vdi_find(sr, u, &child);

	lvhd_bind(sr, &h);
	lvhd_name_parse(lv->name, &n);
	stands = !err && uuid_equal(&child.parent, &n.uuid);
	if (!err && child.parent.s[0]) {
		err = lvm_vdi_find(sr, &child.parent, &parent);
		if (!err)
			err = both_idle(sr, &child, stands ? &parent : NULL);
		if (!err)
			err = stand_on(sr, &h, &child, &parent);
	}
	if (err && err != -E_VDI_MISSING)
		return err;
	fail_clear(sr->ctx);
	if (stands && !err)
		return hide(sr, &h, &parent, true, mark);
	err = lvm_lv_tag(h.vg, lv, mark, false);
	return err ? err : lvm_commit_now(sr, "recovery");
}

/* As lvhd_recover(): one that cannot be dealt with is in the way of its own disks only. */
int lvhd_compose_recover(struct sr *sr)
{
	for (size_t bad = 0; ; ) {
		struct lvm_lv *lv = lvm_of(sr)->vg->first;
		const char *mark = NULL;
		struct uuid child;
		size_t skip = bad;
		int err;

		while (lv && !((mark = mark_of(lv, &child)) && !skip--))
			lv = lv->next;
		if (!lv)
			return 0;
		mark = arena_strdup(&sr->ctx->arena, mark);
		err = settle(sr, lv, mark, &child);
		if (!err || err == -E_LVM_HALF) {
			logf_warn(sr->ctx, "%s: settled", mark);
			continue;
		}
		logf_err(sr->ctx, "%s: %s", mark, sr->ctx->why);
		fail_clear(sr->ctx);
		bad++;
		err = lvm_reload(sr);		/* the VG in memory is half changed */
		if (err)
			return err;
	}
}

void lvhd_compose_check(struct sr *sr, struct vdis *found)
{
	struct uuid child;

	for (const struct lvm_lv *lv = lvm_of(sr)->vg->first; lv; lv = lv->next) {
		const char *mark = mark_of(lv, &child);

		if (mark)
			vdis_problem(&sr->ctx->arena, found, &(struct problem){
				.object = lv->name, .severity = "error",
				.what = arena_printf(&sr->ctx->arena, "its mark %s can neither be finished "
						     "nor undone: the log says why", mark) });
	}
}
