/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "arch/clock.h"
#include "arch/flock.h"
#include "drivers/lvm2_lock.h"
#include "drivers/sr.h"
#include "lib/err.h"

/* lvm2 holds them for the length of a command; who waits this long waits for a dead one. */
#define PATIENCE	(30 * NS_PER_S)
#define FOLDER		"/run/lock/lvm"

int lvm2_lock(struct ctx *ctx, int *fd, char **path, const char *name, bool shared)
{
	uint64_t until = clock_now_mono() + PATIENCE;
	const char *folder;
	int err;

	if (ctx->deadline && ctx->deadline < until)
		until = ctx->deadline;
	*path = sm_path(ctx, FOLDER "/%s", name);
	err = flock_take(fd, *path, shared, until);
	if (err == -ETIMEDOUT) {
		hint(ctx, "see who it is: fuser %s", *path);
		return fail(ctx, -E_BUSY, "lvm2's lock %s", *path);
	}
	if (err == -EPERM) {
		folder = sm_path(ctx, FOLDER);
		hint(ctx, "see who made it, and remove it: ls -ld %s", folder);
		return fail_say(ctx, err, "%s belongs to somebody else", folder);
	}
	return err ? fail(ctx, err, "lock %s", *path) : 0;
}
