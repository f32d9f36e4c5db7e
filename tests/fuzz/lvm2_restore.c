/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Devices of a VG that a stranger has written to, sums put right again; or a
 * backup that he sends.  Whatever is found there: what is refused writes nothing,
 * what is restored reads as the text says, and no change of metadata touches data.
 *
 * Input: a byte that says how, then the text, or edits: disk, place (16 bits),
 * length, bytes.
 */
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/crc32.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/lvm2/check.h"
#include "lib/lvm2/ops.h"
#include "lib/lvm2/restore.h"
#include "lib/lvm2/show.h"
#include "lib/text/json.h"
#include "tests/fuzz/fuzz.h"

#define DISKS	2
#define SIZE	(2 << 20)
#define DATA	32768			/* the first extent */
#define AREA	4096

enum how { REPAIR_LABEL = 1, REPAIR_HEADER = 2, REPAIR_TEXT = 4, AS_TEXT = 8, FORCE = 16, LATE = 32 };

static const struct lvm_stamp stamp = { .program = "fuzz", .cause = "c", .host = "h", .now = 1795400000 };
static const char *const paths[] = { "a", "b" };

/* A device in memory that notes what is written to it. */
struct disk {
	struct io io;
	uint8_t *mem;
	size_t n_writes;
	bool touched;			/* data, too */
};

static int disk_read(struct io *io, uint64_t at, void *buf, size_t len)
{
	memcpy(buf, ((struct disk *)io)->mem + at, len);
	return 0;
}

static int disk_write(struct io *io, uint64_t at, const void *buf, size_t len)
{
	struct disk *d = (struct disk *)io;

	CHECK(range_ok(at, len, SIZE));
	memcpy(d->mem + at, buf, len);
	d->n_writes++;
	d->touched |= at + len > DATA;
	return 0;
}

static int disk_flush(struct io *io)
{
	return 0;
}

static const struct io_ops disk_ops = { .read = disk_read, .write = disk_write, .flush = disk_flush };

struct look {
	struct arena a;
	struct lvm_dev dev[DISKS];
	struct lvm_set set;
};

static void look(struct look *l, struct io **io)
{
	*l = (struct look){ 0 };
	for (int i = 0; i < DISKS; i++)
		l->dev[i] = (struct lvm_dev){ .io = io[i], .path = paths[i] };
	lvm_scan(&l->a, l->dev, DISKS, &(struct lvm_scan_how){ .verify = true }, &l->set);
}

/* --- a VG with a past ------------------------------------------------------------------- */

static struct lvm_id id_of(char c)
{
	uint8_t random[32];
	struct lvm_id id;

	memset(random, c, sizeof(random));
	lvm_id_make(&id, random);
	return id;
}

static void add_lv(struct io **io, const char *name, char c)
{
	struct lvm_lv_spec spec = { .name = name, .id = id_of(c), .bytes = 900 << 10, .host = "h" };
	struct lvm_lv *lv;
	struct look l;

	look(&l, io);
	CHECK(!lvm_lv_create(l.set.found[0]->vg, &spec, &lv));
	CHECK(!lvm_vg_commit(l.set.found[0]->vg, &stamp));
	arena_free(&l.a);
}

static void make(struct io **io)
{
	struct lvm_id id = id_of(9);
	struct lvm_vg *vg;
	struct look l;

	for (int i = 0; i < DISKS; i++) {
		struct lvm_pv_spec spec = { .device_size = SIZE, .metadata_size = DATA - AREA, .n_mdas = 1, .align = DATA };
		struct lvm_id pv = id_of((char)(20 + i));
		struct lvm_label label;

		CHECK(!lvm_pv_plan(&spec, &pv, &label) && !lvm_pv_create(io[i], &label));
	}
	look(&l, io);
	CHECK(!lvm_vg_new(&l.a, "vg", &id, 32 << 10, NULL, &vg));
	for (int i = 0; i < DISKS; i++)
		CHECK(!lvm_vg_extend(vg, &l.dev[i]));
	CHECK(!lvm_vg_commit(vg, &stamp));
	arena_free(&l.a);
	add_lv(io, "one", 40);
	add_lv(io, "two", 41);
	add_lv(io, "three", 42);
}

/* --- what the stranger does ---------------------------------------------------------------- */

static void edit(struct io **io, const uint8_t *p, size_t n)
{
	while (n > 4) {
		uint64_t at = (uint64_t)(p[1] << 8 | p[2]) % DATA;
		size_t len = p[3] < n - 4 ? p[3] : n - 4;

		if (len > DATA - at)
			len = DATA - at;
		CHECK(!io_write(io[p[0] % DISKS], at, p + 4, len));
		p += 4 + len;
		n -= 4 + len;
	}
}

static void repair_text(struct io *io, struct lvm_mda *m)
{
	struct lvm_slot *s = &m->slot[0];
	char *text;

	if (lvm_slot_check(m, s) || s->size > DATA)
		return;
	text = must_alloc(s->size + LVM_TEXT_PAD);
	if (lvm_mda_read_text(m, s, io, text) == -E_LVM_SUM) {
		s->sum = crc32_lvm2(CRC32_LVM2, text, s->size);
		CHECK(!lvm_mda_write(m, io));
	}
	free(text);
}

/* Sums first, or nobody gets past them. */
static void repair(struct io *io, unsigned int how)
{
	uint8_t sector[LVM_SECTOR];
	struct lvm_mda m;
	le32 sum;

	if (how & REPAIR_LABEL) {
		CHECK(!io_read(io, LVM_SECTOR, sector, sizeof(sector)));
		sum = le32_put(crc32_lvm2(CRC32_LVM2, sector + 20, LVM_SECTOR - 20));
		memcpy(sector + 16, &sum, sizeof(sum));
		CHECK(!io_write(io, LVM_SECTOR, sector, sizeof(sector)));
	}
	if (how & REPAIR_HEADER) {
		CHECK(!io_read(io, AREA, sector, sizeof(sector)));
		sum = le32_put(crc32_lvm2(CRC32_LVM2, sector + 4, LVM_SECTOR - 4));
		memcpy(sector, &sum, sizeof(sum));
		CHECK(!io_write(io, AREA, sector, sizeof(sector)));
	}
	if (how & REPAIR_TEXT && !lvm_mda_read(&m, io, AREA))
		repair_text(io, &m);
}

/* --- what must hold --------------------------------------------------------------------------- */

/* Since the last time. */
static bool is_written(struct io **io)
{
	size_t n = 0;

	for (int i = 0; i < DISKS; i++) {
		n += ((struct disk *)io[i])->n_writes;
		((struct disk *)io[i])->n_writes = 0;
	}
	return n;
}

static bool is_data_touched(struct io **io)
{
	return ((struct disk *)io[0])->touched || ((struct disk *)io[1])->touched;
}

static void describe(const struct lvm_vg *vg, struct buf *b)
{
	buf_reset(b);
	buf_printf(b, "%s %s %u\n", vg->name, vg->id.s, vg->extent_size);
	for (uint32_t i = 0; i < vg->n_pvs; i++)
		buf_printf(b, "%s %u\n", vg->pv[i]->id.s, vg->pv[i]->pe_count);
	for (const struct lvm_lv *lv = vg->first; lv; lv = lv->next)
		for (uint32_t i = 0; i < lv->n_segs; i++)
			buf_printf(b, "%s %s %u %u %s\n", lv->name, lv->id.s, lv->seg[i].start,
				   lv->seg[i].count, lv->seg[i].type);
}

static bool is_elsewhere(const struct lvm_vg *vg)
{
	for (uint32_t k = 0; k < vg->n_pvs; k++)
		if (vg->pv[k]->pe_start * LVM_SECTOR > DATA)
			return true;
	return false;
}

/* Look at it in every way there is: none may crash. */
static void look_around(struct look *l)
{
	_buf_free_ struct buf b = { 0 };
	struct json j = { .buf = &b };

	lvm_check(&l->set);
	lvm_show_json(&l->set, &j);
}

/* Data is what the text that was restored says it is, and at most what lies behind DATA. */
static void restore(struct io **io, struct lvm_restore *r)
{
	_buf_free_ struct buf want = { 0 }, have = { 0 };
	const struct lvm_vg *found = NULL;
	struct look l;
	int err;

	is_written(io);
	err = lvm_restore_plan(r);
	CHECK(!is_written(io));
	if (err) {
		CHECK(r->why && *r->why);
		return;
	}
	CHECK(r->n_steps);
	describe(r->vg, &want);
	err = lvm_restore_commit(r, &stamp);
	CHECK(!err);
	/* A text that puts its data elsewhere has its areas elsewhere too. */
	CHECK(!is_data_touched(io) || is_elsewhere(r->vg));
	look(&l, io);
	for (size_t i = 0; i < l.set.n_found; i++)
		if (!strcmp(l.set.found[i]->best->is.id.s, r->vg->id.s))
			found = l.set.found[i]->vg;
	CHECK(found && found->seqno == r->vg->seqno);
	describe(found, &have);
	CHECK(!strcmp(buf_str(&want), buf_str(&have)));
	arena_free(&l.a);
}

static void restore_all(struct io **io, bool force)
{
	for (int round = 0; round < 3; round++) {
		struct look l;
		const struct lvm_past *past, *p;
		struct lvm_restore r;
		int n = 0;

		look(&l, io);
		look_around(&l);
		past = lvm_history(&l.set, NULL);
		for (p = past; p && (n < round || !lvm_past_is_good(p)); p = p->next)
			n += lvm_past_is_good(p);
		if (p) {
			r = (struct lvm_restore){ .set = &l.set, .past = past, .text = p->text,
						  .version = p, .force = force };
			restore(io, &r);
		}
		arena_free(&l.a);
	}
}

/* An ordinary change after all that: refused, or data stays. */
static void change(struct io **io)
{
	bool before = is_data_touched(io);
	struct look l;

	look(&l, io);
	for (size_t i = 0; i < l.set.n_found; i++) {
		struct lvm_vg *vg = l.set.found[i]->vg;

		if (!vg || is_elsewhere(vg) || lvm_vg_tag(vg, "tag", true))
			continue;
		lvm_vg_commit(vg, &stamp);
		CHECK(before || !is_data_touched(io));
	}
	arena_free(&l.a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t mem[DISKS][SIZE], first[DISKS][SIZE];
	static bool made;
	unsigned int how = size ? data[0] : 0;
	struct disk disk[DISKS];
	struct io *io[DISKS];

	for (int i = 0; i < DISKS; i++) {
		disk[i] = (struct disk){
			.io = { .ops = &disk_ops, .size = SIZE, .sector = 512, .fd = -1 }, .mem = mem[i],
		};
		io[i] = &disk[i].io;
	}
	if (!made) {
		make(io);
		memcpy(first, mem, sizeof(first));
		made = true;
	}

	if (how & AS_TEXT) {
		struct lvm_restore r;
		struct look l;

		look(&l, io);
		r = (struct lvm_restore){ .set = &l.set, .past = lvm_history(&l.set, NULL),
					  .text = { data + 1, size - 1 }, .force = how & FORCE };
		restore(io, &r);
		arena_free(&l.a);
	} else if (size) {
		edit(io, data + 1, size - 1);
		for (int i = 0; i < DISKS; i++)
			repair(io[i], how);
		if (how & LATE)
			restore_all(io, how & FORCE);
		change(io);
		if (!(how & LATE))
			restore_all(io, how & FORCE);
	}
	for (int i = 0; i < DISKS; i++)
		memcpy(mem[i], first[i], disk[i].touched ? SIZE : DATA);
	return 0;
}
