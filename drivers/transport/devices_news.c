/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Has this host other devices than when it was last looked at?  A copy of a LUN
 * that turns up beside the original is found so, without a look into every disk
 * of the host for every verb.
 *
 * What is kept, in /run/sm/seen/<SR>, is a sum over the names of devices and their
 * numbers in sysfs: a disk that has gone gives its name to the next one that comes,
 * but not its number.  It says nothing about what is on them and is no more than a
 * reason not to look again.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "drivers/devices.h"
#include "drivers/sr.h"
#include "drivers/transport/devices.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"

#define SUM_TEXT 17

/* Those the kernel always has count while something is behind them; dm is made of others. */
static bool counts(int dir, const char *name, uint64_t *number)
{
	char path[300];
	struct stat st;

	if (*name == '.' || !strncmp(name, "dm-", 3))
		return false;
	if (!strncmp(name, "loop", 4))
		snprintf(path, sizeof(path), "%s/loop/backing_file", name);
	else if (!strncmp(name, "nbd", 3))
		snprintf(path, sizeof(path), "%s/pid", name);
	else
		return true;
	if (fstatat(dir, path, &st, 0))
		return false;
	*number = st.st_ino;
	return true;
}

/* The same in whatever order they come.  0 when there is no sysfs. */
static uint64_t sum(void)
{
	DIR *d = opendir("/sys/class/block");
	struct dirent *e;
	uint64_t all = 0;

	while (d && (e = readdir(d))) {
		uint64_t one = 0xcbf29ce484222325, number = e->d_ino;

		if (!counts(dirfd(d), e->d_name, &number))
			continue;
		for (const char *p = e->d_name; *p; p++)
			one = (one ^ (uint8_t)*p) * 0x100000001b3;
		all += (one ^ number) * 0x9e3779b97f4a7c15;
	}
	if (d)
		closedir(d);
	return all;
}

static int open_seen(struct sr *sr, bool make)
{
	const char *path = sm_path(sr->ctx, "/run/sm/seen");
	int err = make ? mkdir_p(path, 0700) : 0;
	int fd = err ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return err ? err : fd < 0 ? -errno : fd;
}

bool devices_have_news(struct sr *sr, uint64_t *now)
{
	_close_ int dir = open_seen(sr, false);
	char text[SUM_TEXT];
	struct view was;

	*now = sum();
	snprintf(text, sizeof(text), "%016" PRIx64, *now);
	return *now && (dir < 0 || file_read_small(dir, sr->uuid.s, &sr->ctx->arena, 64, &was) ||
			was.n != SUM_TEXT - 1 || memcmp(was.p, text, was.n));
}

void devices_seen(struct sr *sr, uint64_t then)
{
	_close_ int dir = open_seen(sr, true);
	char text[SUM_TEXT];

	snprintf(text, sizeof(text), "%016" PRIx64, then);
	if (dir >= 0 && file_replace(dir, sr->uuid.s, text, strlen(text), 0600))
		unlink_quiet(dir, sr->uuid.s);		/* then the next verb looks once more */
}

void devices_forget(struct sr *sr)
{
	_close_ int dir = open_seen(sr, false);

	if (dir < 0)
		return;
	unlink_quiet(dir, sr->uuid.s);
	unlink_quiet(dir, arena_printf(&sr->ctx->arena, ".%s.new", sr->uuid.s));	/* of a death in devices_seen() */
}
