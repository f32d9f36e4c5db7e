/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading and writing MGT through the PVs, whether or not it is active.
 *
 * A record is written before the header says that it is there, and each is
 * flushed, so a death between leaves the old list or the new one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch/clock.h"
#include "drivers/layout.h"
#include "drivers/layout/lvm.h"
#include "drivers/sr.h"
#include "lib/err.h"
#include "lib/lvm2/lv_io.h"
#include "lib/lvm2/ops.h"
#include "lib/time.h"

static int open_mgt(struct sr *sr, struct io **io)
{
	const struct lvm_vg *vg = lvm_of(sr)->vg;
	const struct lvm_lv *lv = lvm_lv_find(vg, MGT_NAME);

	if (!lv)
		return -ENOENT;
	return lvm_lv_io(io, vg, lv);
}

int mgt_read_head(struct sr *sr)
{
	struct lvm_sr *l = lvm_of(sr);
	_io_close_ struct io *io = NULL;
	char head[MGT_HEAD];

	if (l->mgt_tried)
		return l->mgt_state;
	l->mgt_tried = true;
	l->mgt_state = open_mgt(sr, &io);
	if (!l->mgt_state)
		l->mgt_state = io_read(io, 0, head, sizeof(head));
	if (!l->mgt_state)
		l->mgt_state = mgt_head_decode(&sr->ctx->arena, head, &l->mgt);
	return l->mgt_state;
}

/* All records in one read; the caller decodes them. */
static int read_records(struct sr *sr, struct io *io, char **records, size_t *n)
{
	struct lvm_sr *l = lvm_of(sr);
	size_t bytes = l->mgt.used - MGT_HEAD;
	int err;

	*n = bytes / MGT_RECORD;
	*records = arena_alloc(&sr->ctx->arena, bytes + 1);
	err = io_read(io, MGT_HEAD, *records, bytes);
	return err ? fail(sr->ctx, err, "read MGT") : 0;
}

static int start(struct sr *sr, struct io **io)
{
	int err = mgt_read_head(sr);

	if (!err)
		err = open_mgt(sr, io);
	if (err && err != -ENOENT) {
		hint(sr->ctx, "sm sr check %s --repair", sr->uuid.s);
		return fail(sr->ctx, err, "MGT, which keeps the names");
	}
	return err;
}

/*
 * Whose record is it?  Of thousands most are looked at for nothing else, so
 * they are not read as XML for that; odd ones are.
 */
static bool record_of(struct sr *sr, const char *record, struct uuid *u)
{
	static const char tag[] = "<uuid>";
	const char *p = memmem(record, MGT_RECORD, tag, strlen(tag));
	struct mgt_vdi m;

	if (p)
		p += strlen(tag);
	if (p && p + UUID_LEN <= record + MGT_RECORD && !uuid_parse_n(u, p, UUID_LEN))
		return true;
	if (mgt_vdi_decode(&sr->ctx->arena, record, &m))
		return false;
	*u = m.uuid;
	return true;
}

static int by_uuid(const void *a, const void *b)
{
	return strcmp((*(struct vdi *const *)a)->uuid.s, (*(struct vdi *const *)b)->uuid.s);
}

static int same_uuid(const void *key, const void *member)
{
	return strcmp(key, (*(struct vdi *const *)member)->uuid.s);
}

static void use_record(struct sr *sr, const char *record, struct vdi *vdi)
{
	struct mgt_vdi m;

	if (mgt_vdi_decode(&sr->ctx->arena, record, &m) || m.deleted)
		return;			/* one bad record must not cost the others */
	vdi->name = m.name;
	vdi->description = m.description;
	vdi->type = m.type;
	vdi->snapshot_of = m.snapshot_of;
	vdi->read_only |= m.read_only;
	vdi->shown = m.managed;
}

int mgt_fill(struct sr *sr, struct vdis *l)
{
	_io_close_ struct io *io = NULL;
	struct vdi **v = arena_array(&sr->ctx->arena, l->n, sizeof(*v));
	char *records;
	size_t n;
	int err = start(sr, &io);

	if (err == -ENOENT)
		return 0;		/* an SR without names */
	if (!err)
		err = read_records(sr, io, &records, &n);
	if (err) {			/* the disks are there all the same */
		vdis_problem(&sr->ctx->arena, l, &(struct problem){
			.object = MGT_NAME, .severity = "error", .repair = "sm sr check --repair",
			.what = arena_strdup(&sr->ctx->arena, sr->ctx->why) });
		fail_clear(sr->ctx);
		return 0;
	}
	for (size_t i = 0; i < l->n; i++)
		v[i] = &l->v[i];
	qsort(v, l->n, sizeof(*v), by_uuid);
	for (size_t i = 0; i < n; i++) {
		const char *record = records + i * MGT_RECORD;
		struct vdi **vdi;
		struct uuid u;

		if (!record_of(sr, record, &u))
			continue;
		vdi = bsearch(u.s, v, l->n, sizeof(*v), same_uuid);
		if (vdi)
			use_record(sr, record, *vdi);
	}
	return 0;
}

static int write_record(struct sr *sr, struct io *io, size_t i, const struct mgt_vdi *m)
{
	char record[MGT_RECORD];
	int err;

	mgt_vdi_encode(&sr->ctx->arena, m, record);
	err = io_write(io, MGT_HEAD + i * MGT_RECORD, record, sizeof(record));
	return err ? err : io_flush(io);
}

static int write_head(struct sr *sr, struct io *io)
{
	char head[MGT_HEAD];
	int err;

	mgt_head_encode(&sr->ctx->arena, &lvm_of(sr)->mgt, head);
	err = io_write(io, 0, head, sizeof(head));
	return err ? err : io_flush(io);
}

/* Find the record of a VDI, and one that may be used for a new one. */
static size_t look_up(struct sr *sr, const char *records, size_t n, const struct uuid *u,
		      struct mgt_vdi *m, size_t *spare)
{
	static const char in_use[] = "<deleted>0</deleted>";
	size_t at = n;

	*spare = n;
	for (size_t i = 0; i < n; i++) {
		const char *record = records + i * MGT_RECORD;
		struct mgt_vdi one;
		struct uuid of;
		int err;

		if (record_of(sr, record, &of) && !uuid_equal(&of, u) &&
		    memmem(record, MGT_RECORD, in_use, strlen(in_use)))
			continue;
		err = mgt_vdi_decode(&sr->ctx->arena, record, &one);
		if (!err && uuid_equal(&one.uuid, u) && !one.deleted) {
			*m = one;
			at = i;
		} else if (!err && one.deleted) {
			*spare = i;
		}
	}
	return at;
}

/* A VDI's own words over those of its record, which keeps what nobody here knows. */
static void set_record(struct arena *a, struct mgt_vdi *m, const struct vdi *vdi)
{
	char now[TIME_TEXT_MAX];

	if (vdi->snapshot_of.s[0] && !m->is_a_snapshot) {
		time_xapi(now, clock_now_real(NULL));
		kv_set(a, &m->other, "snapshot_time", now);
	}
	m->uuid = vdi->uuid;
	m->name = vdi->name;
	m->description = vdi->description;
	m->type = vdi->type && *vdi->type ? vdi->type : "user";
	m->vdi_type = !strcmp(vdi->format, "vhd") ? "vhd" : "aio";
	m->read_only = vdi->read_only;
	m->managed = !vdi->hidden;
	m->snapshot_of = vdi->snapshot_of;
	m->is_a_snapshot = vdi->snapshot_of.s[0];
}

/*
 * The records first, then the header that says that they are there (commit);
 * one that takes the place of an old one is a commit by itself.
 */
int mgt_put_all(struct sr *sr, const struct vdi *const *v, size_t n_new)
{
	struct lvm_sr *l = lvm_of(sr);
	_io_close_ struct io *io = NULL;
	struct arena *a = &sr->ctx->arena;
	char *records;
	size_t n, was;
	int err = start(sr, &io);

	if (err == -ENOENT)
		return 0;
	if (!err)
		err = read_records(sr, io, &records, &n);
	if (err)
		return err;
	records = arena_grow(a, records, n * MGT_RECORD, (n + n_new) * MGT_RECORD, 1);
	was = n;
	for (size_t i = 0; i < n_new && !err; i++) {
		struct mgt_vdi m = { .managed = true };
		size_t spare, at = look_up(sr, records, n, &v[i]->uuid, &m, &spare);

		if (at == n)
			at = spare;
		if (at >= MGT_RECORDS || MGT_HEAD + (at + 1) * MGT_RECORD > io->size)
			return fail_say(sr->ctx, -E_SR_NO_SPACE,
					"MGT has no room for another VDI (%zu are there)", n);
		set_record(a, &m, v[i]);
		mgt_vdi_encode(a, &m, records + at * MGT_RECORD);
		err = io_write(io, MGT_HEAD + at * MGT_RECORD, records + at * MGT_RECORD, MGT_RECORD);
		n += at == n;
	}
	if (!err)
		err = io_flush(io);
	if (!err && n != was) {
		l->mgt.used = MGT_HEAD + n * MGT_RECORD;
		err = write_head(sr, io);	/* commit */
	}
	return err ? fail(sr->ctx, err, "write MGT") : 0;
}

int mgt_put(struct sr *sr, const struct vdi *vdi)
{
	return mgt_put_all(sr, &vdi, 1);
}

bool mgt_has(struct sr *sr, const struct uuid *u)
{
	_io_close_ struct io *io = NULL;
	struct mgt_vdi m;
	char *records;
	size_t n, spare;
	int err = start(sr, &io);

	if (!err)
		err = read_records(sr, io, &records, &n);
	fail_clear(sr->ctx);
	return !err && look_up(sr, records, n, u, &m, &spare) < n;
}

int mgt_delete(struct sr *sr, const struct uuid *u)
{
	_io_close_ struct io *io = NULL;
	struct mgt_vdi m;
	char *records;
	size_t n, at, spare;
	int err = start(sr, &io);

	if (err == -ENOENT || err == -E_DAMAGED) {	/* there is nothing to take the name from */
		fail_clear(sr->ctx);
		return 0;
	}
	if (!err)
		err = read_records(sr, io, &records, &n);
	if (err)
		return err;
	at = look_up(sr, records, n, u, &m, &spare);
	if (at == n)
		return 0;
	m.deleted = true;
	err = write_record(sr, io, at, &m);	/* commit */
	if (!err && at == n - 1) {
		lvm_of(sr)->mgt.used -= MGT_RECORD;
		err = write_head(sr, io);
	}
	return err ? fail(sr->ctx, err, "write MGT") : 0;
}

int mgt_rename(struct sr *sr, const char *name, const char *description)
{
	struct lvm_sr *l = lvm_of(sr);
	_io_close_ struct io *io = NULL;
	int err = lvm_vg_may_change(l->vg, true);

	if (err)
		return lvm_refused(sr, l->vg, err);
	err = start(sr, &io);
	if (err == -ENOENT)
		return fail_say(sr->ctx, -E_UNSUPPORTED, "this SR has no MGT volume to keep a name in");
	if (err)
		return err;
	if (name)
		sr->name = l->mgt.name = name;
	if (description)
		sr->description = l->mgt.description = description;
	err = write_head(sr, io);		/* commit */
	return err ? fail(sr->ctx, err, "write MGT") : 0;
}

int mgt_recover(struct sr *sr)
{
	const struct lvm_vg *vg = lvm_of(sr)->vg;
	_io_close_ struct io *io = NULL;
	char *records;
	size_t n;
	int err;

	if (mgt_read_head(sr) || start(sr, &io))
		return 0;			/* sr check says what is wrong with it */
	err = read_records(sr, io, &records, &n);
	for (size_t i = n; !err && i-- > 0; ) {
		struct arena *a = &sr->ctx->arena;
		const char *record = records + i * MGT_RECORD;
		struct mgt_vdi m;
		struct uuid u;

		if (!record_of(sr, record, &u) ||
		    lvm_lv_find(vg, arena_printf(a, "LV-%s", u.s)) ||
		    lvm_lv_find(vg, arena_printf(a, "VHD-%s", u.s)) ||
		    mgt_vdi_decode(a, record, &m) || m.deleted)
			continue;
		err = mgt_delete(sr, &m.uuid);
	}
	return err;
}

int mgt_mend(struct sr *sr)
{
	struct mgt_sr *m = &lvm_of(sr)->mgt;
	_io_close_ struct io *io = NULL;
	struct mgt_vdi vdi;
	char *records;
	size_t n;
	int err = open_mgt(sr, &io);

	if (err)
		return fail(sr->ctx, err, "open MGT");
	m->used = MGT_HEAD + MGT_RECORDS * MGT_RECORD;
	if (m->used > io->size)
		m->used = io->size < MGT_HEAD ? MGT_HEAD : (size_t)io->size / MGT_RECORD * MGT_RECORD;
	err = read_records(sr, io, &records, &n);
	if (err)
		return err;
	while (n && (mgt_vdi_decode(&sr->ctx->arena, records + (n - 1) * MGT_RECORD, &vdi) || vdi.deleted))
		n--;
	m->used = MGT_HEAD + n * MGT_RECORD;
	m->uuid = sr->uuid;
	if (!m->allocation)
		m->allocation = kv_get(&sr->dconf, "allocation");
	err = write_head(sr, io);		/* commit */
	return err ? fail(sr->ctx, err, "write MGT") : 0;
}

int mgt_format(struct sr *sr, struct lvm_vg *vg)
{
	const struct lvm_lv *lv = lvm_lv_find(vg, MGT_NAME);
	struct mgt_sr m = {
		.uuid = sr->uuid, .allocation = kv_get(&sr->dconf, "allocation"),
		.name = sr->name, .description = sr->description, .used = MGT_HEAD,
	};
	_io_close_ struct io *io = NULL;
	char head[MGT_HEAD];
	int err = lvm_lv_io(&io, vg, lv);

	mgt_head_encode(&sr->ctx->arena, &m, head);
	if (!err)
		err = io_write(io, 0, head, sizeof(head));
	if (!err)
		err = io_flush(io);
	return err ? fail(sr->ctx, err, "write MGT") : 0;
}
