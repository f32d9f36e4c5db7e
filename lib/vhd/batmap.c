/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/vhd/batmap.h"

static const char cookie[8] = "tdbatmap";

uint32_t vhd_batmap_sectors(uint32_t max_bat)
{
	uint32_t n = (max_bat / 8 + !!(max_bat % 8) + 511) / 512;

	return n ? n : 1;
}

uint64_t vhd_batmap_covered(uint64_t size)
{
	uint64_t n = (size / (16 * MiB) + 511) / 512 * 512;

	return n ? n : 512;
}

uint64_t vhd_batmap_place(const struct vhd_header *h)
{
	return h->table_at + vhd_table_len(h->max_bat);
}

/* Version 1.1 added the bytes up as signed ones. */
static uint32_t map_sum(const uint8_t *p, uint64_t n, uint32_t version)
{
	uint32_t sum = 0;

	if (version >= VHD_BATMAP_VERSION)
		return vhd_sum(p, (size_t)n);
	while (n--)
		sum += (uint32_t)(int8_t)*p++;
	return ~sum;
}

static bool header_is_sound(const struct vhd *v, const struct vhd_batmap_disk *d)
{
	const struct vhd_batmap *b = &v->batmap;
	uint64_t sectors = be32_get(d->sectors);

	return be32_get(d->version) <= VHD_BATMAP_VERSION && b->at && b->at % VHD_SECTOR == 0 &&
	       sectors >= vhd_batmap_sectors(v->header.max_bat) &&
	       sectors <= vhd_batmap_sectors(VHD_BAT_MAX) && b->at >= b->header_at + VHD_SECTOR &&
	       range_ok(b->at, b->covered, v->footer_at);
}

/* Is the place where a batmap belongs free of anything else? */
static bool place_is_free(const struct vhd *v)
{
	const struct vhd_batmap *b = &v->batmap;
	uint64_t end = b->header_at + VHD_SECTOR + b->declared;

	if (end > v->footer_at || b->header_at < v->footer.header_at + 1024)
		return false;
	for (int i = 0; i < VHD_LOCATORS; i++) {
		const struct vhd_locator *l = &v->header.locators[i];

		if (l->code && l->at < end && l->at + l->space > b->header_at)
			return false;
	}
	for (uint32_t i = 0; i < v->n_blocks; i++)
		if (vhd_in_use(vhd_entry(v, i)) && vhd_entry(v, i) * VHD_SECTOR < end)
			return false;
	return true;
}

static void expect(struct vhd *v)
{
	struct vhd_batmap *b = &v->batmap;

	b->header_at = vhd_batmap_place(&v->header);
	b->covered = vhd_batmap_covered(v->footer.size);
	b->at = b->header_at + VHD_SECTOR;
	b->declared = vhd_batmap_sectors(v->header.max_bat) * VHD_SECTOR;
	b->bits = must_alloc((size_t)b->covered);
}

int vhd_batmap_load(struct vhd *v)
{
	struct vhd_batmap *b = &v->batmap;
	struct vhd_batmap_disk d;
	bool there;
	int err;

	if (!vhd_by_tap(&v->footer))
		return 0;
	expect(v);
	if (!range_ok(b->header_at, sizeof(d), v->footer_at)) {
		b->state = BATMAP_BAD;
		return 0;
	}
	err = io_read(v->io, b->header_at, &d, sizeof(d));
	if (err)
		return err;
	there = !memcmp(d.cookie, cookie, sizeof(cookie));
	if (!there && v->footer.creator_version < 0x00010002)
		return 0;				/* the second tapdisk had a choice */
	b->state = BATMAP_BAD;
	if (!there)
		return 0;
	b->marker = d.marker;
	b->keyed = d.keyed;
	memcpy(b->nonce, d.nonce, sizeof(b->nonce));
	memcpy(b->key_hash, d.key_hash, sizeof(b->key_hash));
	b->at = be64_get(d.at);
	if (!header_is_sound(v, &d)) {
		b->at = b->header_at + VHD_SECTOR;
		return 0;
	}
	b->declared = be32_get(d.sectors) * VHD_SECTOR;
	err = io_read(v->io, b->at, b->bits, (size_t)b->covered);
	if (err)
		return err;
	if (map_sum(b->bits, b->covered, be32_get(d.version)) == be32_get(d.sum))
		b->state = BATMAP_GOOD;
	else
		memset(b->bits, 0, (size_t)b->covered);
	return 0;
}

bool vhd_batmap_get(const struct vhd *v, uint32_t block)
{
	const struct vhd_batmap *b = &v->batmap;

	return b->state == BATMAP_GOOD && block / 8 < b->covered &&
	       b->bits[block / 8] & 0x80 >> block % 8;
}

void vhd_batmap_set(struct vhd *v, uint32_t block)
{
	struct vhd_batmap *b = &v->batmap;

	if (b->state != BATMAP_GOOD || block / 8 >= b->covered || vhd_batmap_get(v, block))
		return;
	b->bits[block / 8] |= (uint8_t)(0x80 >> block % 8);
	b->dirty = true;
}

void vhd_batmap_trim(struct vhd *v)
{
	struct vhd_batmap *b = &v->batmap;
	uint64_t n = b->state == BATMAP_GOOD ? b->covered * 8 : 0;

	for (uint64_t i = 0; i < n; i++) {
		uint8_t bit = (uint8_t)(0x80 >> i % 8);

		if (!b->bits[i / 8]) {
			i |= 7;
			continue;
		}
		if (!(b->bits[i / 8] & bit) ||
		    (i < v->n_blocks && vhd_in_use(vhd_entry(v, (uint32_t)i))))
			continue;
		b->bits[i / 8] &= (uint8_t)~bit;
		b->dirty = b->stale = true;
	}
}

void vhd_batmap_clear(struct vhd *v, uint32_t block)
{
	struct vhd_batmap *b = &v->batmap;

	if (!vhd_batmap_get(v, block))
		return;
	b->bits[block / 8] &= (uint8_t)~(0x80 >> block % 8);
	b->dirty = b->stale = true;
}

void vhd_batmap_encode(const struct vhd *v, struct vhd_batmap_disk *d)
{
	const struct vhd_batmap *b = &v->batmap;

	*d = (struct vhd_batmap_disk){
		.at = be64_put(b->at),
		.sectors = be32_put((uint32_t)(b->declared / VHD_SECTOR)),
		.version = be32_put(VHD_BATMAP_VERSION),
		.sum = be32_put(vhd_sum(b->bits, (size_t)b->covered)),
		.marker = b->marker,
		.keyed = b->keyed,
	};
	memcpy(d->cookie, cookie, sizeof(cookie));
	memcpy(d->nonce, b->nonce, sizeof(d->nonce));
	memcpy(d->key_hash, b->key_hash, sizeof(d->key_hash));
}

int vhd_batmap_write(struct vhd *v)
{
	struct vhd_batmap *b = &v->batmap;
	struct vhd_batmap_disk d;
	int err;

	if (b->state == BATMAP_NONE || !b->dirty)
		return 0;
	if (b->state == BATMAP_BAD) {			/* all zero is a legal map */
		if (!place_is_free(v))
			return 0;
		b->state = BATMAP_GOOD;
	}
	vhd_batmap_encode(v, &d);
	err = io_write(v->io, b->at, b->bits, (size_t)b->covered);
	if (!err)
		err = io_write(v->io, b->header_at, &d, sizeof(d));
	if (!err)
		b->dirty = false;
	return err;
}
