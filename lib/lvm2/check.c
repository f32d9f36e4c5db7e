/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/lvm2/check.h"
#include "lib/lvm2/ops.h"
#include "lib/lvm2/scan.h"
#include "lib/lvm2/tree.h"

#define UNMARK	"sm sr check --repair, or vgextend --restoremissing of lvm2"

struct checker {
	struct lvm_set *set;
	struct lvm_finding *first, **end;
	struct arena tmp;
};

__attribute__((format(printf, 5, 6)))
static void find(struct checker *c, enum lvm_severity severity, const char *object,
		 const char *repair, const char *fmt, ...)
{
	struct lvm_finding *f = arena_alloc(c->set->arena, sizeof(*f));
	va_list ap;

	va_start(ap, fmt);
	f->what = arena_vprintf(c->set->arena, fmt, ap);
	va_end(ap);
	f->severity = severity;
	f->object = object;
	f->repair = repair;
	*c->end = f;
	c->end = &f->next;
}

static const char *lv_object(struct checker *c, const struct lvm_vg *vg, const struct lvm_lv *lv)
{
	return arena_printf(c->set->arena, "%s/%s", vg->name, lv->name);
}

/* --- what the scan has met --------------------------------------------------------- */

static const struct {
	int err;
	enum lvm_severity severity;
	const char *repair;
} kinds[] = {
	{ E_LVM_STALE, LVM_WARNING, "the next change of the VG" },
	{ E_LVM_PARTIAL, LVM_ERROR, "attach the missing device" },
	{ E_LVM_RETURNED, LVM_ERROR, UNMARK },
	{ E_LVM_DUPLICATE, LVM_ERROR, "take one of the devices away" },
	{ E_LVM_VG_TWICE, LVM_ERROR, "take one of them away, and rename the other" },
	{ E_LVM_NEWER, LVM_WARNING, NULL },
	{ EFBIG, LVM_WARNING, NULL },
	{ E_LVM_FIELD, LVM_ERROR, LVM_RESTORE }, { E_LVM_BAD, LVM_ERROR, LVM_RESTORE },
	{ E_LVM_SUM, LVM_ERROR, LVM_RESTORE }, { E_LVM_MDA, LVM_ERROR, LVM_RESTORE },
	{ E_LVM_LABEL, LVM_ERROR, LVM_RESTORE }, { E_TEXT, LVM_ERROR, LVM_RESTORE },
	{ E_LVM_TYPE, LVM_ERROR, LVM_RESTORE }, { E_LVM_NAME, LVM_ERROR, LVM_RESTORE },
	{ E_TEXT_BIG, LVM_ERROR, LVM_RESTORE }, { E_TEXT_DEEP, LVM_ERROR, LVM_RESTORE },
};

enum lvm_severity lvm_problem_severity(const struct lvm_problem *p, const char **repair)
{
	*repair = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (p->err == -kinds[i].err) {
			*repair = kinds[i].repair;
			return kinds[i].severity;
		}
	return LVM_ERROR;
}

static void scanned(struct checker *c)
{
	for (const struct lvm_problem *p = c->set->problem; p; p = p->next) {
		const char *repair;
		enum lvm_severity severity = lvm_problem_severity(p, &repair);

		find(c, severity, p->path, repair, "%s", p->what);
	}
}

/* --- devices ------------------------------------------------------------------------ */

static void area_room(struct checker *c, const struct lvm_dev *d, const struct lvm_copy *copy)
{
	uint64_t size = copy->mda.slot[0].size, most;

	if (copy->err == -E_LVM_MDA || lvm_mda_is_ignored(&copy->mda))
		return;
	most = lvm_mda_max_text(&copy->mda);
	if (size > most)
		find(c, LVM_ERROR, d->path, NULL, "the text has outgrown its metadata area");
	else if (size > most / 10 * 9)
		find(c, LVM_WARNING, d->path, NULL, "the metadata area is %u %% full",
		     (unsigned int)(size * 100 / most));
	if (copy->mda.slot[1].size)
		find(c, LVM_NOTE, d->path, "the next change of the VG",
		     "a change was announced and never committed");
}

static void device(struct checker *c, const struct lvm_dev *d)
{
	uint64_t size = d->io->size / LVM_SECTOR;

	if (d->err)
		return;
	for (uint32_t i = 0; i < d->label.n_mda; i++)
		area_room(c, d, &d->copy[i]);
	if (!d->vg) {
		if ((d->label.ext_flags & LVM_LABEL_USED) && !d->duplicate && !d->outdated)
			find(c, LVM_WARNING, d->path, NULL,
			     "its label says it is in a VG, but none was found");
		return;
	}
	if (d->label.ext_version < 2 || !(d->label.ext_flags & LVM_LABEL_USED))
		find(c, LVM_WARNING, d->path, "the next change of the VG",
		     "its label does not say that it is in a VG");
	if (d->pv->dev_size && size > d->pv->dev_size &&
	    (size - d->pv->dev_size) / d->vg->extent_size)
		find(c, LVM_NOTE, d->path, "resize the PV", "the device has grown by %llu MiB",
		     (unsigned long long)((size - d->pv->dev_size) / 2048));
}

/* --- logical volumes ----------------------------------------------------------------- */

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

/* The segment once more as a tree, for what the model does not hold. */
static const struct lvm_node *again(struct checker *c, const struct lvm_seg *seg)
{
	struct lvm_node *n = arena_alloc(&c->tmp, sizeof(*n));
	struct lvm_text t;

	if (!seg->raw.n || lvm_text_open(&t, seg->raw) || lvm_text_next(&t, n) != 1 ||
	    lvm_text_body(&t, &c->tmp, n))
		n->first = NULL;
	return n;
}

static void thin_pool(struct checker *c, const struct lvm_vg *vg, const struct lvm_lv *lv)
{
	const char *object = lv_object(c, vg, lv);
	const struct lvm_node *n = again(c, &lv->seg[0]);
	const struct lvm_lv *data = lv->seg[0].leg[0].lv;
	struct view meta;

	if (lv->n_segs != 1)
		find(c, LVM_ERROR, object, NULL, "a thin pool has one segment, this one %u",
		     lv->n_segs);
	if (!data || !ends_with(data->name, "_tdata") || (data->flags & LVM_LV_VISIBLE))
		find(c, LVM_ERROR, object, NULL, "its data LV is not called so, or visible");
	else if (data->extents != lv->extents)
		find(c, LVM_ERROR, object, NULL, "%u extents, but its data LV has %u", lv->extents,
		     data->extents);
	if (lvm_get_str(n, "metadata", &meta) || meta.n < 6 ||
	    memcmp((const char *)meta.p + meta.n - 6, "_tmeta", 6))
		find(c, LVM_ERROR, object, NULL, "its metadata LV is not called so");
	for (n = n->first; n; n = n->next)
		if (n->kind == LVM_SECTION && n->key.n > 7 && !memcmp(n->key.p, "message", 7))
			find(c, LVM_WARNING, object, NULL,
			     "a message to the pool was never delivered");
}

struct thin_id {
	const struct lvm_lv *pool;
	const struct lvm_lv *lv;
	uint32_t id;
};

static int by_pool_and_id(const void *a, const void *b)
{
	const struct thin_id *x = a, *y = b;

	if (x->pool != y->pool)
		return (uintptr_t)x->pool < (uintptr_t)y->pool ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static void thin_ids(struct checker *c, const struct lvm_vg *vg)
{
	struct thin_id *id = arena_array(c->set->arena, vg->n_lvs, sizeof(*id));
	uint32_t n = 0;

	for (const struct lvm_lv *lv = vg->first; lv; lv = lv->next) {
		const struct lvm_node *seg;
		struct view pool;

		if (lv->seg[0].kind != LVM_SEG_THIN)
			continue;
		arena_reset(&c->tmp);
		seg = again(c, &lv->seg[0]);
		if (lv->n_segs != 1 || lvm_get_u32(seg, "device_id", &id[n].id) ||
		    lvm_get_str(seg, "thin_pool", &pool)) {
			find(c, LVM_ERROR, lv_object(c, vg, lv), NULL,
			     "a thin LV without pool or device id");
			continue;
		}
		id[n].lv = lv;
		id[n++].pool = lvm_map_find(&vg->by_name, lvm_lv_name_of, pool);
	}
	qsort(id, n, sizeof(*id), by_pool_and_id);
	for (uint32_t i = 1; i < n; i++)
		if (id[i].pool == id[i - 1].pool && id[i].id == id[i - 1].id)
			find(c, LVM_ERROR, lv_object(c, vg, id[i].lv), NULL,
			     "its device id %u is also %s's", id[i].id, id[i - 1].lv->name);
}

static void volume(struct checker *c, const struct lvm_vg *vg, const struct lvm_lv *lv)
{
	arena_reset(&c->tmp);
	if (lv->seg[0].kind == LVM_SEG_THIN_POOL)
		thin_pool(c, vg, lv);
	if (lv->partial)
		find(c, LVM_ERROR, lv_object(c, vg, lv), lvm_vg_may_change(vg, false) == -E_LVM_RETURNED ?
		     UNMARK : "attach the missing device", "some of it is on a PV that is missing");
	if (lv->flags & (LVM_LV_LOCKED | LVM_LV_PVMOVE))
		find(c, LVM_WARNING, lv_object(c, vg, lv), "let lvm2 finish",
		     "it is being moved or converted");
	for (uint32_t i = 0; i < lv->n_segs; i++) {
		uint32_t size = lv->seg[i].stripe_size;

		if (lv->seg[i].kind == LVM_SEG_STRIPED && lv->seg[i].n_legs > 1 &&
		    (size < 8 || (size & (size - 1)) || size > vg->extent_size))
			find(c, LVM_ERROR, lv_object(c, vg, lv), NULL, "stripes of %u sectors",
			     size);
	}
}

static void group(struct checker *c, const struct lvm_vg *vg)
{
	uint32_t visible = 0, spares = 0;

	for (const struct lvm_lv *lv = vg->first; lv; lv = lv->next) {
		volume(c, vg, lv);
		visible += lvm_lv_is_visible(lv);
		spares += !(lv->flags & LVM_LV_VISIBLE) && strstr(lv->name, "_pmspare");
	}
	thin_ids(c, vg);
	if (spares > 1)
		find(c, LVM_ERROR, vg->name, NULL, "%u spare LVs for pool metadata", spares);
	if (vg->max_lv && visible > vg->max_lv)
		find(c, LVM_WARNING, vg->name, NULL, "%u LVs, but no more than %u are allowed",
		     visible, vg->max_lv);
	if (vg->max_pv && vg->n_pvs > vg->max_pv)
		find(c, LVM_WARNING, vg->name, NULL, "%u PVs, but no more than %u are allowed",
		     vg->n_pvs, vg->max_pv);
}

struct lvm_finding *lvm_check_vg(struct lvm_set *set, const struct lvm_vg *vg)
{
	struct checker c = { .set = set };

	c.end = &c.first;
	group(&c, vg);
	arena_free(&c.tmp);
	return c.first;
}

struct lvm_finding *lvm_check(struct lvm_set *set)
{
	struct checker c = { .set = set };

	c.end = &c.first;
	scanned(&c);
	for (size_t i = 0; i < set->n_devs; i++)
		device(&c, &set->dev[i]);
	for (size_t i = 0; i < set->n_found; i++)
		if (set->found[i]->vg)
			group(&c, set->found[i]->vg);
	arena_free(&c.tmp);
	return c.first;
}

const char *lvm_severity_name(enum lvm_severity s)
{
	static const char *const names[] = { "note", "warning", "error" };

	return names[s];
}

bool lvm_is_damaged(const struct lvm_finding *f)
{
	for (; f; f = f->next)
		if (f->severity == LVM_ERROR)
			return true;
	return false;
}
