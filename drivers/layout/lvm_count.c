/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Telling the Python storage managers of this host which LVs are in use.
 *
 * Whether an LV is active the kernel says, to us; they believe the count, and
 * would take a device away whose count is 0.  Their lock of the LV is held.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/lock.h"
#include "drivers/layout/lvm.h"
#include "drivers/sr.h"
#include "drivers/vdi.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/refcount.h"

#define PATIENCE	(10 * NS_PER_S)

static int change(struct sr *sr, int dir, const struct uuid *u, bool used)
{
	struct view old = { 0 };
	struct refcount c;
	char text[REFCOUNT_TEXT];
	int n, err = file_read_small(dir, u->s, &sr->ctx->arena, 4096, &old);

	if (err && err != -ENOENT && err != -EFBIG)
		return err;
	refcount_decode(old, &c);
	if (c.binary == used && !err)
		return 0;
	c.binary = used;
	n = refcount_encode(&c, text);
	return n ? file_replace(dir, u->s, text, (size_t)n, 0644) : unlink_quiet(dir, u->s);
}

int lvm_volume_used(struct sr *sr, const struct vdi *vdi, bool used)
{
	const char *path = sm_path(sr->ctx, "/run/sm/refcount/lvm-%s", sr->uuid.s);
	const char *lock_path = sm_path(sr->ctx, "/var/lock/sm/lvm-%s/%s", sr->uuid.s, vdi->uuid.s);
	_unlock_ int lock = -1;
	_close_ int dir = -1;
	int err = lock_take(&lock, lock_path, false, clock_now_mono() + PATIENCE);

	if (err)
		return fail(sr->ctx, err == -ETIMEDOUT ? -E_BUSY : err, "lock %s", lock_path);
	if (used)
		err = mkdir_p(path, 0755);
	if (!err) {
		dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		err = dir < 0 ? -errno : change(sr, dir, &vdi->uuid, used);
	}
	if (err == -ENOENT && !used)
		err = 0;
	if (!err && !used)
		rmdir(path);		/* fails while others are in it, as it should */
	return err ? fail(sr->ctx, err, "count the use of %s in %s", vdi->volume, path) : 0;
}

/* All of the SR's: nothing of it is active any more. */
void lvm_count_reset(struct sr *sr)
{
	const char *path = sm_path(sr->ctx, "/run/sm/refcount/lvm-%s", sr->uuid.s);
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(path);
}
