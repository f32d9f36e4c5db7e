/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The header of a metadata area, checksum right, on a device of 64 KiB; and the next text in it. */
#include <string.h>

#include "lib/arena.h"
#include "lib/crc32.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/lvm2/mda.h"
#include "tests/fuzz/fuzz.h"

#define START 4096

/* What is placed beside the committed text must leave it alone. */
static void next_text(struct lvm_mda *m, struct io *io, const char *old, uint32_t sector)
{
	uint64_t max = lvm_mda_max_text(m), size = max < 3000 ? max : 3000;
	struct lvm_slot s = { 0 };
	char *text, *now;
	int err;

	if (!size || lvm_mda_place(m, size, sector, &s))
		return;
	CHECK(s.at >= 512 && s.at < m->size && s.size == size);
	text = must_alloc(size + LVM_TEXT_PAD);
	memset(text, 'x', size);
	s.sum = crc32_lvm2(CRC32_LVM2, text, size);
	err = lvm_mda_write_text(m, &s, io, text);
	if (!err) {
		now = must_alloc(size + LVM_TEXT_PAD);
		CHECK(!lvm_mda_read_text(m, &s, io, now));
		free(now);
	}
	if (old) {
		now = must_alloc(m->slot[0].size + LVM_TEXT_PAD);
		CHECK(lvm_mda_read_text(m, &m->slot[0], io, now) || !memcmp(now, old, m->slot[0].size));
		free(now);
	}
	free(text);
}

static bool apart(const struct lvm_mda *m, const struct lvm_slot *a, const struct lvm_slot *b)
{
	uint64_t ring = m->size - LVM_SECTOR, gap = (a->at + ring - b->at) % ring;

	return gap >= b->size && ring - gap >= a->size;
}

/* Beside two texts: never over the committed one, unless the other comes first. */
static void beside(const struct lvm_mda *m, const struct lvm_slot *keep, bool keep_first)
{
	struct lvm_slot usual = { 0 }, s = { 0 };
	int err = lvm_mda_place(m, 1000, 512, &usual);

	CHECK(lvm_mda_place_beside(m, 1000, 512, keep, keep_first, &s) == err);
	if (err)
		return;
	CHECK(s.at >= 512 && s.at < m->size && s.size == 1000);
	if (!keep_first && m->slot[0].size && !lvm_mda_is_ignored(m))
		CHECK(apart(m, &s, &m->slot[0]));
	if (keep_first && keep->size && !lvm_slot_check(m, keep) && s.at != usual.at)
		CHECK(apart(m, &s, keep));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t sector[LVM_SECTOR] = { 0 }, out[LVM_SECTOR];
	struct io *io = io_mem(64 << 10, 64 << 10);
	struct lvm_mda m;
	char *text;
	le32 sum;

	memcpy(sector, data, size < sizeof(sector) ? size : sizeof(sector));
	memcpy(sector + 4, " LVM2 x[5A%r0N*>\1\0\0\0\0\x10\0\0\0\0\0", 28);
	memset(sector + 88, 0, LVM_SECTOR - 88);
	sum = le32_put(crc32_lvm2(CRC32_LVM2, sector + 4, LVM_SECTOR - 4));
	memcpy(sector, &sum, sizeof(sum));
	if (size > LVM_SECTOR)
		CHECK(!io_write(io, START + 512, data + LVM_SECTOR, size - LVM_SECTOR));
	if (!lvm_mda_decode(&m, sector, sizeof(sector), START)) {
		lvm_mda_encode(&m, out);
		CHECK(!memcmp(out, sector, sizeof(out)));
		text = NULL;
		if (m.slot[0].size && m.slot[0].size < 1 << 20) {
			/* As if its checksum were right. */
			text = must_alloc(m.slot[0].size + LVM_TEXT_PAD);
			if (lvm_mda_read_text(&m, &m.slot[0], io, text) == -E_LVM_SUM) {
				m.slot[0].sum = crc32_lvm2(CRC32_LVM2, text, m.slot[0].size);
				CHECK(!lvm_mda_read_text(&m, &m.slot[0], io, text));
			} else {
				free(text);
				text = NULL;
			}
		}
		beside(&m, &m.slot[1], false);
		beside(&m, &m.slot[1], true);
		next_text(&m, io, text, 512);
		next_text(&m, io, text, 4096);
		free(text);
	}
	io_close(io);
	return 0;
}
