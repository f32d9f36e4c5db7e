/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Snapshots and clones in a directory.
 *
 * The image becomes base by a second name for the same file; then new, empty
 * children take the leaf's name and the copy's.  In this order:
 *
 *	1. both children in .sm/tmp
 *	2. clone_<leaf>: the names of base and copy, in upstream's form
 *	3. the records of base, which says hidden, and copy
 *	4. base: a link to the leaf's file, or a rename where links are unknown
 *	5. copy: its file into place, a child of base
 *	6. leaf: its file over the old one (commit).  One in use is held still for
 *	   this alone: until now its server writes the same file, by its descriptor
 *	7. base hidden in its image too; of a raw leaf the old name goes; the log of
 *	   changed blocks goes with the snapshot, and the leaf gets a new one, or
 *	   where there is no room for that goes on without
 *	8. clone_<leaf> removed
 *
 * Each of 1 to 6 is on the disk before the next begins.  A death before 6 is
 * undone and one after it finished by the next verb: which it was is seen by
 * whether the leaf's child still lies in .sm/tmp.  After 6 nothing is left to
 * do that needs space.  Undoing goes backwards, the journal last; without a
 * base nothing of 5 can have happened, and a copy of that name is somebody's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arch/fs.h"
#include "drivers/cbt.h"
#include "drivers/format.h"
#include "drivers/layout.h"
#include "drivers/layout/dir.h"
#include "drivers/layout/record.h"
#include "drivers/sr.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/io.h"
#include "lib/log.h"

#define JOURNAL		"clone_"
#define JOURNAL_MOST	((size_t)2 * UUID_LEN + 1)

/* What the journal says, and what there is of it. */
struct work {
	struct sr *sr;
	struct uuid leaf, base, copy;	/* copy "": a single snapshot */
	char journal[DIR_NAME];
	char old_leaf[DIR_NAME];	/* the volume that becomes base; "" = it is gone */
	char new_leaf[DIR_NAME];	/* the child that takes its place; "" = not there yet */
	char base_name[DIR_NAME];	/* "" = not there */
	bool prepared;			/* the child still lies in .sm/tmp */
};

static void set_journal(struct work *w)
{
	snprintf(w->journal, sizeof(w->journal), JOURNAL "%s", w->leaf.s);
}

bool dir_is_split_journal(const char *name)
{
	struct uuid u;

	return !strncmp(name, JOURNAL, sizeof(JOURNAL) - 1) &&
	       !uuid_parse(&u, name + sizeof(JOURNAL) - 1);
}

static int sync_dir(struct work *w)
{
	int err = fs_sync_dir(w->sr->dir);

	return err ? fail(w->sr->ctx, err, "flush the directory") : 0;
}

/* --- what is there ------------------------------------------------------------- */

static int volume_of(struct work *w, const struct uuid *u, const struct format *f,
		     char name[DIR_NAME], struct fs_id *id)
{
	snprintf(name, DIR_NAME, "%s.%s", u->s, f->name);
	return fs_id(w->sr->dir, name, id);
}

static int look_for_child(struct work *w)
{
	_close_ int tmp = -1;
	const struct format *f;
	struct fs_id id;
	char name[DIR_NAME];
	int err = dir_sub(w->sr, ".sm/tmp", &tmp);

	w->prepared = false;
	for (size_t i = 0; !err && (f = sr_format_at(w->sr->type, i)); i++) {
		snprintf(name, sizeof(name), "%s.%s", w->leaf.s, f->name);
		err = fs_id(tmp, name, &id);
		w->prepared |= !err;
		if (err == -ENOENT)
			err = 0;
	}
	return err == -ENOENT ? 0 : err;
}

/*
 * Of the leaf's volumes the one that is base's file is the old one, any other
 * the new one.  Without a base there is only an old one.
 */
static int look(struct work *w)
{
	const struct format *f;
	struct fs_id base = { 0 }, id;
	char name[DIR_NAME];
	int err = look_for_child(w);

	w->old_leaf[0] = w->new_leaf[0] = w->base_name[0] = '\0';
	for (size_t i = 0; !err && !w->base_name[0] && (f = sr_format_at(w->sr->type, i)); i++) {
		err = volume_of(w, &w->base, f, name, &base);
		if (!err)
			memcpy(w->base_name, name, sizeof(name));
		else if (err == -ENOENT)
			err = 0;
	}
	for (size_t i = 0; !err && (f = sr_format_at(w->sr->type, i)); i++) {
		err = volume_of(w, &w->leaf, f, name, &id);
		if (!err && w->base_name[0] && !fs_id_equal(&id, &base))
			memcpy(w->new_leaf, name, sizeof(name));
		else if (!err)
			memcpy(w->old_leaf, name, sizeof(name));
		else if (err == -ENOENT)
			err = 0;
	}
	return err ? fail(w->sr->ctx, err, "look for the volumes of VDI %s", w->leaf.s) : 0;
}

static bool is_committed(const struct work *w)
{
	return w->base_name[0] && !w->prepared && (w->new_leaf[0] || !w->old_leaf[0]);
}

/* --- backwards ------------------------------------------------------------------ */

/* Records of VDIs that are not there (any more). */
static int remove_record(struct work *w, const struct uuid *u)
{
	_close_ int records = -1;
	struct vdi vdi;
	int err = u->s[0] ? dir_find(w->sr, u, &vdi) : 0;

	fail_clear(w->sr->ctx);
	if (err != -E_VDI_MISSING)
		return 0;
	err = dir_sub(w->sr, ".sm/vdi", &records);
	if (!err)
		err = unlink_quiet(records, u->s);
	return err == -ENOENT ? 0 : err;
}

static int remove_volumes(struct work *w, int dir, const struct uuid *u)
{
	const struct format *f;
	char name[DIR_NAME];
	int err = 0;

	for (size_t i = 0; !err && u->s[0] && (f = sr_format_at(w->sr->type, i)); i++) {
		snprintf(name, sizeof(name), "%s.%s", u->s, f->name);
		err = unlink_quiet(dir, name);
	}
	return err;
}

/* The leaf is there by its own name, or gets it back. */
static int remove_base(struct work *w)
{
	char name[DIR_NAME];
	int err = remove_volumes(w, w->sr->dir, &w->copy);

	if (!err)
		err = sync_dir(w);
	if (err)
		return err;
	if (w->old_leaf[0]) {
		err = unlink_quiet(w->sr->dir, w->base_name);
	} else {
		snprintf(name, sizeof(name), "%s%s", w->leaf.s, strchr(w->base_name, '.'));
		err = fs_rename_new(w->sr->dir, w->base_name, w->sr->dir, name);
	}
	return err ? err : sync_dir(w);
}

static int undo(struct work *w)
{
	_close_ int tmp = -1;
	int err = look(w);

	if (!err && w->base_name[0])
		err = remove_base(w);
	if (!err && !dir_sub(w->sr, ".sm/tmp", &tmp)) {
		err = remove_volumes(w, tmp, &w->leaf);
		if (!err)
			err = remove_volumes(w, tmp, &w->copy);
	}
	if (!err)
		err = remove_record(w, &w->base);
	if (!err)
		err = remove_record(w, &w->copy);
	if (!err)
		err = unlink_quiet(w->sr->dir, w->journal);
	if (!err)
		err = sync_dir(w);
	return err ? fail(w->sr->ctx, err, "undo the snapshot of VDI %s", w->leaf.s) : 0;
}

/* --- forwards ------------------------------------------------------------------- */

static int hide_image(struct sr *sr, const char *volume, bool hidden)
{
	_io_close_ struct io *io = NULL;
	const struct format *f;
	struct vdi vdi = { 0 };
	int err;

	f = dir_volume_name(sr, volume, &vdi.uuid);
	if (!f || !f->hide)
		return 0;
	dir_set_volume(&vdi, f->name);
	err = dir_volume_io(sr, &vdi, true, &io);
	if (!err)
		err = f->hide(sr->ctx, io, hidden);
	return err ? fail(sr->ctx, err, "%s", volume) : 0;
}

/*
 * A journal that a backup brought back, or a stranger wrote, may call any disk
 * a base: it is one if the leaf was it, or stands on it.
 */
static bool is_base(struct work *w)
{
	struct vdi leaf;
	int err = w->old_leaf[0] ? 0 : dir_find(w->sr, &w->leaf, &leaf);

	fail_clear(w->sr->ctx);
	return w->old_leaf[0] || (err ? err != -E_VDI_MISSING : uuid_equal(&leaf.parent, &w->base));
}

/* Of a snapshot; a clone begins a life of its own, and the leaf's log goes on. */
static int rotate_log(struct work *w)
{
	struct vdi copy;
	int err = w->copy.s[0] ? dir_find(w->sr, &w->copy, &copy) : -E_VDI_MISSING;

	fail_clear(w->sr->ctx);
	return err || !uuid_equal(&copy.snapshot_of, &w->leaf) ? 0 : cbt_rotate(w->sr, &w->leaf, &w->copy);
}

static int finish(struct work *w)
{
	int err = is_base(w) ? hide_image(w->sr, w->base_name, true) : 0;

	/* Its record says it too.  A damaged image is for sr check to tell. */
	if (err && err_kind(err) == -EUCLEAN) {
		logf_err(w->sr->ctx, "%s", w->sr->ctx->why);
		fail_clear(w->sr->ctx);
		err = 0;
	}
	if (!err && w->old_leaf[0]) {
		err = unlink_quiet(w->sr->dir, w->old_leaf);
		if (!err)
			err = sync_dir(w);
	}
	if (IS_ENABLED(CONFIG_DIR_CBT) && !err)
		err = rotate_log(w);
	if (!err)
		err = unlink_quiet(w->sr->dir, w->journal);
	if (!err)
		err = sync_dir(w);
	return err ? fail(w->sr->ctx, err, "finish the snapshot of VDI %s", w->leaf.s) : 0;
}

/* "<base>_<copy>", or "<base>_".  1, 0 when it is not whole, or an error. */
static int read_journal(struct work *w)
{
	struct view text = { 0 };
	const char *p;
	int err = uuid_parse(&w->leaf, w->journal + sizeof(JOURNAL) - 1);

	if (!err)
		err = file_read_small(w->sr->dir, w->journal, &w->sr->ctx->arena, JOURNAL_MOST,
				      &text);
	/* No file, or one that is too large, is none of ours. */
	if (err && err != -EFBIG && err != -EISDIR && err != -EINVAL && err != -ELOOP &&
	    err != -ENOENT)
		return fail(w->sr->ctx, err, "read %s", w->journal);
	p = text.p;
	if (err || text.n < UUID_LEN + 1 || p[UUID_LEN] != '_' ||
	    uuid_parse_n(&w->base, p, UUID_LEN))
		return 0;
	return text.n == UUID_LEN + 1 ||
	       (text.n == JOURNAL_MOST && !uuid_parse_n(&w->copy, p + UUID_LEN + 1, UUID_LEN));
}

int dir_split_recover(struct sr *sr, const char *journal)
{
	struct work w = { .sr = sr };
	int whole, err;

	snprintf(w.journal, sizeof(w.journal), "%s", journal);
	whole = read_journal(&w);
	if (whole < 0)
		return whole;
	if (!whole) {			/* nothing had been done when it was written */
		err = dir_clear_away(sr->dir, journal);
		return err ? fail(sr->ctx, err, "remove %s", journal) : 0;
	}
	err = look(&w);
	if (err)
		return err;
	return is_committed(&w) ? finish(&w) : undo(&w);
}

/* --- doing it ------------------------------------------------------------------- */

/* A child, in .sm/tmp: made over the leaf's file, which will have base's name. */
static int make_child(struct work *w, int tmp, const struct volume_split *s,
		      const struct uuid *uuid)
{
	struct volume_spec spec = {
		.format = s->format, .virtual_size = s->leaf->virtual_size, .parent = s->leaf,
	};
	struct vdi child = { .uuid = *uuid };

	dir_set_volume(&child, s->format->name);
	return dir_make_image(w->sr, tmp, &child, &spec, s->base->volume);
}

static int prepare(struct work *w, int tmp, const struct volume_split *s)
{
	int err = make_child(w, tmp, s, &w->leaf);

	if (!err && s->copy)
		err = make_child(w, tmp, s, &w->copy);
	return err ? err : fs_sync_dir(tmp);
}

static int describe(struct work *w, const struct volume_split *s)
{
	int err = dir_describe(w->sr, s->base);

	return err || !s->copy ? err : dir_describe(w->sr, s->copy);
}

static int write_journal(struct work *w)
{
	char text[JOURNAL_MOST + 1];
	int n = snprintf(text, sizeof(text), "%s_%s", w->base.s, w->copy.s);
	int err = file_write_new(w->sr->dir, w->journal, text, (size_t)n, 0600);

	if (!err)
		err = sync_dir(w);
	return err ? fail(w->sr->ctx, err, "write %s", w->journal) : 0;
}

/* EPERM is vfat and its like; some file systems say it in other words. */
static bool has_no_links(int err)
{
	return err == -EPERM || err == -EOPNOTSUPP || err == -ENOSYS || err == -EMLINK;
}

static int name_base(struct work *w, const char *from, const char *to)
{
	int err = linkat(w->sr->dir, from, w->sr->dir, to, 0) ? -errno : 0;

	if (has_no_links(err))
		err = fs_rename_new(w->sr->dir, from, w->sr->dir, to);
	if (!err)
		err = sync_dir(w);
	return err ? fail(w->sr->ctx, err, "name %s", to) : 0;
}

static int put_copy(struct work *w, int tmp, const struct volume_split *s)
{
	char name[DIR_NAME];
	int err;

	snprintf(name, sizeof(name), "%s.%s", w->copy.s, s->format->name);
	err = fs_rename_new(tmp, name, w->sr->dir, name);
	if (!err)
		err = sync_dir(w);
	return err ? fail(w->sr->ctx, err, "name %s", name) : 0;
}

static int put_leaf(struct work *w, int tmp, const struct volume_split *s)
{
	char name[DIR_NAME];
	int err = 0;

	snprintf(name, sizeof(name), "%s.%s", w->leaf.s, s->format->name);
	if (renameat(tmp, name, w->sr->dir, name))	/* commit */
		err = -errno;
	return err ? fail(w->sr->ctx, err, "name %s", name) : 0;
}

/* It has happened: what of the rest cannot be done now the next verb does. */
static void finish_later(struct work *w)
{
	int err = look(w);

	if (!err)
		err = finish(w);
	if (err)
		logf_err(w->sr->ctx, "%s", w->sr->ctx->why);
	fail_clear(w->sr->ctx);
}

int dir_volume_split(struct sr *sr, struct volume_split *s)
{
	struct work w = { .sr = sr, .leaf = s->leaf->uuid, .base = s->base->uuid };
	struct fail_words words;
	_close_ int tmp = -1;
	struct vdi leaf;
	int err;

	if (s->copy)
		w.copy = s->copy->uuid;
	set_journal(&w);
	s->base->format = s->leaf->format;
	s->base->hidden = true;
	dir_set_volume(s->base, s->base->format);
	err = dir_must_be_one(sr, s->leaf);
	if (err)
		return err;
	err = dir_open_tmp(sr, &tmp);
	if (!err)
		err = prepare(&w, tmp, s);
	if (err && s->hold) {		/* its head may have been about to be written */
		fail_clear(sr->ctx);
		err = undo(&w);
		if (!err)
			err = volume_hold(s);
		if (!err)
			err = prepare(&w, tmp, s);
	}
	if (!err)
		err = write_journal(&w);
	if (!err)
		err = describe(&w, s);
	if (!err)
		err = name_base(&w, s->leaf->volume, s->base->volume);
	if (!err && s->copy)
		err = put_copy(&w, tmp, s);
	/* Who serves it has it open: what it is called does not matter to him. */
	if (!err)
		err = volume_hold(s);
	if (!err)
		err = put_leaf(&w, tmp, s);			/* commit */
	if (err) {
		fail_keep(sr->ctx, &words);
		undo(&w);			/* err is what matters, and what was said of it */
		fail_again(sr->ctx, &words);
		return err == -ENOSPC || err == -EDQUOT ? -E_SR_NO_SPACE :
		       err == -EROFS ? -E_SR_READ_ONLY : err;
	}
	err = sync_dir(&w);
	leaf = (struct vdi){ .uuid = w.leaf, .format = s->format->name };
	dir_set_volume(&leaf, s->format->name);
	volume_go(s, &leaf, s->base);
	finish_later(&w);
	if (!err)
		err = dir_find(sr, &w.base, s->base);
	if (!err && s->copy)
		err = dir_find(sr, &w.copy, s->copy);
	return err;
}

/* Files take what they hold: the children's tables, their records, and rounding. */
int dir_split_space(struct sr *sr, const struct volume_split *s, uint64_t *bytes)
{
	uint64_t one = s->format->space(s->leaf->virtual_size, 0, false) + 64 * KiB;

	*bytes = one * ((s->base ? 1 : 0) + (s->copy ? 1 : 0));
	return 0;
}

/* --- the rest ------------------------------------------------------------------- */

static int note_hidden(struct sr *sr, const struct vdi *vdi, bool hidden)
{
	_close_ int records = -1;
	struct kvs kvs = { 0 };
	int err = dir_describe(sr, &(struct vdi){ .uuid = vdi->uuid, .hidden = hidden });

	if (err || hidden)
		return err;
	err = dir_sub(sr, ".sm/vdi", &records);
	if (!err)
		err = record_read(&sr->ctx->arena, records, vdi->uuid.s, &kvs);
	kv_set(&sr->ctx->arena, &kvs, "hidden", "0");
	if (!err)
		err = dir_put_record(sr, &vdi->uuid, records, vdi->uuid.s, &kvs, false);
	return err ? fail(sr->ctx, err, "write the record of VDI %s", vdi->uuid.s) : 0;
}

int dir_volume_hide(struct sr *sr, const struct vdi *vdi, bool hidden)
{
	int err = hide_image(sr, vdi->volume, hidden);

	return err ? err : note_hidden(sr, vdi, hidden);
}
