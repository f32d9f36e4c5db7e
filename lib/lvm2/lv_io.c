/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/lvm2/lv_io.h"
#include "lib/lvm2/scan.h"

struct lv {
	struct io io;
	const struct lvm_vg *vg;
	const struct lvm_lv *lv;
};

static int check_seg(const struct lvm_seg *s)
{
	if (s->kind != LVM_SEG_STRIPED || s->n_legs != 1 || !s->leg[0].pv)
		return -E_LVM_LV_TYPE;
	return s->leg[0].pv->dev && s->leg[0].pv->dev->io ? 0 : -E_LVM_PARTIAL;
}

int lvm_lv_where(const struct lvm_vg *vg, const struct lvm_lv *lv, uint64_t at,
		 struct io **io, uint64_t *where, uint64_t *run)
{
	uint64_t extent = lvm_extent_bytes(vg);
	uint64_t e = at / extent;

	for (uint32_t i = 0; i < lv->n_segs; i++) {
		const struct lvm_seg *s = &lv->seg[i];
		const struct lvm_pv *pv;
		uint64_t into, start;
		int err;

		if (e < s->start || e - s->start >= s->count)
			continue;
		err = check_seg(s);
		if (err)
			return err;
		pv = s->leg[0].pv;
		into = at - s->start * extent;
		if (!mul_ok(s->leg[0].extent, extent, &start) ||
		    !add_ok(start, pv->pe_start * LVM_SECTOR, &start) || !add_ok(start, into, &start))
			return -E_LVM_BAD;
		*io = pv->dev->io;
		*where = start;
		*run = s->count * extent - into;
		return 0;
	}
	return -E_LVM_BAD;
}

/* Do something piece by piece, each on one device. */
#define EACH_PIECE(l, at, len, call) do {					\
	while (len) {								\
		struct io *on;							\
		uint64_t where, run;						\
		int err_ = lvm_lv_where((l)->vg, (l)->lv, at, &on, &where, &run);\
										\
		if (run > len)							\
			run = len;						\
		if (!err_)							\
			err_ = call;						\
		if (err_)							\
			return err_;						\
		at += run;							\
		len -= run;							\
	}									\
	return 0;								\
} while (0)

static int lv_read(struct io *io, uint64_t at, void *buf, size_t len)
{
	char *p = buf;

	EACH_PIECE((struct lv *)io, at, len, (p += run, io_read(on, where, p - run, run)));
}

static int lv_write(struct io *io, uint64_t at, const void *buf, size_t len)
{
	const char *p = buf;

	if (!range_ok(at, len, io->size))
		return -ENOSPC;
	EACH_PIECE((struct lv *)io, at, len, (p += run, io_write(on, where, p - run, run)));
}

static int lv_zero(struct io *io, uint64_t at, uint64_t len)
{
	if (!range_ok(at, len, io->size))
		return -ENOSPC;
	EACH_PIECE((struct lv *)io, at, len, io_zero(on, where, run));
}

static int lv_flush(struct io *io)
{
	const struct lv *l = (struct lv *)io;

	for (uint32_t i = 0; i < l->lv->n_segs; i++) {
		int err = io_flush(l->lv->seg[i].leg[0].pv->dev->io);

		if (err)
			return err;
	}
	return 0;
}

static void lv_close(struct io *io)
{
	free(io);
}

static const struct io_ops lv_ops = {
	.read = lv_read, .write = lv_write, .flush = lv_flush, .zero = lv_zero, .close = lv_close,
};

int lvm_lv_io(struct io **io, const struct lvm_vg *vg, const struct lvm_lv *lv)
{
	struct lv *l;
	bool read_only = false;

	for (uint32_t i = 0; i < lv->n_segs; i++) {
		int err = check_seg(&lv->seg[i]);

		if (err)
			return err;
		read_only |= lv->seg[i].leg[0].pv->dev->io->read_only;
	}
	l = must_alloc(sizeof(*l));
	*l = (struct lv){
		.io = {
			.ops = &lv_ops, .size = lvm_lv_bytes(vg, lv), .sector = 512,
			.read_only = read_only, .fd = -1,
		},
		.vg = vg, .lv = lv,
	};
	*io = &l->io;
	return 0;
}
