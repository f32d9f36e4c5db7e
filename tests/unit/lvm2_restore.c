/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A VG that was damaged comes back, wherever the restoring is cut; what would harm is refused. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/crc32.h"
#include "lib/err.h"
#include "lib/io_test.h"
#include "lib/lvm2/backup.h"
#include "lib/lvm2/ops.h"
#include "lib/lvm2/restore.h"
#include "tests/unit/lvm2_vec.h"
#include "tests/unit/t.h"

#define DISKS	3
#define SIZE	(2 << 20)
#define AREA	4096			/* the first metadata area */
#define DATA	65536			/* the first extent */

static const struct lvm_stamp stamp = {
	.program = "smbox", .cause = "test", .host = "here", .now = 1795400000,
};
static const char *const paths[DISKS] = { "a", "b", "c" };

/* --- three disks and what is on them --------------------------------------------------- */

struct look {
	struct arena a;
	struct io *io[DISKS];
	struct lvm_dev dev[DISKS];
	struct lvm_set set;
	struct lvm_vg *vg;
	struct lvm_past *past;
};

/* The disks are windows of one, so that one log has their writes in order. */
static struct look *look_at(struct io *all, unsigned int which)
{
	struct look *l = must_alloc(sizeof(*l));
	size_t n = 0;

	for (int i = 0; i < DISKS; i++) {
		if (!(which & 1u << i))
			continue;
		EQ(io_window(&l->io[n], all, (uint64_t)i * SIZE, SIZE), 0);
		l->dev[n] = (struct lvm_dev){ .io = l->io[n], .path = paths[i] };
		n++;
	}
	lvm_scan(&l->a, l->dev, n, &(struct lvm_scan_how){ .verify = true }, &l->set);
	l->vg = l->set.n_found ? l->set.found[0]->vg : NULL;
	l->past = lvm_history(&l->set, NULL);
	return l;
}

static struct look *look(struct io *all)
{
	return look_at(all, 7);
}

static void drop(struct look *l)
{
	vec_close(l->io, DISKS);
	arena_free(&l->a);
	free(l);
}

static void make_id(struct lvm_id *id, uint64_t n)
{
	uint8_t random[32];

	for (int i = 0; i < 32; i++)
		random[i] = (uint8_t)(vec_rand(&n) >> 8);
	lvm_id_make(id, random);
}

static void add_lv(struct io *all, const char *name, uint64_t n)
{
	struct lvm_lv_spec spec = { .name = name, .bytes = n * 64 * KiB, .host = "here", .now = n };
	struct look *l = look(all);
	struct lvm_lv *lv;

	make_id(&spec.id, n + 1000);
	EQ(lvm_lv_create(l->vg, &spec, &lv), 0);
	EQ(lvm_vg_commit(l->vg, &stamp), 0);
	drop(l);
}

static void remove_lv(struct io *all, const char *name)
{
	struct look *l = look(all);

	EQ(lvm_lv_remove(l->vg, lvm_lv_find(l->vg, name)), 0);
	EQ(lvm_vg_commit(l->vg, &stamp), 0);
	drop(l);
}

/* seqno 1: empty; 2: one; 3: one, two (over two disks); 4: two. */
static struct io *make_disks(void)
{
	struct io *all = io_sparse(DISKS * SIZE, DISKS * SIZE, 0);
	struct lvm_id id;
	struct lvm_vg *vg;
	struct look *l;

	for (uint64_t at = 0; at < all->size; at += 8)
		EQ(io_write(all, at, &at, 8), 0);
	l = look(all);
	for (int i = 0; i < DISKS; i++) {
		const struct lvm_pv_spec spec = {
			.device_size = SIZE, .metadata_size = 48 * KiB, .n_mdas = i ? 1 : 2, .align = DATA,
		};
		struct lvm_label label;

		make_id(&id, (uint64_t)i + 1);
		EQ(lvm_pv_plan(&spec, &id, &label), 0);
		EQ(lvm_pv_create(l->io[i], &label), 0);
	}
	drop(l);
	l = look(all);
	make_id(&id, 99);
	EQ(lvm_vg_new(&l->a, "vg", &id, 64 * KiB, NULL, &vg), 0);
	for (int i = 0; i < DISKS; i++)
		EQ(lvm_vg_extend(vg, &l->dev[i]), 0);
	EQ(lvm_vg_commit(vg, &stamp), 0);
	drop(l);
	add_lv(all, "one", 5);
	add_lv(all, "two", 50);
	remove_lv(all, "one");
	return all;
}

/* What a reader finds: LVs, and PVs that are there. */
static char *describe(struct io *all)
{
	_buf_free_ struct buf b = { 0 };
	struct look *l = look(all);

	if (!l->vg)
		buf_puts(&b, "none");
	for (const struct lvm_lv *lv = l->vg ? l->vg->first : NULL; lv; lv = lv->next)
		buf_printf(&b, "%s:%u@%u ", lv->name, lv->extents, lv->seg[0].leg[0].extent);
	for (uint32_t i = 0; l->vg && i < l->vg->n_pvs; i++)
		buf_printf(&b, "%s ", l->vg->pv[i]->dev ? l->vg->pv[i]->dev->path : "-");
	drop(l);
	return strdup(buf_str(&b));
}

/* Outside of labels and areas nothing may change. */
static uint32_t data_sum(struct io *all)
{
	static uint8_t buf[SIZE - DATA - MiB];
	uint32_t sum = 0;

	for (int i = 0; i < DISKS; i++) {
		EQ(io_read(all, (uint64_t)i * SIZE + DATA, buf, sizeof(buf)), 0);
		sum = crc32_lvm2(sum, buf, sizeof(buf));
	}
	return sum;
}

/* --- damage -------------------------------------------------------------------------------- */

static void flip(struct io *all, int disk, uint64_t at)
{
	uint8_t c;

	EQ(io_read(all, (uint64_t)disk * SIZE + at, &c, 1), 0);
	c ^= 0x40;
	EQ(io_write(all, (uint64_t)disk * SIZE + at, &c, 1), 0);
}

static void each_area(struct io *all, void (*harm)(struct io *io, struct lvm_mda *m))
{
	struct look *l = look(all);

	for (int i = 0; i < DISKS; i++)
		for (uint32_t k = 0; k < l->dev[i].label.n_mda; k++)
			harm(l->io[i], &l->dev[i].copy[k].mda);
	drop(l);
}

static void harm_text(struct io *io, struct lvm_mda *m)
{
	uint8_t c = 0x7f;

	EQ(io_write(io, m->start + m->slot[0].at + m->slot[0].size / 2, &c, 1), 0);
}

static void harm_header(struct io *io, struct lvm_mda *m)
{
	EQ(io_zero(io, m->start, LVM_SECTOR), 0);
}

static void harm_slot(struct io *io, struct lvm_mda *m)
{
	struct lvm_mda bad = *m;

	bad.slot[0].at = m->size + 512;
	EQ(lvm_mda_write(&bad, io), 0);
}

static void harm_size(struct io *io, struct lvm_mda *m)
{
	struct lvm_mda bad = *m;

	bad.slot[0].size = 100 * MiB;
	EQ(lvm_mda_write(&bad, io), 0);
}

/* A text whose checksum is right and that makes no sense: seqno 9, LV "two" on one PV twice. */
static void harm_sense(struct io *io, struct lvm_mda *m)
{
	size_t n = m->slot[0].size;
	char *text = must_alloc(n + LVM_TEXT_PAD), *p;
	struct lvm_mda bad = *m;

	memset(text, 0, n + LVM_TEXT_PAD);
	EQ(lvm_mda_read_text(m, &m->slot[0], io, text), 0);
	p = strstr(text, "seqno = 4");
	if (OK(p))
		p[8] = '9';
	p = strstr(text, "\"pv1\", 0");
	if (OK(p))
		p[3] = '0';
	bad.slot[0].sum = crc32_lvm2(CRC32_LVM2, text, n);
	EQ(lvm_mda_write_text(&bad, &bad.slot[0], io, text), 0);
	EQ(lvm_mda_write(&bad, io), 0);
	free(text);
}

enum harm {
	NOTHING, TEXTS, TEXT_ONE, HEADERS, HEADER_ONE, SLOTS, SIZES, SENSE, LABEL, LABEL_GONE,
	LABELS, BEGINNINGS, HARMS,
};

static void harm(struct io *all, enum harm what)
{
	switch (what) {
	case TEXTS:	each_area(all, harm_text); break;
	case TEXT_ONE:	flip(all, 0, AREA + 512 + 2000); break;
	case HEADERS:	each_area(all, harm_header); break;
	case HEADER_ONE: flip(all, 1, AREA + 100); break;
	case SLOTS:	each_area(all, harm_slot); break;
	case SIZES:	each_area(all, harm_size); break;
	case SENSE:	each_area(all, harm_sense); break;
	case LABEL:	flip(all, 1, 512 + 200); break;
	case LABEL_GONE: EQ(io_zero(all, SIZE, AREA + 512), 0); break;
	case LABELS:	flip(all, 1, 512 + 200); flip(all, 2, 512 + 200); break;
	case BEGINNINGS:	/* and all that is left are texts */
		each_area(all, harm_header);
		for (int i = 0; i < DISKS; i++)
			flip(all, i, 512 + 88);
		break;
	case NOTHING:
	case HARMS:
		break;
	}
}

/* --- restoring ------------------------------------------------------------------------------ */

static int plan(struct look *l, struct lvm_restore *r, uint64_t seqno, bool force)
{
	*r = (struct lvm_restore){ .set = &l->set, .past = l->past, .force = force };
	r->version = lvm_past_find(l->past, seqno);
	if (!OK(r->version))
		return -ENOENT;
	r->text = r->version->text;
	return lvm_restore_plan(r);
}

static int restore(struct io *all, uint64_t seqno)
{
	struct look *l = look(all);
	struct lvm_restore r;
	int err = plan(l, &r, seqno, false);

	if (!err)
		err = lvm_restore_commit(&r, &stamp);
	else
		printf("# refused: %s\n", r.why ? r.why : "?");
	drop(l);
	return err;
}

static void cut_everywhere(enum harm what)
{
	struct io *all = make_disks(), *log;
	char *old, *new;
	uint32_t data;
	int seen[2] = { 0 };

	harm(all, what);
	old = describe(all);
	data = data_sum(all);
	log = io_log(all);
	EQ(restore(log, 3), 0);
	new = describe(log);
	STR_EQ(new, "one:5@0 two:50@0 a b c ");
	EQ(data_sum(log), data);

	for (size_t n = 0; n <= io_log_len(log); n++)
		for (uint64_t seed = 0; seed < 4; seed++) {
			struct io *after = seed ? io_log_lose(log, n, seed - 1) : io_log_replay(log, n);
			char *got = describe(after), *again;

			/* Of two labels one comes first; the text is the new one by then. */
			if (!OK(!strcmp(got, old) || !strcmp(got, new) ||
				((what == LABELS || what == BEGINNINGS) && !strncmp(got, new, 16))))
				printf("# harm %d, %zu of %zu, seed %" PRIu64 ": %s\n", what, n,
				       io_log_len(log), seed, got);
			seen[0] += !strcmp(got, old);
			seen[1] += !strcmp(got, new);
			if (!EQ(restore(after, 3), 0))
				printf("# harm %d, %zu of %zu, seed %" PRIu64 ": %s\n", what, n,
				       io_log_len(log), seed, got);
			again = describe(after);
			STR_EQ(again, new);
			EQ(data_sum(after), data);
			free(got);
			free(again);
			io_close(after);
		}
	OK(seen[0] > 3 && seen[1] > 3);
	t_cuts("lvm vg restore", 4 * (io_log_len(log) + 1));
	free(old);
	free(new);
	io_close(log);
	io_close(all);
}

TEST(lvm_restore_is_old_or_new_wherever_we_die)
{
	for (enum harm what = NOTHING; what < HARMS; what++)
		cut_everywhere(what);
}

TEST(lvm_restore_that_fails_anywhere_can_be_repeated)
{
	for (size_t at = 1, err = 1; err; at++) {
		struct io *all = make_disks(), *fault;
		struct look *l;
		struct lvm_restore r;
		size_t calls;
		char *now;

		harm(all, LABELS);
		fault = io_fault(all, 0, -EIO, false);
		l = look(fault);
		EQ(plan(l, &r, 3, false), 0);
		calls = io_fault_calls(fault);
		drop(l);
		io_close(fault);
		fault = io_fault(all, calls + at, -EIO, at & 1);
		l = look(fault);
		EQ(plan(l, &r, 3, false), 0);
		err = (size_t)-lvm_restore_commit(&r, &stamp);
		drop(l);
		io_close(fault);
		if (err && err != E_LVM_HALF) {
			now = describe(all);
			STR_EQ(now, "two:50@0 a - - ");
			free(now);
		}
		EQ(restore(all, 3), 0);
		now = describe(all);
		STR_EQ(now, "one:5@0 two:50@0 a b c ");
		free(now);
		io_close(all);
		OK(at < 100);
	}
}

/* --- from a file ------------------------------------------------------------------------------ */

static void save(struct io *all, struct buf *b)
{
	struct look *l = look(all);

	EQ(lvm_backup_print(b, l->set.found[0]->best->text, &stamp), 0);
	drop(l);
}

static int restore_text(struct io *all, unsigned int which, struct view text, bool force,
			const char *why)
{
	struct look *l = look_at(all, which);
	struct lvm_restore r = { .set = &l->set, .past = l->past, .text = text, .force = force };
	int err = lvm_restore_plan(&r);

	if (!err)
		err = lvm_restore_commit(&r, &stamp);
	else if (!why || !r.why || !strstr(r.why, why))
		printf("# refused: %s\n", r.why ? r.why : "?");
	if (err && why)
		OK(r.why && strstr(r.why, why));
	drop(l);
	return err;
}

/* The caller knows which PV a device was. */
static void restore_said(struct io *all, struct view text, const char *pv, const char *path)
{
	struct look *l = look(all);
	struct lvm_said said = { .path = "a" };
	struct lvm_restore r = { .set = &l->set, .past = l->past, .text = text, .said = &said, .n_said = 1 };

	EQ(lvm_id_parse(&said.pv, pv, strlen(pv)), 0);
	EQ(lvm_restore_plan(&r), -E_LVM_PV_USED);	/* it has a label */
	drop(l);
	l = look(all);
	said.path = path;
	r = (struct lvm_restore){ .set = &l->set, .past = l->past, .text = text, .said = &said, .n_said = 1 };
	EQ(lvm_restore_plan(&r), 0);
	EQ(lvm_restore_commit(&r, &stamp), 0);
	drop(l);
}

TEST(lvm_restore_from_a_backup_writes_what_lvm2_would)
{
	struct io *all = make_disks();
	_buf_free_ struct buf b = { 0 }, on_disk = { 0 };
	struct look *l = look(all);
	struct view was = l->set.found[0]->best->text;
	const char *now, *end;

	save(all, &b);
	/* A disk that lost everything in front of its data gets back what pvcreate would make. */
	EQ(io_zero(all, SIZE, DATA), 0);
	EQ(restore_text(all, 7, (struct view){ b.p, b.n }, false, "is on none of the devices"),
	   -E_LVM_PARTIAL);
	restore_said(all, (struct view){ b.p, b.n }, l->vg->pv[1]->id.s, "b");
	drop(l);
	l = look(all);
	OK(!l->set.problem);
	EQ(l->vg->seqno, 5);
	EQ(l->dev[1].label.n_mda, 1);
	EQ(l->dev[1].label.mda[0].size, DATA - AREA);
	/* Neither tabs nor comments: but for its number it is the text of before. */
	now = l->set.found[0]->best->text.p;
	end = strstr(now, "# Generated");
	buf_add(&on_disk, now, (size_t)(end - now));
	now = strstr(buf_str(&on_disk), "seqno = 5");
	if (OK(now))
		on_disk.p[now - on_disk.p + 8] = '4';
	drop(l);
	io_close(all);
	all = make_disks();
	l = look(all);
	was = l->set.found[0]->best->text;
	end = strstr(was.p, "# Generated");
	STR_EQ(buf_str(&on_disk), arena_strndup(&l->a, was.p, (size_t)(end - (const char *)was.p)));
	drop(l);
	io_close(all);
}

/* What a backup of every vector says is what the vector says. */
TEST(lvm_backup_of_every_vector_reads_the_same)
{
	for (const char *const *v = vec_all; *v; v++) {
		struct buf text = { 0 }, file = { 0 }, again = { 0 };
		struct arena a = { 0 };
		struct lvm_vg *vg;
		const char *why;

		if (vec_file(*v, "pv0.mda0.txt", &text) || vec_file(*v, "pv1.mda0.txt", &text)) {
			char *end = strstr(text.p, "# Generated");

			EQ(lvm_backup_print(&file, (struct view){ text.p, text.n }, &stamp), 0);
			OK(strstr(file.p, "\n\tid = \""));
			if (EQ(lvm_vg_decode(&a, (struct view){ file.p, file.n }, &vg, &why), 0)) {
				for (struct lvm_lv *lv = vg->first; lv; lv = lv->next) {
					lv->changed = true;
					for (uint32_t i = 0; i < lv->n_segs; i++)
						lv->seg[i].changed = true;
				}
				for (uint32_t i = 0; i < vg->n_pvs; i++)
					vg->pv[i]->changed = true;
				lvm_vg_print(vg, &stamp, &again);
				*end = *strstr(again.p, "# Generated") = '\0';
				OK(vec_same(*v, again.p, text.p));
			}
		}
		buf_free(&text);
		buf_free(&file);
		buf_free(&again);
		arena_free(&a);
	}
}

/* --- what is refused ---------------------------------------------------------------------------- */

/* The text of now with one thing changed. */
static char *changed(struct arena *a, const char *text, const char *from, const char *to)
{
	const char *p = strstr(text, from);

	if (!OK(p))
		return arena_strdup(a, text);
	return arena_printf(a, "%.*s%s%s", (int)(p - text), text, to, p + strlen(from));
}

TEST(lvm_restore_refuses_a_text_that_would_harm)
{
	static const struct {
		const char *from, *to, *why;
		int err;
	} t[] = {
		{ "status = [\"RESIZEABLE\"", "status = [\"EXPORTED\", \"RESIZEABLE\"", "is exported",
		  -E_LVM_EXPORTED },
		{ "status = [\"RESIZEABLE\"", "status = [\"CLUSTERED\", \"RESIZEABLE\"", "is clustered",
		  -E_LVM_CLUSTERED },
		{ "status = [\"RESIZEABLE\"", "status = [\"FROM_THE_FUTURE\", \"RESIZEABLE\"",
		  "FROM_THE_FUTURE", -E_LVM_NEWER },
		{ "extent_size", "lock_type = \"sanlock\"\n\textent_size", "lock manager", -E_LVM_LOCK_TYPE },
		{ "extent_size", "system_id = \"other\"\n\textent_size", "another host", -E_LVM_FOREIGN },
		{ "pe_start = 128", "pe_start = 256", "begins at 65536, not at 131072", -E_LVM_BAD },
		{ "pe_count = 30", "pe_count = 40", "has 2097152 bytes, and the text needs 2686976",
		  -E_LVM_PV_SIZE },
		{ "pe_count = 30", "pe_count = 2", "goes beyond the end of", -E_LVM_BAD },
		{ "\"pv1\", 0", "\"pv9\", 0", "", -E_LVM_BAD },
		{ "\"pv1\", 0", "\"pv0\", 6", "", -E_LVM_BAD },
		{ "stripe_count = 1", "stripe_count = 7", "", -E_LVM_FIELD },
		{ "logical_volumes {", "logical_volumes", "", -E_TEXT },
		{ "Text Format", "Other Format", "its end is missing", -E_LVM_FIELD },
		{ "	id = \"", "	id = \"x", "", -E_LVM_FIELD },
		{ "seqno = 4", "seqno = 4294967295", "none above", -E_LVM_BAD },
	};
	struct io *all = make_disks(), *log = io_log(all);
	_buf_free_ struct buf b = { 0 };
	struct arena a = { 0 };

	save(all, &b);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		char *text = changed(&a, b.p, t[i].from, t[i].to);

		if (!EQ(restore_text(log, 7, (struct view){ text, strlen(text) }, false, t[i].why), t[i].err))
			printf("# of %s\n", t[i].to);
	}
	/* Cut short anywhere it is no text. */
	for (size_t n = 0; n + 2 < b.n; n += 97)
		OK(restore_text(log, 7, (struct view){ b.p, n }, true, "the text is no good"));
	EQ(io_log_writes(log), 0);
	arena_free(&a);
	io_close(log);
	io_close(all);
}

TEST(lvm_restore_refuses_devices_that_are_not_the_right_ones)
{
	struct io *all = make_disks(), *log = io_log(all);
	_buf_free_ struct buf b = { 0 };
	static uint8_t disk[SIZE];
	struct look *l;
	struct lvm_mda m;
	struct view text;

	save(all, &b);
	text = (struct view){ b.p, b.n };
	/* One is not there. */
	EQ(restore_text(log, 3, text, false, "is on none of the devices"), -E_LVM_PARTIAL);
	EQ(io_log_writes(log), 0);
	EQ(restore_text(log, 3, text, true, NULL), 0);
	l = look_at(log, 3);
	EQ(l->vg->seqno, 5);
	OK(l->vg->pv[2]->flags & LVM_PV_MISSING);
	drop(l);
	io_close(log);

	/* One is there twice. */
	log = io_log(all);
	EQ(io_read(all, SIZE, disk, SIZE), 0);
	EQ(io_write(all, 2 * SIZE, disk, SIZE), 0);
	EQ(restore_text(log, 7, text, true, "b and c are both the PV"), -E_LVM_DUPLICATE);
	/* Two have no label, and both may be either. */
	io_close(log);
	io_close(all);
	all = make_disks();
	log = io_log(all);
	EQ(io_zero(all, SIZE, AREA), 0);
	EQ(io_zero(all, 2 * SIZE, AREA), 0);
	EQ(restore_text(log, 7, text, true, "nothing tells whether it is the PV"), -E_LVM_PARTIAL);
	/* With one of them away as well: it might be that one. */
	EQ(restore_text(log, 3, text, true, "nothing tells whether it is the PV"), -E_LVM_PARTIAL);
	io_close(log);
	io_close(all);

	/* A label was cleared on purpose, long ago: what it was then it is not now. */
	all = make_disks();
	log = io_log(all);
	l = look(all);
	EQ(lvm_vg_reduce(l->vg, l->vg->pv[2]), 0);
	EQ(lvm_vg_commit(l->vg, &stamp), 0);
	EQ(lvm_pv_remove(l->io[2], &l->dev[2].label), 0);
	drop(l);
	buf_reset(&b);
	save(all, &b);
	text = (struct view){ b.p, b.n };
	EQ(restore_text(log, 5, text, false, "is on none of the devices (last seen as b)"), -E_LVM_PARTIAL);
	buf_reset(&b);
	io_close(log);
	io_close(all);

	/* A file system on a disk without a label. */
	all = make_disks();
	save(all, &b);
	text = (struct view){ b.p, b.n };
	log = io_log(all);
	EQ(io_zero(all, SIZE, AREA), 0);
	EQ(io_write(all, SIZE, "XFSB", 4), 0);
	EQ(restore_text(log, 7, text, false, "b has no label and holds an XFS file system"), -E_LVM_PV_USED);
	EQ(restore_text(log, 7, text, true, NULL), 0);
	EQ(io_read(all, SIZE, disk, 4), 0);
	OK(!memcmp(disk, "\0\0\0\0", 4));		/* nothing is left of it */
	io_close(log);

	/* A header that claims some of the data is made anew; a label that does so is not believed. */
	io_close(all);
	all = make_disks();
	log = io_log(all);
	EQ(lvm_mda_read(&m, (l = look(all))->io[1], AREA), 0);
	m.size = MiB;
	EQ(lvm_mda_write(&m, l->io[1]), 0);
	drop(l);
	EQ(restore_text(log, 7, text, false, NULL), 0);
	l = look(log);
	EQ(l->dev[1].copy[0].mda.size, DATA - AREA);
	io_close(log);
	l->dev[1].label.mda[0].size = MiB;
	EQ(lvm_label_encode(&l->dev[1].label, disk), 0);
	EQ(io_write(all, SIZE + 512, disk, 512), 0);
	drop(l);
	log = io_log(all);
	EQ(restore_text(log, 7, text, true, "b: the metadata area at 4096 lies outside, or over data"),
	   -E_LVM_BAD);
	EQ(io_log_writes(log), 0);
	io_close(log);
	io_close(all);

	/* Another VG has one of the devices by now; another has the name. */
	all = make_disks();
	l = look(all);
	EQ(lvm_vg_remove(l->vg), -ENOTEMPTY);
	EQ(lvm_lv_remove(l->vg, lvm_lv_find(l->vg, "two")), 0);
	EQ(lvm_vg_remove(l->vg), 0);
	EQ(lvm_vg_commit(l->vg, &stamp), 0);
	drop(l);
	l = look(all);
	{
		struct lvm_vg *vg;
		struct lvm_id id;

		make_id(&id, 777);
		EQ(lvm_vg_new(&l->a, "vg", &id, 64 * KiB, NULL, &vg), 0);
		EQ(lvm_vg_extend(vg, &l->dev[0]), 0);
		EQ(lvm_vg_commit(vg, &stamp), 0);
	}
	drop(l);
	log = io_log(all);
	EQ(restore_text(log, 7, text, true, "another VG is called vg too"), -E_LVM_VG_TWICE);
	b.p[strstr(b.p, "vg {") - b.p] = 'w';
	EQ(restore_text(log, 7, text, true, "a belongs to the VG vg now"), -E_LVM_PV_USED);
	EQ(io_log_writes(log), 0);
	io_close(log);
	io_close(all);
}

/* What looks like a signature in the area for boot code is boot code. */
TEST(lvm_restore_wipes_what_was_there_and_not_boot_code)
{
	struct io *all = make_disks();
	_buf_free_ struct buf b = { 0 };
	struct arena a = { 0 };
	const char *text;
	char is[6];

	save(all, &b);
	text = changed(&a, buf_str(&b), "pv1 {\n", "pv1 {\nba_start = 64\nba_size = 8\n");
	EQ(io_zero(all, SIZE, AREA), 0);
	EQ(io_write(all, SIZE + 16 * KiB, "SKUL\xba\xbe", 6), 0);
	EQ(io_write(all, SIZE + 32 * KiB, "SKUL\xba\xbe", 6), 0);
	EQ(restore_text(all, 7, (struct view){ text, strlen(text) }, true, NULL), 0);
	EQ(io_read(all, SIZE + 16 * KiB, is, sizeof(is)), 0);
	OK(!memcmp(is, "\0\0\0\0\0\0", 6));
	EQ(io_read(all, SIZE + 32 * KiB, is, sizeof(is)), 0);
	OK(!memcmp(is, "SKUL\xba\xbe", 6));
	arena_free(&a);
	io_close(all);
}

/* A PV that came later leaves again, and is free then; the seqno is above all. */
TEST(lvm_restore_of_a_time_before_a_pv_came)
{
	struct io *all = make_disks();
	struct look *l = look(all);
	struct lvm_restore r;
	struct lvm_pv *pv = l->vg->pv[2];

	EQ(lvm_vg_reduce(l->vg, pv), 0);
	EQ(lvm_vg_commit(l->vg, &stamp), 0);		/* 5: without c */
	drop(l);
	l = look(all);
	EQ(lvm_vg_extend(l->vg, &l->dev[2]), 0);
	EQ(lvm_vg_commit(l->vg, &stamp), 0);		/* 6: with c */
	drop(l);
	l = look(all);
	EQ(plan(l, &r, 5, false), 0);
	EQ(r.vg->n_leaving, 1);
	EQ(lvm_restore_commit(&r, &stamp), 0);
	drop(l);
	l = look(all);
	OK(!l->set.problem);
	EQ(l->vg->seqno, 7);
	EQ(l->vg->n_pvs, 2);
	OK(!l->dev[2].vg && !(l->dev[2].label.ext_flags & LVM_LABEL_USED));
	/* And the other way: it joins again. */
	EQ(plan(l, &r, 6, false), 0);
	EQ(lvm_restore_commit(&r, &stamp), 0);
	drop(l);
	l = look(all);
	OK(!l->set.problem);
	EQ(l->vg->seqno, 8);
	EQ(l->vg->n_pvs, 3);
	drop(l);
	io_close(all);
}
