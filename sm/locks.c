/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "arch/clock.h"
#include "arch/lock.h"
#include "drivers/sr.h"
#include "lib/err.h"
#include "sm/locks.h"

/* Metadata is locked for milliseconds; who waits this long waits for something broken. */
#define PATIENCE	(30 * NS_PER_S)

int lock_host(struct ctx *ctx, const char *ns, const char *name, int *fd)
{
	const char *path = sm_path(ctx, "/var/lock/sm/%s/%s", ns ? ns : ".nil", name);
	uint64_t patience = clock_now_mono() + PATIENCE;
	bool own = ctx->deadline && ctx->deadline < patience;
	pid_t pid = 0;
	int err = lock_take(fd, path, false, own ? ctx->deadline : patience);

	if (!err)
		return 0;
	if (err != -ETIMEDOUT)
		return fail(ctx, err, "lock %s", path);
	lock_holder(path, &pid);
	hint(ctx, "wait for the other process, or see who it is: fuser %s", path);
	if (own)
		return fail(ctx, -E_DEADLINE, "lock %s", path);
	return pid > 0 ? fail_say(ctx, -E_BUSY, "%s is locked by process %d", path, (int)pid) :
			 fail(ctx, -E_BUSY, "%s", path);
}
