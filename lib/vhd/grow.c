/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/kconfig.h"
#include "lib/vhd/bat.h"
#include "lib/vhd/batmap.h"
#include "lib/vhd/gaps.h"
#include "lib/vhd/grow.h"
#include "lib/vhd/journal.h"
#include "lib/vhd/open.h"
#include "lib/vhd/resize.h"
#include "lib/vhd/write.h"

#define SPAN	(VHD_SECTOR + VHD_BLOCK)
#define TEXT_MAX ((uint64_t)64 << 10)

/* Where things will be. */
struct plan {
	uint64_t size;
	struct vhd_header header;
	uint64_t batmap_at, map_sectors;	/* 0: the image has no batmap */
	uint64_t meta_end;
	uint32_t *moves;			/* blocks in the way, lowest first */
	size_t n_moves;
	struct vhd_gaps gaps;			/* where they go if not behind the others */
};

/* The blocks in the way are few, so the simplest sort does. */
static void sort_moves(const struct vhd *v, struct plan *p)
{
	for (size_t i = 1; i < p->n_moves; i++) {
		uint32_t block = p->moves[i];
		size_t k = i;

		for (; k && vhd_entry(v, block) < vhd_entry(v, p->moves[k - 1]); k--)
			p->moves[k] = p->moves[k - 1];
		p->moves[k] = block;
	}
}

/* What lies below the table stays, whatever it is. */
static bool is_moved(const struct vhd *v, const struct vhd_locator *l)
{
	return l->code && l->at >= v->header.table_at;
}

static int make_plan(const struct vhd *v, uint64_t size, struct plan *p)
{
	uint64_t end;

	*p = (struct plan){ .size = size, .header = v->header };
	p->header.max_bat = (uint32_t)(size / VHD_BLOCK + !!(size % VHD_BLOCK));
	/* The table grows upwards: a header behind it would be in the way. */
	if (v->footer.header_at > v->header.table_at)
		return -E_VHD_TABLE_FULL;
	end = v->header.table_at + vhd_table_len(p->header.max_bat);
	if (v->batmap.state != BATMAP_NONE) {
		p->batmap_at = end;
		p->map_sectors = vhd_batmap_sectors(p->header.max_bat);
		end += (1 + p->map_sectors) * VHD_SECTOR;
	}
	for (int i = 0; i < VHD_LOCATORS; i++) {
		struct vhd_locator *l = &p->header.locators[i];

		if (!is_moved(v, l))
			continue;
		if (!vhd_locator_is_usable(v, l) || l->space > TEXT_MAX)
			return -E_VHD_LOCATOR;
		l->at = end;
		end += l->space;
	}
	p->meta_end = end;
	p->moves = must_alloc(v->n_blocks * sizeof(*p->moves) + 1);
	for (uint32_t i = 0; i < v->n_blocks; i++)
		if (vhd_in_use(vhd_entry(v, i)) && vhd_entry(v, i) * VHD_SECTOR < end)
			p->moves[p->n_moves++] = i;
	sort_moves(v, p);
	return 0;
}

static int write_journal(const struct vhd *v, const struct plan *p, struct io *io)
{
	const struct vhd_batmap *b = &v->batmap;
	struct vhd_journal j;
	int err;

	vhd_journal_start(&j, io, v->footer.uuid, v->footer_at);
	err = vhd_journal_add(&j, JOURNAL_PRIMARY, v->io, v->footer_at, 512);
	if (!err)
		err = vhd_journal_add(&j, JOURNAL_BACKUP, v->io, 0, 512);
	if (!err)
		err = vhd_journal_add(&j, JOURNAL_HEADER, v->io, v->footer.header_at, 1024);
	for (int i = 0; i < VHD_LOCATORS && !err; i++)
		if (is_moved(v, &v->header.locators[i]))
			err = vhd_journal_add(&j, JOURNAL_LOCATOR, v->io, v->header.locators[i].at,
					      v->header.locators[i].space);
	if (!err && v->header.max_bat)
		err = vhd_journal_add(&j, JOURNAL_BAT, v->io, v->header.table_at,
				      (uint32_t)vhd_table_len(v->header.max_bat));
	if (!err && b->state == BATMAP_GOOD) {
		err = vhd_journal_add(&j, JOURNAL_BATMAP_HEADER, v->io, b->header_at, 512);
		if (!err)
			err = vhd_journal_add(&j, JOURNAL_BATMAP, v->io, b->at,
					      (uint32_t)b->covered);
	}
	for (size_t i = 0; i < p->n_moves && !err; i++) {
		uint64_t at = vhd_entry(v, p->moves[i]) * VHD_SECTOR;

		err = vhd_journal_add(&j, JOURNAL_DATA, v->io, at, 512);
		if (!err)
			err = vhd_journal_add(&j, JOURNAL_DATA, v->io, at + 512, VHD_BLOCK);
	}
	return err ? err : vhd_journal_commit(&j);
}

/* Both footers as the image has them, poisoned or not. */
static int put_footers(struct vhd *v, bool poison)
{
	struct vhd_footer_disk d;
	int err;

	vhd_footer_encode(&v->footer, &d);
	if (poison)
		vhd_footer_poison(&d);
	err = io_write(v->io, 0, &d, sizeof(d));
	if (!err && !poison)
		err = io_flush(v->io);
	if (!err)
		err = io_write(v->io, v->footer_at, &d, sizeof(d));
	return err ? err : io_flush(v->io);
}

static int move_blocks(struct vhd *v, struct plan *p)
{
	uint64_t end = v->data_end > p->meta_end ? v->data_end : p->meta_end;
	char *buf = must_alloc((size_t)SPAN);
	int err = 0;

	for (size_t i = 0; i < p->n_moves && !err; i++) {
		uint64_t to = vhd_bat_place(end);
		bool last = true;

		if (IS_ENABLED(CONFIG_GC_RESUME) && p->gaps.found)
			last = !vhd_gaps_take(&p->gaps, &to);
		err = io_read(v->io, vhd_entry(v, p->moves[i]) * VHD_SECTOR, buf, (size_t)SPAN);
		if (!err)
			err = io_write(v->io, to, buf, (size_t)SPAN);
		if (!err)
			vhd_bat_set(v, p->moves[i], (uint32_t)(to / VHD_SECTOR));
		end = last ? to + SPAN : end;
	}
	free(buf);
	v->data_end = end;
	return err;
}

static int move_texts(struct vhd *v, const struct plan *p)
{
	uint8_t *text[VHD_LOCATORS] = { NULL };
	int err = 0;

	/* All are read before any is written: old and new places overlap. */
	for (int i = 0; i < VHD_LOCATORS && !err; i++) {
		const struct vhd_locator *l = &v->header.locators[i];

		if (!l->code || l->at == p->header.locators[i].at)
			continue;
		text[i] = must_alloc(l->space);
		err = io_read(v->io, l->at, text[i], l->space);
	}
	for (int i = 0; i < VHD_LOCATORS && !err; i++)
		if (text[i])
			err = io_write(v->io, p->header.locators[i].at, text[i],
				       p->header.locators[i].space);
	for (int i = 0; i < VHD_LOCATORS; i++)
		free(text[i]);
	return err;
}

/* The table: what it was with the moves, and all ones behind. */
static int write_table(struct vhd *v, const struct plan *p)
{
	size_t n = p->header.max_bat, len = (size_t)vhd_table_len(p->header.max_bat);
	be32 *bat = must_alloc(len);
	int err;

	for (size_t i = 0; i < n; i++)
		bat[i] = i < v->n_blocks ? v->bat[i] : be32_put(VHD_UNUSED);
	err = io_write(v->io, p->header.table_at, bat, len);
	free(bat);
	return err;
}

static int write_batmap(struct vhd *v, const struct plan *p)
{
	uint64_t len = p->map_sectors * VHD_SECTOR;
	struct vhd_batmap_disk d;
	struct vhd now = *v;
	uint8_t *map;
	int err;

	if (!p->map_sectors)
		return 0;
	map = must_alloc((size_t)len);
	memcpy(map, v->batmap.bits, (size_t)(v->batmap.covered < len ? v->batmap.covered : len));
	now.batmap.bits = map;
	now.batmap.covered = vhd_batmap_covered(p->size);
	now.batmap.declared = len;
	now.batmap.at = p->batmap_at + VHD_SECTOR;
	vhd_batmap_encode(&now, &d);
	err = io_write(v->io, now.batmap.at, map, (size_t)len);
	if (!err)
		err = io_write(v->io, p->batmap_at, &d, sizeof(d));
	free(map);
	return err;
}

static int write_metadata(struct vhd *v, const struct plan *p)
{
	struct vhd_header_disk d;
	int err = move_texts(v, p);

	if (!err)
		err = write_table(v, p);
	if (!err)
		err = write_batmap(v, p);
	if (err)
		return err;
	vhd_header_encode(&p->header, &d);
	return io_write(v->io, v->footer.header_at, &d, sizeof(d));
}

/* Where blocks cannot be named any more they go between others: an unmoved one is in nobody's way. */
static int check_room(const struct vhd *v, struct plan *p)
{
	uint64_t end = v->data_end > p->meta_end ? v->data_end : p->meta_end;

	end += p->n_moves * (SPAN + 4096) + VHD_SECTOR;
	if (v->fixed_size && end > v->io->size)
		return -E_VHD_NO_ROOM;
	if (!vhd_is_beyond(end))
		return 0;
	if (!IS_ENABLED(CONFIG_GC_RESUME))
		return -EFBIG;
	if (p->n_moves)
		vhd_gaps_find(v, p->meta_end, &p->gaps);
	return p->gaps.n < p->n_moves ? -EFBIG : 0;
}

static int carry_out(struct vhd *v, struct plan *p, struct io *journal)
{
	int err = write_journal(v, p, journal);

	if (!err)
		err = put_footers(v, true);
	if (!err)
		err = move_blocks(v, p);
	if (!err)
		err = write_metadata(v, p);
	if (err)
		return err;
	v->footer.size = p->size;
	v->footer.geometry = vhd_geometry(p->size);
	/* Never before the old place: the journal leads there for as long as it counts. */
	if (!v->fixed_size && v->footer_at < v->data_end)
		v->footer_at = v->data_end;
	err = put_footers(v, true);
	if (!err)
		err = vhd_journal_empty(journal);		/* commit */
	return err ? err : put_footers(v, false);
}

int vhd_grow_table(struct vhd *v, uint64_t size, struct io *journal)
{
	struct plan p;
	int err = vhd_finish(v);

	if (!err)
		err = make_plan(v, size, &p);
	if (err)
		return err;
	err = check_room(v, &p);
	if (!err) {
		err = carry_out(v, &p, journal);
		v->writable = !err;		/* half done, it is for vhd_revert() */
	}
	if (!err)
		err = vhd_reload(v);
	free(p.moves);
	if (IS_ENABLED(CONFIG_GC_RESUME))
		vhd_gaps_free(&p.gaps);
	return err;
}

uint64_t vhd_resize_journal(const struct vhd *v, uint64_t size)
{
	struct plan p;
	uint64_t n;

	if (v->footer.type == VHD_FIXED || size <= (uint64_t)v->header.max_bat * VHD_BLOCK ||
	    make_plan(v, size, &p))
		return 0;
	n = 4096 + v->meta_end + p.n_moves * (SPAN + 64) + VHD_LOCATORS * (TEXT_MAX + 32);
	free(p.moves);
	return n;
}
