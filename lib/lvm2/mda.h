/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A metadata area (mda): a header of one sector, then a ring of texts.
 *
 *	| header | ring: old text | committed text |  next text ...         |
 *	0       512                                                        size
 *
 * The header's slot 0 points to the committed text.  A change writes the whole
 * new text where nothing live is and then the header, one sector, which commits
 * it.  A text that meets the end of the ring goes on at byte 512.  The size of a
 * text counts a NUL at its end, and the checksum covers that too.
 *
 * Slot 1 announces a text that is about to be committed; no reader looks at it.
 */
#ifndef LIB_LVM2_MDA_H
#define LIB_LVM2_MDA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bytes.h"
#include "lib/lvm2/label.h"

struct io;

#define LVM_TEXT_MAX	(32 * MiB)	/* of one text; 10,000 volumes need 3 MiB */
#define LVM_SLOT_IGNORED 1		/* flag of slot 0: this area holds no text now */

struct lvm_slot {
	uint64_t at;			/* from the start of the area */
	uint64_t size;			/* 0: no text */
	uint32_t sum;
	uint32_t flags;
};

struct lvm_mda {
	uint64_t start, size;		/* bytes of the device, header included */
	struct lvm_slot slot[2];
};

/* The header found at byte start of the device.  -E_LVM_MDA when it is damaged. */
int lvm_mda_decode(struct lvm_mda *m, const void *buf, size_t len, uint64_t start);
void lvm_mda_encode(const struct lvm_mda *m, uint8_t buf[LVM_SECTOR]);
int lvm_mda_read(struct lvm_mda *m, struct io *io, uint64_t start);
int lvm_mda_write(const struct lvm_mda *m, struct io *io);

bool lvm_mda_is_ignored(const struct lvm_mda *m);

/*
 * Is the slot one this area can have?  -E_LVM_MDA when it points outside of the
 * ring, -E_TEXT_BIG beyond LVM_TEXT_MAX.
 */
int lvm_slot_check(const struct lvm_mda *m, const struct lvm_slot *s);
/*
 * Read slot->size bytes of text.  -E_LVM_SUM when the checksum says no.  Whole
 * sectors are read: behind the text there must be room for LVM_TEXT_PAD more.
 */
int lvm_mda_read_text(const struct lvm_mda *m, const struct lvm_slot *s, struct io *io, char *text);

#define LVM_TEXT_PAD 4096
/* The largest text, NUL included, that always finds room beside the committed one. */
uint64_t lvm_mda_max_text(const struct lvm_mda *m);
/*
 * Where the next text of that size goes; s->sum and s->flags are left alone.
 * On devices whose sectors are larger than 512 bytes the place is rounded to
 * them when the ring is long enough, so that no write shares a sector with the
 * committed text.  -E_LVM_FULL above lvm_mda_max_text().
 */
int lvm_mda_place(const struct lvm_mda *m, uint64_t size, uint32_t sector, struct lvm_slot *s);
/*
 * The same beside another text of that ring as well, which somebody still reads
 * from.  Where there is no room for three, the committed one is spared; with
 * keep_first the other one.
 */
int lvm_mda_place_beside(const struct lvm_mda *m, uint64_t size, uint32_t sector,
			 const struct lvm_slot *keep, bool keep_first, struct lvm_slot *s);
/*
 * Write a text to its place.  Behind the s->size bytes the caller keeps
 * LVM_TEXT_PAD zero bytes: whole sectors are written.
 */
int lvm_mda_write_text(const struct lvm_mda *m, const struct lvm_slot *s, struct io *io,
		       const char *text);

#endif
