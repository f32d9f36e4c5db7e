/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Labels, headers and slots of images that lvm2 wrote, and what we write ourselves. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/crc32.h"
#include "lib/err.h"
#include "lib/lvm2/label.h"
#include "lib/lvm2/mda.h"
#include "lib/lvm2/tree.h"
#include "tests/unit/lvm2_vec.h"
#include "tests/unit/t.h"

/* " vg NAME UUID seqno N" of a text, read with the plain parser. */
static void say_text(struct buf *b, const char *text, size_t size)
{
	struct arena a = { 0 };
	struct lvm_text t;
	struct lvm_node vg;
	struct view id = { "?", 1 };
	uint64_t seqno = 0;

	if (!EQ(lvm_text_open(&t, (struct view){ text, size }), 0) ||
	    !EQ(lvm_text_next(&t, &vg), 1) || !EQ(lvm_text_body(&t, &a, &vg), 0))
		return;
	EQ(lvm_get_str(&vg, "id", &id), 0);
	EQ(lvm_get_u64(&vg, "seqno", &seqno), 0);
	buf_printf(b, " vg %.*s %.*s seqno %" PRIu64, (int)vg.key.n, (const char *)vg.key.p,
		   (int)id.n, (const char *)id.p, seqno);
	arena_free(&a);
}

static void say_slot(struct buf *b, const struct lvm_mda *m, const struct lvm_slot *s, struct io *io)
{
	char *text = must_alloc(s->size + LVM_TEXT_PAD);

	buf_printf(b, " at %" PRIu64 " size %" PRIu64 " sum %08x flags %u",
		   s->at, s->size, s->sum, s->flags);
	if (!s->size) {
		;
	} else if (lvm_mda_read_text(m, s, io, text)) {
		buf_puts(b, " bad");
	} else {
		uint64_t end = s->at + s->size;

		buf_printf(b, " wrapped %" PRIu64, end > m->size ? end - m->size : 0);
		say_text(b, text, s->size);
	}
	free(text);
	buf_putc(b, '\n');
}

static void say_areas(struct buf *b, const char *what, int pv, const struct lvm_area *a, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		buf_printf(b, "%s %d %" PRIu64 " %" PRIu64 "\n", what, pv, a[i].at, a[i].size);
}

static void say_pv(struct buf *b, int pv, struct io *io)
{
	uint8_t head[LVM_LABEL_SCAN], again[LVM_SECTOR];
	char bare[33] = "";
	struct lvm_label l;
	struct lvm_mda m;

	buf_printf(b, "pv %d bytes %" PRIu64 "\n", pv, io->size);
	EQ(io_read(io, 0, head, sizeof(head)), 0);
	if (lvm_label_find(&l, head, sizeof(head))) {
		buf_printf(b, "label %d bad\n", pv);
		return;
	}
	EQ(lvm_label_encode(&l, again), 0);
	EQ(memcmp(again, head + (size_t)l.sector * LVM_SECTOR, LVM_SECTOR), 0);

	lvm_id_bare(&l.pv, bare);
	buf_printf(b, "label %d sector %u uuid %s size %" PRIu64 " ext %u %u\n", pv, l.sector,
		   bare, l.device_size, l.ext_version, l.ext_flags);
	say_areas(b, "data", pv, l.data, l.n_data);
	say_areas(b, "mda", pv, l.mda, l.n_mda);
	say_areas(b, "boot", pv, l.boot, l.n_boot);
	for (uint32_t k = 0; k < l.n_mda; k++) {
		if (lvm_mda_read(&m, io, l.mda[k].at)) {
			buf_printf(b, "header %d %u bad\n", pv, k);
			continue;
		}
		buf_printf(b, "header %d %u start %" PRIu64 " size %" PRIu64 "\n", pv, k,
			   m.start, m.size);
		EQ(io_read(io, l.mda[k].at, head, LVM_SECTOR), 0);
		lvm_mda_encode(&m, again);
		EQ(memcmp(again, head, LVM_SECTOR), 0);
		for (int i = 0; i < 2; i++) {
			buf_printf(b, "slot %d %u %d", pv, k, i);
			say_slot(b, &m, &m.slot[i], io);
		}
	}
}

TEST(lvm_labels_and_areas_are_read_as_lvm2_wrote_them)
{
	for (const char *const *s = vec_all; *s; s++) {
		_buf_free_ struct buf got = { 0 }, want = { 0 };
		struct io *pv[8];
		int n = vec_pvs(*s, pv, 8);

		OK(n > 0);
		for (int i = 0; i < n; i++)
			say_pv(&got, i, pv[i]);
		OK(vec_file(*s, "facts", &want));
		OK(vec_same(*s, buf_str(&got), buf_str(&want)));
		vec_close(pv, n);
	}
}

/* A tree of the whole text printed again; the comment behind the VG is not part of it. */
static bool reprinted(const char *name, const struct buf *text)
{
	_buf_free_ struct buf got = { 0 };
	struct arena a = { 0 };
	struct lvm_text t;
	struct lvm_node n;
	char *note, *line;
	bool same;

	EQ(lvm_text_open(&t, (struct view){ text->p, text->n }), 0);
	while (lvm_text_next(&t, &n) == 1) {
		EQ(lvm_text_body(&t, &a, &n), 0);
		lvm_print(&got, &n);
	}
	EQ(t.at == t.end, 1);
	/* What LVM2 says behind a hash in its last lines is for people. */
	note = arena_strdup(&a, text->p);
	while ((line = strstr(note, "\n# ")) || (line = strstr(note, "\t# "))) {
		char *nl = strchr(line + 1, '\n');

		memmove(line, nl, strlen(nl) + 1);
	}
	/* The empty line at the very end belongs to no entry. */
	note[strlen(note) - 1] = '\0';
	same = vec_same(name, buf_str(&got), note);
	arena_free(&a);
	return same;
}

TEST(lvm_texts_survive_a_tree_to_the_byte)
{
	for (const char *const *s = vec_all; *s; s++)
		for (int pv = 0; pv < 3; pv++) {
			_buf_free_ struct buf text = { 0 };
			char name[32];

			snprintf(name, sizeof(name), "pv%d.mda0.txt", pv);
			if (vec_file(*s, name, &text))
				OK(reprinted(*s, &text));
		}
}

TEST(lvm_label_as_worked_out_in_the_format)
{
	struct lvm_label l = {
		.sector = 1, .device_size = 104857600, .ext_version = 2,
		.n_data = 1, .data = { { 1048576, 0 } }, .n_mda = 1, .mda = { { 4096, 1044480 } },
	};
	uint8_t buf[LVM_SECTOR];

	EQ(lvm_id_parse(&l.pv, "abcdef-abcd-abcd-abcd-abcd-abcd-abcdef", 38), 0);
	EQ(lvm_label_encode(&l, buf), 0);
	EQ(le32_get((le32){ { buf[16], buf[17], buf[18], buf[19] } }), 0xe4160fd0);
	l.ext_flags = LVM_LABEL_USED;
	EQ(lvm_label_encode(&l, buf), 0);
	EQ(le32_get((le32){ { buf[16], buf[17], buf[18], buf[19] } }), 0xe55ffa3e);
}

TEST(lvm_label_damaged_wiped_and_misplaced)
{
	struct lvm_label l = { .sector = 2, .ext_version = 2 }, got;
	uint8_t disk[LVM_LABEL_SCAN] = { 0 };

	EQ(lvm_id_parse(&l.pv, "abcdefabcdabcdabcdabcdabcdabcdef", 32), 0);
	EQ(lvm_label_find(&got, disk, sizeof(disk)), -E_LVM_NO_LABEL);
	EQ(lvm_label_encode(&l, disk + 1024), 0);
	EQ(lvm_label_find(&got, disk, sizeof(disk)), 0);
	EQ(got.sector, 2);
	EQ(lvm_label_find(&got, disk, 1024), -E_LVM_NO_LABEL);
	/* One that says it lies elsewhere is none, and a good one behind it counts. */
	EQ(lvm_label_encode(&l, disk + 512), 0);
	EQ(lvm_label_find(&got, disk, sizeof(disk)), 0);
	EQ(got.sector, 2);
	disk[1024 + 300] ^= 1;
	EQ(lvm_label_find(&got, disk, sizeof(disk)), -E_LVM_LABEL);
	memset(disk + 512, 0, 1024);
	EQ(lvm_label_encode(&l, disk + 1024), 0);
	memset(disk + 1024 + 24, 0, 8);			/* as wipefs does */
	OK(lvm_label_find(&got, disk, sizeof(disk)) != 0);
	l.ext_version = 3;
	EQ(lvm_label_encode(&l, disk), -E_LVM_NEWER);
}

TEST(lvm_ids)
{
	struct lvm_id id;
	uint8_t random[32];

	EQ(lvm_id_parse(&id, "abcdef-abcd-abcd-abcd-abcd-abcd-abcde", 37), -E_LVM_ID);
	EQ(lvm_id_parse(&id, "abcdefabcdabcdabcdabcdabcdabcdefg", 33), -E_LVM_ID);
	EQ(lvm_id_parse(&id, "abcdefabcdabcdabcdabcdabcdabcd/f", 32), -E_LVM_ID);
	EQ(lvm_id_parse(&id, "!bcdefabcdabcdabcdabcdabcdabcde#", 32), 0);
	STR_EQ(id.s, "!bcdef-abcd-abcd-abcd-abcd-abcd-abcde#");
	memset(random, 61, sizeof(random));
	lvm_id_make(&id, random);
	STR_EQ(id.s, "ZZZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZZZ");
}

static uint32_t header_sum(const struct lvm_mda *m)
{
	uint8_t buf[LVM_SECTOR];

	lvm_mda_encode(m, buf);
	return le32_get((le32){ { buf[0], buf[1], buf[2], buf[3] } });
}

TEST(lvm_mda_header_as_worked_out_in_the_format)
{
	struct lvm_mda m = { .start = 4096, .size = 1044480 }, got;
	uint8_t buf[LVM_SECTOR];

	EQ(header_sum(&m), 0xdb8ed616);
	m.slot[0].flags = LVM_SLOT_IGNORED;
	EQ(header_sum(&m), 0x4524581e);
	m.slot[0] = (struct lvm_slot){ 512, 19, 0x7c3cce7b, 0 };
	EQ(header_sum(&m), 0x5ef53d1b);
	EQ(crc32_lvm2(CRC32_LVM2, "vg0 {\nseqno = 1\n}\n", 19), 0x7c3cce7b);

	lvm_mda_encode(&m, buf);
	EQ(lvm_mda_decode(&got, buf, 512, 4096), 0);
	EQ(got.slot[0].sum, 0x7c3cce7b);
	EQ(lvm_mda_decode(&got, buf, 512, 8192), -E_LVM_MDA);
	EQ(lvm_mda_decode(&got, buf, 511, 4096), -E_SHORT);
	buf[100] ^= 1;
	EQ(lvm_mda_decode(&got, buf, 512, 4096), -E_LVM_MDA);
}

TEST(lvm_slots_outside_of_the_ring_are_refused)
{
	static const struct { struct lvm_slot s; int err; } cases[] = {
		{ { 512, 100, 0, 0 }, 0 },
		{ { 8191, 100, 0, 0 }, 0 },
		{ { 0, 100, 0, 0 }, -E_LVM_MDA },
		{ { 8192, 100, 0, 0 }, -E_LVM_MDA },
		{ { 512, 7680, 0, 0 }, 0 },
		{ { 512, 7681, 0, 0 }, -E_LVM_MDA },
		{ { UINT64_MAX, 100, 0, 0 }, -E_LVM_MDA },
		{ { 512, UINT64_MAX, 0, 0 }, -E_LVM_MDA },
	};
	struct lvm_mda m = { .start = 4096, .size = 8192 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		EQ(lvm_slot_check(&m, &cases[i].s), cases[i].err);
	m.size = 1 << 30;
	EQ(lvm_slot_check(&m, &(struct lvm_slot){ 512, 100 * MiB, 0, 0 }), -E_TEXT_BIG);
}

TEST(lvm_ring_places_follow_lvm2)
{
	struct lvm_mda m = { .start = 4096, .size = 1044480 };
	struct lvm_slot s = { 0 };

	EQ(lvm_mda_max_text(&m), 521472);
	m.size = 61440;
	EQ(lvm_mda_max_text(&m), 29952);
	EQ(lvm_mda_place(&m, 29953, 512, &s), -E_LVM_FULL);
	EQ(lvm_mda_place(&m, 700, 512, &s), 0);
	EQ(s.at, 512);
	m.slot[0] = (struct lvm_slot){ 512, 705, 0, 0 };
	EQ(lvm_mda_place(&m, 700, 512, &s), 0);
	EQ(s.at, 1536);
	EQ(lvm_mda_place(&m, 700, 4096, &s), 0);
	EQ(s.at, 4096);
	/* The last sector of the ring can still be a beginning, what is behind it not. */
	m.slot[0] = (struct lvm_slot){ 61440 - 1024, 512, 0, 0 };
	EQ(lvm_mda_place(&m, 700, 512, &s), 0);
	EQ(s.at, 61440 - 512);
	m.slot[0].size = 513;
	EQ(lvm_mda_place(&m, 700, 512, &s), 0);
	EQ(s.at, 512);
	/* A wrapped one: its end is counted from the start of the ring. */
	m.slot[0] = (struct lvm_slot){ 61440 - 512, 2000, 0, 0 };
	EQ(lvm_mda_place(&m, 700, 512, &s), 0);
	EQ(s.at, 512 + 1536);
	m.slot[0].flags = LVM_SLOT_IGNORED;
	EQ(lvm_mda_place(&m, 700, 512, &s), 0);
	EQ(s.at, 512);
	m.slot[0] = (struct lvm_slot){ 61440, 700, 0, 0 };
	EQ(lvm_mda_place(&m, 700, 512, &s), -E_LVM_MDA);
}

/* Thousands of texts of every size in rings of every size: each stays until the next is whole. */
TEST(lvm_ring_never_overwrites_the_committed_text)
{
	static const uint64_t sizes[] = { 2048, 4096, 32768, 61440, 65536 + 512, 65536 + 100 };
	static const uint32_t sectors[] = { 512, 4096 };
	uint64_t seed = 7, wrapped = 0;

	for (size_t c = 0; c < ARRAY_SIZE(sizes) * 2; c++) {
		struct lvm_mda m = { .start = 4096, .size = sizes[c / 2] };
		struct io *disk = io_mem(256 << 10, 256 << 10);
		char *old = must_alloc(m.size + LVM_TEXT_PAD), *text = must_alloc(m.size + LVM_TEXT_PAD);

		for (int round = 0; round < 500; round++) {
			struct lvm_slot s = { 0 };
			uint64_t size = 1 + vec_rand(&seed) % lvm_mda_max_text(&m);

			memset(text, 0, m.size + LVM_TEXT_PAD);
			for (uint64_t i = 0; i < size; i++)
				text[i] = (char)(1 + vec_rand(&seed) % 255);
			EQ(lvm_mda_place(&m, size, sectors[c & 1], &s), 0);
			s.sum = crc32_lvm2(CRC32_LVM2, text, size);
			EQ(lvm_mda_write_text(&m, &s, disk, text), 0);
			wrapped += s.at + s.size > m.size;
			if (m.slot[0].size)
				EQ(lvm_mda_read_text(&m, &m.slot[0], disk, old), 0);
			EQ(lvm_mda_read_text(&m, &s, disk, old), 0);
			m.slot[0] = s;
		}
		EQ(io_read(disk, 4096 + m.size, old, 1024), 0);
		OK(is_zero(old, 1024));			/* nothing was written behind the area */
		EQ(io_read(disk, 0, old, 4096 > m.size ? m.size : 4096), 0);
		OK(is_zero(old, 4096 > m.size ? m.size : 4096));
		free(old);
		free(text);
		io_close(disk);
	}
	OK(wrapped > 100);
}
