/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A directory of this host: dconf location, bind-mounted at /run/sr-mount/<SR>.
 *
 * Attached means that the mount point shows the same directory as location
 * does; a bind mount has its device and inode, so two stat calls tell.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/fs.h"
#include "arch/mount.h"
#include "drivers/sr.h"
#include "drivers/transport.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"

/* Without what may follow the last name: in "link/" and "link/." it would follow a link. */
static const char *location(const struct sr *sr)
{
	const char *s = kv_get(&sr->dconf, "location");
	size_t n = strlen(s);

	while (n > 1 && (s[n - 1] == '/' || (s[n - 1] == '.' && s[n - 2] == '/')))
		n--;
	return arena_strndup(&sr->ctx->arena, s, n);
}

static const char *mount_point(struct sr *sr)
{
	return sm_path(sr->ctx, "/run/sr-mount/%s", sr->uuid.s);
}

/* The last component must be a directory itself: a link could be changed under us. */
static int open_dir(struct sr *sr, const char *path, int *fd)
{
	*fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*fd >= 0)
		return 0;
	/* Linux says ENOTDIR for a link when both flags are given. */
	if (errno == ELOOP || errno == ENOTDIR) {
		hint(sr->ctx, "give the directory itself, not a link or a file");
		return fail_say(sr->ctx, -E_DCONF_BAD, "%s is not a directory", path);
	}
	return fail(sr->ctx, -errno, "%s", path);
}

static int local_stage(struct sr *sr, bool create)
{
	const char *path = location(sr);

	/* One level only, as upstream: a mistyped path is not built up silently. */
	if (create && !mkdir(path, 0700))
		sr->transport_data = arena_alloc(&sr->ctx->arena, 1);	/* ours to unmake */
	else if (create && errno == ENOENT) {
		hint(sr->ctx, "make the directory above %s first", path);
		return fail_say(sr->ctx, -E_FILE_SR_CREATE, "there is no directory to make %s in", path);
	} else if (create && errno != EEXIST)
		return fail(sr->ctx, errno == EROFS ? -E_SR_READ_ONLY : -E_FILE_SR_CREATE,
			    "make the directory %s (%s)", path, strerror(errno));
	return open_dir(sr, path, &sr->dir);
}

static void local_unstage(struct sr *sr)
{
	if (sr->transport_data)
		rmdir(location(sr));
}

/*
 * Which directory does the mount point show?  1 = location's, 0 = nothing is
 * mounted, -E_SR_IN_USE = something else.
 */
static int mounted(struct sr *sr)
{
	const char *target = mount_point(sr);
	struct fs_id here, there;
	int err;

	err = fs_id(AT_FDCWD, target, &there);
	if (err)
		return err == -ENOENT ? 0 : fail(sr->ctx, err, "%s", target);
	if (!fs_id(AT_FDCWD, location(sr), &here) && fs_id_equal(&here, &there))
		return 1;
	err = mount_is_point(target);
	if (err > 0)
		err = fail_say(sr->ctx, -E_SR_IN_USE, "%s shows another directory than %s", target,
			       location(sr));
	return err;
}

static int local_attach(struct sr *sr)
{
	const char *target = mount_point(sr);
	_close_ int dir = -1;
	int err = mounted(sr);

	if (err)
		return err < 0 ? err : 0;
	err = open_dir(sr, location(sr), &dir);
	if (err)
		return err;
	err = mkdir_p(target, 0700);
	if (err)
		return fail(sr->ctx, err, "make %s", target);
	err = mount_bind_fd(dir, target, false);		/* commit */
	if (err) {
		rmdir(target);
		return fail(sr->ctx, err, "mount %s at %s", location(sr), target);
	}
	return 0;
}

static int local_detach(struct sr *sr)
{
	const char *target = mount_point(sr);
	int err = mount_is_point(target);

	if (err == -ENOENT)
		return 0;
	if (err > 0)
		err = umount_dir(target, false);	/* commit */
	if (err == -EBUSY) {
		hint(sr->ctx, "see who uses it: fuser -m %s", target);
		return fail(sr->ctx, -E_SR_IN_USE, "%s", target);
	}
	if (err)
		return fail(sr->ctx, err, "unmount %s", target);
	/* An SR whose location is the mount point itself keeps its directory. */
	if (rmdir(target) && errno != ENOENT && errno != ENOTEMPTY && errno != EBUSY)
		return fail(sr->ctx, -errno, "remove %s", target);
	return 0;
}

/*
 * What is mounted is the SR, whatever has become of its location (another file
 * system mounted there or unmounted, the path renamed): the layout's marker says
 * which SR it is.
 */
static int local_open(struct sr *sr)
{
	int err = mounted(sr);

	if (err == -E_SR_IN_USE) {
		fail_clear(sr->ctx);
		err = 1;
	}
	if (err < 0)
		return err;
	if (!err)
		return -E_SR_DETACHED;
	snprintf(sr->path, sizeof(sr->path), "%s", mount_point(sr));
	return open_dir(sr, sr->path, &sr->dir);
}

const struct transport transport_local = {
	.name = "local",
	.stage = local_stage,
	.unstage = local_unstage,
	.attach = local_attach,
	.detach = local_detach,
	.open = local_open,
};
