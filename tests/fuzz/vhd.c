/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One image of a stranger: looked at, checked, written to, mended. */
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/image.h"
#include "lib/vhd/check.h"
#include "lib/vhd/edit.h"
#include "lib/vhd/parent.h"
#include "lib/vhd/resize.h"
#include "tests/fuzz/vhd_file.h"

/* Reading anything that opened ends, and lies within the image. */
static void look(struct io *io)
{
	struct image *im = NULL;
	struct image_info info;
	struct image_run run;
	uint8_t b[4096];
	struct io *window;

	CHECK(!io_window(&window, io, 0, io->size));
	if (image_open(&im, window, IMAGE_VHD, 0, NULL, NULL))
		return;
	CHECK(!image_info(im, 0, &info));
	for (uint64_t at = 0, n = 0; at < im->size && n < 50; at += run.length, n++) {
		if (image_map(im, at, 0, &run))
			break;
		CHECK(run.length && run.start == at && run.length <= im->size - at);
		if (run.length > sizeof(b))
			(void)!image_read(im, at + run.length - sizeof(b), b, sizeof(b));
	}
	image_close(im);
}

/* What was written is read again, by us and after opening anew, and nothing is wrong then. */
static void change(struct io *io)
{
	struct arena a = { 0 };
	struct vhd_findings f = { .arena = &a };
	struct vhd *v = NULL;
	uint8_t b[512], got[512];

	if (vhd_open(&v, io, VHD_RDWR))
		return;
	memset(b, 0x5a, sizeof(b));
	if (v->footer.size >= 512 && !vhd_write(v, v->footer.size - 512, b, 512)) {
		CHECK(!vhd_finish(v));
		vhd_close(v);
		v = NULL;
		CHECK(!vhd_open(&v, io, VHD_RDWR));
		CHECK(!vhd_read_alone(v, v->footer.size - 512, got, 512));
		CHECK(!memcmp(b, got, 512));
	}
	(void)!vhd_set_hidden(v, true);
	(void)!vhd_resize(v, v->footer.size / VHD_BLOCK * VHD_BLOCK + VHD_BLOCK, NULL);
	vhd_close(v);
	CHECK(!vhd_check(io, VHD_CHECK_BITMAPS, 1, &f));
	arena_free(&a);
}

static void round_trip(const uint8_t *data, size_t size)
{
	struct vhd_footer f, g;
	struct vhd_footer_disk fd;
	struct vhd_header h, k;
	struct vhd_header_disk hd;

	if (size >= 512 && !vhd_footer_decode(&f, data, size)) {
		vhd_footer_encode(&f, &fd);
		CHECK(!vhd_footer_decode(&g, &fd, sizeof(fd)));
		CHECK(f.size == g.size && f.type == g.type && f.hidden == g.hidden);
	}
	if (size >= 1536 && !vhd_header_decode(&h, data + 512, size - 512)) {
		vhd_header_encode(&h, &hd);
		CHECK(!vhd_header_decode(&k, &hd, sizeof(hd)));
		CHECK(!memcmp(&h, &k, sizeof(h)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct vhd_findings f = { .arena = &a };
	struct io *io;

	if (size < 2)
		return 0;
	round_trip(data + 1, size - 1);
	io = make_file(data[0], data + 1, size - 1);
	look(io);
	CHECK(!vhd_check(io, VHD_CHECK_BITMAPS, 1, &f));
	arena_free(&a);
	if (data[0] & WRITE) {
		change(io);
		(void)!vhd_repair(io, NULL);
		look(io);
	}
	io_close(io);
	return 0;
}
