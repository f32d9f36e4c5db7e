/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the images of a VG say of themselves: two reads each, of the first page
 * and of the last, with many of them in flight.
 */
#include <stdlib.h>
#include <string.h>

#include "arch/readq.h"
#include "drivers/format.h"
#include "drivers/layout.h"
#include "drivers/layout/lvhd.h"
#include "drivers/sr.h"
#include "lib/err.h"
#include "lib/lvm2/lv_io.h"

#define BATCH	128u		/* images whose pages are in memory at once: 1 MiB */
#define PAGE	((size_t)READQ_ALIGN)

static const struct format *vhd_of(struct sr *sr)
{
	return sr_format(sr->type, "vhd");
}

static int bad_parent(struct sr *sr, const struct lvm_lv *lv, const char *name)
{
	return fail_say(sr->ctx, -E_VDI_LOAD, "%s: its parent '%.128s' is no disk of this SR", lv->name,
			name ? name : "");
}

static int use_facts(struct sr *sr, const struct lvm_lv *lv, const struct image_facts *f,
		     struct vdi *vdi)
{
	struct arena *a = &sr->ctx->arena;
	struct lvhd_name parent;

	vdi->virtual_size = f->virtual_size;
	vdi->hidden = f->hidden;
	vdi->mend = f->mend;
	memcpy(vdi->image_id, f->id, sizeof(vdi->image_id));
	memcpy(vdi->parent_id, f->parent_id, sizeof(vdi->parent_id));
	if (!vdi->virtual_size || vdi->virtual_size % 512)
		return fail_say(sr->ctx, -E_VDI_LOAD, "%s: its disk has %llu bytes, which is no number of "
				"sectors", lv->name, (unsigned long long)vdi->virtual_size);
	if (!f->has_parent)
		return 0;
	if (!f->parent_name ||
	    lvhd_parent_parse(a, lvm_of(sr)->vg->name, f->parent_name, &parent))
		return bad_parent(sr, lv, f->parent_name);
	vdi->parent = parent.uuid;
	kv_set(a, &vdi->sm_config, "vhd-parent", parent.uuid.s);
	return 0;
}

int lvhd_load(struct sr *sr, const struct lvm_lv *lv, struct vdi *vdi)
{
	_io_close_ struct io *io = NULL;
	struct image_facts facts = { 0 };
	int err = lvm_lv_io(&io, lvm_of(sr)->vg, lv);

	if (!err)
		err = vhd_of(sr)->load(sr->ctx, io, &facts);
	return err ? fail(sr->ctx, err, "%s", lv->name) : use_facts(sr, lv, &facts, vdi);
}

/* --- many ---------------------------------------------------------------------- */

struct batch {
	const struct lvm_lv *lv[BATCH];
	size_t n;
	char *pages;			/* two of each */
	struct readq_one read[2 * BATCH];
};

typedef void head_fn(struct sr *sr, const struct lvm_lv *lv, struct vdi *vdi, int err, void *arg);

/* Where a page of it lies; one that the queue cannot read is looked at later, by load(). */
static void plan_read(struct sr *sr, struct batch *b, size_t i, uint64_t at)
{
	struct readq_one *r = &b->read[i];
	uint64_t where, run;
	struct io *io;

	*r = (struct readq_one){ .fd = -1, .buf = b->pages + i * PAGE, .len = PAGE };
	if (lvm_lv_where(lvm_of(sr)->vg, b->lv[i / 2], at, &io, &where, &run) || run < PAGE)
		return;
	r->fd = io->fd;
	r->at = where;
}

static int look(struct sr *sr, struct batch *b, size_t i, struct vdi *vdi)
{
	const struct format *f = vhd_of(sr);
	const struct readq_one *head = &b->read[2 * i], *tail = head + 1;
	struct view first = { head->buf, FORMAT_HEAD };
	struct view last = { (const char *)tail->buf + PAGE - FORMAT_TAIL, FORMAT_TAIL };
	struct image_facts facts = { 0 };

	if (b->lv[i]->partial)
		return fail_say(sr->ctx, -E_VDI_LOAD, "%s: a device that it lies on is missing, or marked so",
				b->lv[i]->name);
	if (head->err || tail->err || !f->peek ||
	    f->peek(sr->ctx, first, last, lvm_lv_bytes(lvm_of(sr)->vg, b->lv[i]), &facts))
		return lvhd_load(sr, b->lv[i], vdi);
	return use_facts(sr, b->lv[i], &facts, vdi);
}

static void run_batch(struct sr *sr, struct batch *b, head_fn *fn, void *arg)
{
	const struct lvm_vg *vg = lvm_of(sr)->vg;

	for (size_t i = 0; i < b->n; i++) {
		plan_read(sr, b, 2 * i, 0);
		plan_read(sr, b, 2 * i + 1, lvm_lv_bytes(vg, b->lv[i]) - PAGE);
	}
	readq(b->read, 2 * b->n);
	for (size_t i = 0; i < b->n; i++) {
		struct vdi vdi = { 0 };

		lvm_vdi_fill(sr, b->lv[i], &vdi);
		fn(sr, b->lv[i], &vdi, look(sr, b, i, &vdi), arg);
		fail_clear(sr->ctx);
	}
	b->n = 0;
}

static void each_head(struct sr *sr, head_fn *fn, void *arg)
{
	struct batch *b = must_alloc(sizeof(*b));
	struct lvhd_name name;

	b->n = 0;
	b->pages = aligned_alloc(PAGE, 2 * BATCH * PAGE);
	for (const struct lvm_lv *lv = b->pages ? lvm_of(sr)->vg->first : NULL; lv; lv = lv->next) {
		lvhd_name_parse(lv->name, &name);
		if (name.kind != LVHD_VHD)
			continue;
		b->lv[b->n++] = lv;
		if (b->n == BATCH)
			run_batch(sr, b, fn, arg);
	}
	if (b->n)
		run_batch(sr, b, fn, arg);
	free(b->pages);
	free(b);
}

static void add(struct sr *sr, const struct lvm_lv *lv, struct vdi *vdi, int err, void *arg)
{
	struct arena *a = &sr->ctx->arena;

	if (!err)
		*vdis_add(a, arg) = *vdi;
	else
		vdis_problem(a, arg, &(struct problem){
			.object = arena_strdup(a, vdi->uuid.s), .severity = "error",
			.what = arena_strdup(a, sr->ctx->why[0] ? sr->ctx->why : err_text(err)) });
}

int lvhd_load_all(struct sr *sr, struct vdis *l)
{
	each_head(sr, add, l);
	return 0;
}

struct family {
	const struct uuid *of;
	struct uuid *v;
	size_t n, room;
	bool whole;
};

static void add_child(struct sr *sr, const struct lvm_lv *lv, struct vdi *vdi, int err, void *arg)
{
	struct family *f = arg;

	if (err) {
		f->whole = false;
		return;
	}
	if (!uuid_equal(&vdi->parent, f->of))
		return;
	if (f->n == f->room) {
		f->room = f->room ? 2 * f->room : 8;
		f->v = arena_grow(&sr->ctx->arena, f->v, f->n, f->room, sizeof(*f->v));
	}
	f->v[f->n++] = vdi->uuid;
}

int lvhd_children(struct sr *sr, const struct uuid *of, struct uuid **v, size_t *n, bool *whole)
{
	struct family f = { .of = of, .whole = true };

	each_head(sr, add_child, &f);
	*v = f.v;
	*n = f.n;
	*whole = f.whole;
	return 0;
}
