/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/vhd/batmap.h"
#include "lib/vhd/create.h"
#include "lib/vhd/locator.h"
#include "lib/vhd/open.h"

#define TABLE_AT	1536u
#define PAGE		((size_t)64 << 10)

/* What will be written, worked out before anything is. */
struct plan {
	struct vhd v;			/* footer, header, batmap: enough for their encoders */
	uint8_t text[3][512];
	uint64_t end;			/* where the primary footer of a file goes */
};

static const uint32_t codes[3] = { VHD_CODE_MACX, VHD_CODE_W2KU, VHD_CODE_W2RU };

int vhd_round_size(uint64_t *size)
{
	uint64_t up;

	if (*size > VHD_SIZE_MAX)
		return -E_VDI_SIZE;
	up = (*size + VHD_BLOCK - 1) / VHD_BLOCK * VHD_BLOCK;
	*size = up ? up : VHD_BLOCK;
	return 0;
}

uint64_t vhd_overhead_empty(uint64_t size)
{
	uint64_t half = size / MiB / 2, n;

	n = (3072 + half * 4 + 511) / 512 * 512;
	return (n + half / 8 + 4095) / 4096 * 4096;
}

uint64_t vhd_overhead_bitmap(uint64_t size)
{
	return (size / VHD_BLOCK + !!(size % VHD_BLOCK)) * 4096;
}

static int plan_parent(struct plan *p, const struct vhd_create *how, uint64_t *at)
{
	struct vhd_header *h = &p->v.header;
	int err = vhd_header_set_name(h, vhd_basename(how->parent_path));

	if (err)
		return err;
	memcpy(h->parent_uuid, how->parent_uuid, sizeof(h->parent_uuid));
	h->parent_time = how->parent_time;
	for (int i = 0; i < 3; i++) {
		int n = vhd_locator_text(codes[i], how->parent_path, p->text[i],
					 sizeof(p->text[i]));

		if (n < 0)
			return n;
		h->locators[i] = (struct vhd_locator){
			.code = codes[i], .space = 512, .len = (uint32_t)n, .at = *at,
		};
		*at += 512;
	}
	return 0;
}

static int plan_dynamic(struct plan *p, const struct vhd_create *how)
{
	struct vhd *v = &p->v;
	uint64_t max = how->max_size > how->size ? how->max_size : how->size;

	v->header = (struct vhd_header){
		.table_at = TABLE_AT,
		.max_bat = (uint32_t)((max + VHD_BLOCK - 1) / VHD_BLOCK),
	};
	v->batmap = (struct vhd_batmap){
		.state = BATMAP_GOOD,
		.header_at = vhd_batmap_place(&v->header),
		.declared = vhd_batmap_sectors(v->header.max_bat) * VHD_SECTOR,
		.keyed = how->keyed,
	};
	v->batmap.at = v->batmap.header_at + VHD_SECTOR;
	memcpy(v->batmap.nonce, how->nonce, sizeof(v->batmap.nonce));
	memcpy(v->batmap.key_hash, how->key_hash, sizeof(v->batmap.key_hash));
	p->end = v->batmap.at + v->batmap.declared;
	return how->type == VHD_DIFF ? plan_parent(p, how, &p->end) : 0;
}

static int plan(struct plan *p, const struct vhd_create *how)
{
	if (!how->size || how->size % VHD_SECTOR || how->size > VHD_SIZE_MAX ||
	    how->max_size > VHD_MSIZE)
		return -E_VDI_SIZE;
	p->v.footer = (struct vhd_footer){
		.type = how->type,
		.size = how->size,
		.original_size = how->size,
		.header_at = how->type == VHD_FIXED ? 0 : VHD_SECTOR,
		.time = how->time,
		.creator = VHD_TAP,
		.creator_version = VHD_TAP_VERSION,
		.features = 2,
		.geometry = vhd_geometry(how->size),
		.hidden = how->hidden,
	};
	memcpy(p->v.footer.uuid, how->uuid, sizeof(how->uuid));
	p->end = how->size;
	return how->type == VHD_FIXED ? 0 : plan_dynamic(p, how);
}

/* Nothing of what a volume held may be taken for a part of the new image. */
static int clear_volume(struct io *io, uint64_t end)
{
	int err;

	if (io->size < end + VHD_SECTOR)
		return -E_VHD_NO_ROOM;
	err = io_zero(io, io->size - VHD_SECTOR, VHD_SECTOR);
	if (!err)
		err = io_zero(io, 0, VHD_SECTOR);
	return err ? err : io_flush(io);
}

static int write_table(struct io *io, const struct vhd_header *h)
{
	uint64_t at = h->table_at, left = (uint64_t)h->max_bat * 4;
	uint8_t *page = must_alloc(PAGE);
	int err = 0;

	memset(page, 0xff, PAGE);
	while (left && !err) {
		size_t n = left < PAGE ? (size_t)left : PAGE;
		size_t whole = (n + 511) / 512 * 512;

		memset(page + n, 0, whole - n);
		err = io_write(io, at, page, whole);
		at += whole;
		left -= n;
	}
	free(page);
	return err;
}

static int write_batmap(struct io *io, const struct plan *p)
{
	struct vhd_batmap_disk d;
	int err;

	vhd_batmap_encode(&p->v, &d);		/* covers 0 bytes: the sum of zeroes */
	err = io_zero(io, p->v.batmap.at, p->v.batmap.declared);
	return err ? err : io_write(io, p->v.batmap.header_at, &d, sizeof(d));
}

static int write_metadata(struct io *io, const struct plan *p)
{
	struct vhd_header_disk d;
	int err = write_batmap(io, p);

	if (!err)
		err = write_table(io, &p->v.header);
	for (int i = 0; i < 3 && !err && p->v.header.locators[i].code; i++)
		err = io_write(io, p->v.header.locators[i].at, p->text[i], sizeof(p->text[i]));
	if (err)
		return err;
	vhd_header_encode(&p->v.header, &d);
	return io_write(io, p->v.footer.header_at, &d, sizeof(d));
}

static int write_plan(struct io *io, const struct plan *p, bool volume)
{
	struct vhd_footer_disk d;
	int err = 0;

	vhd_footer_encode(&p->v.footer, &d);
	if (p->v.footer.type != VHD_FIXED) {
		err = write_metadata(io, p);
		if (!err)
			err = io_flush(io);
		if (!err)
			err = io_write(io, 0, &d, sizeof(d));
	} else {
		err = io_zero(io, 0, p->end);
	}
	if (!err)
		err = io_flush(io);
	if (!err)					/* commit */
		err = io_write(io, volume ? io->size - VHD_SECTOR : p->end, &d, sizeof(d));
	return err ? err : io_flush(io);
}

int vhd_create(struct io *io, const struct vhd_create *how)
{
	struct plan *p = must_alloc(sizeof(*p));
	bool volume = vhd_io_is_fixed(io);
	int err;

	err = plan(p, how);
	if (!err && volume)
		err = clear_volume(io, p->end);
	else if (!err && io->size)
		err = io_resize(io, 0);
	if (!err)
		err = write_plan(io, p, volume);
	free(p);
	return err;
}

int vhd_snapshot(struct io *io, const struct vhd *parent, const struct vhd_create *how)
{
	struct vhd_create c = *how;

	c.type = VHD_DIFF;
	if (!c.size)
		c.size = parent->footer.size;
	memcpy(c.parent_uuid, parent->footer.uuid, sizeof(c.parent_uuid));
	c.keyed = parent->batmap.keyed;
	memcpy(c.nonce, parent->batmap.nonce, sizeof(c.nonce));
	memcpy(c.key_hash, parent->batmap.key_hash, sizeof(c.key_hash));
	return vhd_create(io, &c);
}
