/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An undo journal for a poisoned image: it may write within the image, and nothing else. */
#include <string.h>

#include "lib/bytes.h"
#include "lib/vhd/create.h"
#include "lib/vhd/journal.h"
#include "lib/vhd/resize.h"
#include "tests/fuzz/fuzz.h"

static void poison(struct io *io)
{
	struct vhd_footer_disk d;

	CHECK(!io_read(io, 0, &d, sizeof(d)));
	vhd_footer_poison(&d);
	CHECK(!io_write(io, 0, &d, sizeof(d)));
	CHECK(!io_write(io, io->size - 512, &d, sizeof(d)));
}

/* Sums of data entries, which are checked. */
static void mend(struct io *journal)
{
	struct vhd_journal_entry e;
	uint8_t b[4096];
	uint64_t at = 512;

	for (int i = 0; i < 16 && !io_read(journal, at, &e, sizeof(e)); i++) {
		uint32_t n = be32_get(e.len);

		if (n > sizeof(b) || io_read(journal, at + sizeof(e), b, n))
			break;
		e.sum = be32_put(0);
		e.sum = be32_put(~(~vhd_sum(&e, sizeof(e)) + ~vhd_sum(b, n)));
		CHECK(!io_write(journal, at, &e, sizeof(e)));
		at += sizeof(e) + n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vhd_create how = { .type = VHD_DYNAMIC, .size = 8 * MiB, .uuid = "an image's id" };
	struct io *io = io_mem(0, 1 * MiB), *journal = io_mem(size, size);
	uint64_t before;

	CHECK(!vhd_create(io, &how));
	before = io->size;
	poison(io);
	CHECK(!io_write(journal, 0, data, size));
	if (size >= 24)
		CHECK(!io_write(journal, 8, how.uuid, 16));
	mend(journal);
	(void)!vhd_revert(io, journal);
	CHECK(io->size <= before);
	io_close(io);
	io_close(journal);
	return 0;
}
