/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is said about VGs: to programs, to people, by the check, and of the past. */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/lvm2/check.h"
#include "lib/lvm2/commit.h"
#include "lib/lvm2/history.h"
#include "lib/lvm2/ops.h"
#include "lib/lvm2/show.h"
#include "lib/text/json.h"
#include "tests/unit/lvm2_vec.h"
#include "tests/unit/t.h"

struct stage {
	struct arena a;
	struct io *io[8];
	struct lvm_dev dev[8];
	int n;
	struct lvm_set set;
};

static const char *const paths[] = { "pv0", "pv1", "pv2", "pv3", "pv4", "pv5", "pv6", "pv7" };

static void look(struct stage *s)
{
	for (int i = 0; i < s->n; i++)
		s->dev[i] = (struct lvm_dev){ .io = s->io[i], .path = paths[i] };
	lvm_scan(&s->a, s->dev, (size_t)s->n, &(struct lvm_scan_how){ .verify = true }, &s->set);
}

static struct stage *stage(const char *scenario)
{
	struct stage *s = must_alloc(sizeof(*s));

	s->n = vec_pvs(scenario, s->io, 8);
	OK(s->n > 0);
	look(s);
	return s;
}

static void leave(struct stage *s)
{
	vec_close(s->io, s->n);
	arena_free(&s->a);
	free(s);
}

static char *shown(struct stage *s, bool pretty)
{
	_buf_free_ struct buf b = { 0 };
	struct json j = { .buf = &b, .pretty = pretty };

	lvm_show_json(&s->set, &j);
	return arena_strdup(&s->a, buf_str(&b));
}

static char *compact(struct stage *s)
{
	return shown(s, false);
}

/* White space outside of strings goes, but for the last line end. */
static char *squeeze(char *json)
{
	bool in_string = false;
	char *to = json;

	for (const char *p = json; *p; p++) {
		if (*p == '"' && (p == json || p[-1] != '\\'))
			in_string = !in_string;
		if (in_string || (*p != ' ' && *p != '\n') || !p[1])
			*to++ = *p;
	}
	*to = '\0';
	return json;
}

TEST(lvm_show_of_a_striped_vg)
{
	struct stage *s = stage("09-striped");
	const char *json = compact(s);

	OK(strstr(json, "{\"schema\":1,\"vgs\":[{\"name\":\"vg9\",\"uuid\":\"FNwjdG-a9Ty-zDEK-rRJd-azXI-jsBj-4qqETE\","
		  "\"seqno\":5,\"status\":[\"RESIZEABLE\",\"READ\",\"WRITE\"],\"tags\":[],"
		  "\"extent_size\":4194304,\"extent_count\":45,\"free_count\":31,\"pvs\":[{\"name\":\"pv0\","
		  "\"uuid\":\"4fQHtn-N55L-Zd9d-fGzl-qBVG-KvdI-UeBOlH\",\"path\":\"pv0\",\"size\":62914560,"
		  "\"pe_start\":1048576,\"pe_count\":15,\"free_count\":8,\"missing\":false,") == json);
	OK(strstr(json, "{\"start_extent\":4,\"extent_count\":2,\"type\":\"striped\",\"areas\":["
		  "{\"pv\":\"pv0\",\"start_extent\":6},{\"pv\":\"pv1\",\"start_extent\":4}],"
		  "\"stripe_count\":2,\"stripe_size\":65536}"));
	OK(strstr(json, "{\"start_extent\":0,\"extent_count\":2,\"type\":\"linear\",\"areas\":["
		  "{\"pv\":\"pv0\",\"start_extent\":4}]}"));
	OK(strstr(json, "],\"problems\":[]}\n"));
	leave(s);
}

TEST(lvm_show_of_types_we_only_carry)
{
	struct stage *s = stage("15-thin-pending");
	const char *json = compact(s);

	OK(strstr(json, "\"type\":\"thin-pool\",\"areas\":[{\"lv\":\"pool_tdata\",\"start_extent\":0}],"
		  "\"metadata\":\"pool_tmeta\",\"pool\":\"pool_tdata\",\"transaction_id\":2,"
		  "\"chunk_size\":65536,\"discards\":\"passdown\",\"zero_new_blocks\":1,"
		  "\"message1\":{\"create\":\"th2\"}}"));
	OK(strstr(json, "\"type\":\"thin\",\"areas\":[],\"thin_pool\":\"pool\""));
	leave(s);
	s = stage("17-cache-writecache");
	json = compact(s);
	OK(strstr(json, "\"type\":\"cache\",\"areas\":[{\"lv\":\"main2_corig\",\"start_extent\":0}],"
		  "\"cache_pool\":\"cv_cvol\",\"origin\":\"main2_corig\",\"metadata_format\":2,"
		  "\"chunk_size\":65536,\"cache_mode\":\"writethrough\",\"policy\":\"smq\""));
	leave(s);
}

/* Every document is JSON, and has what its text has. */
TEST(lvm_show_is_json_for_every_vector)
{
	for (const char *const *v = vec_all; *v; v++) {
		struct stage *s = stage(*v);
		const char *json = compact(s);
		struct jval *doc = NULL;
		size_t lvs = 0, pvs = 0;

		if (EQ(json_read(&s->a, json, strlen(json), 0, &doc, NULL), 0)) {
			const struct jval *vgs = jval_get(doc, "vgs"), *p = jval_get(doc, "problems");
			size_t n = 0;

			EQ(vgs->n, s->set.n_found);
			for (const struct jval *vg = vgs->first; vg; vg = vg->next) {
				lvs += jval_get(vg, "lvs")->n;
				pvs += jval_get(vg, "pvs")->n;
			}
			for (const struct lvm_problem *q = s->set.problem; q; q = q->next)
				n++;
			EQ(p->n, n);
		}
		for (size_t i = 0; i < s->set.n_found; i++) {
			lvs -= s->set.found[i]->vg->n_lvs;
			pvs -= s->set.found[i]->vg->n_pvs;
		}
		EQ(lvs, 0);
		EQ(pvs, 0);
		/* On one line most LVs go another way; it leads to the same. */
		STR_EQ(squeeze(shown(s, true)), json);
		leave(s);
	}
}

TEST(lvm_show_names_pvs_that_no_vg_knows)
{
	struct stage *s = stage("01-fresh-pv");
	const char *json = compact(s);

	OK(strstr(json, "\"vgs\":[],\"orphans\":[{\"uuid\":\"eqRKrp-2dHG-6e6A-bIzM-WV29-tT2b-0PF3Nt\","
		  "\"path\":\"pv0\",\"size\":67108864,\"used\":false},"));
	leave(s);
	/* Its text is bad, so that nothing says what it is in; its label says that it is in something. */
	s = stage("12d-all-bad");
	OK(strstr(compact(s), "\"size\":67108864,\"used\":true}],\"problems\":[{\"path\":\"pv0\",\"what\":"
		  "\"metadata area at 4096: the checksum of the LVM metadata is wrong\",\"severity\":\"error\"}]"));
	leave(s);
}

/* --- the check ------------------------------------------------------------------------ */

TEST(lvm_check_finds_what_is_wrong_and_nothing_else)
{
	static const struct {
		const char *scenario, *object, *what;
		enum lvm_severity severity;
	} t[] = {
		{ "01-fresh-pv", NULL, NULL, 0 },
		{ "02-linear-tags", NULL, NULL, 0 },
		{ "03-ring-wrap", NULL, NULL, 0 },
		{ "05-two-mdas", NULL, NULL, 0 },
		{ "06-thin", NULL, NULL, 0 },
		{ "07-cow-snapshot", NULL, NULL, 0 },
		{ "08-mirror-raid1", NULL, NULL, 0 },
		{ "09-striped", NULL, NULL, 0 },
		{ "13-xenserver", NULL, NULL, 0 },
		{ "16-fields", NULL, NULL, 0 },
		{ "17-cache-writecache", NULL, NULL, 0 },
		{ "11a-partial", "vgp/both", "some of it is on a PV that is missing", LVM_ERROR },
		{ "12a-bad-text", "pv0", "metadata area at 4096: the checksum of the LVM metadata is wrong",
		  LVM_ERROR },
		{ "12b-bad-header", "pv0",
		  "metadata area at 4096: the header of the metadata area is damaged", LVM_ERROR },
		{ "12c-bad-label", "pv0", "the LVM label is damaged", LVM_ERROR },
		{ "12d-all-bad", "pv0", "its label says it is in a VG, but none was found", LVM_WARNING },
		{ "14a-stale-copy", "pv1", "VG vgq: an old text, seqno 2 of 3", LVM_WARNING },
		{ "14b-precommit-only", "pv0", "a change was announced and never committed", LVM_NOTE },
		{ "15-thin-pending", "vgt/pool", "a message to the pool was never delivered", LVM_WARNING },
		{ "18-duplicate-pv", "pv1", "PV mahf6R-gr42-0QTY-306V-aLkg-vWg4-zbFTJC is on pv0 too",
		  LVM_ERROR },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct stage *s = stage(t[i].scenario);
		const struct lvm_finding *all = lvm_check(&s->set), *f = all;

		while (f && t[i].object && (strcmp(f->object, t[i].object) || strcmp(f->what, t[i].what)))
			f = f->next;
		if (!OK(!f == !t[i].object)) {
			printf("# in %s:\n", t[i].scenario);
			for (f = all; f; f = f->next)
				printf("# %s: %s: %s\n", lvm_severity_name(f->severity), f->object, f->what);
		}
		if (f)
			EQ(f->severity, t[i].severity);
		leave(s);
	}
}

/* --- the past -------------------------------------------------------------------------- */

TEST(lvm_history_is_what_the_ring_still_holds)
{
	struct stage *s = stage("13-xenserver");
	struct lvm_past *all = lvm_history(&s->set, NULL);
	uint32_t seqno = 11;

	OK(all && all->committed);
	for (struct lvm_past *p = all; p; p = p->next, seqno--) {
		EQ(p->is.seqno, seqno);
		EQ(p->committed, seqno == 11);
		OK(p->time > 1795000000);
		OK(*p->cause);
	}
	EQ(seqno, 0);
	OK(!lvm_history(&s->set, "other"));
	OK(lvm_history(&s->set, all->is.id.s));
	leave(s);

	/* A ring that has come round, with the newest text across its end. */
	s = stage("03-ring-wrap");
	all = lvm_history(&s->set, "vg0");
	OK(all && all->committed && all->next && all->next->next);
	EQ(all->is.seqno, s->set.found[0]->vg->seqno);
	for (struct lvm_past *p = all; p && p->next; p = p->next)
		EQ(p->next->is.seqno, p->is.seqno - 1);
	leave(s);

	/* Where nothing is committed any more, this is the way out. */
	s = stage("12d-all-bad");
	all = lvm_history(&s->set, NULL);
	if (OK(all && all->committed && all->damaged && all->next)) {
		OK(!lvm_past_is_good(all));
		EQ(lvm_past_newest(all)->is.seqno, all->is.seqno - 1);
		OK(!lvm_past_find(all, all->is.seqno));
	}
	leave(s);

	/* Without a label, and without a header, the texts are still there. */
	s = stage("12c-bad-label");
	all = lvm_history(&s->set, NULL);
	EQ(s->dev[0].err, -E_LVM_LABEL);
	OK(all && all->place && all->place->dev == &s->dev[0] && all->place->next);
	leave(s);
	s = stage("12b-bad-header");
	all = lvm_history(&s->set, NULL);
	OK(all && all->committed && all->place && all->place->dev == &s->dev[0] && all->place->next);
	leave(s);
}

/* The beginning of a disk went: label and headers are zeroes, and what of the ring lay there. */
TEST(lvm_history_of_a_disk_that_lost_its_beginning)
{
	struct stage *s = stage("13-xenserver");
	struct lvm_past *all;

	EQ(io_zero(s->io[0], 0, 8192), 0);
	look(s);
	EQ(s->dev[0].err, -E_LVM_NO_LABEL);
	all = lvm_history(&s->set, NULL);
	OK(all && !all->committed && lvm_past_is_good(all));
	EQ(all->is.seqno, 11);
	/* Also what lies beyond the first MiB, where its data begins at 11 MiB. */
	for (size_t at = 0, n = 512; at < 8192; at += n) {
		static uint8_t buf[512];

		EQ(io_read(s->io[0], 8192 + at, buf, n), 0);
		EQ(io_write(s->io[0], 10 * MiB + at, buf, n), 0);
	}
	for (all = lvm_history(&s->set, NULL); all; all = all->next)
		if (all->place->next && all->place->next->at > 9 * MiB)
			break;
	OK(all);
	leave(s);
}

/* Rings that nobody wrote: every sector begins a text, and no text ever ends. */
TEST(lvm_history_gives_up_in_a_ring_full_of_beginnings)
{
	static const char text[] = "vg {\nid = \"AAAAAA-bbbb-cccc-dddd-eeee-ffff-gggggg\"\nseqno = 7\n";
	struct stage *s = stage("02-linear-tags");
	const struct lvm_problem *p;

	for (uint64_t at = 4608; at < MiB; at += 512)
		EQ(io_write(s->io[0], at, text, sizeof(text) - 1), 0);
	for (uint64_t at = 4608 + sizeof(text) - 1; at < MiB; at += 512)
		for (size_t i = 0; i < 512 - sizeof(text) + 1; i += 32)
			EQ(io_write(s->io[0], at + i, "# # # # # # # # # # # # # # # # ", 32 < 512 - sizeof(text) + 1 - i ?
				    32 : 512 - sizeof(text) + 1 - i), 0);
	EQ(io_zero(s->io[0], MiB - 1, 1), 0);
	look(s);
	lvm_history(&s->set, NULL);
	for (p = s->set.problem; p && p->err != -EFBIG; p = p->next)
		;
	OK(p && strstr(p->what, "more texts than anybody wrote"));
	leave(s);
}
