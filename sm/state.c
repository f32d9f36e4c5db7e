/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arch/clock.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/kconfig.h"
#include "lib/num.h"
#include "sm/gc.h"
#include "sm/state.h"

/* A record is two lines: the mode, and the boot that it is true for; and maybe the generation of a lock. */
#define RECORD_ROOM	64

static char *state_dir(struct sr *sr)
{
	return sm_path(sr->ctx, "/run/sm/attached/%s", sr->uuid.s);
}

static int open_state(struct sr *sr, bool make)
{
	const char *path = state_dir(sr);
	int fd, err;

	if (make && (err = mkdir_p(path, 0700)))
		return err;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void set_link(struct sr *sr, const struct uuid *vdi, struct attachment *at)
{
	at->link = sm_path(sr->ctx, "/dev/sm/backend/%s/%s", sr->uuid.s, vdi->s);
}

/* What a death in state_put() or link_make() leaves. */
static const char *new_name(struct sr *sr, const struct uuid *vdi)
{
	return arena_printf(&sr->ctx->arena, ".%s.new", vdi->s);
}

static int read_state(struct sr *sr, int dir, const struct uuid *vdi, struct attachment *at)
{
	struct uuid boot;
	struct view text;
	int err = file_read_small(dir, vdi->s, &sr->ctx->arena, RECORD_ROOM, &text);

	if (err == -ENOENT)
		return 0;
	if (!err)
		err = boot_id(&boot);
	if (err)
		return fail(sr->ctx, err, "read %s/%s", state_dir(sr), vdi->s);
	if (text.n < 3 + UUID_LEN || memcmp((const char *)text.p + 3, boot.s, UUID_LEN))
		return 0;		/* of an earlier boot */
	at->attached = true;
	at->writable = !memcmp(text.p, "rw", 2);
	if (IS_ENABLED(CONFIG_LOCK_KEEPER) && at->writable && text.n > 3 + UUID_LEN) {
		const char *s = (const char *)text.p + 3 + UUID_LEN + 1;

		num_take(&s, &at->lease);
	}
	return 0;
}

int state_get(struct sr *sr, const struct uuid *vdi, struct attachment *at)
{
	_close_ int dir = open_state(sr, false);

	set_link(sr, vdi, at);
	if (dir == -ENOENT)
		return 0;
	if (dir < 0)
		return fail(sr->ctx, dir, "open %s", state_dir(sr));
	return read_state(sr, dir, vdi, at);
}

/* *d: to be closed by the caller; NULL where no disk has been attached yet, or on failure. */
static int list_state(struct sr *sr, DIR **d)
{
	_close_ int dir = open_state(sr, false);

	*d = NULL;
	if (dir == -ENOENT)
		return 0;
	if (dir < 0)
		return fail(sr->ctx, dir, "open %s", state_dir(sr));
	*d = fdopendir(dir);
	if (!*d)
		return fail(sr->ctx, -errno, "read %s", state_dir(sr));
	take_fd(&dir);
	return 0;
}

int state_get_all(struct sr *sr, struct vdis *l)
{
	struct dirent *e;
	DIR *d;
	int err = list_state(sr, &d);

	for (size_t i = 0; i < l->n; i++)
		set_link(sr, &l->v[i].uuid, &l->v[i].at);
	if (!d)
		return err;
	while (!err && (errno = 0, e = readdir(d))) {
		struct uuid u;
		struct vdi *vdi;

		if (!uuid_parse(&u, e->d_name) && (vdi = vdis_find(l, &u)))
			err = read_state(sr, dirfd(d), &u, &vdi->at);
	}
	if (!err && errno)
		err = fail(sr->ctx, -errno, "read %s", state_dir(sr));
	closedir(d);
	return err;
}

int state_put(struct sr *sr, const struct uuid *vdi, bool writable, uint64_t lease)
{
	_close_ int dir = open_state(sr, true);
	char text[RECORD_ROOM];
	struct uuid boot;
	int err = dir < 0 ? dir : boot_id(&boot);

	if (IS_ENABLED(CONFIG_GC) && writable)
		gc_disturb(sr, vdi);
	if (!err) {
		int n = snprintf(text, sizeof(text), "%s\n%s\n", writable ? "rw" : "ro", boot.s);

		if (IS_ENABLED(CONFIG_LOCK_KEEPER) && lease)
			snprintf(text + n, sizeof(text) - (size_t)n, "%llu\n", (unsigned long long)lease);
		err = file_replace(dir, vdi->s, text, strlen(text), 0600);
	}
	return err ? fail(sr->ctx, err, "record in %s", state_dir(sr)) : 0;
}

int state_remove(struct sr *sr, const struct uuid *vdi)
{
	_close_ int dir = open_state(sr, false);
	int err = dir < 0 ? dir : unlink_quiet(dir, vdi->s);

	if (!err)
		err = unlink_quiet(dir, new_name(sr, vdi));
	return err && err != -ENOENT ? fail(sr->ctx, err, "change %s", state_dir(sr)) : 0;
}

int state_any(struct sr *sr, struct uuid *vdi)
{
	struct dirent *e;
	DIR *d;
	int err = list_state(sr, &d);

	*vdi = (struct uuid){ "" };
	if (!d)
		return err;
	while (!err && !vdi->s[0] && (errno = 0, e = readdir(d))) {
		struct attachment at = { 0 };
		struct uuid u;

		if (uuid_parse(&u, e->d_name))
			continue;
		err = read_state(sr, dirfd(d), &u, &at);
		if (at.attached)
			*vdi = u;
	}
	/* "Nothing is attached" must be true: more than one verb destroys on it. */
	if (!err && !vdi->s[0] && errno)
		err = fail(sr->ctx, -errno, "read %s", state_dir(sr));
	closedir(d);
	return err;
}

int state_leased(struct sr *sr, struct vdis *l)
{
	struct dirent *e;
	DIR *d;
	int err = list_state(sr, &d);

	if (!d)
		return err;
	while (!err && (errno = 0, e = readdir(d))) {
		struct vdi vdi = { 0 };

		if (uuid_parse(&vdi.uuid, e->d_name))
			continue;
		err = read_state(sr, dirfd(d), &vdi.uuid, &vdi.at);
		if (vdi.at.lease)
			*vdis_add(&sr->ctx->arena, l) = vdi;
	}
	if (!err && errno)
		err = fail(sr->ctx, -errno, "read %s", state_dir(sr));
	closedir(d);
	return err;
}

/* What deaths and earlier boots left in one of our directories, and the directory. */
static void remove_dir(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d)))
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(path);
}

static const char *shares_path(struct sr *sr)
{
	return sm_path(sr->ctx, "/run/sm/shares/%s", sr->uuid.s);
}

/* Two digits: do files share blocks, does the server copy?  What is not there is not known. */
static int noted(struct sr *sr, size_t which)
{
	struct view text;

	if (file_read_small(AT_FDCWD, shares_path(sr), &sr->ctx->arena, RECORD_ROOM, &text) ||
	    which >= text.n || ((const char *)text.p)[which] == '\n')
		return 0;
	return ((const char *)text.p)[which] == '1' ? 1 : -1;
}

int state_shares(struct sr *sr)
{
	return noted(sr, 0);
}

int state_offloads(struct sr *sr)
{
	return noted(sr, 1);
}

/* Not noted, it is tried again. */
static void note(struct sr *sr, const char *text)
{
	const char *folder = sm_path(sr->ctx, "/run/sm/shares");
	_close_ int dir = -1;

	if (mkdir_p(folder, 0700))
		return;
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0)
		file_replace(dir, sr->uuid.s, text, strlen(text), 0600);
}

void state_note_shares(struct sr *sr, bool yes)
{
	if (state_shares(sr) != (yes ? 1 : -1))
		note(sr, yes ? "1\n" : "0\n");
}

void state_note_offloads(struct sr *sr, bool yes)
{
	if (state_offloads(sr) != (yes ? 1 : -1))
		note(sr, yes ? "01\n" : "00\n");
}

void state_forget(struct sr *sr)
{
	if (IS_ENABLED(CONFIG_VDI_COPY)) {
		unlink(shares_path(sr));
		unlink(sm_path(sr->ctx, "/run/sm/shares/.%s.new", sr->uuid.s));	/* of a death in note() */
	}
	remove_dir(state_dir(sr));
	remove_dir(sm_path(sr->ctx, "/dev/sm/backend/%s", sr->uuid.s));
	if (IS_ENABLED(CONFIG_GC)) {
		remove_dir(sm_path(sr->ctx, "/run/sm/gc/%s", sr->uuid.s));
		remove_dir(sm_path(sr->ctx, "/run/sm/ipc/%s", sr->uuid.s));
		remove_dir(sm_path(sr->ctx, "/run/nonpersistent/sm/%s", sr->uuid.s));
	}
}

int link_make(struct sr *sr, const struct uuid *vdi, const char *device)
{
	const char *dir = sm_path(sr->ctx, "/dev/sm/backend/%s", sr->uuid.s);
	char *path = arena_printf(&sr->ctx->arena, "%s/%s", dir, vdi->s);
	char *new = arena_printf(&sr->ctx->arena, "%s/%s", dir, new_name(sr, vdi));
	char was[64];
	ssize_t n;
	int err = mkdir_p(dir, 0755);

	if (err)
		return fail(sr->ctx, err, "make %s", dir);
	n = readlink(path, was, sizeof(was));
	if (n == (ssize_t)strlen(device) && !memcmp(was, device, (size_t)n))
		return 0;
	unlink(new);
	if (symlink(device, new) || rename(new, path)) {
		err = -errno;
		unlink(new);
		return fail(sr->ctx, err, "link %s to %s", path, device);
	}
	return 0;
}

int link_remove(struct sr *sr, const struct uuid *vdi)
{
	const char *dir = sm_path(sr->ctx, "/dev/sm/backend/%s", sr->uuid.s);
	const char *names[] = { vdi->s, new_name(sr, vdi) };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *path = arena_printf(&sr->ctx->arena, "%s/%s", dir, names[i]);

		if (unlink(path) && errno != ENOENT && errno != ENOTDIR)
			return fail(sr->ctx, -errno, "remove %s", path);
	}
	return 0;
}
