/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Device nodes and links by hand, where udev does not run or did not answer.
 * No link is followed on the way to a name, nor under it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "arch/linux/dm_impl.h"
#include "lib/cleanup.h"
#include "lib/file.h"

/* The directory itself may be no link; -ENOENT when it is missing and not to be made. */
static int open_dir(const char *root, const char *sub, bool make)
{
	char path[PATH_MAX];
	int fd, err;

	if (snprintf(path, sizeof(path), "%s/dev/%s", root ? root : "", sub) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if (make) {
		err = mkdir_p(path, 0755);
		if (err)
			return err;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static bool leads_to(int dir, const char *name, dev_t dev)
{
	struct stat st;

	return !fstatat(dir, name, &st, 0) && S_ISBLK(st.st_mode) && st.st_rdev == dev;
}

/* Remove a node or a link of this name, and nothing else. */
static int drop(int dir, const char *name, bool stale_only)
{
	struct stat st, target;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISLNK(st.st_mode) && !S_ISBLK(st.st_mode))
		return -EEXIST;
	if (stale_only && !(S_ISLNK(st.st_mode) && fstatat(dir, name, &target, 0)))
		return 0;
	return unlink_quiet(dir, name);
}

/* A link that is replaced is never missing in between. */
static int put_link(int dir, const char *name, const char *target)
{
	char tmp[NAME_MAX + 1];
	struct stat st;
	int err;

	if (!fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW)) {
		if (!S_ISLNK(st.st_mode))
			return -EEXIST;
	} else if (errno != ENOENT) {
		return -errno;
	}
	if (snprintf(tmp, sizeof(tmp), ".%s.new", name) >= (int)sizeof(tmp))
		return -ENAMETOOLONG;
	err = unlink_quiet(dir, tmp);		/* left by a death */
	if (!err && symlinkat(target, dir, tmp))
		err = -errno;
	if (!err && renameat(dir, tmp, dir, name)) {
		err = -errno;
		unlinkat(dir, tmp, 0);		/* err is what matters */
	}
	return err;
}

/* --- /dev/mapper/NAME ------------------------------------------------------- */

static int open_mapper(const char *name, char mangled[DM_NAME_MAX + 1], bool make)
{
	int err = dm_mangle(mangled, DM_NAME_MAX + 1, name);

	return err ? err : open_dir(NULL, "mapper", make);
}

bool dm_node_is(const char *name, dev_t dev)
{
	char mangled[DM_NAME_MAX + 1];
	_close_ int dir = open_mapper(name, mangled, false);

	return dir >= 0 && leads_to(dir, mangled, dev);
}

int dm_node_make(const char *name, dev_t dev, bool link)
{
	char mangled[DM_NAME_MAX + 1], target[32];
	_close_ int dir = open_mapper(name, mangled, true);
	int err;

	if (dir < 0)
		return dir;
	if (leads_to(dir, mangled, dev))
		return 0;
	err = drop(dir, mangled, false);
	if (err)
		return err;
	if (link) {
		snprintf(target, sizeof(target), "../dm-%u", minor(dev));
		return put_link(dir, mangled, target);
	}
	/* As private as devtmpfs makes /dev/dm-N: to open it to others is udev's business. */
	if (mknodat(dir, mangled, S_IFBLK | 0600, dev) && errno != EEXIST)
		return -errno;
	return leads_to(dir, mangled, dev) ? 0 : -EEXIST;
}

int dm_node_drop(const char *name, bool stale_only)
{
	char mangled[DM_NAME_MAX + 1];
	_close_ int dir = open_mapper(name, mangled, false);

	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	return drop(dir, mangled, stale_only);
}

/* --- /dev/GROUP/VOLUME ----------------------------------------------------------- */

/* In /dev/mapper all names are those of devices, whatever a VG calls itself. */
bool dm_link_ok(const char *group, const char *volume)
{
	return name_is_safe(group) && name_is_safe(volume) && strcmp(group, "mapper");
}

bool dm_link_is(const char *root, const char *group, const char *volume, dev_t dev)
{
	_close_ int dir = -1;

	if (!dm_link_ok(group, volume))
		return false;
	dir = open_dir(root, group, false);
	return dir >= 0 && leads_to(dir, volume, dev);
}

int dm_link_make(const char *root, const char *group, const char *volume, const char *name)
{
	char target[DM_PATH_MAX];
	_close_ int dir = -1;
	int err;

	if (!dm_link_ok(group, volume))
		return -EINVAL;
	err = dm_path(target, name);
	if (err)
		return err;
	dir = open_dir(root, group, true);
	return dir < 0 ? dir : put_link(dir, volume, target);
}

/* The directory goes with its last link. */
int dm_link_drop(const char *root, const char *group, const char *volume, bool stale_only)
{
	_close_ int dir = -1;
	int above, err;

	if (!dm_link_ok(group, volume))
		return -EINVAL;
	dir = open_dir(root, group, false);
	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	err = drop(dir, volume, stale_only);
	if (err)
		return err;
	above = open_dir(root, ".", false);
	if (above < 0)
		return above;
	err = rmdir_quiet(above, group);
	close(above);
	return err == -ENOTEMPTY || err == -EEXIST || err == -EBUSY ? 0 : err;
}
