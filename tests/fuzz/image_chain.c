/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A child and its parents, which the child names: four files of a folder, each
 * given as what it is like, its length and its beginning.  Names and ids lead
 * wherever they like, also back.
 */
#include "lib/err.h"
#include "lib/image.h"
#include "lib/vhd/locator.h"
#include "tests/fuzz/vhd_file.h"

#define FILES 4

struct folder {
	struct io *file[FILES];
	size_t asked;
};

static bool is_plain(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

/* As a careful caller does: the last component alone, "0" to "3" by its first character. */
static int find(void *arg, const struct image_parent *want, struct io **io, enum image_format *f)
{
	struct folder *d = arg;

	CHECK(++d->asked <= IMAGE_DEPTH_MAX + 1);
	CHECK(want->n && want->n <= VHD_LOCATORS + 1);
	for (size_t i = 0; i < want->n; i++) {
		const char *name = vhd_basename(want->paths[i]);
		size_t n = (size_t)(unsigned char)name[0] % FILES;

		CHECK(is_plain(want->paths[i]) && strlen(want->paths[i]) < VHD_PATH_MAX);
		if (!name[0] || !d->file[n])
			continue;
		*f = want->raw ? IMAGE_RAW : want->child;
		return io_window(io, d->file[n], 0, d->file[n]->size);
	}
	return -E_IMAGE_PARENT;
}

/* A plan says what the map says, and both read the same. */
static void look(struct image *im)
{
	static uint8_t a[8192], b[8192];
	struct image_piece pieces[8];
	struct image_info info;
	struct image_run run;

	for (size_t i = 0; i < im->n; i++)
		CHECK(!image_info(im, i, &info));
	for (uint64_t at = 0, k = 0; at < im->size && k < 20; at += run.length, k++) {
		uint64_t len;
		int n;

		if (image_map(im, at, 0, &run))
			break;
		CHECK(run.length && run.start == at && run.length <= im->size - at);
		len = run.length < sizeof(a) / 2 ? run.length + sizeof(a) / 2 : sizeof(a);
		if (len > im->size - at)
			len = im->size - at;
		n = image_plan(im, at, &len, IMAGE_PLAN_HOLES, pieces, 8);
		if (n < 0)
			continue;
		CHECK(n && n <= 8 && len);
		if (!image_fetch(im, at, a, pieces, (size_t)n)) {
			CHECK(!image_read(im, at, b, (size_t)len));
			CHECK(!memcmp(a, b, (size_t)len));
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct folder d = { 0 };
	struct image *im = NULL;
	struct io *io;

	for (size_t i = 0; i < FILES && size > 3; i++) {
		size_t n = (size_t)(data[1] | data[2] << 8) % (size - 2);

		d.file[i] = make_file(data[0], data + 3, n);
		data += 3 + n;
		size = size > 3 + n ? size - 3 - n : 0;
	}
	if (d.file[0] && !io_window(&io, d.file[0], 0, d.file[0]->size) &&
	    !image_open(&im, io, IMAGE_VHD, 0, find, &d)) {
		look(im);
		image_close(im);
	}
	for (size_t i = 0; i < FILES; i++)
		io_close(d.file[i]);
	return 0;
}
