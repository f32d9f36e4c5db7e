/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Volumes that a verb has made active for itself, noted for who comes after its death. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/dm.h"
#include "arch/lock.h"
#include "drivers/chain.h"
#include "drivers/layout.h"
#include "drivers/sr.h"
#include "drivers/vdi.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/lvm2/dm.h"

#define PATIENCE	(10 * NS_PER_S)
#define NOTE_ROOM	((size_t)IMAGE_DEPTH_MAX * (UUID_LEN + DM_UUID_MAX + 2))

static const char *notes_of(struct sr *sr)
{
	return sm_path(sr->ctx, "/run/sm/opened/%s", sr->uuid.s);
}

/*
 * One level a line: the VDI, and what device-mapper knows its volume by, which
 * stays when names change.  What is wrong with the chain tells who opens it.
 */
static int say_levels(struct sr *sr, const struct vdi *vdi, struct buf *text)
{
	const struct layout *l = sr->type->layout;
	struct vdi at = *vdi;
	int left = IMAGE_DEPTH_MAX;

	for (;;) {
		struct volume_map map = { 0 };
		struct uuid up = at.parent;
		int err = l->volume_map(sr, &at, &map);

		if (err)
			return err;
		buf_printf(text, "%s %s\n", at.uuid.s, map.uuid);
		if (!up.s[0] || !--left)
			return 0;
		if (l->find(sr, &up, &at)) {
			fail_clear(sr->ctx);
			return 0;
		}
	}
}

int chain_note(struct sr *sr, const struct vdi *vdi, struct chain_note *note)
{
	_buf_free_ struct buf text = { 0 };
	struct uuid name;
	int err;

	if (!sr->type->layout->volume_map)
		return 0;
	err = say_levels(sr, vdi, &text);
	if (err)
		return err;
	random_uuid(&name);
	note->path = sm_path(sr->ctx, "/run/sm/opened/%s/%s", sr->uuid.s, name.s);
	err = lock_take(&note->lock, note->path, false, LOCK_TRY);
	if (!err)
		err = pwrite_all(note->lock, text.p, text.n, 0);
	return err ? fail(sr->ctx, err, "note in %s", note->path) : 0;
}

void chain_note_drop(struct chain_note *note, bool gone)
{
	if (note->lock >= 0 && gone)
		unlink(note->path);
	lock_drop(&note->lock);
}

/* 1: somebody has it open, who puts it away himself, or dies as well. */
static int put_away(struct sr *sr, int ctl, const struct uuid *vdi, const char *uuid)
{
	struct vdi of = { .uuid = *vdi };
	struct dm_device d = {
		.uuid = uuid, .root = sr->ctx->root && *sr->ctx->root ? sr->ctx->root : NULL,
		.deadline = clock_now_mono() + PATIENCE,
	};
	char *group, *volume, *layer;
	struct dm_info now;
	int err = dm_info(ctl, dm_by_uuid(uuid), &now);

	if (!err && now.open_count)
		return 1;
	if (!err) {
		d.name = now.name;
		if (!lvm_dm_split(&sr->ctx->arena, now.name, &group, &volume, &layer)) {
			d.group = group;
			d.volume = volume;
		}
		err = dm_deactivate(ctl, &d);
		if (err == -EBUSY)
			return 1;
		snprintf(of.volume, sizeof(of.volume), "%s", now.name);
		if (!err)
			logf_warn(sr->ctx, "%s: left active by a verb that died: put away", now.name);
	}
	if (err && err != -ENXIO)
		return fail(sr->ctx, err, "deactivate the volume of VDI %s", vdi->s);
	return sr->type->layout->volume_used ? sr->type->layout->volume_used(sr, &of, false) : 0;
}

/* What a death has cut off says nothing: its volume was not active yet. */
static int put_all_away(struct sr *sr, int ctl, char *text)
{
	bool open = false;
	char *end;
	int err = 0;

	for (; !err && (end = strchr(text, '\n')); text = end + 1) {
		struct uuid vdi;

		*end = '\0';
		if (strlen(text) <= UUID_LEN + 1 || uuid_parse_n(&vdi, text, UUID_LEN))
			continue;
		err = put_away(sr, ctl, &vdi, text + UUID_LEN + 1);
		open = open || err > 0;
		err = err > 0 ? 0 : err;
	}
	return err ? err : open;
}

/* That of one who lives is locked. */
static int end_note(struct sr *sr, const char *path)
{
	_close_ int ctl = dm_open();
	_unlock_ int lock = -1;
	struct view text;
	int err;

	if (ctl < 0 && !dm_is_absent(ctl))
		return 0;
	err = lock_take(&lock, path, false, LOCK_TRY);
	if (err == -ETIMEDOUT)
		return 0;
	if (!err && ctl >= 0)
		err = file_read_small(AT_FDCWD, path, &sr->ctx->arena, NOTE_ROOM, &text);
	if (err)
		return fail(sr->ctx, err, "read %s", path);
	if (ctl >= 0)				/* without device-mapper nothing has become active */
		err = put_all_away(sr, ctl, arena_strndup(&sr->ctx->arena, text.p, text.n));
	if (!err)
		unlink(path);
	return err;
}

void chain_recover(struct sr *sr)
{
	const char *path = notes_of(sr);
	DIR *d = sr->type->layout->volume_map ? opendir(path) : NULL;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.' ||
		    end_note(sr, arena_printf(&sr->ctx->arena, "%s/%s", path, e->d_name)) >= 0)
			continue;
		logf_err(sr->ctx, "%s", sr->ctx->why);
		fail_clear(sr->ctx);
	}
	if (d)
		closedir(d);
}
