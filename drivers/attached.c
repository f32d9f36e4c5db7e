/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "arch/clock.h"
#include "drivers/attached.h"
#include "drivers/sr.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"

static int open_dir(struct sr *sr, bool make, int *dir)
{
	const char *path = sm_path(sr->ctx, "/run/sm/sr");
	int err = make ? mkdir_p(path, 0700) : 0;

	if (err)
		return fail(sr->ctx, err, "make %s", path);
	*dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *dir < 0 ? -errno : 0;
}

int attached_set(struct sr *sr)
{
	_close_ int dir = -1;
	struct uuid boot;
	int err = open_dir(sr, true, &dir);

	if (!err)
		err = boot_id(&boot);
	if (!err)
		err = file_replace(dir, sr->uuid.s, boot.s, UUID_LEN, 0600);
	return err ? fail(sr->ctx, err, "mark SR %s as attached", sr->uuid.s) : 0;
}

int attached_clear(struct sr *sr)
{
	_close_ int dir = -1;
	int err = open_dir(sr, false, &dir);

	if (!err)
		err = unlink_quiet(dir, sr->uuid.s);
	return err && err != -ENOENT ? fail(sr->ctx, err, "unmark SR %s", sr->uuid.s) : 0;
}

int attached_is(struct sr *sr)
{
	_close_ int dir = -1;
	struct uuid boot;
	struct view text;
	int err = open_dir(sr, false, &dir);

	if (!err)
		err = file_read_small(dir, sr->uuid.s, &sr->ctx->arena, 64, &text);
	if (err == -ENOENT)
		return 0;
	if (!err)
		err = boot_id(&boot);
	if (err)
		return fail(sr->ctx, err, "is SR %s attached", sr->uuid.s);
	return text.n == UUID_LEN && !memcmp(text.p, boot.s, UUID_LEN);
}
