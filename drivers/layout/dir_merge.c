/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Images of a directory merged into their parents.
 *
 * Of hidden ones there is a journal with upstream's name and contents, so that
 * either of us can go on where the other died: coalesce_<uuid> means nothing but
 * that the copy may be half done, relink_<uuid> that it is whole.  Neither is
 * dealt with by dir_recover(): a collector does.
 *
 * The last step of a leaf is the parent's new name.  In this order:
 *
 *	1. leaf_<leaf>: the parent's uuid
 *	2. the parent visible
 *	3. of a raw parent: the leaf's file as OLD_<leaf>.vhd
 *	4. the parent's file by the leaf's name, over the leaf's where that is of
 *	   the same format (commit)
 *	5. OLD_<leaf>.vhd removed (where there is one, that is the commit)
 *	6. the parent's record removed; leaf_<leaf> removed
 *
 * Each is on the disk before the next begins.  Afterwards upstream's rule
 * decides, and so both of us: while the parent has its own name or OLD_<leaf> is
 * there, it is undone, else finished.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arch/fs.h"
#include "drivers/format.h"
#include "drivers/layout.h"
#include "drivers/layout/dir.h"
#include "drivers/sr.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/log.h"

#define COALESCE	"coalesce_"
#define RELINK		"relink_"
#define LEAF		"leaf_"
#define OLD		"OLD_"

static int sync_dir(struct sr *sr)
{
	int err = fs_sync_dir(sr->dir);

	return err ? fail(sr->ctx, err, "flush the directory") : 0;
}

static bool is_journal(const char *name, const char *prefix, struct uuid *u)
{
	size_t n = strlen(prefix);

	return !strncmp(name, prefix, n) && !uuid_parse(u, name + n);
}

static int put_journal(struct sr *sr, const char *prefix, const struct uuid *u, const char *value)
{
	const char *name = arena_printf(&sr->ctx->arena, "%s%s", prefix, u->s);
	int err = file_write_new(sr->dir, name, value, strlen(value), 0600);

	if (err)
		return fail(sr->ctx, err == -ENOSPC || err == -EDQUOT ? -E_SR_NO_SPACE : err, "write %s",
			    name);
	return sync_dir(sr);
}

static int drop_journal(struct sr *sr, const char *prefix, const struct uuid *u)
{
	const char *name = arena_printf(&sr->ctx->arena, "%s%s", prefix, u->s);
	int err = dir_clear_away(sr->dir, name);

	return err ? fail(sr->ctx, err, "remove %s", name) : 0;
}

/* --- hidden ones ------------------------------------------------------------------ */

int dir_merge_begin(struct sr *sr, const struct vdi *vdi, struct vdi *parent, uint64_t more)
{
	struct fs_space space;
	int err = dir_must_be_one(sr, vdi);

	if (!err)
		err = dir_must_be_one(sr, parent);
	if (err)
		return err;
	if (!fs_space(sr->dir, &space) && space.avail < more)
		return fail_say(sr->ctx, -E_SR_NO_SPACE, "up to %llu bytes are needed, %llu are free",
				(unsigned long long)more, (unsigned long long)space.avail);
	if (vdi->hidden)
		err = put_journal(sr, COALESCE, &vdi->uuid, "1");
	if (!err && parent->virtual_size < vdi->virtual_size)
		err = dir_volume_resize(sr, parent, vdi->virtual_size);
	return err;
}

int dir_merge_copied(struct sr *sr, const struct vdi *vdi)
{
	int err = put_journal(sr, RELINK, &vdi->uuid, "1");	/* commit */

	return err ? err : drop_journal(sr, COALESCE, &vdi->uuid);
}

int dir_merge_end(struct sr *sr, const struct vdi *vdi, const struct vdi *parent)
{
	return dir_merge_forget(sr, &vdi->uuid);
}

int dir_merge_forget(struct sr *sr, const struct uuid *vdi)
{
	int err = drop_journal(sr, COALESCE, vdi);

	if (!err)
		err = drop_journal(sr, RELINK, vdi);
	return err ? err : sync_dir(sr);
}

int dir_merge_journals(struct sr *sr, struct merge_journal **v, size_t *n)
{
	_closedir_ DIR *d = dir_entries(sr->dir);
	struct arena *a = &sr->ctx->arena;
	struct dirent *e;
	struct dir_seen seen = dir_begin(sr->ctx->watched);
	size_t room = 0;

	*v = NULL;
	*n = 0;
	while (d && (e = dir_next(d, &seen))) {
		struct merge_journal j = { 0 };

		j.relink = is_journal(e->d_name, RELINK, &j.vdi);
		if (!j.relink && !is_journal(e->d_name, COALESCE, &j.vdi))
			continue;
		if (*n == room)
			*v = arena_grow(a, *v, *n, room = 2 * room + 8, sizeof(**v));
		(*v)[(*n)++] = j;
	}
	return dir_ended(sr);
}

/* --- a leaf ----------------------------------------------------------------------- */

static int move(struct sr *sr, const char *from, const char *to, bool over)
{
	int err = 0;

	if (!over)
		err = fs_rename_new(sr->dir, from, sr->dir, to);
	else if (renameat(sr->dir, from, sr->dir, to))
		err = -errno;
	return err ? fail(sr->ctx, err, "name %s", to) : sync_dir(sr);
}

static int remove_name(struct sr *sr, const char *name)
{
	int err = dir_clear_away(sr->dir, name);

	return err ? fail(sr->ctx, err, "remove %s", name) : sync_dir(sr);
}

static const char *name_of(struct sr *sr, const char *prefix, const struct uuid *u, const char *format)
{
	return arena_printf(&sr->ctx->arena, "%s%s.%s", prefix, u->s, format);
}

/* What is left to do once the parent has the leaf's name. */
static int finish(struct sr *sr, const struct uuid *leaf, const struct uuid *parent)
{
	_close_ int records = -1;
	struct vdi v;
	int err = dir_find(sr, leaf, &v);

	/* Before anything else: one that is hidden and has no children is garbage. */
	if (!err && v.hidden)
		err = dir_volume_hide(sr, &v, false);
	if (err && err != -E_VDI_MISSING)
		return err;
	err = dir_sub(sr, ".sm/vdi", &records);
	if (!err)
		err = dir_clear_away(records, parent->s);
	if (err && err != -ENOENT)
		return fail(sr->ctx, err, "remove the record of VDI %s", parent->s);
	err = drop_journal(sr, LEAF, leaf);
	return err ? err : sync_dir(sr);
}

int dir_merge_leaf(struct sr *sr, const struct vdi *leaf, const struct vdi *parent,
		   void (*go)(void *arg), void *arg)
{
	const char *to = name_of(sr, "", &leaf->uuid, parent->format);
	bool same = !strcmp(leaf->format, parent->format);
	const char *old = same ? NULL : name_of(sr, OLD, &leaf->uuid, leaf->format);
	int err = dir_must_be_one(sr, leaf);

	if (!err)
		err = dir_must_be_one(sr, parent);
	if (!err)
		err = put_journal(sr, LEAF, &leaf->uuid, parent->uuid.s);
	if (!err)
		err = dir_volume_hide(sr, parent, false);
	if (!err && old)
		err = move(sr, leaf->volume, old, false);
	if (!err)
		err = move(sr, parent->volume, to, same);	/* commit */
	if (!err && old)
		err = remove_name(sr, old);			/* commit */
	if (!err && go)
		go(arg);
	return err ? err : finish(sr, &leaf->uuid, &parent->uuid);
}

/* --- what a death left --------------------------------------------------------------- */

bool dir_is_leaf_journal(const char *name)
{
	struct uuid u;

	return is_journal(name, LEAF, &u);
}

static int exists(struct sr *sr, const char *name)
{
	struct fs_id id;
	int err = fs_id(sr->dir, name, &id);

	return err == -ENOENT ? 0 : err ? fail(sr->ctx, err, "%s", name) : 1;
}

/* Under its own name; *format is which. */
static int find_volume(struct sr *sr, const char *prefix, const struct uuid *u, const char **format)
{
	const struct format *f;
	int there = 0;

	for (size_t i = 0; !there && (f = sr_format_at(sr->type, i)); i++) {
		*format = f->name;
		there = exists(sr, name_of(sr, prefix, u, f->name));
	}
	return there;
}

/* Both have their names again, then the marks; a hidden parent has a child by then. */
static int undo(struct sr *sr, const struct uuid *leaf, const struct uuid *parent, bool has_parent,
		const char *old)
{
	const char *format;
	struct vdi p;
	int there, err = 0;

	if (!has_parent) {
		there = find_volume(sr, "", leaf, &format);
		if (there <= 0)
			return there ? there : fail(sr->ctx, -E_VDI_MISSING, "VDI %s", parent->s);
		err = move(sr, name_of(sr, "", leaf, format), name_of(sr, "", parent, format), false);
	}
	if (!err && old)
		err = move(sr, name_of(sr, OLD, leaf, old), name_of(sr, "", leaf, old), false);
	if (!err)
		err = dir_find(sr, leaf, &p);
	if (!err && p.hidden)			/* upstream hides it before it goes */
		err = dir_volume_hide(sr, &p, false);
	if (!err)
		err = dir_find(sr, parent, &p);
	if (!err && !p.hidden)
		err = dir_volume_hide(sr, &p, true);
	if (!err)
		err = drop_journal(sr, LEAF, leaf);
	return err ? err : sync_dir(sr);
}

/*
 * A journal that names no disk of ours, or one on which the leaf does not stand,
 * is a stranger's or of long ago: nothing is done but to say so.
 */
static bool is_about_us(struct sr *sr, const struct uuid *leaf, const struct uuid *parent)
{
	struct vdi v;
	int err = dir_find(sr, leaf, &v);

	fail_clear(sr->ctx);
	return err ? err != -E_VDI_MISSING : uuid_equal(&v.parent, parent);
}

int dir_leaf_recover(struct sr *sr, const char *journal)
{
	struct uuid leaf, parent;
	const char *format, *old = NULL;
	int has_parent, has_old, err;

	is_journal(journal, LEAF, &leaf);
	err = dir_read_journal(sr, journal, &parent);
	if (err < 0)
		return err;
	if (!err) {			/* it was not whole: nothing has been done */
		logf_warn(sr->ctx, "%s says nothing: removed", journal);
		return drop_journal(sr, LEAF, &leaf);
	}
	has_parent = find_volume(sr, "", &parent, &format);
	has_old = find_volume(sr, OLD, &leaf, &old);
	if (has_parent < 0 || has_old < 0)
		return has_parent < 0 ? has_parent : has_old;
	logf_warn(sr->ctx, "%s: %s", journal, has_parent || has_old ? "undone" : "finished");
	if (!has_parent && !has_old)
		return finish(sr, &leaf, &parent);
	if (!has_old && !is_about_us(sr, &leaf, &parent))
		return drop_journal(sr, LEAF, &leaf);
	return undo(sr, &leaf, &parent, has_parent, has_old ? old : NULL);
}
