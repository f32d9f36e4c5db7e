/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file that ends where no entry can lead: what blocks have left is used again, and by nobody else. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/kconfig.h"
#include "lib/vhd/bat.h"
#include "lib/vhd/batmap.h"
#include "lib/vhd/bitmap.h"
#include "lib/vhd/check.h"
#include "lib/vhd/resize.h"
#include "tests/unit/vhd_crash.h"

#define BLOCKS	8u
#define SPAN	((uint64_t)VHD_BLOCK_SPAN * VHD_SECTOR)

static uint32_t sector(uint32_t block)
{
	return block * VHD_BLOCK_SECTORS + 7;
}

static void move(struct vhd *v, uint32_t block, uint64_t to)
{
	char *p = must_alloc(SPAN);

	EQ(io_read(v->io, vhd_entry(v, block) * VHD_SECTOR, p, SPAN), 0);
	EQ(io_write(v->io, to, p, SPAN), 0);
	free(p);
	vhd_bat_set(v, block, (uint32_t)(to / VHD_SECTOR));
	v->data_end = to + SPAN;
	v->grown = true;
}

/*
 * Blocks 0 to 3 hold their number and 9 more.  The third is the last that an entry can name,
 * and block 1 has been forgotten.
 */
static struct io *full_file(uint32_t old[BLOCKS])
{
	struct vhd_create how = { .type = VHD_DYNAMIC, .size = BLOCKS * VHD_BLOCK, .uuid = { 7 } };
	uint64_t most = (uint64_t)VHD_BAD * VHD_SECTOR - SPAN;
	int fd = memfd_create("vhd", MFD_CLOEXEC);
	struct io *io = NULL;
	struct vhd *v = NULL;

	EQ(io_from_fd(&io, fd, IO_RDWR), 0);
	EQ(vhd_create(io, &how), 0);
	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	for (uint32_t i = 0; i < 4; i++) {
		for (uint32_t s = 0; s < 64; s++)
			crash_put(v, i * VHD_BLOCK_SECTORS + s, (uint8_t)(i + 9));
		old[i] = vhd_entry(v, i);
	}
	EQ(vhd_finish(v), 0);
	move(v, 3, vhd_bat_place(most) > most ? vhd_bat_place(most) - 4096 : most);
	vhd_bits_drop(v, 1);
	vhd_bat_set(v, 1, VHD_UNUSED);
	EQ(vhd_finish(v), 0);
	vhd_close(v);
	return io;
}

static void judge(struct io *io)
{
	struct arena a = { 0 };
	struct vhd_findings f = { .arena = &a };

	EQ(vhd_check(io, VHD_CHECK_BITMAPS, 0, &f), 0);
	for (size_t i = 0; i < f.n; i++)
		fprintf(stderr, "%s\n", f.v[i].what);
	EQ(f.n, 0);
	arena_free(&a);
}

TEST(vhd_that_ends_at_2_tib_uses_places_again_for_who_is_alone)
{
	uint32_t old[BLOCKS];
	struct io *io = full_file(old);
	struct vhd *v = NULL;

	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	{
		uint64_t len = 512, pos;

		EQ(vhd_write_begin(v, sector(5) * 512ull, &len, &pos), -EFBIG);
		EQ(vhd_entry(v, 5), VHD_UNUSED);
	}
	vhd_close(v);
	if (!IS_ENABLED(CONFIG_GC_RESUME)) {
		io_close(io);
		return;
	}
	EQ(vhd_open(&v, io, VHD_RDWR | VHD_ALONE), 0);
	crash_put(v, sector(5), 1);
	crash_put(v, sector(1), 2);
	crash_put(v, sector(6), 3);
	EQ(vhd_entry(v, 5), old[1]);
	EQ(vhd_entry(v, 1), old[3]);
	EQ(vhd_entry(v, 6), old[3] + VHD_BLOCK_SPAN + 7);
	EQ(vhd_finish(v), 0);
	vhd_close(v);
	judge(io);
	EQ(vhd_open(&v, io, 0), 0);
	/* Nothing shows of what was there before. */
	for (uint32_t s = 0; s < 64; s++) {
		EQ(crash_get(v, 5 * VHD_BLOCK_SECTORS + s), s == 7 ? 1 : 0);
		EQ(crash_get(v, 1 * VHD_BLOCK_SECTORS + s), s == 7 ? 2 : 0);
		EQ(crash_get(v, 6 * VHD_BLOCK_SECTORS + s), s == 7 ? 3 : 0);
		EQ(crash_get(v, 2 * VHD_BLOCK_SECTORS + s), 11);
		EQ(crash_get(v, 3 * VHD_BLOCK_SECTORS + s), 12);
	}
	vhd_close(v);
	io_close(io);
}

TEST(vhd_that_ends_at_2_tib_grows)
{
	uint32_t old[BLOCKS];
	struct io *io = full_file(old), *journal = io_mem(0, 64 * MiB);
	uint64_t size = 8192 * VHD_BLOCK;
	struct vhd *v = NULL;

	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	OK(vhd_resize_journal(v, size) > 0);
	EQ(vhd_resize(v, size, journal), IS_ENABLED(CONFIG_GC_RESUME) ? 0 : -EFBIG);
	vhd_close(v);
	judge(io);
	EQ(vhd_open(&v, io, VHD_RDWR | VHD_ALONE), 0);
	for (uint32_t s = 0; s < 64; s++) {
		EQ(crash_get(v, 0 * VHD_BLOCK_SECTORS + s), 9);
		EQ(crash_get(v, 1 * VHD_BLOCK_SECTORS + s), 0);
		EQ(crash_get(v, 2 * VHD_BLOCK_SECTORS + s), 11);
		EQ(crash_get(v, 3 * VHD_BLOCK_SECTORS + s), 12);
	}
	if (IS_ENABLED(CONFIG_GC_RESUME)) {
		OK(vhd_entry(v, 0) != old[0] && vhd_entry(v, 2) == old[2]);
		crash_put(v, sector(8000), 5);
		EQ(vhd_finish(v), 0);
		EQ(crash_get(v, sector(8000)), 5);
	}
	vhd_close(v);
	judge(io);
	io_close(io);
	io_close(journal);
}
