/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/lock.h"
#include "drivers/sr.h"
#include "lib/err.h"
#include "lib/file.h"
#include "sm/locks.h"

/* Metadata is locked for milliseconds; who has it for so long is broken. */
#define PATIENCE	(30 * NS_PER_S)
/* A disk may be locked for hours, by who copies it, and all of the SR waits with us. */
#define PATIENCE_INNER	(5 * NS_PER_S)
#define TURNS		10

static bool is_ours(const struct stat *st)
{
	return !st->st_uid || st->st_uid == geteuid();
}

/*
 * On many hosts everybody may write to /var/lock.  Whoever made our folder there
 * before us could lead us by links to make files anywhere.
 */
static int check_folder(struct ctx *ctx)
{
	const char *path = sm_path(ctx, "/var/lock/sm");
	struct stat link, st;
	int err = mkdir_p(path, 0755);

	if (err && err != -ELOOP)
		return fail(ctx, err, "make %s", path);
	if (lstat(path, &link) || stat(path, &st))
		return fail(ctx, -errno, "%s", path);
	if (is_ours(&link) && is_ours(&st) && !(st.st_mode & S_IWOTH))
		return 0;
	hint(ctx, "see who made it, and remove it: ls -ld %s", path);
	return fail_say(ctx, -EPERM, "%s belongs to somebody else", path);
}

/* In which second somebody got it last: each leaves the time, by "changing" the size of an empty file. */
static time_t last_taken(const char *path)
{
	struct stat st = { 0 };

	stat(path, &st);
	return st.st_mtime;
}

static int take(struct ctx *ctx, const char *ns, const char *name, uint64_t longest, int *fd)
{
	const char *path = sm_path(ctx, "/var/lock/sm/%s/%s", ns ? ns : ".nil", name);
	pid_t pid = 0;
	time_t taken;
	bool own = false;
	int err = check_folder(ctx);

	if (err)
		return err;
	/* As long as it goes round, there will be a turn for us. */
	for (int i = 0; i < TURNS && !own; i++) {
		uint64_t patience = clock_now_mono() + longest;

		own = ctx->deadline && ctx->deadline < patience;
		taken = last_taken(path);
		err = lock_take(fd, path, false, own ? ctx->deadline : patience);
		if (err != -ETIMEDOUT || taken == last_taken(path))
			break;
	}
	if (!err) {
		ftruncate(*fd, 0);	/* without it the others wait less */
		return 0;
	}
	if (err != -ETIMEDOUT)
		return fail(ctx, err, "lock %s", path);
	lock_holder(path, &pid);
	hint(ctx, "wait for the other process, or see who it is: fuser %s", path);
	if (own)
		return fail(ctx, -E_DEADLINE, "lock %s", path);
	return pid > 0 ? fail_say(ctx, -E_BUSY, "%s is locked by process %d", path, (int)pid) :
			 fail(ctx, -E_BUSY, "%s", path);
}

int lock_host(struct ctx *ctx, const char *ns, const char *name, int *fd)
{
	return take(ctx, ns, name, PATIENCE, fd);
}

int lock_host_inner(struct ctx *ctx, const char *ns, const char *name, int *fd)
{
	return take(ctx, ns, name, PATIENCE_INNER, fd);
}

bool lock_is_held(struct ctx *ctx, const char *ns, const char *name)
{
	pid_t pid = 0;

	return !lock_holder(sm_path(ctx, "/var/lock/sm/%s/%s", ns, name), &pid) && pid;
}
