/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk of a directory that is to stand on another.
 *
 * A parent that is hidden already (a collector's, under its own journal) costs
 * one write.  One that is visible becomes hidden behind that, since a hidden
 * image without children is garbage.  In this order:
 *
 *	1. compose_<child>: the parent's uuid
 *	2. the child's header (commit)
 *	3. the parent hidden, in its image and its record
 *	4. compose_<child> removed
 *
 * Each is on the disk before the next begins.  The next verb repeats 2 and 3 if
 * the child names the parent by then.  If it does not, the texts beside its header
 * may name it all the same, and are made to say what the header says: we go by that,
 * upstream by them.  Upstream has no such journal and does not look at it.
 */
#include <errno.h>
#include <string.h>

#include "arch/fs.h"
#include "drivers/format.h"
#include "drivers/layout/dir.h"
#include "drivers/sr.h"
#include "drivers/vdi.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/io.h"
#include "lib/log.h"

#define COMPOSE	"compose_"

/* The child's image names the parent, or nothing (NULL). */
static int stand_on(struct sr *sr, const struct vdi *child, const struct vdi *parent)
{
	const struct format *f = sr_format(sr->type, child->format);
	_io_close_ struct io *io = NULL, *below = NULL;
	const char *path = parent ? arena_printf(&sr->ctx->arena, "./%s", parent->volume) : NULL;
	int err = parent ? dir_must_be_one(sr, parent) : 0;

	if (!err && parent)
		err = dir_volume_io(sr, parent, false, &below);
	if (!err)
		err = dir_volume_io(sr, child, true, &io);
	if (!err)
		err = f->reparent(sr->ctx, io, path, below,
				  parent ? sr_format(sr->type, parent->format) : NULL);
	return err ? fail(sr->ctx, err, "%s", child->volume) : 0;
}

static int both(struct sr *sr, const struct vdi *child, const struct vdi *parent)
{
	int err = stand_on(sr, child, parent);			/* commit */

	return err || parent->hidden ? err : dir_volume_hide(sr, parent, true);
}

static int drop_journal(struct sr *sr, const char *name)
{
	int err = dir_clear_away(sr->dir, name);

	if (!err)
		err = fs_sync_dir(sr->dir);
	return err ? fail(sr->ctx, err, "remove %s", name) : 0;
}

int dir_read_journal(struct sr *sr, const char *name, struct uuid *value)
{
	struct view text = { 0 };
	int err = file_read_small(sr->dir, name, &sr->ctx->arena, UUID_LEN, &text);

	/* No file, or one that is too large, is none of ours; one that cannot be read may be. */
	if (err && err != -EFBIG && err != -EISDIR && err != -EINVAL && err != -ELOOP && err != -ENOENT)
		return fail(sr->ctx, err, "read %s", name);
	return !err && !uuid_parse(value, text.p);
}

int dir_compose_recover(struct sr *sr, const char *name)
{
	struct vdi child, parent = { 0 };
	struct uuid c, p;
	bool done = false;
	int err = dir_read_journal(sr, name, &p);

	if (err < 0)
		return err;
	/* One that is not whole: nothing has been done. */
	if (err && !uuid_parse(&c, name + strlen(COMPOSE))) {
		err = dir_find(sr, &c, &child);
		done = !err && uuid_equal(&child.parent, &p);
		if (!err && child.parent.s[0])
			err = dir_find(sr, &child.parent, &parent);
		if (!err && parent.volume[0])
			err = done ? both(sr, &child, &parent) : stand_on(sr, &child, &parent);
		if (err && err != -E_VDI_MISSING)
			return err;
		done = done && !err;
		fail_clear(sr->ctx);
		logf_warn(sr->ctx, "%s: %s", name, done ? "finished" : "undone");
	}
	return drop_journal(sr, name);
}

bool dir_is_compose_journal(const char *name)
{
	struct uuid u;

	return !strncmp(name, COMPOSE, strlen(COMPOSE)) && !uuid_parse(&u, name + strlen(COMPOSE));
}

int dir_volume_compose(struct sr *sr, const struct vdi *child, const struct vdi *parent)
{
	const char *name = arena_printf(&sr->ctx->arena, COMPOSE "%s", child->uuid.s);
	struct fail_words words;
	int err;

	if (!parent || parent->hidden)
		return stand_on(sr, child, parent);
	err = dir_must_be_one(sr, parent);
	if (err)
		return err;
	err = file_write_new(sr->dir, name, parent->uuid.s, UUID_LEN, 0600);
	if (!err)
		err = fs_sync_dir(sr->dir);
	if (err) {
		dir_clear_away(sr->dir, name);		/* or the next verb does */
		return fail(sr->ctx, err == -ENOSPC || err == -EDQUOT ? -E_SR_NO_SPACE : err, "write %s",
			    name);
	}
	err = both(sr, child, parent);
	if (!err) {
		/* It has happened: if not now, the journal goes with the next verb. */
		if (drop_journal(sr, name))
			logf_err(sr->ctx, "%s", sr->ctx->why);
		fail_clear(sr->ctx);
		return 0;
	}
	/* err is what matters, and what was said of it. */
	fail_keep(sr->ctx, &words);
	dir_compose_recover(sr, name);
	fail_again(sr->ctx, &words);
	return err;
}
