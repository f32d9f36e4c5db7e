/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/err.h"
#include "lib/vhd/footer.h"
#include "lib/vhd/header.h"

static const char cookie[8] = "cxsparse";

static uint32_t header_sum(const struct vhd_header_disk *d)
{
	struct vhd_header_disk c = *d;

	c.sum = be32_put(0);
	return vhd_sum(&c, sizeof(c));
}

/* The format says sectors; Microsoft's tools and libvhd wrote bytes. */
static uint32_t space_bytes(uint32_t space)
{
	if (space < 512)
		return space * 512;
	return space % 512 ? 0 : space;
}

static int locator_decode(struct vhd_locator *l, const struct vhd_locator_disk *d)
{
	*l = (struct vhd_locator){
		.code = be32_get(d->code),
		.space = space_bytes(be32_get(d->space)),
		.len = be32_get(d->len),
		.at = be64_get(d->at),
		.space_field = d->space,
		.reserved = d->reserved,
	};
	switch (l->code) {
	case VHD_CODE_NONE:
	case VHD_CODE_W2RU:
	case VHD_CODE_W2KU:
	case VHD_CODE_MACX:
	case VHD_CODE_WI2R:
	case VHD_CODE_WI2K:
	case VHD_CODE_MAC:
		return 0;
	}
	return -E_VHD_LOCATOR;
}

int vhd_header_decode(struct vhd_header *h, const void *buf, size_t len)
{
	const struct vhd_header_disk *d = buf;
	int err = 0;

	if (len < sizeof(*d))
		return -E_SHORT;
	if (memcmp(d->cookie, cookie, sizeof(cookie)))
		return -E_VHD_HEADER_MAGIC;
	if (be32_get(d->sum) != header_sum(d))
		return -E_VHD_HEADER_SUM;
	*h = (struct vhd_header){
		.table_at = be64_get(d->table_at),
		.max_bat = be32_get(d->max_bat),
		.parent_time = be32_get(d->parent_time),
		.reserved1 = d->reserved1,
	};
	memcpy(h->parent_uuid, d->parent_uuid, sizeof(h->parent_uuid));
	memcpy(h->parent_name, d->parent_name, sizeof(h->parent_name));
	memcpy(h->reserved, d->reserved2, sizeof(h->reserved));
	if (be32_get(d->version) != 0x00010000 || be64_get(d->data_at) != UINT64_MAX)
		return -E_VHD_HEADER;
	if (be32_get(d->block_size) != VHD_BLOCK)
		return -E_VHD_BLOCK_SIZE;
	if (!h->table_at || h->table_at % VHD_SECTOR || h->max_bat > VHD_BAT_MAX)
		return -E_VHD_TABLE;
	for (int i = 0; i < VHD_LOCATORS && !err; i++)
		err = locator_decode(&h->locators[i], &d->locators[i]);
	return err;
}

void vhd_header_encode(const struct vhd_header *h, struct vhd_header_disk *d)
{
	*d = (struct vhd_header_disk){
		.data_at = be64_put(UINT64_MAX),
		.table_at = be64_put(h->table_at),
		.version = be32_put(0x00010000),
		.max_bat = be32_put(h->max_bat),
		.block_size = be32_put(VHD_BLOCK),
		.parent_time = be32_put(h->parent_time),
		.reserved1 = h->reserved1,
	};
	memcpy(d->cookie, cookie, sizeof(cookie));
	memcpy(d->parent_uuid, h->parent_uuid, sizeof(d->parent_uuid));
	memcpy(d->parent_name, h->parent_name, sizeof(d->parent_name));
	memcpy(d->reserved2, h->reserved, sizeof(d->reserved2));
	for (int i = 0; i < VHD_LOCATORS; i++) {
		const struct vhd_locator *l = &h->locators[i];

		d->locators[i].code = be32_put(l->code);
		/* What was read as sectors, or makes no sense, stays as it was. */
		d->locators[i].space = space_bytes(be32_get(l->space_field)) == l->space ?
			l->space_field : be32_put(l->space);
		d->locators[i].reserved = l->reserved;
		d->locators[i].len = be32_put(l->len);
		d->locators[i].at = be64_put(l->at);
	}
	d->sum = be32_put(header_sum(d));
}
