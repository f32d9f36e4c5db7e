/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many volumes at once.
 *
 * Of each image two small pieces are wanted, its start and its end.  One after
 * the other that would be one wait for the disk each; so the kernel is told of
 * QUEUE of them ahead of the one that is read, in the order of their inodes,
 * which is about that of the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/fs.h"
#include "drivers/format.h"
#include "drivers/layout.h"
#include "drivers/layout/dir.h"
#include "drivers/sr.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/io.h"

#define QUEUE	64		/* files open at once */

struct entry {
	struct uuid uuid;
	const struct format *f;
	uint64_t inode;
	int fd;			/* while it is in the queue, or -1 */
};

struct dir_scan {
	struct sr *sr;
	int records;		/* .sm/vdi, or -1: nobody wants to know them */
	struct entry *v;
	size_t n, room;
};

/* --- names -------------------------------------------------------------------- */

void dir_scan_add(struct sr *sr, struct dir_scan **scan, const struct format *f,
		  const struct uuid *u, uint64_t inode)
{
	struct dir_scan *s = *scan;

	if (!s) {
		*scan = s = arena_alloc(&sr->ctx->arena, sizeof(*s));
		s->sr = sr;
		s->records = -1;
	}
	if (s->n == s->room) {
		s->room = s->room ? s->room * 2 : 64;
		s->v = arena_grow(&sr->ctx->arena, s->v, s->n, s->room, sizeof(*s->v));
	}
	s->v[s->n++] = (struct entry){ .uuid = *u, .f = f, .inode = inode, .fd = -1 };
}

static int by_inode(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static void sort(struct dir_scan *s)
{
	qsort(s->v, s->n, sizeof(*s->v), by_inode);
}

/* --- the queue ---------------------------------------------------------------- */

static void ask_for(const struct dir_scan *s, struct entry *e)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	struct vdi name = { .uuid = e->uuid };
	struct stat st;

	if (s->records >= 0) {
		_close_ int fd = openat(s->records, e->uuid.s, flags);

		if (fd >= 0)
			fs_will_read(fd, 0, 4096);
	}
	dir_set_volume(&name, e->f->name);
	e->fd = openat(s->sr->dir, name.volume, flags);
	if (e->fd < 0 || fstat(e->fd, &st) || !S_ISREG(st.st_mode))
		return;
	fs_will_read(e->fd, 0, FORMAT_HEAD);
	if (st.st_size > FORMAT_HEAD)
		fs_will_read(e->fd, (uint64_t)st.st_size - FORMAT_TAIL, FORMAT_TAIL);
}

/* The two pieces, and what the format makes of them. */
static int peek(struct sr *sr, const struct entry *e, uint64_t size, struct image_facts *facts)
{
	char head[FORMAT_HEAD], tail[FORMAT_TAIL];
	struct view h = { head, size < sizeof(head) ? (size_t)size : sizeof(head) };
	struct view t = { tail, size < sizeof(tail) ? (size_t)size : sizeof(tail) };
	int err = pread_all(e->fd, head, h.n, 0);

	if (!err)
		err = pread_all(e->fd, tail, t.n, size - t.n);
	return err ? err : e->f->peek(sr->ctx, h, t, size, facts);
}

static int load_by_fd(struct sr *sr, struct entry *e, struct image_facts *facts)
{
	_io_close_ struct io *io = NULL;
	int err = io_from_fd(&io, take_fd(&e->fd), IO_RDONLY);

	return err ? err : e->f->load(sr->ctx, io, facts);
}

static int take_entry(struct dir_scan *s, struct entry *e, struct vdi *vdi)
{
	struct image_facts facts = { 0 };
	struct sr *sr = s->sr;
	struct stat st;
	int err = 0;

	*vdi = (struct vdi){ .uuid = e->uuid };
	dir_set_volume(vdi, e->f->name);
	if (e->fd >= 0 ? fstat(e->fd, &st) : fstatat(sr->dir, vdi->volume, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? -E_VDI_MISSING : fail(sr->ctx, -errno, "%s", vdi->volume);
	err = dir_take_stat(sr, e->f, &st, vdi);
	if (err)
		return err;
	if (e->fd < 0)			/* not looked at yet, or for some reason not to be opened */
		e->fd = openat(sr->dir, vdi->volume,
			       O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (e->fd < 0)
		return errno == ENOENT ? -E_VDI_MISSING : fail(sr->ctx, -errno, "%s", vdi->volume);
	if (!e->f->peek || peek(sr, e, (uint64_t)st.st_size, &facts))
		err = load_by_fd(sr, e, &facts);
	if (err)
		return fail(sr->ctx, err, "%s", vdi->volume);
	dir_take_facts(sr, &facts, vdi);
	return 0;
}

/* The next VDI, or what is wrong with it; -E_VDI_MISSING: deleted while we read. */
static int next(struct dir_scan *s, size_t i, struct vdi *vdi)
{
	struct entry *e = &s->v[i];
	int err;

	for (size_t k = i ? i + QUEUE - 1 : 0; k < s->n && k < i + QUEUE; k++)
		ask_for(s, &s->v[k]);
	err = take_entry(s, e, vdi);
	if (e->fd >= 0)
		close(take_fd(&e->fd));
	return err;
}

/* What the queue holds when nobody wants the rest. */
static void close_all(struct dir_scan *s)
{
	for (size_t i = 0; s && i < s->n; i++)
		if (s->v[i].fd >= 0)
			close(take_fd(&s->v[i].fd));
}

/* --- parents by their id -------------------------------------------------------- */

static bool has_id(const struct vdi *vdi)
{
	return !is_zero(vdi->image_id, sizeof(vdi->image_id));
}

static bool is_parent(const struct vdi *vdi, const struct vdi *parent)
{
	if (vdi->parent_name)
		return has_id(parent) && !memcmp(vdi->parent_id, parent->image_id,
						 sizeof(vdi->parent_id));
	return uuid_equal(&vdi->parent, &parent->uuid);
}

static int no_parent(struct sr *sr, const struct vdi *vdi)
{
	return fail_say(sr->ctx, -E_VDI_LOAD, "%s stands on '%.128s', which cannot be a disk of this SR",
			vdi->volume, vdi->parent_name);
}

/* Strangers are few; those without a parent here go to the problems. */
static void find_parents(struct sr *sr, struct vdis *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct vdi *v = &l->v[i];

		for (size_t k = 0; v->parent_name && !v->parent.s[0] && k < l->n; k++)
			if (k != i && is_parent(v, &l->v[k]))
				v->parent = l->v[k].uuid;
	}
	for (size_t i = 0; i < l->n; i++) {
		const struct vdi *v = &l->v[i];

		if (v->parent_name && !v->parent.s[0])
			dir_add(sr, l, v, no_parent(sr, v));
		else
			l->v[n++] = *v;
	}
	l->n = n;
}

/* --- who wants to know -------------------------------------------------------- */

int dir_scan_list(struct sr *sr, struct dir_scan *s, int records, struct vdis *l)
{
	s->records = records;
	sort(s);
	for (size_t i = 0; i < s->n; i++) {
		struct vdi vdi;
		int err = next(s, i, &vdi);

		if (!err)
			err = dir_take_record(sr, records, &vdi);
		dir_add(sr, l, &vdi, err);
	}
	find_parents(sr, l);
	return 0;
}

/* The names of those that can have a parent. */
static int read_names(struct sr *sr, struct dir_scan **s)
{
	_closedir_ DIR *d = dir_entries(sr->dir);
	struct dirent *e;
	struct dir_seen seen = dir_begin(sr->ctx->watched);

	while (d && (e = dir_next(d, &seen))) {
		struct uuid u;
		const struct format *f = dir_volume_name(sr, e->d_name, &u);

		if (f && !f->direct)
			dir_scan_add(sr, s, f, &u, e->d_ino);
	}
	return dir_ended(sr);
}

int dir_find_parent(struct sr *sr, struct vdi *vdi)
{
	struct dir_scan *s = NULL;
	int err = read_names(sr, &s);

	for (size_t i = 0; !err && s && i < s->n && !vdi->parent.s[0]; i++) {
		struct vdi other;

		if (!next(s, i, &other) && is_parent(vdi, &other) &&
		    !uuid_equal(&vdi->uuid, &other.uuid))
			vdi->parent = other.uuid;
		fail_clear(sr->ctx);
	}
	close_all(s);
	return err || vdi->parent.s[0] ? err : no_parent(sr, vdi);
}

int dir_children(struct sr *sr, const struct uuid *of, struct uuid **v, size_t *n, bool *whole)
{
	struct dir_scan *s = NULL;
	struct vdi parent;
	int err = dir_find(sr, of, &parent);

	fail_clear(sr->ctx);
	if (err)			/* what cannot be read has an id that nobody knows */
		parent = (struct vdi){ .uuid = *of };
	err = read_names(sr, &s);
	*v = NULL;
	*n = 0;
	*whole = true;
	if (!err && s)
		sort(s);
	for (size_t i = 0; !err && s && i < s->n; i++) {
		struct vdi vdi;
		int bad = next(s, i, &vdi);

		if (bad && bad != -E_VDI_MISSING)
			*whole = false;
		if (bad)
			fail_clear(sr->ctx);
		if (bad || !is_parent(&vdi, &parent))
			continue;
		if (!(*n & (*n - 1)))
			*v = arena_grow(&sr->ctx->arena, *v, *n, *n ? *n * 2 : 1, sizeof(**v));
		(*v)[(*n)++] = vdi.uuid;
	}
	return err;
}

/* --- hard links ----------------------------------------------------------------- */

int dir_must_be_one(struct sr *sr, const struct vdi *vdi)
{
	_closedir_ DIR *d = NULL;
	struct fs_id this, id;
	struct dirent *e;
	struct dir_seen seen = dir_begin(sr->ctx->watched);
	struct stat st;

	/* Other names are rare, and may lie outside of the SR: copies that a backup keeps. */
	if (fstatat(sr->dir, vdi->volume, &st, AT_SYMLINK_NOFOLLOW) || st.st_nlink < 2 ||
	    fs_id(sr->dir, vdi->volume, &this))
		return 0;
	d = dir_entries(sr->dir);
	while (d && (e = dir_next(d, &seen))) {
		struct uuid u;

		if (!dir_volume_name(sr, e->d_name, &u) || !strcmp(e->d_name, vdi->volume) ||
		    fs_id(sr->dir, e->d_name, &id) || !fs_id_equal(&id, &this))
			continue;
		hint(sr->ctx, "remove one of the two names, or put a copy there");
		return fail_say(sr->ctx, -E_VDI_LOAD, "%s and %s are one file, by a hard link",
				vdi->volume, e->d_name);
	}
	return dir_ended(sr);
}
