/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading and mapping through the levels of an image. */
#include <string.h>

#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/image.h"
#include "lib/kconfig.h"
#include "lib/qcow2/qcow2.h"
#include "lib/vhd/vhd.h"

#define GAP	((uint64_t)16 << 10)	/* bytes read in vain rather than ask twice */
#define PIECES	32

enum kind { BELOW, HERE, PACKED, ZERO };

struct answer {
	enum kind kind;
	size_t level;
	uint64_t len;		/* in: asked about; out: how far it holds */
	uint64_t pos;
	bool has_pos;
};

static int ask_vhd(struct vhd *v, uint64_t at, int flags, struct answer *a)
{
	uint64_t in = at % VHD_BLOCK, len = a->len;
	bool blocks = flags & IMAGE_MAP_COARSE || (flags & IMAGE_MAP_BLOCKS && !vhd_has_parent(v));
	int where;

	if (blocks && v->footer.type != VHD_FIXED &&
	    vhd_in_use(vhd_entry(v, (uint32_t)(at / VHD_BLOCK)))) {
		a->kind = HERE;
		a->has_pos = true;
		a->pos = vhd_entry(v, (uint32_t)(at / VHD_BLOCK)) * VHD_SECTOR + VHD_SECTOR + in;
		a->len = len < VHD_BLOCK - in ? len : VHD_BLOCK - in;
		return 0;
	}
	where = vhd_lookup(v, at, &a->len, &a->pos);
	a->kind = where == VHD_HERE ? HERE : BELOW;
	a->has_pos = where == VHD_HERE;
	return where < 0 ? where : 0;
}

static int ask_qcow2(struct qcow2 *q, uint64_t at, struct answer *a)
{
	int where = qcow2_lookup(q, at, &a->len, &a->pos);

	if (where < 0)
		return where;
	a->kind = where == QCOW2_HERE ? HERE : where == QCOW2_PACKED ? PACKED :
		where == QCOW2_BELOW || where == QCOW2_BELOW_HERE ? BELOW : ZERO;
	a->has_pos = where == QCOW2_HERE || where == QCOW2_ZERO_HERE || where == QCOW2_BELOW_HERE;
	return 0;
}

static int ask(const struct image_level *l, uint64_t at, int flags, struct answer *a)
{
	if (IS_ENABLED(CONFIG_VHD) && l->vhd)
		return ask_vhd(l->vhd, at, flags, a);
	if (IS_ENABLED(CONFIG_QCOW2) && l->qcow2)
		return ask_qcow2(l->qcow2, at, a);
	a->kind = HERE;
	a->has_pos = true;
	a->pos = at;
	return 0;
}

/* The first level that knows; BELOW means that the chain ends without. */
static int find(struct image *im, uint64_t at, int flags, struct answer *a)
{
	for (a->level = 0; ; a->level++) {
		const struct image_level *next = &im->levels[a->level + 1];
		int err;

		if (a->len > im->levels[a->level].size - at)
			a->len = im->levels[a->level].size - at;
		err = ask(&im->levels[a->level], at, flags, a);
		if (err || a->kind != BELOW)
			return err;
		if (a->level + 1 == im->n)
			return im->cut ? -E_IMAGE_PARENT : 0;
		if (at >= next->size)		/* a parent that is shorter reads as zero */
			return 0;
	}
}

/* --- reading --------------------------------------------------------------- */

/* A hole of a raw file ends where its data begins. */
static int see_holes(const struct image_level *l, struct answer *a)
{
	bool data;
	uint64_t n;
	int err;

	if (a->kind != HERE || (l->format != IMAGE_RAW &&
				!(l->vhd && l->vhd->footer.type == VHD_FIXED)))
		return 0;
	err = io_extent(l->io, a->pos, &n, &data);
	if (err)
		return err;
	if (n < a->len)
		a->len = n;
	if (!data)
		a->kind = ZERO;
	return 0;
}

struct plan {
	struct image_piece *v;
	size_t n;
	size_t base;		/* the piece that may grow over a gap */
};

/*
 * One read over a short gap costs less than two.  Only what was planned after
 * the base fills its gaps, so only the base may grow.
 */
static bool grow_base(struct plan *p, const struct image_piece *next)
{
	struct image_piece *b = p->n ? &p->v[p->base] : NULL;

	if (!b || b->kind != IMAGE_PLAIN || next->kind != IMAGE_PLAIN || b->level != next->level ||
	    next->at - b->at != next->pos - b->pos || next->at > b->at + b->len + GAP)
		return false;
	b->len = next->at + next->len - b->at;
	return true;
}

static void add_piece(struct plan *p, const struct image_piece *next)
{
	struct image_piece *b = &p->v[p->base], *last = p->n ? &p->v[p->n - 1] : NULL;

	if (last && last->kind == IMAGE_ZERO && next->kind == IMAGE_ZERO &&
	    last->at + last->len == next->at) {
		last->len += next->len;
		return;
	}
	if (!p->n || b->kind != IMAGE_PLAIN || next->at > b->at + b->len + GAP)
		p->base = p->n;
	p->v[p->n++] = *next;
}

static int plan_next(struct image *im, uint64_t at, uint64_t len, int flags,
		     struct image_piece *next)
{
	static const enum image_piece_kind kinds[] = {
		[BELOW] = IMAGE_ZERO, [HERE] = IMAGE_PLAIN, [PACKED] = IMAGE_PACKED,
		[ZERO] = IMAGE_ZERO,
	};
	struct answer a = { .len = len };
	int err = find(im, at, 0, &a);

	if (!err && flags & IMAGE_PLAN_HOLES)
		err = see_holes(&im->levels[a.level], &a);
	*next = (struct image_piece){
		.at = at, .len = a.len, .pos = a.pos, .level = (uint32_t)a.level,
		.kind = kinds[a.kind],
	};
	return err;
}

int image_plan(struct image *im, uint64_t at, uint64_t *len, int flags,
	       struct image_piece *pieces, size_t room)
{
	struct plan p = { .v = pieces };
	uint64_t end = at + *len, start = at;

	if (!*len || !range_ok(at, *len, im->size))
		return -E_SHORT;
	while (at < end) {
		struct image_piece next;
		int err = plan_next(im, at, end - at, flags, &next);

		/* An error further on is for whoever asks from there. */
		if (err && !p.n)
			return err;
		if (err)
			break;
		if (!grow_base(&p, &next)) {
			if (p.n == room)
				break;
			add_piece(&p, &next);
		}
		at += next.len;
	}
	*len = at - start;
	return (int)p.n;
}

int image_fetch(const struct image *im, uint64_t at, void *buf,
		const struct image_piece *pieces, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		const struct image_piece *p = &pieces[i];
		const struct image_level *l = &im->levels[p->level];
		char *to = (char *)buf + (p->at - at);

		if (p->kind == IMAGE_PLAIN)
			err = io_read(l->io, p->pos, to, (size_t)p->len);
		else if (IS_ENABLED(CONFIG_QCOW2) && p->kind == IMAGE_PACKED)
			err = qcow2_unpack_part(l->qcow2, p->pos, p->at, to, (size_t)p->len);
		else
			memset(to, 0, (size_t)p->len);
	}
	return err;
}

/* The same with the cluster that was unpacked last, for who reads on in small steps. */
static int deliver(struct image *im, uint64_t at, char *buf, const struct image_piece *p)
{
	if (IS_ENABLED(CONFIG_QCOW2) && p->kind == IMAGE_PACKED)
		return qcow2_read_packed(im->levels[p->level].qcow2, p->at, buf + (p->at - at),
					 (size_t)p->len);
	return image_fetch(im, at, buf, p, 1);
}

int image_read(struct image *im, uint64_t at, void *buf, size_t len)
{
	struct image_piece pieces[PIECES];
	char *p = buf;

	if (!range_ok(at, len, im->size))
		return -E_SHORT;
	while (len) {
		uint64_t got = len;
		int n = image_plan(im, at, &got, 0, pieces, PIECES), err = n < 0 ? n : 0;

		for (int i = 0; i < n && !err; i++)
			err = deliver(im, at, p, &pieces[i]);
		if (err)
			return err;
		p += got;
		at += got;
		len -= (size_t)got;
	}
	return 0;
}

/* --- mapping ------------------------------------------------------------- */

static int map_one(struct image *im, uint64_t at, int flags, struct image_run *r)
{
	struct answer a = { .len = im->size - at };
	const struct image_level *l;
	bool plain, data = true;
	int err = find(im, at, flags, &a);

	if (err)
		return err;
	l = &im->levels[a.level];
	plain = l->format == IMAGE_RAW || (l->vhd && l->vhd->footer.type == VHD_FIXED);
	if (a.kind == HERE && plain) {
		uint64_t n;

		err = io_extent(l->io, a.pos, &n, &data);
		if (err)
			return err;
		if (n < a.len)
			a.len = n;
	}
	*r = (struct image_run){
		.start = at, .length = a.len, .depth = (uint32_t)a.level,
		.present = a.kind != BELOW || l->format == IMAGE_VHD,
		.zero = a.kind == BELOW || a.kind == ZERO || !data,
		.data = (a.kind == HERE && data) || a.kind == PACKED,
		.has_offset = a.has_pos, .offset = a.has_pos ? a.pos : 0,
	};
	return 0;
}

static bool goes_on(const struct image_run *a, const struct image_run *b)
{
	return a->depth == b->depth && a->present == b->present && a->zero == b->zero &&
	       a->data == b->data && a->has_offset == b->has_offset &&
	       (!a->has_offset || a->offset + a->length == b->offset);
}

int image_map(struct image *im, uint64_t at, int flags, struct image_run *run)
{
	struct image_run next;
	int err;

	if (at >= im->size)
		return -E_SHORT;
	err = map_one(im, at, flags, run);
	while (!err && !(flags & IMAGE_MAP_COARSE) && run->start + run->length < im->size) {
		/* An error further on is for whoever asks from there. */
		if (map_one(im, run->start + run->length, flags, &next) ||
		    !goes_on(run, &next))
			break;
		run->length += next.length;
	}
	return err;
}
