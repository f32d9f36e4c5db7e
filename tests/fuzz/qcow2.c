/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A QCOW2 image, with some zeroes behind; it has no checksums. */
#include "lib/bytes.h"
#include "lib/image.h"
#include "lib/qcow2/check.h"
#include "lib/qcow2/inflate.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t tail = size ? data[size - 1] * KiB : 0;
	struct io *io = io_mem(size + tail, size + tail);
	struct image *im = NULL;
	struct image_info info;
	struct image_run run;
	struct qcow2_findings findings;
	uint8_t b[4096];

	(void)!inflate(data, size, b, sizeof(b));
	CHECK(!io_write(io, 0, data, size));
	if (image_open(&im, io, IMAGE_QCOW2, 0, NULL, NULL))
		return 0;
	CHECK(!image_info(im, 0, &info));
	for (uint64_t at = 0, n = 0; at < im->size && n < 50; at += run.length, n++) {
		size_t len;

		if (image_map(im, at, 0, &run))
			break;
		CHECK(run.length && run.start == at && run.length <= im->size - at);
		len = run.length < sizeof(b) ? (size_t)run.length : sizeof(b);
		(void)!image_read(im, at + run.length - len, b, len);
	}
	(void)!qcow2_check(im->levels[0].qcow2, &findings);
	image_close(im);
	return 0;
}
