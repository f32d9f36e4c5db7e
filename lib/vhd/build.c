/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/vhd/bat.h"
#include "lib/vhd/batmap.h"
#include "lib/vhd/bitmap.h"
#include "lib/vhd/build.h"
#include "lib/vhd/plan.h"
#include "lib/zero.h"

#define ZERO_RUN ((size_t)64 << 10)	/* shorter ones are not worth a hole */

struct vhd_build {
	struct vhd_plan plan;
	struct io *io;
	uint64_t end;			/* of what has been given out */
};

static uint64_t end_of_all(const struct vhd_plan *p)
{
	uint64_t end = vhd_bat_place(p->end) + VHD_SECTOR;

	return end + p->v.n_blocks * (uint64_t)VHD_UNIT;
}

int vhd_build_start(struct vhd_build **out, struct io *io, const struct vhd_create *how)
{
	struct vhd_build *b = must_alloc(sizeof(*b));
	struct vhd *v = &b->plan.v;
	int err = how->type == VHD_FIXED ? -EINVAL : vhd_plan(&b->plan, io, how);

	if (!err)
		err = vhd_plan_clear(&b->plan, io);
	if (!err) {
		v->n_blocks = (uint32_t)((how->size + VHD_BLOCK - 1) / VHD_BLOCK);
		v->bat = must_alloc(v->n_blocks * sizeof(*v->bat));
		memset(v->bat, 0xff, v->n_blocks * sizeof(*v->bat));
		v->batmap.covered = vhd_batmap_covered(how->size);
		v->batmap.bits = must_alloc((size_t)v->batmap.covered);
		b->io = io;
		b->end = b->plan.end;
		/* As long as it can get, with holes: writing in threads must not make it grow. */
		if (!b->plan.volume)
			err = io_resize(io, end_of_all(&b->plan));
	}
	if (err) {
		vhd_build_free(b);
		return err;
	}
	*out = b;
	return 0;
}

int vhd_build_place(struct vhd_build *b, uint32_t block, bool is_full, uint64_t *pos)
{
	struct vhd *v = &b->plan.v;
	uint64_t place = vhd_bat_place(b->end), end = place + VHD_SECTOR + VHD_BLOCK;

	if (block >= v->n_blocks || vhd_entry(v, block) != VHD_UNUSED)
		return -EINVAL;
	if (b->plan.volume && end > b->io->size - VHD_SECTOR)
		return -E_VHD_NO_ROOM;
	v->bat[block] = be32_put((uint32_t)(place / VHD_SECTOR));
	if (is_full)
		vhd_batmap_set(v, block);
	b->end = end;
	*pos = place - VHD_UNIT_BITS;
	return 0;
}

int vhd_build_finish(struct vhd_build *b)
{
	uint64_t at = b->plan.volume ? b->io->size - VHD_SECTOR : b->end;
	int err = io_flush(b->io);

	if (!err && !b->plan.volume)
		err = io_resize(b->io, at + VHD_SECTOR);
	return err ? err : vhd_plan_write(&b->plan, b->io, at);
}

void vhd_build_free(struct vhd_build *b)
{
	if (!b)
		return;
	free(b->plan.v.bat);
	free(b->plan.v.batmap.bits);
	free(b);
}

uint32_t vhd_build_bits(const void *data, size_t n, uint8_t bits[512])
{
	const char *p = data;
	uint32_t set = 0;

	memset(bits, 0, 512);
	for (size_t at = 0, len; at < n; at += len) {
		len = n - at < ZERO_RUN ? n - at : ZERO_RUN;
		if (is_all_zero(p + at, len))
			continue;
		vhd_bit_set(bits, (uint32_t)(at / 512), (uint32_t)((len + 511) / 512));
		set += (uint32_t)((len + 511) / 512);
	}
	return set;
}
