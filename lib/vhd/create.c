/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/vhd/batmap.h"
#include "lib/vhd/locator.h"
#include "lib/vhd/open.h"
#include "lib/vhd/plan.h"

#define TABLE_AT	1536u
#define PAGE		((size_t)64 << 10)

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

static int plan_parent(struct vhd_plan *p, const struct vhd_create *how, uint64_t *at)
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

static int plan_dynamic(struct vhd_plan *p, const struct vhd_create *how)
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

int vhd_plan(struct vhd_plan *p, const struct io *io, const struct vhd_create *how)
{
	int err = 0;

	*p = (struct vhd_plan){ .volume = vhd_io_is_fixed(io) };
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
	if (how->type != VHD_FIXED)
		err = plan_dynamic(p, how);
	if (!err && p->volume && io->size < p->end + VHD_SECTOR)
		err = -E_VHD_NO_ROOM;
	return err;
}

/* Nothing of what a volume held may be taken for a part of the new image. */
int vhd_plan_clear(const struct vhd_plan *p, struct io *io)
{
	int err;

	if (!p->volume)
		return io->size ? io_resize(io, 0) : 0;
	err = io_zero(io, io->size - VHD_SECTOR, VHD_SECTOR);
	if (!err)
		err = io_zero(io, 0, VHD_SECTOR);
	return err ? err : io_flush(io);
}

static size_t fill_page(const struct vhd_plan *p, uint8_t *page, uint64_t at, uint64_t left)
{
	size_t n = left < PAGE ? (size_t)left : PAGE, whole = (n + 511) / 512 * 512;
	uint64_t known = p->v.bat ? p->v.n_blocks * sizeof(be32) : 0;

	memset(page, 0xff, n);
	memset(page + n, 0, whole - n);
	if (at < known)
		memcpy(page, (const char *)p->v.bat + at, known - at < n ? (size_t)(known - at) : n);
	return whole;
}

static int write_table(struct io *io, const struct vhd_plan *p)
{
	uint64_t len = (uint64_t)p->v.header.max_bat * 4;
	uint8_t *page = must_alloc(PAGE);
	int err = 0;

	for (uint64_t at = 0; at < len && !err; at += PAGE) {
		size_t n = fill_page(p, page, at, len - at);

		err = io_write(io, p->v.header.table_at + at, page, n);
	}
	free(page);
	return err;
}

static int write_batmap(struct io *io, const struct vhd_plan *p)
{
	const struct vhd_batmap *b = &p->v.batmap;
	struct vhd_batmap_disk d;
	int err;

	vhd_batmap_encode(&p->v, &d);		/* without bits it covers 0: the sum of zeroes */
	err = io_zero(io, b->at, b->declared);
	if (!err && b->bits)
		err = io_write(io, b->at, b->bits, (size_t)b->covered);
	return err ? err : io_write(io, b->header_at, &d, sizeof(d));
}

static int write_metadata(struct io *io, const struct vhd_plan *p)
{
	struct vhd_header_disk d;
	int err = write_batmap(io, p);

	if (!err)
		err = write_table(io, p);
	for (int i = 0; i < 3 && !err && p->v.header.locators[i].code; i++)
		err = io_write(io, p->v.header.locators[i].at, p->text[i], sizeof(p->text[i]));
	if (err)
		return err;
	vhd_header_encode(&p->v.header, &d);
	return io_write(io, p->v.footer.header_at, &d, sizeof(d));
}

int vhd_plan_write(const struct vhd_plan *p, struct io *io, uint64_t footer_at)
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
	if (!err)
		err = io_write(io, footer_at, &d, sizeof(d));		/* commit */
	return err ? err : io_flush(io);
}

int vhd_create(struct io *io, const struct vhd_create *how)
{
	struct vhd_plan *p = must_alloc(sizeof(*p));
	int err = vhd_plan(p, io, how);

	if (!err)
		err = vhd_plan_clear(p, io);
	if (!err)
		err = vhd_plan_write(p, io, p->volume ? io->size - VHD_SECTOR : p->end);
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
