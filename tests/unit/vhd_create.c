/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What we create is what vhd-util creates, to the byte. */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/uuid.h"
#include "lib/vhd/batmap.h"
#include "lib/vhd/create.h"
#include "lib/vhd/edit.h"
#include "lib/vhd/resize.h"
#include "tests/unit/vhd_util.h"

/* Sector L of a run with seed S: 32 times S and L, 64 bits each. */
static void write_run(struct vhd *v, uint64_t seed, uint64_t first, uint64_t n)
{
	be64 *p = must_alloc(n * 512);

	for (uint64_t i = 0; i < n * 64; i += 2) {
		p[i] = be64_put(seed);
		p[i + 1] = be64_put(first + i / 64);
	}
	EQ(vhd_write(v, first * 512, p, n * 512), 0);
	free(p);
}

static void write_runs(const struct vec *x, const char *name, struct vhd *v)
{
	unsigned long long seed, first, n;

	for (size_t i = 0; i < x->n; i++)
		if (!strcmp(x->lines[i].name, name) && !strcmp(x->lines[i].key, "run") &&
		    sscanf(x->lines[i].value, "%llu %llu %llu", &seed, &first, &n) == 3)
			write_run(v, seed, first, n);
}

static void get_uuid(const struct vec *x, const char *name, const char *key, uint8_t b[16])
{
	struct uuid u;

	if (!uuid_parse(&u, vec_get(x, name, key)))
		uuid_bytes(&u, b);
}

static struct vhd_create how_of(const struct vec *x, const char *name, char path[64])
{
	const char *parent = vec_get(x, name, "parent_name");
	struct vhd_create how = {
		.type = (enum vhd_type)vec_num(x, name, "type"),
		.size = (uint64_t)vec_num(x, name, "original_size"),
		.time = (uint32_t)vec_num(x, name, "time"),
		.parent_path = path,
	};

	get_uuid(x, name, "uuid", how.uuid);
	if (vec_num(x, name, "max_bat") > 0)
		how.max_size = (uint64_t)vec_num(x, name, "max_bat") * VHD_BLOCK;
	if (parent) {
		snprintf(path, 64, "./%s", parent);
		get_uuid(x, name, "parent_uuid", how.parent_uuid);
		how.parent_time = (uint32_t)vec_num(x, name, "parent_time");
	}
	return how;
}

static void same_bytes(const char *name, struct io *got, struct io *want)
{
	uint8_t a[4096], b[4096];

	if (got->size != want->size) {
		vec_bad(name, "size of the file", (long long)got->size, (long long)want->size);
		return;
	}
	for (uint64_t at = 0; at < got->size; at += 4096) {
		size_t n = got->size - at < 4096 ? (size_t)(got->size - at) : 4096;

		io_read(got, at, a, n);
		io_read(want, at, b, n);
		if (!memcmp(a, b, n))
			continue;
		for (size_t i = 0; i < n; i++)
			if (a[i] != b[i]) {
				t_eq(name, (int)(at + i), "the byte at this offset", a[i], b[i]);
				return;
			}
	}
}

static struct io *make(const struct vec *x, const char *name, struct vhd **v)
{
	struct io *io = io_mem(0, 64 * MiB);
	char path[64] = "";
	struct vhd_create how = how_of(x, name, path);

	EQ(vhd_create(io, &how), 0);
	*v = NULL;
	EQ(vhd_open(v, io, VHD_RDWR), 0);
	return io;
}

TEST(vhd_created_images_are_those_of_vhd_util)
{
	static const char *const names[] = {
		"dyn-empty-1m", "dyn-empty-2m", "dyn-empty-100m", "dyn-empty-1022m",
		"dyn-empty-8192m",
		"dyn-empty-8208m", "dyn-empty-130048m", "dyn-empty-139260m", "dyn-empty-2088960m",
		"fixed-3m", "hidden", "marker", "skip-empty", "skip-skipped", "skip-linked",
		"dyn-reverse-32m", "dyn-scatter-64m", "chain3-leaf", "chain3-mid", "chain3-base",
		"prealloc", "prealloc-resized", "rawp-child", "jresize-before", "footer-ok",
	};
	struct vec x;

	vec_load(&x, "vhd");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct io *want = vec_open("vhd", vec_get(&x, names[i], "file"));
		struct vhd *v;
		struct io *io = make(&x, names[i], &v);

		if (v && want) {
			write_runs(&x, names[i], v);
			EQ(vhd_finish(v), 0);
			EQ(vhd_resize(v, (uint64_t)vec_num(&x, names[i], "size"), NULL), 0);
			if (vec_num(&x, names[i], "hidden") == 1)
				EQ(vhd_set_hidden(v, true), 0);
			if (vec_num(&x, names[i], "marker") > 0)
				EQ(vhd_set_marker(v, (uint8_t)vec_num(&x, names[i], "marker")), 0);
			same_bytes(names[i], io, want);
		}
		vhd_close(v);
		io_close(io);
		io_close(want);
	}
	vec_free(&x);
}

TEST(vhd_sizes_are_rounded_and_limited)
{
	uint64_t size = 1 * MiB;

	EQ(vhd_round_size(&size), 0);
	EQ(size, 2 * MiB);
	size = 0;
	EQ(vhd_round_size(&size), 0);
	EQ(size, 2 * MiB);
	size = 2 * MiB + 1;
	EQ(vhd_round_size(&size), 0);
	EQ(size, 4 * MiB);
	size = 2040 * GiB;
	EQ(vhd_round_size(&size), 0);
	EQ(size, 2190433320960);
	size++;
	EQ(vhd_round_size(&size), -E_VDI_SIZE);
	EQ(vhd_overhead_empty(2 * TiB), 4329472);
	EQ(vhd_overhead_bitmap(100 * GiB), 51200ll * 4096);
	EQ(vhd_overhead_bitmap(1), 4096);
}

TEST(vhd_geometry_is_rounded_as_libvhd_does)
{
	EQ(vhd_geometry(100 * MiB), 1003 << 16 | 12 << 8 | 17);
	EQ(vhd_geometry(2 * MiB), 0x003c0411);
	EQ(vhd_geometry(0), 0 << 16 | 4 << 8 | 17);
	EQ(vhd_geometry(2040 * GiB), (long long)(65535u << 16 | 16 << 8 | 255));
}

TEST(vhd_volume_has_its_footer_at_its_end_and_first_block_where_lvhd_has_it)
{
	struct io *lv = io_mem(16 * MiB, 16 * MiB), *window = NULL;
	struct vhd_create how = {
		.type = VHD_DYNAMIC, .size = 100 * MiB, .max_size = VHD_MSIZE, .uuid = { 1 },
	};
	uint8_t junk[512], data[4096];
	struct vhd *v = NULL;

	/* An old footer where one of an earlier size might have been, and old data. */
	memset(junk, 0xee, sizeof(junk));
	for (uint64_t at = 0; at < lv->size; at += 512)
		io_write(lv, at, junk, 512);
	EQ(io_window(&window, lv, 0, lv->size), 0);
	EQ(vhd_create(window, &how), 0);
	EQ(vhd_open(&v, window, VHD_RDWR), 0);
	EQ(v->footer_at, 16 * MiB - 512);
	EQ(v->fixed_size, true);
	memset(data, 0x11, sizeof(data));
	EQ(vhd_write(v, 8192, data, sizeof(data)), 0);
	EQ(vhd_entry(v, 0), 8455);
	EQ(vhd_write(v, 3 * MiB, data, 512), 0);
	EQ(vhd_finish(v), 0);
	vhd_close(v);
	EQ(vhd_open(&v, window, VHD_RDWR), 0);
	EQ(vhd_read_alone(v, 0, data, sizeof(data)), 0);
	OK(is_zero(data, sizeof(data)));	/* not the old data of the volume */
	for (uint64_t at = 4 * MiB; at < 10 * MiB; at += 2 * MiB)
		EQ(vhd_write(v, at, data, 512), at < 10 * MiB ? 0 : -E_VHD_NO_ROOM);
	EQ(vhd_write(v, 20 * MiB, data, 512), -E_VHD_NO_ROOM);
	EQ(vhd_allocated(v), 5);
	EQ(vhd_finish(v), 0);
	vhd_close(v);
	io_close(window);
	io_close(lv);
}

TEST(vhd_reparent_names_the_new_parent_and_touches_nothing_else)
{
	struct io *io = io_mem(0, 64 * MiB), *before;
	struct vhd_create how = {
		.type = VHD_DIFF, .size = 8 * MiB, .uuid = { 9 }, .parent_path = "./a.vhd",
		.parent_uuid = { 1 }, .parent_time = 5,
	};
	static const uint8_t other[16] = { 2 };
	char name[400];
	struct vhd *v = NULL;

	EQ(vhd_create(io, &how), 0);
	before = io_copy(io);
	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	EQ(vhd_reparent(v, "../x/b-with-a-longer-name.vhd", other, 7), 0);
	vhd_close(v);
	EQ(vhd_open(&v, io, VHD_RDWR), 0);
	EQ(v->header.parent_time, 7);
	MEM_EQ(v->header.parent_uuid, other, 16);
	EQ(v->header.locators[0].len, 7 + 29);
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = 0;
	EQ(vhd_reparent(v, name, other, 7), -ENAMETOOLONG);
	EQ(vhd_reparent(v, "./a.vhd", v->footer.uuid, 7), -E_IMAGE_LOOP);
	EQ(vhd_reparent(v, "./a.vhd", how.parent_uuid, 5), 0);
	vhd_close(v);
	same_bytes("reparent", io, before);
	io_close(before);
	io_close(io);
}

TEST(vhd_reset_forgets_all_data_like_modify_z)
{
	struct vec x;
	struct vhd *v;
	struct io *io, *want;

	vec_load(&x, "vhd");
	io = make(&x, "zeroed", &v);
	want = vec_open("vhd", "zeroed.vhd");
	write_run(v, 1, 0, 5000);
	EQ(vhd_finish(v), 0);
	EQ(vhd_reset(v), 0);
	vhd_close(v);
	if (want)
		same_bytes("zeroed", io, want);
	io_close(want);
	io_close(io);
	vec_free(&x);
}
