/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/err.h"
#include "lib/vhd/batmap.h"
#include "lib/vhd/bitmap.h"
#include "lib/vhd/check.h"
#include "lib/vhd/edit.h"
#include "lib/vhd/write.h"

/* What the bitmaps say; a bit too few is legal, so one that cannot be read is an error only. */
static int rebuild_batmap(struct vhd *v)
{
	struct vhd_batmap *b = &v->batmap;
	struct vhd_bits *bits;
	int err;

	if (b->state == BATMAP_NONE)
		return 0;
	memset(b->bits, 0, (size_t)b->covered);
	b->dirty = true;
	err = vhd_batmap_write(v);	/* an empty one, when there is room at all */
	for (uint32_t i = 0; i < v->n_blocks && !err && b->state == BATMAP_GOOD; i++) {
		if (!vhd_in_use(vhd_entry(v, i)))
			continue;
		err = vhd_bits_get(v, i, &bits);
		if (!err && vhd_bits_full(bits->b))
			vhd_batmap_set(v, i);
	}
	if (!err)
		err = io_flush(v->io);
	return err ? err : vhd_batmap_write(v);
}

/*
 * Where the footer goes.  An image without one, or with a short one, gets it
 * behind its data; on a volume it is the last sector.
 */
static int mend_footers(struct vhd *v)
{
	uint64_t at = vhd_blocks_from(v);
	int err;

	if (v->fixed_size) {
		if (v->io->size < at + VHD_SECTOR)
			return -E_VHD_NO_ROOM;
		at = v->io->size - VHD_SECTOR;
	}
	v->footer_at = at;
	err = vhd_write_footers(v);
	if (!err && !v->fixed_size)
		err = io_resize(v->io, at + VHD_SECTOR);
	if (!err)
		err = io_flush(v->io);
	if (!err)
		v->degraded = v->differ = v->short_footer = false;
	return err;
}

static bool needs_footers(const struct vhd *v)
{
	return v->degraded || v->differ || v->short_footer ||
	       (!v->fixed_size && v->footer_at != vhd_blocks_from(v));
}

static int mend_fixed(struct vhd *v, bool new_id)
{
	return new_id ? vhd_write_footers(v) : 0;
}

int vhd_repair(struct io *io, const uint8_t *uuid)
{
	struct vhd *v = NULL;
	bool new_id = false;
	int err = vhd_open(&v, io, VHD_RDWR | VHD_MENDING);

	if (err)
		return err;
	if (uuid && is_zero(v->footer.uuid, 16)) {
		memcpy(v->footer.uuid, uuid, 16);
		new_id = true;
	}
	if (v->footer.type == VHD_FIXED) {
		err = mend_fixed(v, new_id);
	} else {
		/* The footers first: without them the rest is not worth much. */
		if (new_id || needs_footers(v))
			err = mend_footers(v);
		if (!err && v->batmap.state != BATMAP_NONE)
			err = rebuild_batmap(v);
		if (!err)
			err = io_flush(io);
	}
	vhd_close(v);
	return err;
}

/* The copy as a change of ours left it, and the footer as it was before. */
static bool is_half_changed(struct vhd *v)
{
	struct vhd_footer_disk copy, ours;
	struct vhd_footer f = v->footer, want;

	if (v->degraded || v->short_footer || !v->differ || v->footer.type == VHD_FIXED ||
	    io_read(v->io, 0, &copy, sizeof(copy)) || vhd_footer_decode(&want, &copy, sizeof(copy)))
		return false;
	f.hidden = want.hidden;
	if (f.size != want.size) {
		f.size = want.size;
		f.geometry = vhd_geometry(f.size);
	}
	vhd_footer_encode(&f, &ours);
	return !memcmp(&ours, &copy, sizeof(copy));
}

int vhd_open_settled(struct vhd **out, struct io *io)
{
	struct vhd *v = NULL;
	int err = vhd_open(&v, io, VHD_RDWR | VHD_MENDING);

	if (!err && (v->degraded || v->short_footer || v->differ))
		err = is_half_changed(v) ? vhd_write_footers(v) : -E_VHD_FOOTERS;
	if (err) {
		vhd_close(v);
		return err;
	}
	v->differ = false;
	*out = v;
	return 0;
}
