/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "arch/blk.h"
#include "arch/mount.h"
#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/file.h"

/* 100,000 mounts are the kernel's default limit per namespace. */
#define MOUNTINFO_MOST ((size_t)32 << 20)

int mount_fs(const char *source, const char *target, const char *type, unsigned long flags,
	     const char *data)
{
	return mount(source, target, type, flags, data) ? -errno : 0;
}

/*
 * A bind ignores all flags but MS_REC; read-only takes a second call.  If that
 * fails nobody shall find a writable mount in its place.
 */
int mount_bind(const char *source, const char *target, bool read_only)
{
	int err;

	if (mount(source, target, NULL, MS_BIND, NULL))
		return -errno;
	if (!read_only)
		return 0;
	err = mount_set_read_only(target, true);
	if (err)
		umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW);
	return err;
}

int mount_bind_fd(int source, const char *target, bool read_only)
{
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", source);
	return mount_bind(self, target, read_only);
}

static bool has_option(const char *list, const char *option)
{
	size_t n = strlen(option);

	for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',')
		if (!strncmp(p, option, n) && (p[n] == ',' || !p[n]))
			return true;
	return false;
}

/* The flags a remount must repeat, or it would clear them. */
static unsigned long flags_of(const char *options)
{
	static const struct {
		const char *option;
		unsigned long flag;
	} known[] = {
		{ "nosuid", MS_NOSUID }, { "nodev", MS_NODEV }, { "noexec", MS_NOEXEC },
		{ "noatime", MS_NOATIME }, { "nodiratime", MS_NODIRATIME },
		{ "relatime", MS_RELATIME },
	};
	unsigned long flags = 0;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (has_option(options, known[i].option))
			flags |= known[i].flag;
	return flags;
}

/* MS_BIND here means: the mount, not the file system below it. */
int mount_set_read_only(const char *target, bool read_only)
{
	unsigned long flags = MS_REMOUNT | MS_BIND | (read_only ? MS_RDONLY : 0);
	struct arena a = { 0 };
	struct mount_entry m;
	int err = mount_find(&a, target, &m);

	if (!err && mount(NULL, target, NULL, flags | flags_of(m.options), NULL))
		err = -errno;
	arena_free(&a);
	return err;
}

/* --- mountinfo -------------------------------------------------------------- */

/* Blank, tab, newline and backslash arrive as \ and three octal digits. */
static char *unescape(struct arena *a, const char *s, size_t n)
{
	char *out = arena_alloc(a, n + 1), *p = out;

	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\\' && n - i > 3 && s[i + 1] >= '0' && s[i + 1] <= '3' &&
		    s[i + 2] >= '0' && s[i + 2] <= '7' && s[i + 3] >= '0' && s[i + 3] <= '7') {
			*p++ = (char)((s[i + 1] - '0') << 6 | (s[i + 2] - '0') << 3 |
				      (s[i + 3] - '0'));
			i += 3;
		} else {
			*p++ = s[i];
		}
	}
	return out;
}

/* The next field of a line, up to a blank or the end of the line. */
static struct view field(const char **p, const char *end)
{
	struct view v = { *p, 0 };

	while (*p < end && **p != ' ')
		++*p;
	v.n = (size_t)(*p - (const char *)v.p);
	if (*p < end)
		++*p;
	return v;
}

/*
 *	36 35 98:0 /root /point rw,noatime shared:1 - ext3 /dev/sda1 rw,errors=continue
 *
 * with any number of fields, none too, before the dash.
 */
static bool parse_line(struct arena *a, const char *p, const char *end, const char *path,
		       struct mount_entry *m)
{
	struct view dev, root, point, options, type, source, super, v;
	dev_t device;

	field(&p, end);
	field(&p, end);
	dev = field(&p, end);
	root = field(&p, end);
	point = field(&p, end);
	if (strcmp(unescape(a, point.p, point.n), path))
		return false;
	if (!blk_parse_dev(unescape(a, dev.p, dev.n), &device))
		return false;
	options = field(&p, end);
	do {
		if (p >= end)
			return false;
		v = field(&p, end);
	} while (v.n != 1 || *(const char *)v.p != '-');
	type = field(&p, end);
	source = field(&p, end);
	super = field(&p, end);
	*m = (struct mount_entry){
		.dev = device,
		.root = unescape(a, root.p, root.n),
		.point = unescape(a, point.p, point.n),
		.options = unescape(a, options.p, options.n),
		.type = unescape(a, type.p, type.n),
		.source = unescape(a, source.p, source.n),
		.super = unescape(a, super.p, super.n),
	};
	m->read_only = has_option(m->options, "ro") || has_option(m->super, "ro");
	return true;
}

int mount_find_in(struct arena *a, const char *mountinfo, const char *path,
		  struct mount_entry *m)
{
	struct mount_entry got;
	bool found = false;

	for (const char *p = mountinfo; *p; ) {
		const char *end = p + strcspn(p, "\n");

		/* Later lines lie on top of earlier ones. */
		if (parse_line(a, p, end, path, &got)) {
			*m = got;
			found = true;
		}
		p = *end ? end + 1 : end;
	}
	return found ? 0 : -ENOENT;
}

/* The kernel knows the way without links best. */
static int real_directory(const char *path, char out[PATH_MAX])
{
	_close_ int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char link[40];
	ssize_t n;

	if (fd < 0)
		return -errno;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, out, PATH_MAX - 1);
	if (n < 0)
		return errno == ENOENT ? -ENOSYS : -errno;	/* no /proc: we cannot know */
	out[n] = '\0';
	return 0;
}

/* Where the path really is, without touching its last component. */
static int canonical(const char *path, char out[PATH_MAX])
{
	char up[PATH_MAX], real[PATH_MAX], *slash;
	size_t n = strlen(path);
	int err;

	while (n > 1 && path[n - 1] == '/')
		n--;
	if (n >= sizeof(up))
		return -ENAMETOOLONG;
	memcpy(up, path, n);
	up[n] = '\0';
	slash = strrchr(up, '/');
	if (up[0] != '/' || !strcmp(slash, "/.") || !strcmp(slash, "/.."))
		return -EINVAL;
	if (!slash[1])
		return strcpy(out, "/"), 0;
	*slash = '\0';
	err = real_directory(slash == up ? "/" : up, real);
	if (err)
		return err;
	if (snprintf(out, PATH_MAX, "%s/%s", real[1] ? real : "", slash + 1) >= PATH_MAX)
		return -ENAMETOOLONG;
	return 0;
}

/*
 * The file is made while it is read.  Before 5.8 a mount that goes away between
 * two reads may hide another one, so "nothing there" is asked twice.
 */
int mount_find(struct arena *a, const char *path, struct mount_entry *m)
{
	char real[PATH_MAX];
	struct view text;
	int err = canonical(path, real);

	if (err)
		return err == -ENOTDIR ? -ENOENT : err;
	for (int round = 0; round < 2; round++) {
		err = file_read_small(AT_FDCWD, "/proc/self/mountinfo", a, MOUNTINFO_MOST, &text);
		if (err)
			return err == -ENOENT ? -ENOSYS : err;	/* no /proc: we cannot know */
		err = mount_find_in(a, text.p, real, m);
		if (!err)
			break;
	}
	return err;
}

int mount_is_point(const char *path)
{
	struct arena a = { 0 };
	struct mount_entry m;
	int err = mount_find(&a, path, &m);

	arena_free(&a);
	if (err == -ENOENT)
		return 0;
	return err ? err : 1;
}

/* EINVAL says "not a mount point", but also other things. */
int umount_dir(const char *path, bool lazy)
{
	int err;

	if (!umount2(path, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)))
		return 0;
	err = -errno;
	if ((err == -EINVAL || err == -ENOENT) && !mount_is_point(path))
		return 0;
	return err;
}
