/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>
#include <string.h>

#include "lib/crc32.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/lvm2/mda.h"

#define RING LVM_SECTOR		/* the ring begins behind the header */

struct slot_disk {
	le64	at;
	le64	size;
	le32	sum;
	le32	flags;
};

struct mda_disk {
	le32	sum;			/* of everything behind it */
	uint8_t	magic[16];
	le32	version;		/* 1 */
	le64	start;
	le64	size;
	struct slot_disk slot[2];
	uint8_t	zero[424];
};
static_assert(sizeof(struct mda_disk) == LVM_SECTOR, "header of a metadata area is one sector");

static const uint8_t magic[16] = " LVM2 x[5A%r0N*>";

static uint32_t header_sum(const struct mda_disk *d)
{
	return crc32_lvm2(CRC32_LVM2, (const uint8_t *)d + 4, sizeof(*d) - 4);
}

int lvm_mda_decode(struct lvm_mda *m, const void *buf, size_t len, uint64_t start)
{
	struct mda_disk d;

	if (len < sizeof(d))
		return -E_SHORT;
	memcpy(&d, buf, sizeof(d));
	if (memcmp(d.magic, magic, sizeof(magic)) || le32_get(d.sum) != header_sum(&d) ||
	    le32_get(d.version) != 1 || le64_get(d.start) != start ||
	    le64_get(d.size) < RING || le64_get(d.size) > INT64_MAX - RING)
		return -E_LVM_MDA;

	*m = (struct lvm_mda){ .start = start, .size = le64_get(d.size) };
	for (int i = 0; i < 2; i++)
		m->slot[i] = (struct lvm_slot){
			.at = le64_get(d.slot[i].at), .size = le64_get(d.slot[i].size),
			.sum = le32_get(d.slot[i].sum), .flags = le32_get(d.slot[i].flags),
		};
	return 0;
}

void lvm_mda_encode(const struct lvm_mda *m, uint8_t buf[LVM_SECTOR])
{
	struct mda_disk d = {
		.version = le32_put(1), .start = le64_put(m->start), .size = le64_put(m->size),
	};

	memcpy(d.magic, magic, sizeof(magic));
	for (int i = 0; i < 2; i++)
		d.slot[i] = (struct slot_disk){
			.at = le64_put(m->slot[i].at), .size = le64_put(m->slot[i].size),
			.sum = le32_put(m->slot[i].sum), .flags = le32_put(m->slot[i].flags),
		};
	d.sum = le32_put(header_sum(&d));
	memcpy(buf, &d, sizeof(d));
}

int lvm_mda_read(struct lvm_mda *m, struct io *io, uint64_t start)
{
	uint8_t buf[LVM_SECTOR];
	int err = io_read(io, start, buf, sizeof(buf));

	return err ? err : lvm_mda_decode(m, buf, sizeof(buf), start);
}

int lvm_mda_write(const struct lvm_mda *m, struct io *io)
{
	uint8_t buf[LVM_SECTOR];

	lvm_mda_encode(m, buf);
	return io_write(io, m->start, buf, sizeof(buf));
}

bool lvm_mda_is_ignored(const struct lvm_mda *m)
{
	return m->slot[0].flags & LVM_SLOT_IGNORED;
}

int lvm_slot_check(const struct lvm_mda *m, const struct lvm_slot *s)
{
	if (s->at < RING || s->at >= m->size || s->size > m->size - RING)
		return -E_LVM_MDA;
	return s->size > LVM_TEXT_MAX ? -E_TEXT_BIG : 0;
}

/* How much of the text lies before the end of the ring. */
static uint64_t before_wrap(const struct lvm_mda *m, const struct lvm_slot *s)
{
	return s->size < m->size - s->at ? s->size : m->size - s->at;
}

/* In whole sectors where the area has them, so that a direct read needs no detour. */
static int read_sectors(const struct lvm_mda *m, struct io *io, uint64_t at, char *to, uint64_t n)
{
	uint64_t up;

	if (!round_up_ok(n, io->sector > LVM_SECTOR ? io->sector : LVM_SECTOR, &up) ||
	    up - n > LVM_TEXT_PAD || up > m->size - at || !range_ok(m->start + at, up, io->size))
		up = n;
	return io_read(io, m->start + at, to, up);
}

int lvm_mda_read_text(const struct lvm_mda *m, const struct lvm_slot *s, struct io *io, char *text)
{
	uint64_t head;
	int err = lvm_slot_check(m, s);

	if (err)
		return err;
	head = before_wrap(m, s);
	err = read_sectors(m, io, s->at, text, head);
	if (!err && head < s->size)
		err = read_sectors(m, io, RING, text + head, s->size - head);
	if (!err && crc32_lvm2(CRC32_LVM2, text, s->size) != s->sum)
		err = -E_LVM_SUM;
	return err;
}

uint64_t lvm_mda_max_text(const struct lvm_mda *m)
{
	uint64_t half = (m->size - RING) / 2;

	return half > LVM_SECTOR ? half - LVM_SECTOR : 0;
}

/* The byte behind the last one of a text, as an offset in the ring. */
static uint64_t end_of(const struct lvm_mda *m, const struct lvm_slot *s)
{
	uint64_t end = s->at + s->size;

	return end > m->size ? end - m->size + RING : end;
}

/* Would size bytes at this place touch the committed text?  Lengths go round the ring. */
static bool overlaps(const struct lvm_mda *m, uint64_t at, uint64_t size,
		     const struct lvm_slot *old)
{
	uint64_t ring = m->size - RING;
	uint64_t from_old = (at + ring - old->at) % ring;

	return from_old < old->size || ring - from_old < size;
}

int lvm_mda_place(const struct lvm_mda *m, uint64_t size, uint32_t sector, struct lvm_slot *s)
{
	const struct lvm_slot *old = &m->slot[0];
	uint64_t at = RING, wide = RING, whole;

	if (size > lvm_mda_max_text(m) || size > LVM_TEXT_MAX)
		return -E_LVM_FULL;
	s->size = size;
	if (!round_up_ok(size, LVM_SECTOR, &whole))
		return -E_LVM_FULL;
	if (!lvm_mda_is_ignored(m) && old->size) {
		if (lvm_slot_check(m, old))
			return -E_LVM_MDA;
		/* In the last sector of the ring there is no next one. */
		if (!round_up_ok(end_of(m, old), LVM_SECTOR, &at) || at > m->size - LVM_SECTOR)
			at = RING;
		/*
		 * The whole sectors of both must be apart, counted from the start
		 * of the device, which is where a sector of 4096 bytes begins.
		 */
		if (round_up_ok(m->start + at, sector, &wide) && sector > LVM_SECTOR) {
			wide -= m->start;
			if (wide < m->size - LVM_SECTOR && !overlaps(m, wide, whole + sector, old))
				at = wide;
		}
		/* Cannot be for a text that LVM2's rule placed; may be for a foreign one. */
		if (overlaps(m, at, whole, old))
			return -E_LVM_FULL;
	}
	s->at = at;
	return 0;
}

/* Whole sectors of a text at that place against another text. */
static bool would_hit(const struct lvm_mda *m, const struct lvm_slot *s, const struct lvm_slot *old)
{
	uint64_t whole;

	return old->size && !lvm_slot_check(m, old) &&
	       (!round_up_ok(s->size, LVM_SECTOR, &whole) || overlaps(m, s->at, whole, old));
}

int lvm_mda_place_beside(const struct lvm_mda *m, uint64_t size, uint32_t sector,
			 const struct lvm_slot *keep, bool keep_first, struct lvm_slot *s)
{
	struct lvm_slot usual = *s, other = *s;
	struct lvm_mda behind = *m;
	int err = lvm_mda_place(m, size, sector, &usual);

	if (!err && !would_hit(m, &usual, keep)) {
		*s = usual;
		return 0;
	}
	behind.slot[0] = (struct lvm_slot){ .at = keep->at, .size = keep->size };
	if (!err && !lvm_mda_place(&behind, size, sector, &other) &&
	    (keep_first || !would_hit(m, &other, &m->slot[0])))
		usual = other;
	if (!err)
		*s = usual;
	return err;
}

int lvm_mda_write_text(const struct lvm_mda *m, const struct lvm_slot *s, struct io *io,
		       const char *text)
{
	uint64_t head = before_wrap(m, s), rest = s->size - head, up;
	int err;

	if (!rest) {
		/* Fill the last sector with zeroes, but never past the end of the area. */
		if (round_up_ok(s->size, LVM_SECTOR, &up) && up <= m->size - s->at)
			head = up;
		return io_write(io, m->start + s->at, text, head);
	}
	err = io_write(io, m->start + s->at, text, head);
	if (!err && round_up_ok(rest, LVM_SECTOR, &up))
		err = io_write(io, m->start + RING, text + head, up);
	return err;
}
