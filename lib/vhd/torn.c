/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A header of which the first sector is new and the second is not.
 *
 * Who exchanges a parent writes them in that order, after the texts.  What the
 * second sector is to say then stands elsewhere, too: how long the texts are, in
 * the texts; and of an image without a parent, nothing.  The checksum, in the
 * first, is of both, so what does not fit is not believed.
 */
#include <string.h>

#include "lib/err.h"
#include "lib/vhd/open.h"

/* A text ends where zeros begin; none of a disk in an SR has more than a sector. */
static int measure(const struct vhd *v, struct vhd_locator *l)
{
	uint32_t step = l->code == VHD_CODE_MACX ? 1 : 2;
	uint8_t text[VHD_SECTOR + 2] = { 0 };
	int err;

	if (!vhd_locator_is_usable(v, l))
		return 0;
	err = io_read(v->io, l->at, text, VHD_SECTOR);
	for (l->len = 0; !is_zero(text + l->len, step); )
		l->len += step;
	return err;
}

int vhd_header_complete(const struct vhd *v, const void *buf, struct vhd_header *h)
{
	struct vhd_header_disk d;
	int err;

	memcpy(&d, buf, sizeof(d));
	d.sum = be32_put(0);
	d.sum = be32_put(vhd_sum(&d, sizeof(d)));
	err = vhd_header_decode(h, &d, sizeof(d));
	if (!vhd_has_parent(v))
		memset(h->locators, 0, sizeof(h->locators));
	for (int i = 0; i < VHD_LOCATORS && !err; i++)
		err = measure(v, &h->locators[i]);
	if (err)
		return err;
	vhd_header_encode(h, &d);
	return memcmp(&d, buf, VHD_SECTOR) ? -E_VHD_HEADER_SUM : 0;
}
