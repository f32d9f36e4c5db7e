/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a new image will consist of, worked out before anything is written. */
#ifndef LIB_VHD_PLAN_H
#define LIB_VHD_PLAN_H

#include "lib/vhd/create.h"
#include "lib/vhd/vhd.h"

struct vhd_plan {
	struct vhd v;			/* footer, header, batmap: enough for their encoders */
	uint8_t text[3][512];
	bool volume;
	uint64_t end;			/* of the metadata; of all data in a fixed image */
};

/* -E_VDI_SIZE, -ENAMETOOLONG, -E_TEXT_UTF8, or -E_VHD_NO_ROOM in a volume; nothing is written. */
int vhd_plan(struct vhd_plan *p, const struct io *io, const struct vhd_create *how);
/* From here on nothing opens as an image: a file is empty, a volume has no footers. */
int vhd_plan_clear(const struct vhd_plan *p, struct io *io);
/*
 * All metadata, with the entries of v.bat and the bits of the batmap where they
 * are given; then the footers, the primary at footer_at.
 */
int vhd_plan_write(const struct vhd_plan *p, struct io *io, uint64_t footer_at);

#endif
