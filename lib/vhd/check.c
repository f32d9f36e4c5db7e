/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/vhd/bat.h"
#include "lib/vhd/batmap.h"
#include "lib/vhd/bitmap.h"
#include "lib/vhd/check.h"
#include "lib/vhd/open.h"
#include "lib/vhd/parent.h"

#define FINDINGS_MAX	1000u
#define FUTURE		1800u		/* seconds of a clock that is off */

const char *vhd_severity_name(enum vhd_severity s)
{
	static const char *const names[] = { "note", "warning", "damage" };

	return names[s];
}

static void __attribute__((format(printf, 4, 5)))
add(struct vhd_findings *f, enum vhd_severity severity, bool mendable, const char *fmt, ...)
{
	va_list ap;

	if (severity > f->worst)
		f->worst = severity;
	if (f->n == FINDINGS_MAX) {
		f->dropped++;
		return;
	}
	if (f->n == f->room) {
		size_t room = f->room ? f->room * 2 : 16;

		f->v = arena_grow(f->arena, f->v, f->n, room, sizeof(*f->v));
		f->room = room;
	}
	va_start(ap, fmt);
	f->v[f->n++] = (struct vhd_finding){ severity, mendable, arena_vprintf(f->arena, fmt, ap) };
	va_end(ap);
}

static bool is_future(uint32_t time, uint32_t now)
{
	return now && time > now + FUTURE && now + FUTURE > now;
}

static void check_footer(const struct vhd *v, uint32_t now, struct vhd_findings *f)
{
	const struct vhd_footer *t = &v->footer;

	if (v->degraded)
		add(f, VHD_WARNING, true, "the footer at the end is missing or damaged");
	if (v->short_footer)
		add(f, VHD_WARNING, true, "the footer at the end has 511 bytes");
	if (v->differ)
		add(f, VHD_WARNING, true,
		    "the copy of the footer is damaged or says something else");
	if (v->io->size % VHD_SECTOR && !v->short_footer)
		add(f, VHD_WARNING, true, "the size of the file is not a multiple of 512");
	if (is_zero(t->uuid, sizeof(t->uuid)))
		add(f, VHD_WARNING, true, "the image has no id");
	if ((t->features & ~1u) != 2)
		add(f, VHD_NOTE, false, "unknown feature bits: 0x%x", t->features);
	if (t->saved > 1)
		add(f, VHD_NOTE, false, "the saved-state byte is %u", t->saved);
	if (!is_zero(t->reserved, sizeof(t->reserved)))
		add(f, VHD_NOTE, false, "reserved bytes of the footer are not zero");
	if (is_future(t->time, now))
		add(f, VHD_NOTE, false, "the time stamp lies in the future");
	if (t->geometry > vhd_geometry(t->size))
		add(f, VHD_NOTE, false, "the geometry is larger than the size");
	if (!t->size)
		add(f, VHD_NOTE, false, "the virtual size is 0");
}

static void check_locator(const struct vhd *v, int i, const char *name, struct vhd_findings *f)
{
	const struct vhd_locator *l = &v->header.locators[i];
	char path[VHD_PATH_MAX];

	if (!l->code) {
		if (l->space || l->len || l->at || be32_get(l->reserved))
			add(f, VHD_NOTE, false, "parent locator %d is unused, but not empty", i);
		return;
	}
	if (be32_get(l->reserved))
		add(f, VHD_NOTE, false, "reserved bytes of parent locator %d are not zero", i);
	for (int k = 0; k < i; k++)
		if (v->header.locators[k].code == l->code)
			add(f, VHD_NOTE, false, "parent locators %d and %d are of one kind", k, i);
	if (!vhd_locator_is_usable(v, l))
		add(f, VHD_WARNING, false, "parent locator %d leads nowhere", i);
	else if (l->code != VHD_CODE_MACX && l->code != VHD_CODE_W2KU && l->code != VHD_CODE_W2RU)
		add(f, VHD_NOTE, false, "parent locator %d is of a kind that is not read", i);
	else if (vhd_parent_path(v, i, path))
		add(f, VHD_WARNING, false, "the text of parent locator %d is not usable", i);
	else if (strcmp(vhd_basename(path), name))
		add(f, VHD_WARNING, false,
		    "parent locator %d names another file than the header", i);
}

static void check_no_parent(const struct vhd *v, struct vhd_findings *f)
{
	const struct vhd_header *h = &v->header;

	if (!is_zero(h->parent_uuid, 16) || h->parent_time)
		add(f, VHD_NOTE, false, "the image has no parent, but an id or time of one");
	if (!is_zero(h->parent_name, sizeof(h->parent_name)))
		add(f, VHD_NOTE, false, "the image has no parent, but the name of one");
	for (int i = 0; i < VHD_LOCATORS; i++)
		if (h->locators[i].code)
			add(f, VHD_NOTE, false, "the image has no parent, but parent locator %d", i);
}

/*
 * The parent's time is its mtime when it was linked.  That it is not the same
 * now means nothing, since hiding a parent changes it.
 */
static void check_header(const struct vhd *v, uint32_t now, struct vhd_findings *f)
{
	if (v->torn)
		add(f, VHD_WARNING, true, "a power cut has kept half of its last change from the header");
	if (be32_get(v->header.reserved1) || !is_zero(v->header.reserved, sizeof(v->header.reserved)))
		add(f, VHD_NOTE, false, "reserved bytes of the header are not zero");
	if (vhd_has_parent(v) && is_future(v->header.parent_time, now))
		add(f, VHD_NOTE, false, "the parent's time stamp lies in the future");
}

static void check_parent(const struct vhd *v, struct vhd_findings *f)
{
	char name[VHD_NAME_MAX] = "";
	struct arena a = { 0 };
	struct vhd_parent p;

	if (!vhd_has_parent(v)) {
		check_no_parent(v, f);
		return;
	}
	if (vhd_header_name(&v->header, name) || !name[0])
		add(f, VHD_WARNING, false, "the parent's name in the header is not usable");
	for (int i = 0; i < VHD_LOCATORS; i++)
		check_locator(v, i, name, f);
	if (vhd_parent(v, &a, &p))
		add(f, VHD_DAMAGE, false, "no name of the parent is usable");
	arena_free(&a);
	if (vhd_is_own_parent(v, v->header.parent_uuid))
		add(f, VHD_DAMAGE, false, "the image is its own parent");
}

static void hear_entry(void *arg, uint32_t block, uint32_t entry, enum vhd_entry_fault fault)
{
	static const char *const why[] = {
		[ENTRY_FINE] = "is fine",
		[ENTRY_LOW] = "lies over the metadata",
		[ENTRY_HIGH] = "lies past the end or over the footer",
		[ENTRY_CUT] = "is cut off by the end or the footer",
		[ENTRY_OVERLAP] = "overlaps another",
	};

	add(arg, VHD_DAMAGE, false, "block %u at sector %u %s", block, entry, why[fault]);
}

static void check_batmap(const struct vhd *v, struct vhd_findings *f)
{
	const struct vhd_batmap *b = &v->batmap;

	if (b->state == BATMAP_BAD)
		add(f, VHD_WARNING, true, "the batmap is damaged");
	if (b->state == BATMAP_GOOD && b->dirty)	/* trimmed when it was read */
		add(f, VHD_NOTE, true, "the batmap has bits of blocks that are not in use");
	if (b->keyed)
		add(f, VHD_NOTE, false, b->keyed == 1 ? "the image is encrypted" :
		    "the key hash has an unknown kind");
}

/* A batmap bit over a bitmap with holes shows what was never written. */
static int check_bitmaps(struct vhd *v, struct vhd_findings *f)
{
	struct vhd_bits *bits;

	for (uint32_t i = 0; i < v->n_blocks; i++) {
		int err;

		if (!vhd_in_use(vhd_entry(v, i)))
			continue;
		err = vhd_bits_get(v, i, &bits);
		if (err)
			return err;
		if (vhd_batmap_get(v, i) && !vhd_bits_full(bits->b))
			add(f, VHD_DAMAGE, true,
			    "the batmap calls block %u full, its bitmap does not", i);
	}
	return 0;
}

/* Is this what an image is like, as opposed to trouble with reading it? */
static bool is_about_image(int err)
{
	return err_kind(err) == -EUCLEAN || err == -E_SHORT;
}

int vhd_check(struct io *io, int flags, uint32_t now, struct vhd_findings *f)
{
	struct vhd *v = NULL;
	int err = vhd_open(&v, io, 0);

	if (err && is_about_image(err)) {
		add(f, VHD_DAMAGE, false, "%s", err_text(err));
		return 0;
	}
	if (err)
		return err;
	check_footer(v, now, f);
	if (v->footer.type != VHD_FIXED) {
		check_header(v, now, f);
		check_parent(v, f);
		vhd_batmap_trim(v);	/* in memory; who only reads has not done it */
		check_batmap(v, f);
		if (v->n_bad)
			err = vhd_bat_judge(v, hear_entry, f);
		if (!err && flags & VHD_CHECK_BITMAPS)
			err = check_bitmaps(v, f);
	}
	vhd_close(v);
	return err;
}
