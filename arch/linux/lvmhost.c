/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/lvmhost.h"
#include "lib/arena.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/lvm2/vg.h"

void lvmhost_stamp(struct arena *a, struct lvm_stamp *stamp, const char *cause)
{
	struct utsname u;
	bool known = !uname(&u);

	*stamp = (struct lvm_stamp){
		.program = "smbox", .cause = cause, .host = known ? arena_strdup(a, u.nodename) : "",
		.kernel = known ? arena_printf(a, "%s %s %s %s", u.sysname, u.release, u.version,
					       u.machine) : NULL,
		.now = (uint64_t)clock_now_real(NULL),
	};
}

static int open_run(const char *root, const char *sub)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/run/lvm/%s", root, sub) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * lvm2 scans only devices in "hints", unless "newhints" is there: it makes a new
 * list then.  That comes first, for an lvm2 which is just reading the old one.
 */
int lvmhost_look_again(const char *root)
{
	_close_ int dir = open_run(root, ".");
	_close_ int fd = -1;

	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	fd = openat(dir, "newhints", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	return unlink_quiet(dir, "hints");
}

static int forget(const char *root, const char *sub, const char *name)
{
	_close_ int dir = -1;

	if (!name_is_safe(name))
		return -EINVAL;
	dir = open_run(root, sub);
	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	return unlink_quiet(dir, name);
}

/* What autoactivation has counted: the PVs of a VG that are here, and which VG they make. */
int lvmhost_gone(const char *root, const char *vg, const char *pv)
{
	int err = 0;

	if (pv)
		err = forget(root, "pvs_online", pv);
	if (vg && !err)
		err = forget(root, "vgs_online", vg);
	if (vg && !err)
		err = forget(root, "pvs_lookup", vg);
	return err;
}
