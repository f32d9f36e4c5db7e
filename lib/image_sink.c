/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a copy goes: lib/image_copy.h. */
#include <string.h>

#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/image_copy.h"
#include "lib/vhd/bitmap.h"
#include "lib/vhd/build.h"
#include "lib/vhd/open.h"

/* Small parts gathered by the kernel are faster, large ones without its cache. */
static int put(struct image_sink *s, uint64_t at, const void *p, size_t len)
{
	return io_write(len < IMAGE_SMALL && s->small ? s->small : s->io, at, p, len);
}

static int write_raw(struct image_sink *s, struct image_chunk *c)
{
	int err = 0;

	for (size_t i = 0; i < c->n && !err; i++)
		err = put(s, c->at + c->parts[i].at, c->data + c->parts[i].at, c->parts[i].len);
	return err;
}

static int zero_raw(struct image_sink *s, uint64_t at, uint64_t len)
{
	return io_zero(s->io, at, len);
}

void image_sink_raw(struct image_sink *s, struct io *io, bool is_zero)
{
	*s = (struct image_sink){
		.write = write_raw, .zero = is_zero ? NULL : zero_raw, .whole = !is_zero, .io = io,
	};
}

static int write_null(struct image_sink *s, struct image_chunk *c)
{
	return 0;
}

void image_sink_null(struct image_sink *s)
{
	*s = (struct image_sink){ .write = write_null, .whole = true };
}

/* --- VHD ------------------------------------------------------------------- */

/* Bits of the parts; what is left out of a block stays clear. */
static bool make_bitmap(const struct image_chunk *c, uint8_t bits[512])
{
	memset(bits, 0, 512);
	for (size_t i = 0; i < c->n; i++) {
		uint32_t len = c->parts[i].len;

		/* The last block may reach past the end of the disk: those bits are set too. */
		if (c->parts[i].at + (size_t)len == c->len)
			len = (uint32_t)IMAGE_CHUNK - c->parts[i].at;
		vhd_bit_set(bits, c->parts[i].at / 512, len / 512);
	}
	return vhd_bits_full(bits);
}

static int place_vhd(struct image_sink *s, struct image_chunk *c)
{
	bool full = make_bitmap(c, (uint8_t *)c->data - VHD_SECTOR);

	memset(c->data - IMAGE_HEAD, 0, VHD_UNIT_BITS);
	return vhd_build_place(s->vhd, (uint32_t)(c->at / VHD_BLOCK), full, &c->pos);
}

/* The head and the first part at once, if they touch. */
static int write_vhd(struct image_sink *s, struct image_chunk *c)
{
	bool apart = c->parts[0].at;
	int err = apart ? put(s, c->pos, c->data - IMAGE_HEAD, IMAGE_HEAD) : 0;

	for (size_t i = 0; i < c->n && !err; i++) {
		size_t at = c->parts[i].at, len = c->parts[i].len;
		size_t head = i || apart ? 0 : IMAGE_HEAD;

		if (at + len == c->len)		/* the last block of the disk is a whole one */
			len = IMAGE_CHUNK - at;
		err = put(s, c->pos + IMAGE_HEAD + at - head, c->data + at - head, head + len);
	}
	return err;
}

int image_sink_vhd(struct image_sink *s, struct io *io, const struct vhd_create *how)
{
	static_assert(IMAGE_HEAD == VHD_UNIT_DATA && IMAGE_CHUNK == VHD_BLOCK,
		      "a chunk with its head is a unit of a VHD");
	*s = (struct image_sink){
		.place = place_vhd, .write = write_vhd, .whole = vhd_io_is_fixed(io), .io = io,
	};
	return vhd_build_start(&s->vhd, io, how);
}

int image_sink_vhd_finish(struct image_sink *s)
{
	return vhd_build_finish(s->vhd);
}

void image_sink_free(struct image_sink *s)
{
	vhd_build_free(s->vhd);
	s->vhd = NULL;
}
