/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/image.h"
#include "lib/lvm2/commit.h"
#include "lib/lvm2/lv_io.h"
#include "lib/lvm2/ops.h"
#include "lib/vhd/parent.h"
#include "tests/unit/lvhd_util.h"
#include "tests/unit/lvm2_vec.h"

#define PAGE	4096u

/* --- disks ------------------------------------------------------------------- */

struct cow {
	struct io io;
	struct io *below;
	char *page[DISK / PAGE];
};

static int cow_read(struct io *io, uint64_t at, void *buf, size_t len)
{
	struct cow *c = (struct cow *)io;
	char *to = buf;
	int err = 0;

	while (len && !err) {
		size_t into = at % PAGE, n = PAGE - into < len ? PAGE - into : len;

		if (c->page[at / PAGE])
			memcpy(to, c->page[at / PAGE] + into, n);
		else if (c->below)
			err = io_read(c->below, at, to, n);
		else
			memset(to, 0, n);
		at += n;
		to += n;
		len -= n;
	}
	return err;
}

static int cow_write(struct io *io, uint64_t at, const void *buf, size_t len)
{
	struct cow *c = (struct cow *)io;
	const char *from = buf;

	if (!range_ok(at, len, DISK))
		return -ENOSPC;
	while (len) {
		size_t into = at % PAGE, n = PAGE - into < len ? PAGE - into : len;
		char **page = &c->page[at / PAGE];

		if (!*page) {
			char *new = must_alloc(PAGE);

			cow_read(io, at - into, new, PAGE);
			*page = new;
		}
		memcpy(*page + into, from, n);
		at += n;
		from += n;
		len -= n;
	}
	return 0;
}

static int cow_flush(struct io *io)
{
	return 0;
}

static void cow_close(struct io *io)
{
	struct cow *c = (struct cow *)io;

	for (size_t i = 0; i < ARRAY_SIZE(c->page); i++)
		free(c->page[i]);
	free(c);
}

struct io *cow(struct io *below)
{
	static const struct io_ops ops = {
		.read = cow_read, .write = cow_write, .flush = cow_flush, .close = cow_close,
	};
	struct cow *c = calloc(1, sizeof(*c));

	c->io = (struct io){ .ops = &ops, .size = DISK, .sector = 512, .fd = -1 };
	c->below = below;
	return &c->io;
}

/* --- power cuts -------------------------------------------------------------- */

struct event {
	uint64_t at;
	size_t len;		/* 0: a flush */
	char *data;
};

struct noted {
	struct io io;
	struct io *below;
	struct event *v;
	size_t n, room;
};

static void add_event(struct noted *l, uint64_t at, const void *buf, size_t len)
{
	struct event *e;

	if (l->n == l->room) {
		l->room = l->room ? 2 * l->room : 256;
		l->v = must_realloc(l->v, l->room * sizeof(*l->v));
	}
	e = &l->v[l->n++];
	*e = (struct event){ at, len, len ? must_alloc(len) : NULL };
	if (len)
		memcpy(e->data, buf, len);
}

static int note_read(struct io *io, uint64_t at, void *buf, size_t len)
{
	return io_read(((struct noted *)io)->below, at, buf, len);
}

static int note_write(struct io *io, uint64_t at, const void *buf, size_t len)
{
	add_event((struct noted *)io, at, buf, len);
	return io_write(((struct noted *)io)->below, at, buf, len);
}

static int note_flush(struct io *io)
{
	add_event((struct noted *)io, 0, NULL, 0);
	return 0;
}

static void note_close(struct io *io)
{
	struct noted *l = (struct noted *)io;

	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].data);
	free(l->v);
	free(l);
}

struct io *note(struct io *below)
{
	static const struct io_ops ops = {
		.read = note_read, .write = note_write, .flush = note_flush, .close = note_close,
	};
	struct noted *l = calloc(1, sizeof(*l));

	l->io = (struct io){ .ops = &ops, .size = DISK, .sector = 512, .fd = -1 };
	l->below = below;
	return &l->io;
}

static void apply(struct io *disk, const struct event *e, bool torn)
{
	EQ(io_write(disk, e->at, e->data, torn ? e->len / 1024 * 512 : e->len), 0);
}

/* Events [from, to) on top of what was flushed; seed 0: all of them. */
static void cut(const struct noted *l, struct io *flushed, size_t from, size_t to, uint64_t seed,
		cut_fn *fn, void *arg)
{
	struct io *disk = cow(flushed);

	for (size_t i = from; i < to; i++) {
		if (seed && vec_rand(&seed) % 2)
			continue;
		apply(disk, &l->v[i], seed && i == to - 1);
	}
	fn(disk, to, arg);
	io_close(disk);
}

void cut_everywhere(const char *what, struct io *noted, struct io *before, cut_fn *fn, void *arg)
{
	const struct noted *l = (struct noted *)noted;
	struct io *flushed = cow(before);
	size_t from = 0, states = 0;

	OK(l->n >= 4);
	for (size_t n = 0; n <= l->n; n++) {
		/* The table of a new image is many writes alike: every seventh of them will do. */
		if (n - from < 8 || n % 7 == 0 || n == l->n || !l->v[n].len) {
			cut(l, flushed, from, n, 0, fn, arg);
			states += 1 + (n > from);
			if (n > from)
				cut(l, flushed, from, n, n * 77 + 1, fn, arg);
		}
		if (n == l->n || l->v[n].len)
			continue;
		for (; from < n; from++)
			apply(flushed, &l->v[from], false);
		from = n + 1;
	}
	t_cuts(what, states);
	io_close(flushed);
}

/* --- the SR -------------------------------------------------------------------- */

static uint64_t dice = 1;

static void roll(void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)p)[i] = (uint8_t)(vec_rand(&dice) >> 9);
}

void view_open(struct sr_view *s, struct io *disk)
{
	*s = (struct sr_view){ .dev = { .io = disk, .path = "disk" } };
	lvm_scan(&s->a, &s->dev, 1, &(struct lvm_scan_how){ 0 }, &s->set);
	s->h = (struct lvhd){ .arena = &s->a, .host = "here", .now = 1700000000, .random = roll };
	EQ(lvm_vg_get(&s->set, VG, &s->h.vg), 0);
}

void view_close(struct sr_view *s)
{
	arena_free(&s->a);
}

void view_commit(struct sr_view *s)
{
	static const struct lvm_stamp stamp = { .program = "smbox", .cause = "test", .host = "here" };

	EQ(lvm_vg_commit(s->h.vg, &stamp), 0);
}

struct uuid id(const char *s)
{
	struct uuid u = { "" };

	EQ(uuid_parse(&u, s), 0);
	return u;
}

struct lvm_lv *lv_of(struct sr_view *s, const char *name)
{
	return lvm_lv_find(s->h.vg, name);
}

static void make_vg(struct sr_view *s, struct io *disk)
{
	struct lvm_pv_spec spec = { .device_size = DISK, .n_mdas = 1 };
	struct lvm_label label;
	struct lvm_id ids[2];
	uint8_t random[32];

	for (int i = 0; i < 2; i++) {
		roll(random, sizeof(random));
		lvm_id_make(&ids[i], random);
	}
	EQ(lvm_pv_plan(&spec, &ids[0], &label), 0);
	EQ(lvm_pv_create(disk, &label), 0);
	*s = (struct sr_view){ .dev = { .io = disk, .path = "disk" } };
	lvm_scan(&s->a, &s->dev, 1, &(struct lvm_scan_how){ 0 }, &s->set);
	s->h = (struct lvhd){ .arena = &s->a, .host = "here", .now = 1700000000, .random = roll };
	EQ(lvm_vg_new(&s->a, VG, &ids[1], LVHD_UNIT, NULL, &s->h.vg), 0);
	EQ(lvm_vg_extend(s->h.vg, &s->dev), 0);
}

static const struct { uint64_t sector; uint8_t value; } marks[] = {
	{ 0, 11 }, { 7, 12 }, { 4095, 13 }, { 3 * 4096 + 5, 14 },
};

struct io *new_sr(bool raw)
{
	struct io *disk = cow(NULL);
	struct lvhd_create c = {
		.uuid = id(LEAF), .virtual_size = VSIZE, .lv_bytes = lvhd_size_full(VSIZE),
	};
	struct sr_view s;
	struct lvm_lv *lv;

	make_vg(&s, disk);
	if (raw)
		EQ(lvhd_new_lv(&s.h, "LV-" LEAF, 8 * MiB, NULL, &lv), 0);
	else
		EQ(lvhd_create(&s.h, &c, &lv), 0);
	view_commit(&s);
	for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
		put_sector(&s, LEAF, marks[i].sector, marks[i].value);
	view_close(&s);
	return disk;
}

void put_sector(struct sr_view *s, const char *disk, uint64_t sector, uint8_t value)
{
	_io_close_ struct io *io = NULL;
	_vhd_close_ struct vhd *v = NULL;
	struct uuid u = id(disk);
	enum lvhd_kind kind;
	struct lvm_lv *lv = lvhd_find(&s->h, &u, &kind);
	char b[512];

	memset(b, value, sizeof(b));
	if (!OK(lv))
		return;
	if (kind == LVHD_RAW) {
		EQ(lvm_lv_io(&io, s->h.vg, lv), 0);
		EQ(io_write(io, sector * 512, b, sizeof(b)), 0);
		return;
	}
	EQ(lvhd_open(&s->h, lv, VHD_RDWR, &io, &v), 0);
	EQ(vhd_write(v, sector * 512, b, sizeof(b)), 0);
	EQ(vhd_finish(v), 0);
}

static int find_parent(void *arg, const struct image_parent *want, struct io **io,
		       enum image_format *format)
{
	struct sr_view *s = arg;
	struct lvhd_name n;
	struct lvm_lv *lv;

	if (!want->n || lvhd_parent_parse(&s->a, VG, want->paths[0], &n))
		return -E_IMAGE_PARENT;
	lv = lv_of(s, lvhd_name(&s->a, n.kind, &n.uuid));
	*format = n.kind == LVHD_RAW ? IMAGE_RAW : IMAGE_VHD;
	return lv ? lvm_lv_io(io, s->h.vg, lv) : -E_IMAGE_PARENT;
}

struct image *open_disk(struct sr_view *s, const char *disk)
{
	struct image *im = NULL;
	struct uuid u = id(disk);
	enum lvhd_kind kind;
	struct lvm_lv *lv = lvhd_find(&s->h, &u, &kind);
	struct io *io = NULL;
	int err = lv ? lvm_lv_io(&io, s->h.vg, lv) : -E_VDI_MISSING;

	if (!err)
		err = image_open(&im, io, kind == LVHD_RAW ? IMAGE_RAW : IMAGE_VHD, 0, find_parent, s);
	EQ(err, 0);
	return im;
}

int sector_of(struct sr_view *s, const char *disk, uint64_t sector)
{
	struct image *im = open_disk(s, disk);
	char b[512];
	int err = im ? image_read(im, sector * 512, b, sizeof(b)) : -E_VDI_MISSING;

	image_close(im);
	EQ(err, 0);
	return err || memcmp(b, b + 1, 511) ? -1 : b[0];
}

bool is_whole(struct sr_view *s, const char *disk)
{
	for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
		if (sector_of(s, disk, marks[i].sector) != marks[i].value)
			return false;
	return sector_of(s, disk, 8) == 0;
}

static struct vhd *open_alone(struct sr_view *s, const char *disk, struct io **io)
{
	struct lvm_lv *lv = lv_of(s, arena_printf(&s->a, "VHD-%s", disk));
	struct vhd *v = NULL;

	if (lv)
		EQ(lvhd_open(&s->h, lv, 0, io, &v), 0);
	return v;
}

bool is_child_of(struct sr_view *s, const char *child, const char *parent)
{
	_io_close_ struct io *io = NULL;
	_vhd_close_ struct vhd *v = open_alone(s, child, &io);
	struct vhd_parent p;
	struct lvhd_name n;

	return v && vhd_has_parent(v) && !vhd_parent(v, &s->a, &p) &&
	       !lvhd_parent_parse(&s->a, VG, p.paths[0], &n) && !strcmp(n.uuid.s, parent);
}

bool is_hidden(struct sr_view *s, const char *disk)
{
	_io_close_ struct io *io = NULL;
	_vhd_close_ struct vhd *v = open_alone(s, disk, &io);
	struct lvm_lv *lv = lv_of(s, arena_printf(&s->a, "LV-%s", disk));

	if (v)
		OK(!v->differ && !v->degraded);
	return v ? v->footer.hidden : lv && lvm_has_tag(&lv->tags, "hidden");
}

int recover_all(struct io *disk)
{
	for (int round = 0; round < 8; round++) {
		enum lvhd_result did;
		struct lvhd_journal *j;
		struct sr_view s;
		size_t n;
		int err;

		view_open(&s, disk);
		err = lvhd_journals(&s.h, &j, &n);
		if (!err && !n) {
			view_close(&s);
			return 0;
		}
		if (!err)
			err = lvhd_resolve(&s.h, &j[0], &did);
		if (!err)
			view_commit(&s);
		if (err)
			printf("# %s: %s\n", s.h.why, err_text(err));
		view_close(&s);
		if (err)
			return err;
	}
	return -1;
}
