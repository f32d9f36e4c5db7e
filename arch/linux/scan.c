/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What sysfs and /proc say of block devices; what follows from it is in scan_rules.c. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "arch/dm.h"
#include "arch/linux/scan_impl.h"
#include "arch/scan.h"
#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/num.h"

#define DEVICES_MOST	65536
#define TEXT_MOST	(8u << 20)

struct reader {
	struct arena *a;
	const char *root;
	struct scan *s;
	size_t room;
	bool brief;		/* only what the rules ask of a device: many verbs want one */
};

/* --- files of a device ------------------------------------------------------- */

/* Its first line, or NULL: what is not there, or cannot be asked for, is unknown. */
static char *line_of(struct reader *r, int dir, const char *name)
{
	struct view v;
	char *s;

	if (file_read_small(dir, name, r->a, 4096, &v))
		return NULL;
	s = arena_strdup(r->a, v.p);
	s[strcspn(s, "\n")] = '\0';
	return *s ? s : NULL;
}

static uint64_t number_of(struct reader *r, int dir, const char *name)
{
	const char *s = line_of(r, dir, name);

	return s ? strtoull(s, NULL, 10) : 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names in a directory, sorted; none when it is not there. */
static size_t names_in(struct reader *r, int dir, const char *name, const char ***list)
{
	const char **v = NULL;
	size_t n = 0, room = 0;
	struct dirent *e;
	DIR *d = NULL;
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*list = NULL;
	if (fd >= 0)
		d = fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while ((e = readdir(d)) && n < DEVICES_MOST) {
		if (e->d_name[0] == '.')
			continue;
		if (n == room) {
			room = room ? room * 2 : 8;
			v = arena_grow(r->a, v, n, room, sizeof(*v));
		}
		v[n++] = arena_strdup(r->a, e->d_name);
	}
	closedir(d);
	if (n)
		qsort(v, n, sizeof(*v), by_name);
	*list = v;
	return n;
}

/* "T10 …" has blanks in it and behind it: one word, as LVM2's list has it. */
static char *one_word(char *s)
{
	char *to = s;

	for (char *p = s; p && *p; p++) {
		bool blank = *p == ' ' || *p == '\t';

		if (!blank)
			*to++ = *p;
		else if (to != s && to[-1] != '_' && p[strspn(p, " \t")])
			*to++ = '_';
	}
	if (s)
		*to = '\0';
	return s;
}

static void read_dm(struct reader *r, int dir, struct scan_device *d)
{
	char *name = line_of(r, dir, "dm/name"), *uuid = line_of(r, dir, "dm/uuid"), *plain;

	if (!name)
		return;
	d->path = arena_printf(r->a, "/dev/mapper/%s", name);
	plain = arena_alloc(r->a, strlen(name) + 1);
	dm_demangle(plain, strlen(name) + 1, name);
	d->dm_name = plain;
	d->dm_uuid = uuid ? uuid : "";
	d->dm_suspended = number_of(r, dir, "dm/suspended");
	if (uuid && !strncmp(uuid, "mpath-", 6))
		d->wwid = uuid + 6;
}

static bool is_name(const char *name, const char *prefix, const char *next)
{
	size_t n = strlen(prefix);

	return !strncmp(name, prefix, n) && name[n] && strchr(next, name[n]);
}

#define DIGITS "0123456789"

static void read_disk(struct reader *r, int dir, struct scan_device *d)
{
	if (!r->brief)
		d->removable = number_of(r, dir, "removable");
	d->hidden = number_of(r, dir, "hidden");
	d->cdrom = is_name(d->name, "sr", DIGITS) || is_name(d->name, "fd", DIGITS) ||
		   number_of(r, dir, "device/type") == 5;
	if (d->cdrom)
		return;
	if (!r->brief)
		d->wwid = one_word(line_of(r, dir, "device/wwid"));
	if (!r->brief && !d->wwid)
		d->wwid = one_word(line_of(r, dir, "wwid"));	/* NVMe */
	if (is_name(d->name, "md", DIGITS "_"))
		d->md_level = line_of(r, dir, "md/level");
	if (is_name(d->name, "loop", DIGITS))
		d->loop_file = line_of(r, dir, "loop/backing_file");
	if (is_name(d->name, "nbd", DIGITS))
		d->nbd_label = line_of(r, dir, "backend");
	if (is_name(d->name, "dm-", DIGITS))
		read_dm(r, dir, d);
}

static char *device_path(struct reader *r, const char *name)
{
	char *path = arena_printf(r->a, "/dev/%s", name);

	/* "cciss!c0d0" is /dev/cciss/c0d0. */
	for (char *p = path; *p; p++)
		if (*p == '!')
			*p = '/';
	return path;
}

static struct scan_device *add(struct reader *r, const struct scan_device *d)
{
	if (r->s->n == r->room) {
		r->room = r->room ? r->room * 2 : 32;
		r->s->dev = arena_grow(r->a, r->s->dev, r->s->n, r->room, sizeof(*d));
	}
	r->s->dev[r->s->n] = *d;
	return &r->s->dev[r->s->n++];
}

/* "8:17", and nothing after it. */
static bool take_dev(const char *s, dev_t *dev)
{
	uint64_t ma, mi;

	if (!num_take(&s, &ma) || *s++ != ':' || !num_take(&s, &mi) || *s || ma > UINT32_MAX || mi > UINT32_MAX)
		return false;
	*dev = makedev((unsigned)ma, (unsigned)mi);
	return true;
}

/* dir is the device's own; disk is NULL for a whole one. */
static struct scan_device *read_device(struct reader *r, int dir, const char *name,
				       const struct scan_device *disk)
{
	const char *number = line_of(r, dir, "dev");
	struct scan_device d = { .name = name };

	if (!number || !take_dev(number, &d.dev) || r->s->n == DEVICES_MOST)
		return NULL;		/* just removed */
	d.path = device_path(r, name);
	if (!mul_ok(number_of(r, dir, "size"), 512, &d.size))
		d.size = 0;
	if (!r->brief)
		d.read_only = number_of(r, dir, "ro");
	d.n_holders = names_in(r, dir, "holders", &d.holders);
	if (disk) {
		d.disk = disk->name;
		d.partition = (unsigned)number_of(r, dir, "partition");
		d.sector = disk->sector;
		d.removable = disk->removable;
		d.hidden = disk->hidden;
		d.wwid = disk->wwid;
	} else {
		if (!r->brief)
			d.sector = (uint32_t)number_of(r, dir, "queue/logical_block_size");
		d.n_slaves = names_in(r, dir, "slaves", &d.slaves);
		read_disk(r, dir, &d);
	}
	return add(r, &d);
}

/* Partitions are directories within their disk's, "sda1" in "sda". */
static void read_partitions(struct reader *r, int dir, size_t disk)
{
	const char *name = r->s->dev[disk].name, **entry;
	size_t n = names_in(r, dir, ".", &entry);

	for (size_t i = 0; i < n; i++) {
		struct scan_device whole = r->s->dev[disk];
		char file[NAME_MAX + 16];
		_close_ int part = -1;

		if (strncmp(entry[i], name, strlen(name)))
			continue;
		snprintf(file, sizeof(file), "%s/partition", entry[i]);
		if (faccessat(dir, file, F_OK, 0))
			continue;
		part = openat(dir, entry[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (part >= 0 && read_device(r, part, entry[i], &whole))
			r->s->dev[disk].partitioned = true;
	}
}

static int read_devices(struct reader *r)
{
	char path[PATH_MAX];
	_close_ int block = -1;
	const char **name;
	size_t n;

	if (snprintf(path, sizeof(path), "%s/sys/block", r->root) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	block = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (block < 0)
		return -errno;
	n = names_in(r, block, ".", &name);
	for (size_t i = 0; i < n; i++) {
		_close_ int dir = openat(block, name[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		struct scan_device *d = dir < 0 ? NULL : read_device(r, dir, name[i], NULL);

		if (d && d->size && !d->dm_name)
			read_partitions(r, dir, r->s->n - 1);
	}
	return 0;
}

static int by_device_name(const void *a, const void *b)
{
	return strcmp((*(struct scan_device *const *)a)->name,
		      (*(struct scan_device *const *)b)->name);
}

static void sort(struct reader *r)
{
	struct scan *s = r->s;

	s->by_name = arena_array(r->a, s->n, sizeof(*s->by_name));
	for (size_t i = 0; i < s->n; i++)
		s->by_name[i] = &s->dev[i];
	if (s->n)
		qsort(s->by_name, s->n, sizeof(*s->by_name), by_device_name);
}

/* --- mounts and swap ----------------------------------------------------------- */

static struct scan_device *by_path(struct reader *r, const char *path)
{
	char full[PATH_MAX];
	struct stat st;

	for (size_t i = 0; i < r->s->n; i++)
		if (!strcmp(r->s->dev[i].path, path) ||
		    (!strncmp(path, "/dev/", 5) && !strcmp(r->s->dev[i].name, path + 5)))
			return &r->s->dev[i];
	if (snprintf(full, sizeof(full), "%s%s", r->root, path) >= (int)sizeof(full) ||
	    stat(full, &st) || !S_ISBLK(st.st_mode))
		return NULL;
	return (struct scan_device *)scan_find(r->s, st.st_rdev);
}

/* "36 35 98:0 /root /point rw,noatime shared:1 - ext3 /dev/sda1 rw". */
static void read_mount(struct reader *r, char *line)
{
	char *save = NULL, *field[6], *word, *source = NULL;
	struct scan_device *d;
	dev_t dev;
	int n = 0;

	for (word = strtok_r(line, " ", &save); word && n < 6; n++) {
		field[n] = word;
		word = strtok_r(NULL, " ", &save);
	}
	while (word && strcmp(word, "-"))
		word = strtok_r(NULL, " ", &save);
	if (word && strtok_r(NULL, " ", &save))
		source = strtok_r(NULL, " ", &save);
	if (n < 6 || !source || !take_dev(field[2], &dev))
		return;
	/* btrfs has a number of its own and names one of its devices. */
	d = major(dev) ? (struct scan_device *)scan_find(r->s, dev) :
	    source[0] == '/' ? by_path(r, source) : NULL;
	if (!d)
		return;
	if (!d->mounted)
		d->mounted = arena_strdup(r->a, field[4]);
	if (!strcmp(field[4], "/"))
		d->root = true;
}

/* "/dev/dm-1 partition 524284 0 -2", below a line of titles. */
static void read_swap(struct reader *r, char *line)
{
	struct scan_device *d;

	line[strcspn(line, " \t")] = '\0';
	d = line[0] == '/' ? by_path(r, line) : NULL;
	if (d)
		d->swap = true;
}

static int read_lines(struct reader *r, const char *file,
		      void (*each)(struct reader *r, char *line))
{
	const char *path = arena_printf(r->a, "%s%s", r->root, file);
	char *line, *save = NULL;
	struct view v;
	int err = file_read_small(AT_FDCWD, path, r->a, TEXT_MOST, &v);

	if (err)
		return err;
	for (line = strtok_r((char *)v.p, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		each(r, line);
	return 0;
}

int scan_devices(struct arena *a, const char *root, struct scan *s)
{
	struct reader r = { .a = a, .root = root, .s = s };
	int err;

	*s = (struct scan){ 0 };
	err = read_devices(&r);
	sort(&r);
	/* Without /proc we do not know what is in use, and that is no answer. */
	if (!err)
		err = read_lines(&r, "/proc/self/mountinfo", read_mount);
	if (!err)
		err = read_lines(&r, "/proc/swaps", read_swap);
	if (err == -ENOENT && s->n)
		err = access(arena_printf(a, "%s/proc/self/mountinfo", root), F_OK) ? -ENOSYS : 0;
	if (!err)
		scan_conclude(s);
	return err;
}

/* --- one device, and what has to do with it ---------------------------------------- */

/* A device below thousands of others is no path and no member of anything. */
#define HOLDERS_READ	4
#define STACK_MOST	16

static struct scan_device *is_read(const struct scan *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->dev[i].name, name))
			return &s->dev[i];
	return NULL;
}

/* What a link in sysfs leads to, from its end: the device, or with above its disk. */
static const char *link_end(struct reader *r, const char *link, bool above)
{
	char at[PATH_MAX];
	ssize_t n = readlink(link, at, sizeof(at) - 1);
	char *slash;

	if (n <= 0)
		return NULL;
	at[n] = '\0';
	slash = strrchr(at, '/');
	if (above && slash) {
		*slash = '\0';
		slash = strrchr(at, '/');
	}
	return arena_strdup(r->a, slash ? slash + 1 : at);
}

/* A device by name; a partition's disk before it, and what it is made of behind it. */
static int read_stack(struct reader *r, const char *name, int depth)
{
	const char *link = arena_printf(r->a, "%s/sys/class/block/%s", r->root, name), *above;
	struct scan_device *disk = NULL, whole, d;
	_close_ int dir = -1;
	int err;

	if (depth > STACK_MOST || is_read(r->s, name))
		return 0;
	dir = open(link, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? -ENODEV : -errno;
	if (!faccessat(dir, "partition", F_OK, 0)) {	/* its directory is within its disk's */
		above = link_end(r, link, true);
		err = above ? read_stack(r, above, depth + 1) : -ENODEV;
		if (err || is_read(r->s, name))		/* with the disk */
			return err;
		disk = is_read(r->s, above);
	}
	if (disk)
		whole = *disk;
	if (!read_device(r, dir, name, disk ? &whole : NULL))
		return -ENODEV;
	d = r->s->dev[r->s->n - 1];
	if (!d.disk && d.size && !d.dm_name)
		read_partitions(r, dir, r->s->n - 1);
	for (size_t i = 0; i < d.n_slaves; i++)
		read_stack(r, d.slaves[i], depth + 1);
	return 0;
}

/* Of what is made of it only the kind counts. */
static void read_holder(struct reader *r, const char *name)
{
	struct scan_device d = { .name = name, .path = device_path(r, name) };
	_close_ int dir = open(arena_printf(r->a, "%s/sys/class/block/%s", r->root, name),
			       O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0 || is_read(r->s, name))
		return;
	if (is_name(name, "md", DIGITS "_"))
		d.md_level = line_of(r, dir, "md/level");
	else if (is_name(name, "dm-", DIGITS))
		read_dm(r, dir, &d);
	add(r, &d);
}

int scan_around(struct arena *a, const char *root, dev_t dev, struct scan *s)
{
	struct reader r = { .a = a, .root = root, .s = s, .brief = true };
	const char *link = arena_printf(a, "%s/sys/dev/block/%u:%u", root, major(dev), minor(dev));
	const char *name;
	struct scan_device d = { 0 };
	int err;

	*s = (struct scan){ 0 };
	name = link_end(&r, link, false);
	err = name ? read_stack(&r, name, 0) : -ENODEV;
	if (!err && is_read(s, name))
		d = *is_read(s, name);
	for (size_t i = 0; i < d.n_holders && i < HOLDERS_READ; i++)
		read_holder(&r, d.holders[i]);
	sort(&r);
	scan_conclude(s);
	return err;
}

const struct scan_device *scan_find(const struct scan *s, dev_t dev)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->dev[i].dev == dev)
			return &s->dev[i];
	return NULL;
}

const struct scan_device *scan_find_name(const struct scan *s, const char *name)
{
	const struct scan_device wanted = { .name = name }, *key = &wanted;
	struct scan_device **d = NULL;

	if (s->n)
		d = bsearch(&key, s->by_name, s->n, sizeof(key), by_device_name);
	return d ? *d : NULL;
}
