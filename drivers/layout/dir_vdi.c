/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a file and its record say about a VDI. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

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

int dir_take_record(struct sr *sr, int records, struct vdi *vdi)
{
	struct kvs kvs = { 0 };
	const char *s;

	if (!vdi->virtual_size || vdi->virtual_size % SECTOR_SIZE)
		return fail_say(sr->ctx, -E_VDI_LOAD, "%s has %llu bytes, which is no number of sectors",
				vdi->volume, (unsigned long long)vdi->virtual_size);
	vdi->name = vdi->description = vdi->type = "";
	if (records < 0 || record_read(&sr->ctx->arena, records, vdi->uuid.s, &kvs))
		return 0;
	if ((s = kv_get(&kvs, "name")))
		vdi->name = s;
	if ((s = kv_get(&kvs, "description")))
		vdi->description = s;
	if ((s = kv_get(&kvs, "type")))
		vdi->type = s;
	if ((s = kv_get(&kvs, "snapshot_of")))
		uuid_parse(&vdi->snapshot_of, s);
	/* What the image cannot say itself, if it is a raw one. */
	if (WITH_TREES) {
		s = kv_get(&kvs, "hidden");
		vdi->shown = !s || strcmp(s, "1");
		vdi->hidden |= !vdi->shown;
	}
	return 0;
}

int dir_take_stat(struct sr *sr, const struct format *f, const struct stat *st, struct vdi *vdi)
{
	vdi->format = f->name;
	vdi->location = arena_strdup(&sr->ctx->arena, vdi->uuid.s);
	vdi->sector_size = SECTOR_SIZE;
	dir_set_volume(vdi, f->name);
	if (!S_ISREG(st->st_mode))
		return fail_say(sr->ctx, -E_VDI_LOAD, "%s is %s, not an image file", vdi->volume,
				S_ISDIR(st->st_mode) ? "a directory" :
				S_ISLNK(st->st_mode) ? "a symbolic link" : "a special file");
	/* Only in blocks on the disk: a sparse image costs what it holds. */
	vdi->physical_size = (uint64_t)st->st_blocks * 512;
	vdi->virtual_size = (uint64_t)st->st_size;	/* unless the image knows better */
	vdi->read_only = !(st->st_mode & 0222);
	vdi->linked = WITH_TREES && st->st_nlink > 1;
	if (!strcmp(f->name, "raw"))
		kv_set(&sr->ctx->arena, &vdi->sm_config, "type", "raw");
	return 0;
}

/*
 * The name of a parent is a stranger's word: it is taken for the name of a
 * volume of the right kind, and followed nowhere else.  Whether that volume is
 * here is seen by who looks for it.
 */
static void take_parent(struct sr *sr, const struct image_facts *facts, struct vdi *vdi)
{
	const struct format *f = dir_volume_name(sr, facts->parent_name, &vdi->parent);

	memcpy(vdi->parent_id, facts->parent_id, sizeof(vdi->parent_id));
	if (f && f->direct == is_zero(facts->parent_id, sizeof(facts->parent_id)))
		return;
	vdi->parent.s[0] = '\0';
	vdi->parent_name = facts->parent_name;
}

void dir_take_facts(struct sr *sr, const struct image_facts *facts, struct vdi *vdi)
{
	vdi->virtual_size = facts->virtual_size;
	vdi->hidden = facts->hidden;
	vdi->mend = facts->mend;
	memcpy(vdi->image_id, facts->id, sizeof(vdi->image_id));
	if (WITH_TREES && facts->has_parent)
		take_parent(sr, facts, vdi);
}

static int load_image(struct sr *sr, const struct format *f, struct vdi *vdi)
{
	_io_close_ struct io *io = NULL;
	struct image_facts facts = { 0 };
	int err = io_open(&io, sr->dir, vdi->volume, IO_NOFOLLOW);

	if (err == -ENOENT)
		return -E_VDI_MISSING;
	if (!err)
		err = f->load(sr->ctx, io, &facts);
	if (err)
		return fail(sr->ctx, err, "%s", vdi->volume);
	dir_take_facts(sr, &facts, vdi);
	return 0;
}

/* What one file is.  The error says what is wrong with it. */
static int load(struct sr *sr, int records, const struct format *f, struct vdi *vdi)
{
	struct stat st;
	int err;

	dir_set_volume(vdi, f->name);
	if (fstatat(sr->dir, vdi->volume, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? -E_VDI_MISSING : fail(sr->ctx, -errno, "%s", vdi->volume);
	err = dir_take_stat(sr, f, &st, vdi);
	if (WITH_TREES && !err && !f->direct)
		err = load_image(sr, f, vdi);
	if (!err)
		err = dir_take_record(sr, records, vdi);
	return err;
}

int dir_find(struct sr *sr, const struct uuid *uuid, struct vdi *vdi)
{
	_close_ int records = -1;

	dir_sub(sr, ".sm/vdi", &records);
	for (size_t i = 0; sr_format_at(sr->type, i); i++) {
		int err;

		*vdi = (struct vdi){ .uuid = *uuid };
		err = load(sr, records, sr_format_at(sr->type, i), vdi);
		if (WITH_TREES && !err && vdi->parent_name)
			err = dir_find_parent(sr, vdi);
		if (err != -E_VDI_MISSING)
			return err;
	}
	return -E_VDI_MISSING;
}

int dir_add(struct sr *sr, struct vdis *l, const struct vdi *vdi, int err)
{
	struct arena *a = &sr->ctx->arena;

	if (!err)
		*vdis_add(a, l) = *vdi;
	else if (err != -E_VDI_MISSING)		/* that is: deleted while we read */
		vdis_problem(a, l, &(struct problem){
			.object = arena_strdup(a, vdi->uuid.s),
			.what = arena_strdup(a, sr->ctx->why[0] ? sr->ctx->why : err_text(err)),
			.severity = "error",
		});
	fail_clear(sr->ctx);
	return 0;
}

/* Nothing writes to them until they are two. */
static void tell_links(struct sr *sr, struct vdis *l)
{
	struct arena *a = &sr->ctx->arena;

	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i].linked && dir_must_be_one(sr, &l->v[i]) == -E_VDI_LOAD)
			vdis_problem(a, l, &(struct problem){
				.object = arena_strdup(a, l->v[i].uuid.s),
				.what = arena_strdup(a, sr->ctx->why), .severity = "error",
			});
		fail_clear(sr->ctx);
	}
}

#define VOLUMES_MOST	65536u

static int too_many(struct sr *sr)
{
	fail_say(sr->ctx, -EOVERFLOW, "the directory has more than %u disks", VOLUMES_MOST);
	return fail(sr->ctx, -EOVERFLOW, "%s", sr->type->transport->where(sr));
}

/* A server may tell of any number, and who looks at one asks it again. */
static int count(struct sr *sr)
{
	_closedir_ DIR *d = dir_entries(sr->dir);
	struct dir_seen seen = dir_begin(sr->ctx->watched);
	struct dirent *e;
	struct uuid u;
	unsigned n = 0;

	while (d && n <= VOLUMES_MOST && (e = dir_next(d, &seen)))
		n += !!dir_volume_name(sr, e->d_name, &u);
	return n > VOLUMES_MOST ? too_many(sr) : dir_ended(sr);
}

/* Of raw images the inode says all; the others are looked at in a queue. */
int dir_list(struct sr *sr, struct vdis *l)
{
	_close_ int records = -1;
	_closedir_ DIR *d = dir_entries(sr->dir);
	struct dir_scan *scan = NULL;
	struct dirent *e;
	struct dir_seen seen = dir_begin(sr->ctx->watched);
	bool counts = IS_ENABLED(CONFIG_NFS_GUARD) && sr->type->transport->alive;
	unsigned n = 0;
	int err;

	if (!d)
		return dir_ended(sr);
	err = counts ? count(sr) : 0;
	if (err)
		return err;
	dir_sub(sr, ".sm/vdi", &records);
	while ((e = dir_next(d, &seen))) {
		struct vdi vdi = { 0 };
		const struct format *f = dir_volume_name(sr, e->d_name, &vdi.uuid);

		if (!f)
			continue;
		if (counts && n++ == VOLUMES_MOST)
			return too_many(sr);
		if (WITH_TREES && !f->direct)
			dir_scan_add(sr, &scan, f, &vdi.uuid, e->d_ino);
		else
			dir_add(sr, l, &vdi, load(sr, records, f, &vdi));
	}
	if (errno)
		return dir_ended(sr);
	err = WITH_TREES && scan ? dir_scan_list(sr, scan, records, l) : 0;
	if (WITH_TREES && !err)
		tell_links(sr, l);
	return err;
}

/* --- records ------------------------------------------------------------------ */

static int open_records(struct sr *sr, int *records)
{
	int err = dir_sub(sr, ".sm/vdi", records);

	if (err == -ENOENT) {		/* an SR of upstream's */
		if ((mkdirat(sr->dir, ".sm", 0700) && errno != EEXIST) ||
		    (mkdirat(sr->dir, ".sm/vdi", 0700) && errno != EEXIST))
			return fail(sr->ctx, -errno, "make .sm/vdi");
		err = dir_sub(sr, ".sm/vdi", records);
	}
	return err ? fail(sr->ctx, err, "open .sm/vdi") : 0;
}

int dir_describe(struct sr *sr, const struct vdi *vdi)
{
	struct arena *a = &sr->ctx->arena;
	struct kvs kvs = { 0 };
	_close_ int records = -1;
	int err = open_records(sr, &records);

	if (err)
		return err;
	/* What cannot be read now must not be forgotten. */
	err = record_read(a, records, vdi->uuid.s, &kvs);
	if (err && err != -ENOENT)
		return fail(sr->ctx, err, "read the record of VDI %s", vdi->uuid.s);
	if (vdi->name)
		kv_set(a, &kvs, "name", vdi->name);
	if (vdi->description)
		kv_set(a, &kvs, "description", vdi->description);
	if (vdi->type)
		kv_set(a, &kvs, "type", vdi->type);
	if (WITH_TREES && vdi->snapshot_of.s[0])
		kv_set(a, &kvs, "snapshot_of", vdi->snapshot_of.s);
	if (WITH_TREES && vdi->hidden)
		kv_set(a, &kvs, "hidden", "1");
	err = dir_put_record(sr, &vdi->uuid, records, vdi->uuid.s, &kvs, false);	/* commit */
	return err ? fail(sr->ctx, err, "write the record of VDI %s", vdi->uuid.s) : 0;
}
