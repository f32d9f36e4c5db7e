/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/err.h"
#include "lib/kconfig.h"
#include "lib/vhd/batmap.h"
#include "lib/vhd/bat.h"
#include "lib/vhd/bitmap.h"
#include "lib/vhd/edit.h"
#include "lib/vhd/locator.h"
#include "lib/vhd/parent.h"
#include "lib/vhd/open.h"
#include "lib/vhd/write.h"

int vhd_write_footers(struct vhd *v)
{
	int err = vhd_flush(v);

	if (!v->writable)
		return -EROFS;
	if (!err && v->footer.type != VHD_FIXED) {
		err = vhd_write_footer(v, 0);
		if (!err)
			err = io_flush(v->io);
	}
	if (!err)
		err = vhd_write_footer(v, v->footer_at);	/* commit */
	return err ? err : io_flush(v->io);
}

int vhd_set_hidden(struct vhd *v, bool hidden)
{
	int err;

	if (!v->writable)
		return -EROFS;
	v->footer.hidden = hidden;
	err = vhd_write_footers(v);
	/* Room that was short for a moment must not leave a footer unlike its copy. */
	if (err == -ENOSPC)
		err = vhd_write_footers(v);
	/* The copy is what scans read: enough for a full SR to delete. */
	return err == -ENOSPC && v->footer.type != VHD_FIXED ? 0 : err;
}

int vhd_set_marker(struct vhd *v, uint8_t marker)
{
	int err;

	if (!v->writable)
		return -EROFS;
	if (v->batmap.state == BATMAP_NONE)
		return -EOPNOTSUPP;
	v->batmap.marker = marker;
	v->batmap.dirty = true;
	err = vhd_flush(v);
	if (!err)
		err = vhd_batmap_write(v);
	return err ? err : io_flush(v->io);
}

/* --- the parent ---------------------------------------------------------- */

static bool is_text(uint32_t code)
{
	return code == VHD_CODE_MACX || code == VHD_CODE_W2KU || code == VHD_CODE_W2RU;
}

/* The whole sectors of a locator's new text, or why there is none. */
static int make_text(const struct vhd *v, struct vhd_locator *l, const char *path,
		     uint8_t text[VHD_TEXT_MAX])
{
	size_t room = l->space < VHD_TEXT_MAX ? l->space : VHD_TEXT_MAX;
	int n;

	if (!vhd_locator_is_usable(v, l) || l->at % VHD_SECTOR)
		return -E_VHD_LOCATOR;
	memset(text, 0, VHD_TEXT_MAX);
	n = vhd_locator_text(l->code, path, text, room);
	if (n < 0)
		return n;
	l->len = (uint32_t)n;
	return (n + 511) / 512 * 512;
}

static int write_texts(struct vhd *v, struct vhd_header *h, const char *path, bool really)
{
	uint8_t text[VHD_TEXT_MAX];
	int n_texts = 0;

	for (int i = 0; i < VHD_LOCATORS; i++) {
		int n, err;

		if (!is_text(h->locators[i].code))
			continue;
		n = make_text(v, &h->locators[i], path, text);
		if (n < 0)
			return n;
		n_texts++;
		err = really ? io_write(v->io, h->locators[i].at, text, (size_t)n) : 0;
		if (err)
			return err;
	}
	return n_texts ? 0 : -E_VHD_LOCATOR;
}

/*
 * Only the sectors that change, by what stands there: the checksum is of all that.
 * When both do, what the second says is known from elsewhere until it is there (torn.c).
 */
int vhd_header_write(struct vhd *v, const struct vhd_header *h)
{
	struct vhd_header_disk old, new;
	const char *from = (const char *)&new;
	uint64_t at = v->footer.header_at;
	bool first, second;
	int err = io_read(v->io, at, &old, sizeof(old));

	if (err)
		return err;
	vhd_header_encode(h, &new);
	first = memcmp(&old, &new, 512);
	second = memcmp((char *)&old + 512, from + 512, 512);
	if (first)
		err = io_write(v->io, at, from, 512);			/* commit */
	if (!err && first && second)
		err = io_flush(v->io);
	if (!err && second)
		err = io_write(v->io, at + 512, from + 512, 512);
	if (!err)
		err = io_flush(v->io);
	v->torn = err;
	return err;
}

int vhd_reparent(struct vhd *v, const char *path, const uint8_t uuid[16], uint32_t time)
{
	struct vhd_header h = v->header;
	int err;

	if (!v->writable)
		return -EROFS;
	if (!vhd_has_parent(v))
		return -EINVAL;
	if (vhd_is_own_parent(v, uuid))
		return -E_IMAGE_LOOP;
	err = vhd_header_set_name(&h, vhd_basename(path));
	if (!err)
		err = write_texts(v, &h, path, false);
	if (!err)
		err = vhd_flush(v);
	if (!err)
		err = write_texts(v, &h, path, true);
	if (!err)
		err = io_flush(v->io);
	if (err)
		return err;
	memcpy(h.parent_uuid, uuid, sizeof(h.parent_uuid));
	h.parent_time = time;
	err = vhd_header_write(v, &h);				/* commit */
	if (!err)
		v->header = h;
	return err;
}

int vhd_stand_alone(struct vhd *v)
{
	struct vhd_header h = v->header;
	int err;

	if (!v->writable)
		return -EROFS;
	if (!vhd_has_parent(v))
		return -EINVAL;
	v->footer.type = VHD_DYNAMIC;
	err = vhd_write_footers(v);				/* commit */
	if (err)
		return err;
	memset(h.parent_uuid, 0, sizeof(h.parent_uuid));
	memset(h.parent_name, 0, sizeof(h.parent_name));
	memset(h.locators, 0, sizeof(h.locators));
	h.parent_time = 0;
	err = vhd_header_write(v, &h);
	if (!err)
		v->header = h;
	return err;
}

int vhd_reset(struct vhd *v)
{
	int err;

	if (!v->writable)
		return -EROFS;
	if (v->footer.type == VHD_FIXED)
		return -EOPNOTSUPP;
	/* The batmap first: a bit without a block is nothing, a block with a stale bit is wrong. */
	err = vhd_flush(v);
	if (!err && v->batmap.state == BATMAP_GOOD) {
		memset(v->batmap.bits, 0, (size_t)v->batmap.covered);
		v->batmap.dirty = true;
		err = vhd_batmap_write(v);
		if (!err)
			err = io_flush(v->io);
	}
	if (err)
		return err;
	for (uint32_t i = 0; i < v->n_blocks; i++)
		if (vhd_entry(v, i) != VHD_UNUSED)
			vhd_bat_set(v, i, VHD_UNUSED);
	vhd_bits_drop(v, VHD_UNUSED);
	v->data_end = v->meta_end;
	v->next_at = v->ahead_end = 0;
	if (IS_ENABLED(CONFIG_GC_RESUME))
		v->gaps.next = v->gaps.n;
	v->grown = true;
	return vhd_finish(v);
}
