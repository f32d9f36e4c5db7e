/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One view of all formats: what it is, what it says, and raw images. */
#include <string.h>

#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/vhd/create.h"
#include "lib/vhd/open.h"
#include "tests/unit/vhd_util.h"

TEST(image_is_known_by_its_content)
{
	static const struct { const char *dir, *file; enum image_format f; } want[] = {
		{ "vhd", "dyn-empty-1m.vhd", IMAGE_VHD }, { "vhd", "fixed-3m.vhd", IMAGE_VHD },
		{ "vhd", "footer-missing.vhd", IMAGE_VHD },
		{ "vhd", "footer-short.vhd", IMAGE_VHD },
		{ "vhd", "jresize-crash-end.vhd", IMAGE_VHD },
		{ "vhd", "rawp-parent.raw", IMAGE_RAW },
		{ "qcow2", "v2.qcow2", IMAGE_QCOW2 }, { "qcow2", "rb.raw", IMAGE_RAW },
	};
	struct io *empty = io_mem(0, 0);
	enum image_format f;

	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		struct io *io = vec_open(want[i].dir, want[i].file);

		if (!io)
			continue;
		EQ(image_probe(io, &f), 0);
		t_str_eq(want[i].file, 0, "format", image_format_name(f),
			 image_format_name(want[i].f));
		io_close(io);
	}
	EQ(image_probe(empty, &f), 0);
	EQ(f, IMAGE_RAW);
	io_close(empty);
	EQ(image_format_by_name("qcow2", &f), 0);
	EQ(f, IMAGE_QCOW2);
	EQ(image_format_by_name("vmdk", &f), -E_IMAGE_FORMAT);
}

static void load(struct vec *v, const char *file, struct image **im, struct image_info *info)
{
	*im = NULL;
	*info = (struct image_info){ 0 };
	EQ(vec_image(v, file, 0, im), 0);
	if (*im)
		EQ(image_info(*im, 0, info), 0);
}

TEST(image_info_says_what_people_ask_for)
{
	struct image_info info;
	struct image *im;
	struct vec x;

	vec_load(&x, "vhd");
	load(&x, "chain3-leaf.vhd", &im, &info);
	STR_EQ(info.type, "differencing");
	EQ(info.virtual_size, 40 * MiB);
	EQ(info.physical_size, 6308352);
	EQ(info.allocated_blocks, 3);
	EQ(info.block_size, 2 * MiB);
	STR_EQ(info.creator, "tap 1.3");
	STR_EQ(info.parent_path, "./chain3-mid.vhd");
	OK(info.has_parent && info.parent_has_uuid && !info.parent_raw && !info.hidden);
	EQ(info.n_problems, 0);
	image_close(im);
	load(&x, "rawp-child.vhd", &im, &info);
	OK(info.has_parent && info.parent_raw && !info.parent_has_uuid);
	OK(im && im->levels[1].format == IMAGE_RAW);
	image_close(im);
	load(&x, "footer-killed.vhd", &im, &info);
	EQ(info.n_problems, 1);
	image_close(im);
	load(&x, "keyhash.vhd", &im, &info);
	EQ(info.n_problems, 1);
	image_close(im);
	load(&x, "qemu-fixed-5m.vhd", &im, &info);
	STR_EQ(info.type, "fixed");
	STR_EQ(info.creator, "qemu 5.3");
	image_close(im);
	vec_free(&x);

	vec_load(&x, "qcow2");
	load(&x, "xcpng-hidden1.qcow2", &im, &info);
	OK(info.hidden);
	EQ(info.block_size, 65536);
	image_close(im);
	load(&x, "leaf.qcow2", &im, &info);
	STR_EQ(info.parent_path, "mid.qcow2");
	image_close(im);
	load(&x, "corrupt-bit.qcow2", &im, &info);
	EQ(info.n_problems, 1);
	image_close(im);
	vec_free(&x);
}

TEST(image_raw_reads_and_maps_its_holes)
{
	struct io *io = io_mem(1 * MiB, 1 * MiB);
	struct image *im = NULL;
	struct image_run r;
	uint8_t b[16];

	EQ(io_write(io, 64 * KiB, "data", 4), 0);
	EQ(image_open(&im, io, IMAGE_RAW, 0, NULL, NULL), 0);
	EQ(image_map(im, 0, 0, &r), 0);
	OK(r.zero && !r.data && r.present && r.length == 64 * KiB);
	EQ(image_map(im, 64 * KiB, 0, &r), 0);
	OK(r.data && !r.zero && r.length == 4096 && r.offset == 64 * KiB);
	EQ(image_map(im, 1 * MiB, 0, &r), -E_SHORT);
	EQ(image_read(im, 64 * KiB + 1, b, 3), 0);
	MEM_EQ(b, "ata", 3);
	EQ(image_read(im, 1 * MiB - 1, b, 2), -E_SHORT);
	image_close(im);
	EQ(image_open(&im, io_mem(0, 0), IMAGE_QCOW2, IMAGE_RDWR, NULL, NULL), -EROFS);
}

TEST(vhd_peek_needs_one_read_and_refuses_fixed_images)
{
	struct io *io = vec_open("vhd", "chain3-mid.vhd"), *fixed = vec_open("vhd", "fixed-3m.vhd");
	struct vhd_footer f;
	struct vhd_header h;
	uint8_t head[VHD_HEAD];

	if (!io || !fixed)
		return;
	EQ(io_read(io, 0, head, sizeof(head)), 0);
	EQ(vhd_peek(&f, &h, head, sizeof(head)), 0);
	EQ(f.size, 40 * MiB);
	EQ(f.hidden, true);
	EQ(h.max_bat, 20);
	EQ(vhd_peek(&f, &h, head, sizeof(head) - 1), -E_SHORT);
	EQ(vhd_peek(&f, &h, head, 100), -E_SHORT);
	EQ(io_read(fixed, 0, head, sizeof(head)), 0);
	EQ(vhd_peek(&f, &h, head, sizeof(head)), -E_VHD_MAGIC);
	io_close(io);
	io_close(fixed);
}
