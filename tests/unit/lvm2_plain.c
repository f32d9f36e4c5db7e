/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LVs of the usual form are read a short way; it must not be told from the long one. */
#include <inttypes.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/lvm2/decode.h"
#include "lib/lvm2/tree.h"
#include "tests/unit/lvm2_vec.h"
#include "tests/unit/t.h"

static const char base[] =
	"vg {\nid = \"AAAAAA-bbbb-cccc-dddd-eeee-ffff-gggggg\"\nseqno = 7\n"
	"status = [\"RESIZEABLE\", \"READ\", \"WRITE\"]\nextent_size = 8192\nmax_lv = 0\nmax_pv = 0\n\n"
	"physical_volumes {\n\npv0 {\nid = \"PVPVPV-aaaa-bbbb-cccc-dddd-eeee-ffffff\"\n"
	"status = [\"ALLOCATABLE\"]\npe_start = 2048\npe_count = 90\n}\n}\n\nlogical_volumes {\n\n"
	"one {\nid = \"LVLVLV-aaaa-bbbb-cccc-dddd-eeee-fff001\"\n"
	"status = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []\ntags = [\"a\", \"b/c\"]\n"
	"creation_time = 1795397817\ncreation_host = \"lab host\"\nsegment_count = 2\n\n"
	"segment1 {\nstart_extent = 0\nextent_count = 2\n\ntype = \"striped\"\nstripe_count = 1\n\n"
	"stripes = [\n\"pv0\", 4\n]\n}\n"
	"segment2 {\nstart_extent = 2\nextent_count = 10\n\ntype = \"striped\"\nstripe_count = 1\n\n"
	"stripes = [\n\"pv0\", 70\n]\n}\n}\n\n"
	"two {\nid = \"LVLVLV-aaaa-bbbb-cccc-dddd-eeee-fff002\"\nstatus = [\"READ\", \"VISIBLE\"]\n"
	"flags = []\nsegment_count = 1\n\n"
	"segment1 {\nstart_extent = 0\nextent_count = 1\n\ntype = \"striped\"\nstripe_count = 1\n\n"
	"stripes = [\n\"pv0\", 0\n]\n}\n}\n}\n\n}\ncontents = \"Text Format Volume Group\"\nversion = 1\n";

static void say(const struct lvm_vg *vg, struct buf *b)
{
	for (const struct lvm_lv *lv = vg->first; lv; lv = lv->next) {
		buf_printf(b, "%s %s %x %u %" PRIu64 " %s %s %" PRId64 " %" PRId64 "\n%.*s\n",
			   lv->name, lv->id.s, lv->flags, lv->extents, lv->created,
			   lv->host ? lv->host : "-", lv->policy ? lv->policy : "-", lv->major,
			   lv->minor, (int)lv->raw.n, (const char *)lv->raw.p);
		for (uint32_t i = 0; i < lv->tags.n; i++)
			buf_printf(b, "@%s\n", lv->tags.v[i]);
		for (uint32_t i = 0; i < lv->n_segs; i++) {
			const struct lvm_seg *s = &lv->seg[i];

			buf_printf(b, "%u %u %s %d %u %u %d\n%.*s\n", s->start, s->count, s->type,
				   s->kind, s->n_legs, s->stripe_size, s->tagged, (int)s->raw.n,
				   (const char *)s->raw.p);
			for (uint32_t k = 0; k < s->n_legs; k++)
				buf_printf(b, "%s %u\n", s->leg[k].pv ? s->leg[k].pv->key : "-",
					   s->leg[k].extent);
		}
	}
}

/* 1: read; 0: refused; -1: it depends on the way. */
static int both_ways(const char *text, size_t n)
{
	struct lvm_vg *vg = NULL, *other = NULL;
	const char *why = NULL, *other_why = NULL;
	struct buf x = { 0 }, y = { 0 };
	struct arena a = { 0 };
	int err = lvm_decode_text(&a, (struct view){ text, n }, false, &vg, &why);
	int ret = !err;

	if (lvm_decode_text(&a, (struct view){ text, n }, true, &other, &other_why) != err) {
		ret = -1;
	} else if (!err) {
		say(vg, &x);
		say(other, &y);
		ret = strcmp(buf_str(&x), buf_str(&y)) ? -1 : 1;
	}
	if (ret < 0)
		printf("# %s / %s: %.*s\n", why ? why : "-", other_why ? other_why : "-", (int)n, text);
	buf_free(&x);
	buf_free(&y);
	arena_free(&a);
	return ret;
}

TEST(an_lv_of_the_usual_form_goes_the_short_way)
{
	struct lvm_vg vg = { 0 };
	struct arena a = { 0 };
	struct lvm_decoder d = { .vg = &vg };
	struct lvm_pv pv = { .key = "pv0", .pe_count = 90 };
	const char *lvs = strstr(base, "\n\none {");
	struct lvm_text t;

	vg.arena = &a;
	vg.end = &vg.first;
	d.pv = &pv;
	OK(!lvm_text_open(&t, (struct view){ lvs, strlen(lvs) }));
	EQ(lvm_decode_plain(&d, &t), 1);
	EQ(lvm_decode_plain(&d, &t), 1);
	EQ(lvm_decode_plain(&d, &t), 0);
	STR_EQ(vg.first->name, "one");
	EQ(vg.first->n_segs, 2);
	EQ(vg.first->seg[1].leg[0].extent, 70);
	STR_EQ(vg.first->tags.v[1], "b/c");
	STR_EQ(vg.first->next->name, "two");
	EQ(vg.first->next->flags, LVM_LV_READ | LVM_LV_VISIBLE);
	arena_free(&a);
}

TEST(one_byte_more_less_or_other_and_both_ways_agree)
{
	static const char chars[] = "\"\\#{}[]=,0189a-. \n\t\xc3";
	static char text[sizeof(base) + 1];
	const size_t n = sizeof(base) - 1;
	int differ = 0, read = 0;

	EQ(both_ways(base, n), 1);
	for (size_t at = (size_t)(strstr(base, "logical") - base); at < n; at++) {
		memcpy(text, base, at);
		memcpy(text + at, base + at + 1, n - at - 1);
		differ += both_ways(text, n - 1) < 0;
		for (size_t c = 0; c < sizeof(chars); c++) {
			int is;

			memcpy(text, base, n);
			text[at] = chars[c];
			is = both_ways(text, n);
			differ += is < 0;
			read += is > 0;
			memcpy(text + at + 1, base + at, n - at);
			differ += both_ways(text, n + 1) < 0;
		}
	}
	EQ(differ, 0);
	OK(read > 1000);		/* they were not all refused before an LV was met */
}

TEST(every_text_lvm2_made_reads_the_same_both_ways)
{
	int texts = 0;

	for (int i = 0; vec_all[i]; i++)
		for (int pv = 0; pv < 4; pv++) {
			struct buf b = { 0 };
			char name[32];

			snprintf(name, sizeof(name), "pv%d.mda0.txt", pv);
			if (vec_file(vec_all[i], name, &b)) {
				texts++;
				OK(both_ways(b.p, b.n) >= 0);
			}
			buf_free(&b);
		}
	OK(texts > 10);
}
