/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images in LVs: making them, and moving their ends. */
#include <string.h>

#include "lib/err.h"
#include "lib/lvhd/lvhd.h"
#include "lib/lvm2/lv_io.h"
#include "lib/lvm2/ops.h"
#include "lib/vhd/create.h"
#include "lib/vhd/edit.h"
#include "lib/vhd/write.h"

struct lvm_lv *lvhd_find(const struct lvhd *h, const struct uuid *u, enum lvhd_kind *kind)
{
	struct lvm_lv *lv;

	*kind = LVHD_VHD;
	lv = lvm_lv_find(h->vg, lvhd_name(h->arena, LVHD_VHD, u));
	if (lv)
		return lv;
	*kind = LVHD_RAW;
	return lvm_lv_find(h->vg, lvhd_name(h->arena, LVHD_RAW, u));
}

static int about(struct lvhd *h, const struct lvm_lv *lv, int err)
{
	if (err)
		h->why = arena_strdup(h->arena, lv->name);
	return err;
}

int lvhd_new_lv(struct lvhd *h, const char *name, uint64_t bytes, const char *tag,
		struct lvm_lv **lv)
{
	struct lvm_lv_spec s = {
		.name = name, .bytes = bytes, .tags = &tag, .n_tags = tag ? 1 : 0,
		.host = h->host, .now = h->now,
	};
	uint8_t random[32];
	int err;

	h->random(random, sizeof(random));
	lvm_id_make(&s.id, random);
	err = lvm_lv_create(h->vg, &s, lv);
	if (err)
		h->why = name;
	return err;
}

static uint32_t vhd_time(uint64_t now)
{
	return now > VHD_EPOCH ? (uint32_t)(now - VHD_EPOCH) : 0;
}

int lvhd_create(struct lvhd *h, const struct lvhd_create *c, struct lvm_lv **lv)
{
	struct vhd_create how = {
		.type = c->parent ? VHD_DIFF : VHD_DYNAMIC, .size = c->virtual_size,
		.max_size = VHD_MSIZE, .time = vhd_time(h->now), .parent_time = vhd_time(h->now),
	};
	_io_close_ struct io *io = NULL;
	char *path;
	const char *name = c->name ? c->name : lvhd_name(h->arena, LVHD_VHD, &c->uuid);
	int err = lvhd_new_lv(h, name, c->lv_bytes, NULL, lv);

	if (err)
		return err;
	if (c->parent) {
		err = lvhd_parent_path(h->arena, h->vg->name,
				       c->parent_name ? c->parent_name : c->parent->name, &path);
		if (!err)
			how.parent_path = path;
	}
	h->random(how.uuid, sizeof(how.uuid));
	if (!how.size && c->parent)
		how.size = c->image ? c->image->footer.size : lvm_lv_bytes(h->vg, c->parent);
	if (!err)
		err = lvm_lv_io(&io, h->vg, *lv);
	if (!err)
		err = c->image ? vhd_snapshot(io, c->image, &how) : vhd_create(io, &how);
	return about(h, *lv, err);
}

static int in_use(struct lvhd *h, const struct lvm_lv *lv)
{
	int use = h->in_use && lv != h->held ? h->in_use(h->arg, lv) : LVHD_IDLE;

	return use >= LVHD_ACTIVE ? -E_VDI_IN_USE : use < 0 ? use : 0;
}

/* The footer at the end counts; without one the copy does. */
static int even_footers(struct vhd *v)
{
	uint64_t at = v->io->size - VHD_SECTOR;
	int err;

	if (!v->degraded && !v->differ)
		return 0;
	if (v->footer.type == VHD_FIXED || at < vhd_blocks_from(v))
		return -E_VHD_FOOTERS;
	v->footer_at = at;
	err = vhd_write_footers(v);
	if (!err)
		v->degraded = v->differ = false;
	return err;
}

int lvhd_open(struct lvhd *h, const struct lvm_lv *lv, int flags, struct io **io, struct vhd **v)
{
	int err = flags & VHD_RDWR ? in_use(h, lv) : 0;

	if (!err)
		err = lvm_lv_io(io, h->vg, lv);
	if (!err)
		err = vhd_open(v, *io, flags & VHD_RDWR ? flags | VHD_MENDING : flags);
	if (!err && flags & VHD_RDWR)
		err = even_footers(*v);
	return about(h, lv, err);
}

static int put_footer(struct lvhd *h, const struct lvm_lv *lv, const struct vhd_footer *f)
{
	struct vhd_footer_disk d;
	_io_close_ struct io *io = NULL;
	int err = lvm_lv_io(&io, h->vg, lv);

	vhd_footer_encode(f, &d);
	if (!err)
		err = io_write(io, io->size - VHD_SECTOR, &d, sizeof(d));
	return err ? err : io_flush(io);
}

/* In extents of this VG, which another tool may have made larger than ours. */
static uint64_t in_extents(const struct lvhd *h, uint64_t bytes)
{
	uint64_t up;

	bytes = lvhd_size_lv(bytes);
	return round_up_ok(bytes, lvm_extent_bytes(h->vg), &up) ? up : bytes;
}

/* The new end is in extents that are nobody's until the commit. */
static int grow(struct lvhd *h, struct lvm_lv *lv, uint64_t bytes, int flags)
{
	_io_close_ struct io *io = NULL;
	_vhd_close_ struct vhd *v = NULL;
	int err = 0;

	bytes = in_extents(h, bytes);
	if (bytes <= lvm_lv_bytes(h->vg, lv))
		return 0;
	err = lvhd_open(h, lv, flags, &io, &v);
	if (!err)
		err = lvm_lv_resize(h->vg, lv, bytes);
	if (!err)
		err = put_footer(h, lv, &v->footer);
	return about(h, lv, err);
}

int lvhd_grow(struct lvhd *h, struct lvm_lv *lv, uint64_t bytes)
{
	return grow(h, lv, bytes, VHD_RDWR);
}

int lvhd_grow_used(struct lvhd *h, struct lvm_lv *lv, uint64_t bytes)
{
	return grow(h, lv, bytes, VHD_HEADERS);
}

uint64_t lvhd_deflated_size(const struct lvhd *h, const struct lvm_lv *lv, const struct vhd *v)
{
	uint64_t now = lvm_lv_bytes(h->vg, lv), bytes = in_extents(h, vhd_physical_size(v));

	return v->footer.type == VHD_FIXED || bytes > now ? now : bytes;
}

/* The new end is behind the data, where no reader of the larger LV looks. */
int lvhd_shrink_open(struct lvhd *h, struct lvm_lv *lv, struct vhd *v, uint64_t bytes)
{
	int err;

	bytes = in_extents(h, bytes);
	if (bytes >= lvm_lv_bytes(h->vg, lv))
		return 0;
	if (bytes < lvhd_deflated_size(h, lv, v))
		return about(h, lv, -E_VHD_NO_ROOM);
	err = vhd_write_footer(v, bytes - VHD_SECTOR);
	if (!err)
		err = io_flush(v->io);
	if (!err)
		err = lvm_lv_resize(h->vg, lv, bytes);
	return about(h, lv, err);
}

int lvhd_shrink(struct lvhd *h, struct lvm_lv *lv, uint64_t bytes)
{
	_io_close_ struct io *io = NULL;
	_vhd_close_ struct vhd *v = NULL;
	int err;

	if (bytes && in_extents(h, bytes) >= lvm_lv_bytes(h->vg, lv))
		return 0;
	err = lvhd_open(h, lv, VHD_RDWR, &io, &v);
	return err ? err : lvhd_shrink_open(h, lv, v, bytes ? bytes : lvhd_deflated_size(h, lv, v));
}

int lvhd_set_hidden(struct lvhd *h, struct lvm_lv *lv, bool hidden)
{
	_io_close_ struct io *io = NULL;
	_vhd_close_ struct vhd *v = NULL;
	struct lvhd_name n;
	int err;

	lvhd_name_parse(lv->name, &n);
	if (n.kind == LVHD_RAW)
		return about(h, lv, lvm_lv_tag(h->vg, lv, LVHD_TAG_HIDDEN, hidden));
	err = lvhd_open(h, lv, VHD_RDWR, &io, &v);
	if (!err && v->footer.hidden != hidden)
		err = vhd_set_hidden(v, hidden);
	return about(h, lv, err);
}
