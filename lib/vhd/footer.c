/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/err.h"
#include "lib/vhd/footer.h"

static const char cookie[8] = "conectix", poison[8] = "v_poison";

uint32_t vhd_sum(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint32_t sum = 0;

	while (n--)
		sum += *b++;
	return ~sum;
}

static uint32_t footer_sum(const struct vhd_footer_disk *d, bool with_hidden)
{
	struct vhd_footer_disk c = *d;

	c.sum = be32_put(0);
	if (!with_hidden)
		c.hidden = 0;
	return vhd_sum(&c, sizeof(c));
}

/* The second tapdisk set the hidden byte without a new checksum. */
static bool sum_is_right(const struct vhd_footer_disk *d)
{
	if (be32_get(d->sum) == footer_sum(d, true))
		return true;
	return be32_get(d->creator) == VHD_TAP && be32_get(d->creator_version) == 0x00010001 &&
	       be32_get(d->sum) == footer_sum(d, false);
}

/* Version 0.1 of tap had little endian bitmaps; what follows 1.3 nobody knows. */
static bool creator_is_known(const struct vhd_footer *f)
{
	return !vhd_by_tap(f) || (f->creator_version > 1 && f->creator_version <= VHD_TAP_VERSION);
}

int vhd_footer_decode(struct vhd_footer *f, const void *buf, size_t len)
{
	const struct vhd_footer_disk *d = buf;
	uint32_t type;

	if (len < sizeof(*d))
		return -E_SHORT;
	if (!memcmp(d->cookie, poison, sizeof(poison)))
		return -E_VHD_POISON;
	if (memcmp(d->cookie, cookie, sizeof(cookie)))
		return -E_VHD_MAGIC;
	if (!sum_is_right(d))
		return -E_VHD_SUM;
	type = be32_get(d->type);
	*f = (struct vhd_footer){
		.type = type,
		.size = be64_get(d->size),
		.original_size = be64_get(d->original_size),
		.header_at = type == VHD_FIXED ? 0 : be64_get(d->header_at),
		.time = be32_get(d->time),
		.creator = be32_get(d->creator),
		.creator_version = be32_get(d->creator_version),
		.os = be32_get(d->os),
		.features = be32_get(d->features),
		.geometry = be32_get(d->geometry),
		.saved = d->saved,
		.hidden = d->hidden,
	};
	memcpy(f->uuid, d->uuid, sizeof(f->uuid));
	memcpy(f->reserved, d->reserved, sizeof(f->reserved));

	if (be32_get(d->version) != 0x00010000 || !creator_is_known(f))
		return -E_VHD_VERSION;
	if (type < VHD_FIXED || type > VHD_DIFF)
		return -E_VHD_TYPE;
	if (f->size > VHD_SIZE_MAX || f->size % VHD_SECTOR)
		return -E_VHD_SIZE;
	if (type != VHD_FIXED && (f->header_at < VHD_SECTOR || f->header_at % VHD_SECTOR ||
				  f->header_at > INT64_MAX))
		return -E_VHD_HEADER_AT;
	return 0;
}

void vhd_footer_encode(const struct vhd_footer *f, struct vhd_footer_disk *d)
{
	*d = (struct vhd_footer_disk){
		.features = be32_put(f->features),
		.version = be32_put(0x00010000),
		.header_at = be64_put(f->type == VHD_FIXED ? UINT64_MAX : f->header_at),
		.time = be32_put(f->time),
		.creator = be32_put(f->creator),
		.creator_version = be32_put(f->creator_version),
		.os = be32_put(f->os),
		.original_size = be64_put(f->original_size),
		.size = be64_put(f->size),
		.geometry = be32_put(f->geometry),
		.type = be32_put(f->type),
		.saved = f->saved,
		.hidden = f->hidden,
	};
	memcpy(d->cookie, cookie, sizeof(cookie));
	memcpy(d->uuid, f->uuid, sizeof(d->uuid));
	memcpy(d->reserved, f->reserved, sizeof(d->reserved));
	d->sum = be32_put(footer_sum(d, true));
}

void vhd_footer_poison(struct vhd_footer_disk *d)
{
	memcpy(d->cookie, poison, sizeof(poison));
	d->sum = be32_put(footer_sum(d, true));
}

bool vhd_footer_unpoison(struct vhd_footer_disk *d)
{
	if (memcmp(d->cookie, poison, sizeof(poison)))
		return false;
	memcpy(d->cookie, cookie, sizeof(cookie));
	d->sum = be32_put(footer_sum(d, true));
	return true;
}

uint32_t vhd_geometry(uint64_t size)
{
	uint64_t sectors = size / VHD_SECTOR + !!(size % VHD_SECTOR);
	uint32_t total, spt, heads, cth;

	if (!sectors)
		sectors = 1;
	total = sectors > 65535 * 16 * 255 ? 65535 * 16 * 255 : (uint32_t)sectors;

	if (total >= 65535 * 16 * 63) {
		spt = 255;
		heads = 16;
		cth = total / spt;
	} else {
		spt = 17;
		cth = total / spt;
		heads = (cth + 1023) / 1024;
		if (heads < 4)
			heads = 4;
		if (cth >= heads * 1024 || heads > 16) {
			spt = 31;
			heads = 16;
			cth = total / spt;
		}
		if (cth >= heads * 1024) {
			spt = 63;
			heads = 16;
			cth = total / spt;
		}
	}
	return cth / heads << 16 | heads << 8 | spt;
}
