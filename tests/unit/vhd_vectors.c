/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images that other programs made, and what they say about them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/kconfig.h"
#include "lib/uuid.h"
#include "lib/vhd/locator.h"
#include "lib/vhd/parent.h"
#include "lib/vhd/vhd.h"
#include "tests/unit/vhd_util.h"

/* Names in the order of the file, each once. */
#define for_each_name(v, i)					\
	for (size_t i = 0; i < (v)->n; i++)			\
		if (!strcmp((v)->lines[i].key, "file"))

struct want {
	const char *name;
	int err;			/* of opening to read */
	int rw;				/* of opening to write */
};

/* Those not named here open both ways. */
static const struct want wants[] = {
	{ "jresize-crash-begin", -E_VHD_POISON, -E_VHD_POISON },
	{ "jresize-crash-data-moved", -E_VHD_POISON, -E_VHD_POISON },
	{ "jresize-crash-metadata-moved", -E_VHD_POISON, -E_VHD_POISON },
	{ "jresize-crash-end", -E_VHD_POISON, -E_VHD_POISON },
	{ "footer-missing", 0, -E_VHD_FOOTERS },
	{ "footer-killed", 0, -E_VHD_FOOTERS },
	{ "footer-zeroed", 0, -E_VHD_FOOTERS },
	{ "footer-short", 0, -E_VHD_FOOTERS },
	{ "footer-badsum", 0, -E_VHD_FOOTERS },
	{ "backup-badsum", 0, -E_VHD_FOOTERS },
	{ "header-badsum", -E_VHD_HEADER_SUM, -E_VHD_HEADER_SUM },
	{ "truncated-data", 0, -E_VHD_FOOTERS },
	{ "bat-beyond-eof", 0, -E_VHD_ENTRY },
	{ "bat-in-header", 0, -E_VHD_ENTRY },
	{ "bat-duplicate", 0, -E_VHD_ENTRY },
	{ "parent-uuid-mismatch", -E_VHD_PARENT_UUID, -E_VHD_PARENT_UUID },
};

static struct want want_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(wants); i++)
		if (!strcmp(wants[i].name, name))
			return wants[i];
	return (struct want){ name, 0, 0 };
}

static void same(const struct vec *x, const char *name, const char *key, long long got)
{
	long long want = vec_num(x, name, key);

	if (want >= 0 && got != want)
		vec_bad(name, key, got, want);
}

static void same_text(const struct vec *x, const char *name, const char *key, const char *got)
{
	const char *want = vec_get(x, name, key);

	if (want && strcmp(got, want))
		t_str_eq(name, 0, key, got, want);
}

static void same_uuid(const struct vec *x, const char *name, const char *key, const uint8_t *got)
{
	struct uuid u;

	uuid_from_bytes(&u, got);
	same_text(x, name, key, u.s);
}

static void check_fields(const struct vec *x, const char *name, struct vhd *v)
{
	const struct vhd_footer *f = &v->footer;
	const char *chs = vec_get(x, name, "chs");
	unsigned c, h, s;

	same(x, name, "type", f->type);
	same(x, name, "size", (long long)f->size);
	same(x, name, "original_size", (long long)f->original_size);
	same(x, name, "hidden", f->hidden);
	same(x, name, "time", f->time);
	same(x, name, "creator_version", f->creator_version);
	same_uuid(x, name, "uuid", f->uuid);
	if (chs && sscanf(chs, "%u %u %u", &c, &h, &s) == 3 &&
	    f->geometry != (c << 16 | h << 8 | s))
		vec_bad(name, "chs", f->geometry, c << 16 | h << 8 | s);
	if (!v->degraded)
		same(x, name, "footer_at", (long long)v->footer_at);
	if (f->type != VHD_FIXED) {
		same(x, name, "table_at", (long long)v->header.table_at);
		same(x, name, "max_bat", v->header.max_bat);
		same_uuid(x, name, "parent_uuid", v->header.parent_uuid);
		same(x, name, "parent_time", v->header.parent_time);
		if (v->n_bad == 0)
			same(x, name, "allocated", vhd_allocated(v));
		if (v->batmap.state != BATMAP_NONE)
			same(x, name, "marker", v->batmap.marker);
	}
}

static void check_locator(const char *name, const char *line, struct vhd *v)
{
	char text[512], path[VHD_PATH_MAX], copy[512], *p = copy;
	unsigned i, code, space, len;
	unsigned long long at;

	if (sscanf(line, "%u %x %u %u %llu %511s", &i, &code, &space, &len, &at, text) != 6)
		return;
	if (v->header.locators[i].code != code || v->header.locators[i].at != at ||
	    v->header.locators[i].len != len)
		vec_bad(name, "locator", i, -1);
	snprintf(copy, sizeof(copy), "%s", text);
	if (!strncmp(p, "file://", 7))
		p += 7;
	for (char *q = p; *q; q++)
		if (*q == '\\')
			*q = '/';
	if (vhd_parent_path(v, (int)i, path) || strcmp(path, p))
		vec_bad(name, "the path of a locator", i, -1);
}

static void check_tables(const struct vec *x, const char *name, struct vhd *v)
{
	for (size_t i = 0; i < x->n; i++) {
		const struct vec_line *l = &x->lines[i];
		unsigned block, entry;

		if (strcmp(l->name, name))
			continue;
		if (!strcmp(l->key, "locator"))
			check_locator(name, l->value, v);
		if (strcmp(l->key, "bat") || sscanf(l->value, "%u %u", &block, &entry) != 2 ||
		    v->n_bad || !v->bat)
			continue;
		if (vhd_entry(v, block) != entry)
			vec_bad(name, "bat", vhd_entry(v, block), entry);
	}
}

static void check_content(const struct vec *x, const char *name, struct image *im)
{
	char hex[65];

	if (vec_get(x, name, "sha256") && im->size <= 64 * MiB) {
		EQ(hash_image(im, hex), 0);
		same_text(x, name, "sha256", hex);
	}
	if (vec_get(x, name, "blockhash")) {
		EQ(hash_blocks(im, hex), 0);
		same_text(x, name, "blockhash", hex);
	}
	if (vec_num(x, name, "depth") > 0)
		same(x, name, "depth", (long long)im->n);
}

TEST(vhd_vectors_open_or_are_refused_and_hold_what_their_makers_say)
{
	struct vec x;

	vec_load(&x, "vhd");
	for_each_name(&x, i) {
		const char *name = x.lines[i].name;
		struct want want = want_of(name);
		struct image *im;
		int err = vec_image(&x, x.lines[i].value, 0, &im);

		if (err != want.err)
			vec_bad(name, "open", err, want.err);
		if (err)
			continue;
		if (im->levels[0].vhd) {
			check_fields(&x, name, im->levels[0].vhd);
			check_tables(&x, name, im->levels[0].vhd);
		}
		check_content(&x, name, im);
		image_close(im);
	}
	vec_free(&x);
}

TEST(vhd_vectors_that_need_repair_do_not_open_for_writing)
{
	struct vec x;

	vec_load(&x, "vhd");
	for_each_name(&x, i) {
		const char *name = x.lines[i].name;
		struct want want = want_of(name);
		struct image *im;
		int err = vec_image(&x, x.lines[i].value, IMAGE_RDWR, &im);

		if (err != want.rw)
			vec_bad(name, "open for writing", err, want.rw);
		if (!err)
			image_close(im);
	}
	vec_free(&x);
}

/* --- maps ---------------------------------------------------------------- */

static void check_run(const struct vec *x, size_t line, struct image *im, uint64_t *at)
{
	const struct vec_line *l = &x->lines[line];
	unsigned long long start, length, offset;
	unsigned depth, present, zero, data;
	struct image_run r;
	char text[32];

	if (sscanf(l->value, "%llu %llu %u %u %u %u %31s", &start, &length, &depth, &present, &zero,
		   &data, text) != 7)
		return;
	offset = strtoull(text, NULL, 10);
	if (image_map(im, *at, IMAGE_MAP_BLOCKS, &r)) {
		vec_bad(l->name, "map", (long long)*at, -1);
		return;
	}
	*at += r.length;
	if (r.start != start || r.length != length || r.depth != depth || r.present != present ||
	    r.zero != zero || r.data != data || r.has_offset != (text[0] != '-') ||
	    (r.has_offset && r.offset != offset))
		vec_bad(l->name, l->value, (long long)r.length,
			(long long)length + (r.length == length));
}

/*
 * qemu-img takes no notice of a VHD's parent, cannot see the holes that our
 * memory has in a fixed disk, and reads damaged images its own way.
 */
static bool has_map_like_ours(const struct vec *x, const char *name)
{
	return vec_num(x, name, "check") == 0 && vec_num(x, name, "type") == VHD_DYNAMIC;
}

TEST(vhd_maps_are_those_of_qemu_img)
{
	struct vec x;
	size_t n = 0;

	vec_load(&x, "vhd");
	for_each_name(&x, i) {
		const char *name = x.lines[i].name;
		struct image *im;
		uint64_t at = 0;

		if (!has_map_like_ours(&x, name) || vec_image(&x, x.lines[i].value, 0, &im))
			continue;
		for (size_t k = 0; k < x.n; k++)
			if (!strcmp(x.lines[k].name, name) && !strcmp(x.lines[k].key, "map"))
				check_run(&x, k, im, &at);
		if (at && at != im->size)
			vec_bad(name, "end of map", (long long)at, (long long)im->size);
		n += at != 0;
		image_close(im);
	}
	OK(n > 20);
	vec_free(&x);
}

TEST(qcow2_vectors_hold_what_qemu_img_says_and_have_its_map)
{
	struct vec x;

	vec_load(&x, "qcow2");
	for_each_name(&x, i) {
		const char *name = x.lines[i].name;
		struct image *im;
		uint64_t at = 0;
		char hex[65];
		int err = vec_image(&x, x.lines[i].value, 0, &im);

		if (err) {
			vec_bad(name, "open", err, 0);
			continue;
		}
		same(&x, name, "size", (long long)im->size);
		/* Where it suspects preallocation, qemu-img looks for holes in the file. */
		for (size_t k = 0; k < x.n; k++)
			if (strcmp(name, "prealloc-md") && strcmp(name, "bitmap") &&
			    !strcmp(x.lines[k].name, name) && !strcmp(x.lines[k].key, "map"))
				check_run(&x, k, im, &at);
		if (!strcmp(name, "comp-zstd") && !IS_ENABLED(CONFIG_QCOW2_ZSTD)) {
			EQ(hash_image(im, hex), -E_QCOW2_ZSTD);
		} else if (vec_get(&x, name, "sha256")) {
			EQ(hash_image(im, hex), 0);
			same_text(&x, name, "sha256", hex);
		}
		image_close(im);
	}
	vec_free(&x);
}
