/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a disk lies: as many runs as there can be in a table of device-mapper. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "lib/image.h"
#include "lib/vhd/create.h"
#include "tests/unit/vhd_util.h"

#define BLOCKS	245u			/* of 4096 runs */

/* A file of holes whose bitmaps say that every second sector is there. */
static struct io *comb(void)
{
	struct vhd_create how = { .type = VHD_DYNAMIC, .size = BLOCKS * VHD_BLOCK, .uuid = { 1 } };
	struct io *io = NULL;
	struct vhd *v = NULL;
	uint8_t bits[512];

	memset(bits, 0xaa, sizeof(bits));
	EQ(io_from_fd(&io, memfd_create("comb", MFD_CLOEXEC), IO_RDWR), 0);
	EQ(vhd_create(io, &how), 0);
	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	for (uint32_t i = 0; i < BLOCKS; i++)
		EQ(vhd_write(v, (uint64_t)i * VHD_BLOCK, bits, sizeof(bits)), 0);
	EQ(vhd_finish(v), 0);
	for (uint32_t i = 0; i < BLOCKS; i++)
		EQ(io_write(io, (uint64_t)vhd_entry(v, i) * 512, bits, sizeof(bits)), 0);
	vhd_close(v);
	return io;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

TEST(image_spans_a_million_runs_in_little_time)
{
	struct image *im = NULL;
	struct image_span *v;
	struct arena a = { 0 };
	size_t n, want = BLOCKS * 4096u;
	double from;

	EQ(image_open(&im, comb(), IMAGE_VHD, 0, NULL, NULL), 0);
	from = seconds();
	EQ(image_spans(im, &a, want, &v, &n), 0);
	/* It takes 0.1 s; a sanitizer ten times that. */
	OK(seconds() - from < 5);
	EQ(n, want);
	if (n == want) {
		EQ(v[1].level, IMAGE_NOWHERE);
		EQ(v[n - 2].start, BLOCKS * (uint64_t)VHD_BLOCK - 1024);
		EQ(v[n - 2].offset + 1024 + 512, im->levels[0].io->size);
	}
	EQ(sizeof(*v), 32);		/* bytes each, and at most three times that for what it grew from */
	EQ(image_spans(im, &a, want - 1, &v, &n), -E2BIG);
	arena_free(&a);
	image_close(im);
}
