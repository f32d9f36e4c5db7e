/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A commit is there or it is not, wherever it is cut. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/io_test.h"
#include "lib/lvm2/commit.h"
#include "lib/lvm2/ops.h"
#include "lib/lvm2/scan.h"
#include "tests/unit/lvm2_vec.h"
#include "tests/unit/t.h"

#define DISKS 3
#define SIZE (2 << 20)		/* the smallest that can be a PV */

static const struct lvm_stamp stamp = {
	.program = "smbox", .cause = "test", .host = "here", .now = 1795400000,
};
static const char *const paths[DISKS] = { "a", "b", "c" };

static void make_id(struct lvm_id *id, uint64_t n)
{
	uint8_t random[32];

	for (int i = 0; i < 32; i++)
		random[i] = (uint8_t)(vec_rand(&n) >> 8);
	lvm_id_make(id, random);
}

/* A PV in memory: small areas, so that the ring comes round soon. */
static void format(struct io *io, uint64_t n, uint32_t n_mdas)
{
	const struct lvm_pv_spec spec = {
		.device_size = io->size, .metadata_size = 32768 + 16384, .n_mdas = n_mdas, .align = 65536,
	};
	struct lvm_label l;
	struct lvm_id id;

	make_id(&id, n);
	EQ(lvm_pv_plan(&spec, &id, &l), 0);
	EQ(lvm_pv_create(io, &l), 0);
}

struct look {
	struct arena a;
	struct lvm_dev dev[DISKS];
	struct lvm_set set;
	struct lvm_vg *vg;
};

static struct look *look(struct io **io, int n)
{
	struct look *l = must_alloc(sizeof(*l));

	for (int i = 0; i < n; i++)
		l->dev[i] = (struct lvm_dev){ .io = io[i], .path = paths[i] };
	lvm_scan(&l->a, l->dev, (size_t)n, &(struct lvm_scan_how){ .verify = true }, &l->set);
	if (l->set.n_found)
		l->vg = l->set.found[0]->vg;
	return l;
}

static void drop(struct look *l)
{
	arena_free(&l->a);
	free(l);
}

/* One VG over n disks; on the first two areas each. */
static void make_vg(struct io **io, int n)
{
	struct lvm_id id;
	struct lvm_vg *vg;
	struct look *l;

	for (int i = 0; i < n; i++)
		format(io[i], (uint64_t)i + 1, i ? 1 : 2);
	l = look(io, n);
	EQ(l->set.n_found, 0);
	make_id(&id, 99);
	EQ(lvm_vg_new(&l->a, "vg", &id, 16 << 10, NULL, &vg), 0);
	for (int i = 0; i < n; i++)
		EQ(lvm_vg_extend(vg, &l->dev[i]), 0);
	EQ(lvm_vg_commit(vg, &stamp), 0);
	EQ(vg->seqno, 1);
	drop(l);
}

static struct lvm_lv *make_lv(struct lvm_vg *vg, const char *name, uint64_t n, uint64_t bytes)
{
	struct lvm_lv_spec spec = { .name = name, .bytes = bytes, .host = "here", .now = 1795400000 };
	struct lvm_lv *lv = NULL;

	make_id(&spec.id, n + 1000);
	EQ(lvm_lv_create(vg, &spec, &lv), 0);
	return lv;
}

static struct io *disk(void)
{
	return io_mem(SIZE, SIZE);
}

TEST(lvm_a_new_vg_is_found_again)
{
	struct io *io[DISKS] = { disk(), disk(), disk() };
	struct look *l;

	make_vg(io, DISKS);
	l = look(io, DISKS);
	OK(!l->set.problem);
	if (OK(l->vg)) {
		STR_EQ(l->vg->name, "vg");
		EQ(l->vg->n_pvs, DISKS);
		EQ(l->vg->n_devs, DISKS);
		for (int i = 0; i < DISKS; i++)
			EQ(l->dev[i].label.ext_flags, LVM_LABEL_USED);
		/* The second area at the end of the first disk takes a share of it. */
		OK(l->vg->pv[0]->pe_count < l->vg->pv[1]->pe_count);
		EQ(lvm_vg_is_current(l->vg), 0);
	}
	drop(l);
	vec_close(io, DISKS);
}

/* --- the crash ------------------------------------------------------------------ */

enum change { CREATE, REMOVE, RENAME, EXTEND, REDUCE, SHRINK, GROW, VGREMOVE, N_CHANGES };

#define LESS (1 << 20)		/* of a disk whose PV shrinks, and its second area moves */

static const char *const change_names[N_CHANGES] = {
	"lvm lv create", "lvm lv remove", "lvm vg rename", "lvm vg extend", "lvm vg reduce", "lvm pv shrink",
	"lvm pv grow", "lvm vg remove",
};

static void change(struct look *l, enum change what)
{
	switch (what) {
	case CREATE:
		make_lv(l->vg, "new", 7, 1 << 20);
		break;
	case REMOVE:
		EQ(lvm_lv_remove(l->vg, lvm_lv_find(l->vg, "lv0")), 0);
		break;
	case RENAME:
		EQ(lvm_vg_rename(l->vg, "other"), 0);
		break;
	case EXTEND:
		EQ(lvm_vg_extend(l->vg, &l->dev[2]), 0);
		break;
	case REDUCE:
		EQ(lvm_vg_reduce(l->vg, l->dev[1].pv), 0);
		break;
	case SHRINK:
		EQ(lvm_pv_resize(l->vg, l->dev[0].pv, LESS), 0);
		break;
	case GROW:
		EQ(lvm_pv_resize(l->vg, l->dev[0].pv, SIZE), 0);
		break;
	case VGREMOVE:
		EQ(lvm_lv_remove(l->vg, lvm_lv_find(l->vg, "lv0")), 0);
		EQ(lvm_vg_remove(l->vg), 0);
		break;
	case N_CHANGES:
		break;
	}
}

/* Nobody who believes the label writes to data. */
static void areas_are_clear(const struct lvm_vg *vg)
{
	for (uint32_t i = 0; i < vg->n_devs; i++)
		for (uint32_t k = 0; k < vg->dev[i]->label.n_mda; k++) {
			const struct lvm_pv *pv = vg->dev[i]->pv;
			const struct lvm_area *area = &vg->dev[i]->label.mda[k];
			uint64_t data = pv->pe_start * LVM_SECTOR;

			OK(area->at + area->size <= data ||
			   area->at >= data + pv->pe_count * lvm_extent_bytes(vg));
			EQ(vg->dev[i]->copy[k].err, 0);
		}
}

/* Everything a reader can see of the VG. */
static char *describe(struct io **io)
{
	struct look *l = look(io, DISKS);
	struct buf b = { 0 };
	char *text;

	buf_printf(&b, "%zu VGs;", l->set.n_found);
	if (l->vg) {
		buf_printf(&b, " %s pvs %u", l->vg->name, l->vg->n_pvs);
		for (struct lvm_lv *lv = l->vg->first; lv; lv = lv->next)
			buf_printf(&b, " %s %u@%u", lv->name, lv->extents, lv->seg[0].leg[0].extent);
		for (uint32_t i = 0; i < l->vg->n_pvs; i++)
			buf_printf(&b, " %u", l->vg->pv[i]->pe_count);
		EQ(lvm_vg_may_change(l->vg, false), 0);
		areas_are_clear(l->vg);
	}
	for (size_t i = 0; i < l->set.n_found; i++)
		EQ(l->set.found[i]->err, 0);
	text = must_alloc(b.n + 1);
	memcpy(text, b.p, b.n);
	buf_free(&b);
	drop(l);
	return text;
}

/* The disks of one VG in one, so that a single log has the order of all writes. */
static void windows(struct io *all, struct io **io)
{
	for (int i = 0; i < DISKS; i++)
		EQ(io_window(&io[i], all, (uint64_t)i * SIZE, SIZE), 0);
}

/* The same once more, on what a death left; then everything is new. */
static void again(struct io **io, enum change what, const char *new)
{
	struct look *l = look(io, DISKS);
	char *got;

	change(l, what);
	EQ(lvm_vg_commit(l->vg, &stamp), 0);
	drop(l);
	l = look(io, DISKS);
	OK(!l->set.problem);
	drop(l);
	got = describe(io);
	STR_EQ(got, new);
	free(got);
}

static void crash_at_every_write(enum change what, bool precommit)
{
	struct io *all = io_sparse(DISKS * SIZE, DISKS * SIZE, 0), *log, *io[DISKS];
	int seen[2] = { 0 };
	struct lvm_commit c;
	struct look *l;
	char *old, *new;

	windows(all, io);
	make_vg(io, 2);
	format(io[2], 3, 1);
	l = look(io, DISKS);
	make_lv(l->vg, "lv0", 1, 128 << 10);
	EQ(lvm_vg_commit(l->vg, &stamp), 0);
	if (what == GROW) {
		change(l, SHRINK);
		EQ(lvm_vg_commit(l->vg, &stamp), 0);
	}
	drop(l);
	old = describe(io);
	vec_close(io, DISKS);

	log = io_log(all);
	windows(log, io);
	l = look(io, DISKS);
	change(l, what);
	EQ(lvm_commit_prepare(&c, l->vg, &stamp), 0);
	if (precommit)
		EQ(lvm_commit_precommit(&c), 0);
	EQ(lvm_commit_finish(&c), 0);
	drop(l);
	new = describe(io);
	vec_close(io, DISKS);

	for (size_t n = 0; n <= io_log_len(log); n++)
		for (uint64_t seed = 0; seed < 6; seed++) {
			struct io *after = seed ? io_log_lose(log, n, seed - 1) : io_log_replay(log, n);
			char *got;

			windows(after, io);
			got = describe(io);
			if (!OK(!strcmp(got, old) || !strcmp(got, new)))
				printf("# change %d after %zu of %zu, seed %" PRIu64 ": %s\n# old %s\n# new %s\n",
				       what, n, io_log_len(log), seed, got, old, new);
			seen[0] += !strcmp(got, old);
			seen[1] += !strcmp(got, new);
			free(got);
			if (what == SHRINK || what == GROW)
				again(io, what, new);
			vec_close(io, DISKS);
			io_close(after);
		}
	OK(seen[0] > 10 && seen[1] > 10);
	t_cuts(change_names[what], 6 * (io_log_len(log) + 1));
	free(old);
	free(new);
	io_close(log);
	io_close(all);
}

TEST(lvm_metadata_is_old_or_new_wherever_we_die)
{
	for (enum change what = CREATE; what < VGREMOVE; what++)
		crash_at_every_write(what, what == CREATE || what == GROW);
}

/* What the area got beyond its size to reach the end is needed as well. */
TEST(lvm_an_area_at_the_end_stays_within_its_pv)
{
	const struct lvm_pv_spec spec = { .device_size = 8 * MiB + 512 * KiB, .n_mdas = 2 };
	struct io *io = io_mem(spec.device_size, spec.device_size);
	struct lvm_label label;
	struct lvm_vg *vg;
	struct lvm_id id;
	struct look *l;

	make_id(&id, 1);
	EQ(lvm_pv_plan(&spec, &id, &label), 0);
	EQ(label.mda[1].at, 7 * MiB);
	EQ(label.mda[1].size, MiB + 512 * KiB);
	EQ(lvm_pv_create(io, &label), 0);
	l = look(&io, 1);
	make_id(&id, 99);
	EQ(lvm_vg_new(&l->a, "vg", &id, 64 * KiB, NULL, &vg), 0);
	EQ(lvm_vg_extend(vg, &l->dev[0]), 0);
	EQ(lvm_pv_resize(vg, vg->pv[0], 8 * MiB), -E_LVM_PV_SIZE);
	EQ(lvm_pv_resize(vg, vg->pv[0], spec.device_size), 0);
	EQ(lvm_pv_resize(vg, vg->pv[0], 6 * MiB), 0);
	EQ(vg->dev[0]->label.mda[1].at, 5 * MiB);
	drop(l);
	io_close(io);
}

/* A VG that goes is there, empty, or gone; and what is left of it can be removed again. */
TEST(lvm_a_vg_half_removed_is_removed_again)
{
	struct io *all = io_mem(2 * SIZE, 2 * SIZE), *log, *io[DISKS];
	struct look *l;

	for (int i = 0; i < 2; i++)
		EQ(io_window(&io[i], all, (uint64_t)i * SIZE, SIZE), 0);
	make_vg(io, 2);
	vec_close(io, 2);
	log = io_log(all);
	for (int i = 0; i < 2; i++)
		EQ(io_window(&io[i], log, (uint64_t)i * SIZE, SIZE), 0);
	l = look(io, 2);
	EQ(lvm_vg_remove(l->vg), 0);
	EQ(lvm_vg_commit(l->vg, &stamp), 0);
	drop(l);
	vec_close(io, 2);

	for (size_t n = 0; n <= io_log_len(log); n++) {
		struct io *after = io_log_replay(log, n);

		for (int i = 0; i < 2; i++)
			EQ(io_window(&io[i], after, (uint64_t)i * SIZE, SIZE), 0);
		l = look(io, 2);
		if (l->set.n_found && OK(l->vg)) {
			EQ(lvm_vg_remove(l->vg), 0);
			EQ(lvm_vg_commit(l->vg, &stamp), 0);
		}
		drop(l);
		l = look(io, 2);
		EQ(l->set.n_found, 0);
		drop(l);
		vec_close(io, 2);
		io_close(after);
	}
	t_cuts(change_names[VGREMOVE], io_log_len(log) + 1);
	io_close(log);
	io_close(all);
}

/* --- errors ---------------------------------------------------------------------- */

TEST(lvm_commit_that_fails_anywhere_leaves_old_or_new)
{
	int failed = 0, half = 0;

	for (size_t at = 1; ; at++) {
		struct io *all = io_sparse(DISKS * SIZE, DISKS * SIZE, 0), *io[DISKS], *fault;
		char *old, *now, *new = NULL;
		size_t calls;
		struct look *l;
		int err;

		windows(all, io);
		make_vg(io, 2);
		format(io[2], 3, 1);
		old = describe(io);
		vec_close(io, DISKS);

		fault = io_fault(all, 0, -EIO, false);
		windows(fault, io);
		l = look(io, DISKS);
		calls = io_fault_calls(fault);
		drop(l);
		vec_close(io, DISKS);
		io_close(fault);

		fault = io_fault(all, calls + at, -EIO, at & 1);
		windows(fault, io);
		l = look(io, DISKS);
		make_lv(l->vg, "lv0", 1, 128 << 10);
		err = lvm_vg_commit(l->vg, &stamp);
		drop(l);
		vec_close(io, DISKS);
		io_close(fault);

		windows(all, io);
		now = describe(io);
		new = strstr(now, "lv0");
		if (err == -E_LVM_HALF)
			OK(new);
		else if (err)
			OK(!strcmp(now, old));
		else
			OK(new);
		failed += err && err != -E_LVM_HALF;
		half += err == -E_LVM_HALF;
		vec_close(io, DISKS);
		io_close(all);
		free(old);
		free(now);
		if (!err)
			break;
	}
	OK(failed >= 3 && half >= 3);
}

TEST(lvm_commit_can_be_taken_back)
{
	struct io *io[1] = { disk() };
	struct lvm_commit c;
	struct look *l;
	struct lvm_mda m;

	make_vg(io, 1);
	l = look(io, 1);
	make_lv(l->vg, "lv0", 1, 1);
	EQ(lvm_commit_prepare(&c, l->vg, &stamp), 0);
	EQ(lvm_commit_precommit(&c), 0);
	EQ(lvm_mda_read(&m, io[0], 4096), 0);
	OK(m.slot[1].size > m.slot[0].size);
	EQ(lvm_commit_revert(&c), 0);
	EQ(lvm_mda_read(&m, io[0], 4096), 0);
	EQ(m.slot[1].size, 0);
	EQ(l->vg->seqno, 1);
	drop(l);
	l = look(io, 1);
	EQ(l->vg->seqno, 1);
	OK(!l->vg->first);
	drop(l);
	vec_close(io, 1);
}

TEST(lvm_commit_of_what_somebody_else_changed)
{
	struct io *io[1] = { disk() };
	struct look *mine, *theirs;

	make_vg(io, 1);
	mine = look(io, 1);
	theirs = look(io, 1);
	make_lv(theirs->vg, "lv0", 1, 1);
	EQ(lvm_vg_commit(theirs->vg, &stamp), 0);
	EQ(lvm_vg_is_current(mine->vg), -E_LVM_CHANGED);
	EQ(lvm_vg_is_current(theirs->vg), 0);
	drop(mine);
	drop(theirs);
	vec_close(io, 1);
}

TEST(lvm_a_damaged_copy_heals_and_a_damaged_header_is_left_alone)
{
	struct io *io[2];
	struct look *l;

	io[0] = vec_pv("12a-bad-text", 0);
	io[1] = vec_pv("12a-bad-text", 1);
	l = look(io, 2);
	EQ(lvm_vg_tag(l->vg, "t", true), 0);
	EQ(lvm_vg_commit(l->vg, &stamp), 0);
	drop(l);
	l = look(io, 2);
	OK(!l->set.problem);
	EQ(l->vg->seqno, 4);
	drop(l);
	vec_close(io, 2);

	io[0] = vec_pv("12b-bad-header", 0);
	io[1] = vec_pv("12b-bad-header", 1);
	l = look(io, 2);
	EQ(lvm_vg_tag(l->vg, "t", true), 0);
	EQ(lvm_vg_commit(l->vg, &stamp), 0);
	drop(l);
	l = look(io, 2);
	EQ(l->set.problem ? l->set.problem->err : 0, -E_LVM_MDA);
	OK(lvm_has_tag(&l->vg->tags, "t"));
	drop(l);
	vec_close(io, 2);
}

TEST(lvm_ignored_areas_stay_ignored)
{
	struct io *io[DISKS];
	struct look *l;

	EQ(vec_pvs("05-two-mdas", io, DISKS), DISKS);
	l = look(io, DISKS);
	make_lv(l->vg, "more", 1, 1);
	EQ(lvm_vg_commit(l->vg, &stamp), 0);
	drop(l);
	l = look(io, DISKS);
	OK(!l->set.problem);
	EQ(l->vg->seqno, 5);
	EQ(lvm_mda_is_ignored(&l->dev[0].copy[1].mda), 1);
	EQ(lvm_mda_is_ignored(&l->dev[1].copy[0].mda), 1);
	EQ(l->dev[1].copy[0].mda.slot[0].size, 1074);	/* its old text, untouched */
	drop(l);
	vec_close(io, DISKS);
}

/* --- the ring ---------------------------------------------------------------------- */

TEST(lvm_a_thousand_commits_on_a_small_ring)
{
	struct io *io[1] = { disk() };
	uint64_t seed = 3, wraps = 0;
	struct look *l;

	make_vg(io, 1);
	for (int round = 0; round < 40; round++) {
		l = look(io, 1);
		for (int i = 0; i < 25; i++) {
			const struct lvm_slot *s = &l->dev[0].copy[0].mda.slot[0];
			char name[16];
			struct lvm_lv *lv;

			snprintf(name, sizeof(name), "lv%d", (int)(vec_rand(&seed) % 20));
			lv = lvm_lv_find(l->vg, name);
			if (lv)
				EQ(lvm_lv_remove(l->vg, lv), 0);
			else
				make_lv(l->vg, name, vec_rand(&seed), 1);
			EQ(lvm_vg_commit(l->vg, &stamp), 0);
			wraps += s->at + s->size > l->dev[0].copy[0].mda.size;
		}
		drop(l);
	}
	l = look(io, 1);
	EQ(l->vg->seqno, 1001);
	OK(!l->set.problem);
	OK(wraps > 20);
	drop(l);
	vec_close(io, 1);
}

TEST(lvm_a_full_ring_is_refused_before_anything_is_written)
{
	struct io *base = disk(), *io[1], *log;
	struct look *l;
	int n = 0, err = 0;

	make_vg(&base, 1);
	while (!err) {
		char name[16];

		log = io_log(base);
		io[0] = log;
		l = look(io, 1);
		snprintf(name, sizeof(name), "lv%d", n);
		make_lv(l->vg, name, (uint64_t)n, 1);
		err = lvm_vg_commit(l->vg, &stamp);
		if (err)
			EQ(io_log_len(log), 0);
		else
			n++;
		drop(l);
		io_close(log);
	}
	EQ(err, -E_LVM_FULL);
	OK(n > 20);
	l = look(&base, 1);
	EQ(l->vg->n_lvs, n);
	drop(l);
	io_close(base);
}

/* What a commit costs: a text and a header in each area, two flushes on each device. */
TEST(lvm_a_commit_costs_no_more_than_it_must)
{
	struct io *base = disk(), *log;
	struct look *l;

	format(base, 1, 1);
	l = look(&base, 1);
	{
		struct lvm_id id;
		struct lvm_vg *vg;

		make_id(&id, 5);
		EQ(lvm_vg_new(&l->a, "vg", &id, 16 << 10, NULL, &vg), 0);
		EQ(lvm_vg_extend(vg, &l->dev[0]), 0);
		EQ(lvm_vg_commit(vg, &stamp), 0);
	}
	drop(l);
	log = io_log(base);
	l = look(&log, 1);
	EQ(io_log_reads(log), 1);
	make_lv(l->vg, "a", 1, 1);
	make_lv(l->vg, "b", 2, 1);
	EQ(lvm_vg_commit(l->vg, &stamp), 0);
	EQ(io_log_reads(log), 1);
	EQ(io_log_writes(log), 2);
	EQ(io_log_flushes(log), 2);
	drop(l);
	io_close(log);
	io_close(base);
}
