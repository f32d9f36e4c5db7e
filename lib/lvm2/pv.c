/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* New physical volumes: where things go, and writing them there. */
#include <string.h>

#include "lib/err.h"
#include "lib/io.h"
#include "lib/lvm2/lost.h"
#include "lib/lvm2/mda.h"
#include "lib/lvm2/ops.h"

#define MDA_LEAST	(32 * KiB)
#define PV_LEAST	(2 * MiB)
#define ALIGN		MiB
#define WIPED		4096		/* of a new metadata area */

/* The next place at or behind v that is off bytes behind a multiple of align. */
static bool align_up(uint64_t v, uint64_t align, uint64_t off, uint64_t *up)
{
	if (v <= off) {
		*up = off;
		return true;
	}
	return round_up_ok(v - off, align, up) && add_ok(*up, off, up);
}

static bool multiple(uint64_t v, uint64_t of)
{
	return v % of == 0;
}

static int second_mda(const struct lvm_pv_spec *s, uint64_t size, uint64_t align,
		      struct lvm_label *l)
{
	uint64_t from;

	if (size > s->device_size)
		return -E_LVM_PV_SIZE;
	from = s->device_size - size;
	from -= from % align;
	if (from < l->data[0].at)
		return -E_LVM_PV_SIZE;
	l->mda[l->n_mda++] = (struct lvm_area){
		from, (s->device_size - from) / LVM_SECTOR * LVM_SECTOR,
	};
	return 0;
}

int lvm_pv_plan(const struct lvm_pv_spec *s, const struct lvm_id *id, struct lvm_label *out)
{
	uint64_t align = s->align ? s->align : ALIGN, end = 0;
	uint64_t size = s->metadata_size ? s->metadata_size : ALIGN - LVM_FIRST_MDA;
	struct lvm_label l = {
		.pv = *id,
		.device_size = s->device_size,
		.sector = 1,
		.ext_version = 2,
		.n_data = 1,
	};
	int err = 0;

	if (!multiple(align, LVM_SECTOR) || !multiple(s->align_offset, LVM_SECTOR) ||
	    s->align_offset >= align || !multiple(s->boot_size, LVM_SECTOR) || s->n_mdas > 2)
		return -E_ARG;
	if (s->device_size < PV_LEAST)
		return -E_LVM_PV_SIZE;
	if (size < MDA_LEAST)
		size = MDA_LEAST;
	if (s->n_mdas) {
		if (!add_ok(LVM_FIRST_MDA, size, &end) || !align_up(end, align, s->align_offset, &end))
			return -E_LVM_PV_SIZE;
		l.mda[l.n_mda++] = (struct lvm_area){ LVM_FIRST_MDA, end - LVM_FIRST_MDA };
	} else if (!align_up(LVM_FIRST_MDA, align, s->align_offset, &end)) {
		return -E_LVM_PV_SIZE;
	}
	if (s->boot_size) {
		l.boot[l.n_boot++] = (struct lvm_area){ end, s->boot_size };
		if (!add_ok(end, s->boot_size, &end) ||
		    !align_up(end, align, s->align_offset, &end))
			return -E_LVM_PV_SIZE;
	}
	l.data[0].at = end;
	if (end >= s->device_size)
		return -E_LVM_PV_SIZE;
	if (s->n_mdas == 2)
		err = second_mda(s, size, align, &l);
	if (!err)
		*out = l;
	return err;
}

int lvm_pv_create(struct io *io, const struct lvm_label *l)
{
	uint8_t buf[LVM_SECTOR];
	int err = lvm_label_encode(l, buf);

	/* No old label may point at areas that are being made anew. */
	if (!err)
		err = io_zero(io, 0, LVM_LABEL_SCAN);
	if (!err)
		err = io_flush(io);
	for (uint32_t i = 0; i < l->n_mda && !err; i++) {
		struct lvm_mda m = { .start = l->mda[i].at, .size = l->mda[i].size };

		if (!range_ok(m.start, m.size, io->size))
			return -E_LVM_PV_SIZE;
		err = io_zero(io, m.start, m.size < WIPED ? m.size : WIPED);
		if (!err)
			err = lvm_mda_write(&m, io);
	}
	if (!err)
		err = io_flush(io);
	if (!err)
		err = io_write(io, (uint64_t)l->sector * LVM_SECTOR, buf, sizeof(buf));	/* commit */
	return err ? err : io_flush(io);
}

int lvm_pv_remove(struct io *io, const struct lvm_label *l)
{
	int err = io_zero(io, (uint64_t)l->sector * LVM_SECTOR, LVM_SECTOR);

	return err ? err : io_flush(io);
}
