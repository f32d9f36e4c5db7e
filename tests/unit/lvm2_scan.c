/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images that lvm2 made: what we find in them is what its own tools reported. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/crc32.h"
#include "lib/err.h"
#include "lib/lvm2/dm.h"
#include "lib/lvm2/ops.h"
#include "lib/lvm2/scan.h"
#include "tests/unit/lvm2_vec.h"
#include "tests/unit/t.h"

struct bench {
	struct arena a;
	struct io *pv[8];
	struct lvm_dev dev[8];
	int n;
	struct lvm_set set;
	struct lvm_vg *vg;		/* the only one, or NULL */
};

static const char *const paths[] = { "pv0", "pv1", "pv2", "pv3", "pv4", "pv5", "pv6", "pv7" };

static void look(struct bench *b, const struct lvm_scan_how *how)
{
	for (int i = 0; i < b->n; i++)
		b->dev[i] = (struct lvm_dev){ .io = b->pv[i], .path = paths[i] };
	lvm_scan(&b->a, b->dev, (size_t)b->n, how, &b->set);
	b->vg = b->set.n_found ? b->set.found[0]->vg : NULL;
}

static struct bench *start(const char *scenario, const struct lvm_scan_how *how)
{
	struct bench *b = must_alloc(sizeof(*b));

	b->n = vec_pvs(scenario, b->pv, 8);
	OK(b->n > 0);
	look(b, how);
	return b;
}

static void stop(struct bench *b)
{
	vec_close(b->pv, b->n);
	arena_free(&b->a);
	free(b);
}

static const struct lvm_problem *problem(const struct bench *b, int err, const char *path)
{
	for (const struct lvm_problem *p = b->set.problem; p; p = p->next)
		if (p->err == err && !strcmp(p->path, path))
			return p;
	return NULL;
}

/* --- the reports ------------------------------------------------------------------ */

static int by_text(const void *x, const void *y)
{
	return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* The reports sort them; the text keeps the order in which they came. */
static void say_tags(struct buf *b, const struct lvm_tags *t)
{
	const char *v[64];

	if (!OK(t->n <= ARRAY_SIZE(v)))
		return;
	for (uint32_t i = 0; i < t->n; i++)
		v[i] = t->v[i];
	qsort(v, t->n, sizeof(*v), by_text);
	buf_puts(b, " tags ");
	for (uint32_t i = 0; i < t->n; i++)
		buf_printf(b, "%s%s", i ? "," : "", v[i]);
}

static bool is_partial(const struct lvm_vg *vg)
{
	for (uint32_t i = 0; i < vg->n_pvs; i++)
		if (lvm_pv_is_missing(vg->pv[i]))
			return true;
	return false;
}

static void say_vg(struct buf *b, const struct lvm_vg *vg)
{
	char policy = !vg->policy ? 'n' : vg->policy[0];

	if (vg->policy && !strcmp(vg->policy, "cling"))
		policy = 'l';
	buf_printf(b, "vg %s %s attr %c%c%c%c%c%c seqno %u extent_size %" PRIu64 " extents %" PRIu64
		   " free %" PRIu64 " max %u %u system %s", vg->name, vg->id.s,
		   vg->flags & LVM_VG_WRITE ? 'w' : 'r', vg->flags & LVM_VG_RESIZEABLE ? 'z' : '-',
		   vg->flags & LVM_VG_EXPORTED ? 'x' : '-', is_partial(vg) ? 'p' : '-', policy, '-',
		   vg->seqno, lvm_extent_bytes(vg), lvm_vg_extents(vg), lvm_vg_free(vg), vg->max_lv,
		   vg->max_pv, vg->system_id ? vg->system_id : "");
	say_tags(b, &vg->tags);
	buf_putc(b, '\n');
}

static char *say_pv(struct arena *a, const struct lvm_vg *vg, const struct lvm_pv *pv)
{
	struct buf b = { 0 };
	char *line;

	/* What may be allocated from; the report says u for "used but not allocatable". */
	buf_printf(&b, "pv %s at %s attr %c%c%c size %" PRIu64 " free %" PRIu64 " pe_start %" PRIu64
		   " extents %u used %u", pv->id.s, pv->dev ? pv->dev->path : "-",
		   pv->flags & LVM_PV_ALLOCATABLE ? 'a' : 'u', pv->flags & LVM_PV_EXPORTED ? 'x' : '-',
		   lvm_pv_is_missing(pv) ? 'm' : '-', pv->pe_count * lvm_extent_bytes(vg),
		   pv->n_free * lvm_extent_bytes(vg), pv->pe_start * 512, pv->pe_count,
		   pv->pe_count - pv->n_free);
	say_tags(&b, &pv->tags);
	line = arena_strdup(a, buf_str(&b));
	buf_free(&b);
	return line;
}

static char *say_seg(struct arena *a, const struct lvm_vg *vg, const struct lvm_lv *lv,
		     const struct lvm_seg *s)
{
	bool linear = s->kind == LVM_SEG_STRIPED && s->n_legs == 1, cow = false;
	struct buf b = { 0 };
	char *line;

	/* The reports count the store of a COW snapshot as its visible part. */
	for (const struct lvm_lv *o = vg->first; o; o = o->next)
		for (uint32_t i = 0; o->seg[0].kind == LVM_SEG_SNAPSHOT && i < o->n_refs; i++)
			cow |= o->ref[i].to == lv;
	buf_printf(&b, "seg %s %s size %" PRIu64 " %s", lv->name, lv->id.s, lvm_lv_bytes(vg, lv),
		   lvm_lv_is_visible(lv) || cow ? "visible" : "hidden");
	say_tags(&b, &lv->tags);
	buf_printf(&b, " time %" PRIu64 " type %s start %u count %u stripe ", lv->created,
		   linear ? "linear" : s->type, s->start, s->count);
	if (s->kind == LVM_SEG_STRIPED)
		buf_printf(&b, "%u on ", s->stripe_size * 512);
	for (uint32_t i = 0; s->kind == LVM_SEG_STRIPED && i < s->n_legs; i++)
		buf_printf(&b, "%s%s:%u", i ? "," : "", s->leg[i].pv->dev ? s->leg[i].pv->dev->path : "-",
			   s->leg[i].extent);
	if (s->kind != LVM_SEG_STRIPED)
		buf_putc(&b, '-');
	line = arena_strdup(a, buf_str(&b));
	buf_free(&b);
	return line;
}

static void say_sorted(struct buf *b, char **line, size_t n)
{
	qsort(line, n, sizeof(*line), by_text);
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%s\n", line[i]);
}

static void say_all(struct bench *b, struct buf *out)
{
	char *line[64];
	size_t n = 0;

	if (!b->vg)
		return;
	say_vg(out, b->vg);
	for (uint32_t i = 0; i < b->vg->n_pvs; i++)
		line[n++] = say_pv(&b->a, b->vg, b->vg->pv[i]);
	say_sorted(out, line, n);
	n = 0;
	/* Of an exported VG lvm2 tells no LVs. */
	for (const struct lvm_lv *lv = b->vg->first; lv && !(b->vg->flags & LVM_VG_EXPORTED); lv = lv->next)
		for (uint32_t i = 0; i < lv->n_segs && lv->seg[0].kind != LVM_SEG_SNAPSHOT; i++)
			line[n++] = say_seg(&b->a, b->vg, lv, &lv->seg[i]);
	say_sorted(out, line, n);
}

TEST(lvm_vgs_are_what_lvm2_says_they_are)
{
	for (const char *const *s = vec_all; *s; s++)
		for (int verify = 0; verify < 2; verify++) {
			_buf_free_ struct buf got = { 0 }, want = { 0 };
			struct bench *b = start(*s, &(struct lvm_scan_how){ .verify = verify });

			say_all(b, &got);
			OK(vec_file(*s, "report", &want));
			OK(vec_same(*s, buf_str(&got), buf_str(&want)));
			stop(b);
		}
}

/* --- copies that differ --------------------------------------------------------- */

TEST(lvm_bad_copies_lose_and_are_named)
{
	static const struct lvm_scan_how all = { .verify = true };
	struct bench *b;

	b = start("12a-bad-text", &all);
	EQ(b->vg->seqno, 3);
	OK(problem(b, -E_LVM_SUM, "pv0"));
	OK(!problem(b, -E_LVM_SUM, "pv1"));
	EQ(lvm_vg_may_change(b->vg, false), 0);
	stop(b);

	b = start("12b-bad-header", &all);
	OK(problem(b, -E_LVM_MDA, "pv0"));
	EQ(lvm_vg_may_change(b->vg, false), 0);
	stop(b);

	b = start("12c-bad-label", &all);
	OK(problem(b, -E_LVM_LABEL, "pv0"));
	OK(problem(b, -E_LVM_PARTIAL, "vgc"));
	EQ(lvm_vg_may_change(b->vg, false), -E_LVM_PARTIAL);
	EQ(lvm_vg_may_change(b->vg, true), 0);
	stop(b);

	b = start("12d-all-bad", &all);
	OK(!b->vg);
	EQ(b->set.n_found, 0);
	OK(problem(b, -E_LVM_SUM, "pv0"));
	stop(b);

	b = start("14a-stale-copy", &all);
	OK(problem(b, -E_LVM_STALE, "pv1"));
	EQ(lvm_vg_may_change(b->vg, false), 0);
	stop(b);

	b = start("14b-precommit-only", &all);
	OK(!b->set.problem);
	stop(b);
}

TEST(lvm_vgs_that_are_not_ours_are_refused)
{
	static const struct lvm_scan_how host_a = { .system_id = "hostA" };
	static const struct lvm_scan_how host_b = { .system_id = "hostB" };
	struct lvm_vg *vg = NULL;
	struct bench *b;

	b = start("10-exported", NULL);
	EQ(lvm_vg_may_change(b->vg, false), -E_LVM_EXPORTED);
	EQ(lvm_vg_get(&b->set, "vgx", &vg), 0);
	EQ(lvm_vg_get(&b->set, b->vg->id.s, &vg), 0);
	EQ(lvm_vg_get(&b->set, "vgy", &vg), -E_LVM_VG_MISSING);
	stop(b);

	b = start("16-fields", NULL);
	EQ(lvm_vg_may_change(b->vg, false), -E_LVM_FOREIGN);
	stop(b);
	b = start("16-fields", &host_b);
	EQ(lvm_vg_may_change(b->vg, false), -E_LVM_FOREIGN);
	stop(b);
	b = start("16-fields", &host_a);
	EQ(lvm_vg_may_change(b->vg, false), 0);
	stop(b);

	b = start("18-duplicate-pv", NULL);
	EQ(lvm_vg_may_change(b->vg, false), -E_LVM_DUPLICATE);
	OK(problem(b, -E_LVM_DUPLICATE, "pv1"));
	stop(b);

	b = start("11a-partial", NULL);
	EQ(lvm_vg_may_change(b->vg, false), -E_LVM_PARTIAL);
	OK(!lvm_lv_find(b->vg, "on0")->partial);
	OK(lvm_lv_find(b->vg, "on1")->partial);
	OK(lvm_lv_find(b->vg, "both")->partial);
	stop(b);

	b = start("01-fresh-pv", NULL);
	EQ(b->set.n_found, 0);
	EQ(b->dev[0].err, 0);
	OK(!b->set.problem);
	stop(b);
}

/* Two VGs of one name: by name neither, by uuid each, to write to none. */
TEST(lvm_two_vgs_of_one_name)
{
	struct bench *b = must_alloc(sizeof(*b));
	struct lvm_vg *vg = NULL;

	b->pv[0] = vec_pv("02-linear-tags", 0);
	b->pv[1] = vec_pv("03-ring-wrap", 0);
	b->n = 2;
	look(b, NULL);
	EQ(b->set.n_found, 2);
	EQ(lvm_vg_get(&b->set, "vg0", &vg), -E_LVM_VG_TWICE);
	EQ(lvm_vg_get(&b->set, b->set.found[1]->best->is.id.s, &vg), 0);
	EQ(lvm_vg_may_change(vg, false), -E_LVM_VG_TWICE);
	stop(b);
}

/* A PV that was removed while it was away comes back with its old text. */
TEST(lvm_outdated_pv_is_none_of_ours)
{
	struct bench *b = start("14a-stale-copy", NULL);
	struct lvm_vg *vg = b->vg;
	const struct lvm_stamp stamp = { .program = "t", .cause = "t", .host = "" };
	struct lvm_pv *gone = b->dev[1].pv;
	_buf_free_ struct buf text = { 0 };

	/* Write by hand what vgreduce would have on the first PV alone. */
	OK(vg && gone);
	for (uint32_t i = 0; i < vg->n_pvs; i++)
		if (vg->pv[i] == gone && i + 1 < vg->n_pvs)
			vg->pv[i] = vg->pv[i + 1];
	vg->n_pvs--;
	while (vg->first)
		lvm_lv_unlink(vg, vg->first);
	vg->seqno++;
	lvm_vg_print(vg, &stamp, &text);
	buf_add(&text, (char[LVM_TEXT_PAD]){ 0 }, LVM_TEXT_PAD);
	{
		struct lvm_mda m = b->dev[0].copy[0].mda;
		struct lvm_slot s = m.slot[0];

		EQ(lvm_mda_place(&m, text.n - LVM_TEXT_PAD + 1, 512, &s), 0);
		s.sum = crc32_lvm2(CRC32_LVM2, text.p, s.size);
		EQ(lvm_mda_write_text(&m, &s, b->pv[0], text.p), 0);
		m.slot[0] = s;
		EQ(lvm_mda_write(&m, b->pv[0]), 0);
	}
	look(b, NULL);
	OK(b->dev[1].outdated);
	OK(problem(b, -E_LVM_STALE, "pv1"));
	EQ(b->vg->n_devs, 1);
	EQ(lvm_vg_extend(b->vg, &b->dev[1]), -E_LVM_PV_USED);
	stop(b);
}

/* --- another host at work -------------------------------------------------------- */

/* Reads give the disk of the first snapshot until the n-th, and then the second. */
struct moving {
	struct io io;
	struct io *before, *after;
	int left;
};

static int moving_read(struct io *io, uint64_t at, void *buf, size_t len)
{
	struct moving *m = (struct moving *)io;

	return io_read(m->left-- > 0 ? m->before : m->after, at, buf, len);
}

static const struct io_ops moving_ops = { .read = moving_read };

TEST(lvm_reader_looks_again_when_the_text_moves)
{
	/* The header points to a text that is overwritten before it is read. */
	struct io *after = vec_pv("02-linear-tags", 0), *before = vec_pv("02-linear-tags", 0);
	struct moving m = {
		.io = { .ops = &moving_ops, .size = after->size, .sector = 512, .fd = -1 },
		.before = before, .after = after,
	};
	uint8_t head[LVM_LABEL_SCAN];
	struct lvm_label l;
	struct lvm_mda mda;

	EQ(io_read(before, 0, head, sizeof(head)), 0);
	EQ(lvm_label_find(&l, head, sizeof(head)), 0);
	EQ(lvm_mda_read(&mda, before, l.mda[0].at), 0);
	/* The old header: somewhere else, where now nothing good is. */
	mda.slot[0].at += 65536;
	EQ(lvm_mda_write(&mda, before), 0);
	for (m.left = 0; m.left < 2; m.left++) {
		struct arena a = { 0 };
		struct lvm_dev dev = { .io = &m.io, .path = "x" };
		struct lvm_set set;
		int left = m.left;

		lvm_scan(&a, &dev, 1, NULL, &set);
		EQ(set.n_found, 1);
		OK(!set.problem);
		arena_free(&a);
		m.left = left;
	}
	io_close(before);
	io_close(after);
}

/* --- device-mapper ---------------------------------------------------------------- */

static const char *as_in_vector(void *arg, const struct lvm_pv *pv)
{
	static char name[16];

	snprintf(name, sizeof(name), "<%s>", pv->dev->path);
	return name;
}

/* Does a text hold this line? */
static bool has_line(const char *text, const char *line)
{
	size_t n = strlen(line);

	for (const char *p = text; (p = strstr(p, line)); p++)
		if ((p == text || p[-1] == '\n') && p[n] == '\n')
			return true;
	return false;
}

static int compare_tables(struct bench *b, const struct buf *table, const struct buf *uuid)
{
	int n = 0;

	for (const struct lvm_lv *lv = b->vg->first; lv; lv = lv->next) {
		char name[LVM_DM_NAME], id[LVM_DM_UUID], full[512];
		char *vg_name, *lv_name, *layer;
		struct buf lines = { 0 };

		EQ(lvm_dm_name(name, b->vg->name, lv->name, NULL), 0);
		EQ(lvm_dm_split(&b->a, name, &vg_name, &lv_name, &layer), 0);
		STR_EQ(vg_name, b->vg->name);
		STR_EQ(lv_name, lv->name);
		STR_EQ(layer, "");
		lvm_dm_uuid(id, b->vg, lv, NULL);
		snprintf(full, sizeof(full), "%s|%s", name, id);
		/* Only what stands on PVs directly and has no layer: the rest is made of it. */
		if (!has_line(uuid->p, full) || lv->seg[0].kind != LVM_SEG_STRIPED || lv->n_users)
			continue;
		EQ(lvm_dm_table(b->vg, lv, as_in_vector, NULL, &lines), 0);
		for (char *save, *l = strtok_r(lines.p, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
			snprintf(full, sizeof(full), "%s: %s", name, l);
			if (!OK(has_line(table->p, full)))
				printf("# %s\n", full);
			n++;
		}
		buf_free(&lines);
	}
	return n;
}

TEST(lvm_tables_are_the_ones_lvm2_loaded)
{
	int n = 0;

	for (const char *const *s = vec_all; *s; s++) {
		_buf_free_ struct buf table = { 0 }, uuid = { 0 };
		struct bench *b;

		if (!vec_file(*s, "dm-table", &table) || !vec_file(*s, "dm-uuid", &uuid))
			continue;
		b = start(*s, NULL);
		n += compare_tables(b, &table, &uuid);
		stop(b);
	}
	OK(n > 20);
}

TEST(lvm_device_mapper_names)
{
	char out[LVM_DM_NAME], longest[127];
	struct arena a = { 0 };
	char *vg, *lv, *layer;

	EQ(lvm_dm_name(out, "a-b", "-c-", "real"), 0);
	STR_EQ(out, "a--b---c---real");
	EQ(lvm_dm_split(&a, "a--b-c--d-real", &vg, &lv, &layer), 0);
	STR_EQ(vg, "a-b");
	STR_EQ(lv, "c-d");
	STR_EQ(layer, "real");
	EQ(lvm_dm_split(&a, "nothing", &vg, &lv, &layer), -E_LVM_NAME);
	memset(longest, 'x', 125);
	longest[125] = '\0';
	EQ(lvm_dm_name(out, "v", longest, NULL), 0);
	EQ(strlen(out), 127);
	EQ(lvm_dm_name(out, "v", longest, "r"), -ENAMETOOLONG);
	EQ(lvm_dm_name(out, "vv", longest, NULL), -ENAMETOOLONG);
	longest[124] = '-';
	EQ(lvm_dm_name(out, "v", longest, NULL), -ENAMETOOLONG);
	arena_free(&a);
}
