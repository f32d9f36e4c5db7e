/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drivers/dir.h"
#include "lib/err.h"

DIR *dir_entries(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

static void reads(struct dir_seen *seen, bool now)
{
	if (IS_ENABLED(CONFIG_NFS_GUARD) && seen->watched)
		__atomic_store_n(&seen->watched->listing, now, __ATOMIC_RELAXED);
}

/* While files are renamed, one may be met twice. */
#define AGAIN_MOST	8

static bool goes_round(struct dir_seen *seen, const char *name)
{
	if (!strcmp(seen->mark, name) && ++seen->again > AGAIN_MOST)
		return true;
	if (!(seen->n & (seen->n - 1)))
		snprintf(seen->mark, sizeof(seen->mark), "%s", name);
	return false;
}

struct dirent *dir_next_of(DIR *d, struct dir_seen *seen)
{
	struct dirent *e;

	if (!seen->until)
		seen->until = clock_now_mono() + DIR_PATIENCE;
	errno = EOVERFLOW;
	if (++seen->n > DIR_MOST)
		return NULL;
	errno = ETIMEDOUT;
	if (!(seen->n % 64) && !clock_left(seen->until))
		return NULL;
	reads(seen, true);
	errno = 0;
	e = readdir(d);
	reads(seen, false);
	if (!IS_ENABLED(CONFIG_NFS_GUARD) || !e || !goes_round(seen, e->d_name))
		return e;
	errno = ELOOP;
	return NULL;
}

int dir_ended(struct sr *sr)
{
	const struct transport *t = sr->type->transport;

	if (errno != EOVERFLOW && errno != ETIMEDOUT && errno != ELOOP)
		return errno ? fail(sr->ctx, -errno, "read the directory") : 0;
	fail_say(sr->ctx, -errno, "the directory does not come to an end");
	if (IS_ENABLED(CONFIG_NFS_GUARD) && t->where) {
		hint(sr->ctx, "look at it on the server");
		return fail(sr->ctx, -errno, "%s", t->where(sr));
	}
	return -errno;
}
