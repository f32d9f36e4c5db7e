/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* raw: the volume's bytes are the disk's. */
#include "drivers/format.h"
#include "lib/bytes.h"
#include "lib/ctx.h"
#include "lib/err.h"
#include "lib/io.h"

/* A disk is made of sectors; the last one must be whole for loop to show it. */
#define SECTOR	512

static int raw_round(struct ctx *ctx, uint64_t size, uint64_t *rounded)
{
	if (!size)
		return fail_say(ctx, -E_VDI_SIZE, "a disk of 0 bytes cannot be made");
	if (!round_up_ok(size, SECTOR, rounded) || *rounded > INT64_MAX)
		return fail_say(ctx, -E_VDI_SIZE, "%llu bytes are more than any disk can have",
				(unsigned long long)size);
	return 0;
}

static int raw_create(struct ctx *ctx, struct io *io, const struct image_new *how)
{
	int err = how->parent ? -E_UNSUPPORTED : io_resize(io, how->virtual_size);

	/* A device that the layout made has its size already. */
	if (err == -EOPNOTSUPP && io->size >= how->virtual_size)
		err = 0;
	if (err == -EFBIG)
		err = -E_VDI_SIZE;
	return err ? fail(ctx, err, "give the image its size") : 0;
}

static int raw_load(struct ctx *ctx, struct io *io, struct image_facts *f)
{
	*f = (struct image_facts){ .virtual_size = io->size };
	return 0;
}

static int raw_resize(struct ctx *ctx, struct io *io, uint64_t virtual_size, struct io *journal)
{
	int err = io_resize(io, virtual_size);

	if (err == -EFBIG)
		err = -E_VDI_SIZE;
	return err ? fail(ctx, err, "resize the image") : 0;
}

static const struct format raw = {
	.name = "raw",
	.round = raw_round,
	.create = raw_create,
	.load = raw_load,
	.resize = raw_resize,
	.direct = true,
};
REGISTER(formats, raw);
