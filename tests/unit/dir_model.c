/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random verbs on a file SR against a plain array for each disk.
 *
 * The core's handlers on the layout's slots, in a directory in memory if there
 * is one; nothing is mounted.  Contents are written through lib/vhd and read
 * through the chain by the names that the images write down for strangers.
 *
 * The seed is printed; SEED=n in the environment repeats a run.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/clock.h"
#include "drivers/layout/dir.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/vhd/vhd.h"
#include "sm/snapshot.h"
#include "sm/tree.h"
#include "tests/unit/vhd_util.h"

#define STEPS	4000
#define DISKS	24
#define SCALE	(512u * 1024)	/* one sector in each is modelled, the others stay zero */
#define MOST	(24 * MiB)
#define SLOTS	(MOST / SCALE)

struct disk {
	struct uuid uuid;
	bool used, snapshot;
	struct uuid of;
	uint64_t size;
	uint8_t model[SLOTS];
};

struct world {
	struct rnd r;
	struct ctx ctx;
	struct sr sr;
	char path[64];
	struct disk disk[DISKS];
	uint8_t value;
	size_t done[8];
};

/* --- the world ------------------------------------------------------------------ */

static int zap(const char *path, const struct stat *st, int type, struct FTW *f)
{
	return remove(path);
}

static bool begin(struct world *w)
{
	snprintf(w->path, sizeof(w->path), "%s/dir_model.XXXXXX",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (!OK(mkdtemp(w->path)))
		return false;
	w->ctx.root = w->path;		/* and /run/sm below it, which is not there */
	w->sr = (struct sr){
		.ctx = &w->ctx, .type = sr_type_find("file"), .name = "", .description = "",
		.write = true, .opened = true,
		.dir = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	};
	random_uuid(&w->sr.uuid);
	return OK(w->sr.type && w->sr.dir >= 0) && !EQ(layout_dir.create(&w->sr), 0) ? false : true;
}

static void end(struct world *w)
{
	close(w->sr.dir);
	nftw(w->path, zap, 16, FTW_DEPTH | FTW_PHYS);
	arena_free(&w->ctx.arena);
}

static struct disk *any(struct world *w, bool used)
{
	size_t from = rnd_below(&w->r, DISKS);

	for (size_t i = 0; i < DISKS; i++)
		if (w->disk[(from + i) % DISKS].used == used)
			return &w->disk[(from + i) % DISKS];
	return NULL;
}

/* One of them is written and kept more than others, or no chain would grow long. */
static struct disk *favourite(struct world *w)
{
	return w->disk[0].used && rnd_below(&w->r, 2) ? &w->disk[0] : any(w, true);
}

static int verb(struct world *w, int (*handler)(struct run *r), struct request *rq,
		const struct disk *d, struct reply *rp)
{
	struct run r = {
		.ctx = &w->ctx, .rq = rq, .rp = rp, .sr = w->sr, .sr_lock = -1, .vdi_lock = -1,
	};
	int err = d ? layout_dir.find(&r.sr, &d->uuid, &r.vdi) : 0;

	if (!err && d)
		err = vdi_complete(&r.sr, &r.vdi);
	return err ? err : handler(&r);
}

static bool went(struct world *w, int err)
{
	if (err)
		printf("# %s\n", w->ctx.why);
	return EQ(err, 0);
}

/* --- contents ------------------------------------------------------------------- */

static int find_parent(void *arg, const struct image_parent *want, struct io **io,
		       enum image_format *f)
{
	struct world *w = arg;
	const char *name = want->paths[0];

	if (strncmp(name, "./", 2) || strchr(name + 2, '/'))
		return -E_IMAGE_PARENT;
	*f = strstr(name, ".vhd") ? IMAGE_VHD : IMAGE_RAW;
	return io_open(io, w->sr.dir, name + 2, IO_NOFOLLOW);
}

static void compare(struct world *w, const struct disk *d)
{
	struct image *im = NULL;
	struct io *io = NULL;
	struct vdi vdi;
	uint8_t sector[512];

	if (!went(w, layout_dir.find(&w->sr, &d->uuid, &vdi)) ||
	    !EQ(io_open(&io, w->sr.dir, vdi.volume, IO_NOFOLLOW), 0) ||
	    !EQ(image_open(&im, io, strcmp(vdi.format, "raw") ? IMAGE_VHD : IMAGE_RAW, 0,
			   find_parent, w), 0))
		return;
	EQ(vdi.virtual_size, d->size);
	EQ(im->size, d->size);
	OK(!vdi.hidden);
	STR_EQ(vdi.snapshot_of.s, d->snapshot ? d->of.s : "");
	for (uint64_t i = 0; i < d->size / SCALE; i++) {
		if (!EQ(image_read(im, i * SCALE, sector, 512), 0))
			break;
		if (sector[0] != d->model[i] || memcmp(sector, sector + 1, 511)) {
			EQ(sector[0], d->model[i]);
			break;
		}
	}
	image_close(im);
}

static void write_slots(struct world *w, struct disk *d, const struct vdi *vdi)
{
	uint64_t n = d->size / SCALE, at = rnd_below(&w->r, n), len = 1 + rnd_below(&w->r, 6);
	uint8_t sector[512];
	struct io *io = NULL;
	struct vhd *v = NULL;

	if (!went(w, layout_dir.volume_io(&w->sr, vdi, true, &io)))
		return;
	if (strcmp(vdi->format, "raw"))
		EQ(vhd_open(&v, io, VHD_RDWR), 0);
	for (; at < n && len--; at++) {
		d->model[at] = ++w->value;
		memset(sector, d->model[at], sizeof(sector));
		EQ(v ? vhd_write(v, at * SCALE, sector, 512) : io_write(io, at * SCALE, sector, 512), 0);
	}
	if (v)
		EQ(vhd_finish(v), 0);
	vhd_close(v);
	io_close(io);
}

/* --- steps ---------------------------------------------------------------------- */

static void create(struct world *w)
{
	struct disk *d = any(w, false);
	struct request rq = {
		.op = OP_VDI_CREATE, .name = "disk", .has_size = true, .by_uuid = true,
		.format = rnd_below(&w->r, 3) ? "vhd" : "raw",
		.size = (1 + rnd_below(&w->r, 4)) * 2 * MiB,
	};
	struct reply rp = { 0 };

	if (!d || !went(w, verb(w, do_vdi_create, &rq, NULL, &rp)))
		return;
	*d = (struct disk){ .uuid = rp.vdis.v[0].uuid, .used = true, .size = rq.size };
	w->done[0]++;
}

static void write_some(struct world *w)
{
	struct disk *d = favourite(w);
	struct vdi vdi;

	if (!d || d->snapshot || !went(w, layout_dir.find(&w->sr, &d->uuid, &vdi)))
		return;
	write_slots(w, d, &vdi);
	compare(w, d);
	w->done[1]++;
}

static void split(struct world *w, bool clone)
{
	struct disk *from = favourite(w), *to = any(w, false);
	struct request rq = {
		.op = clone ? OP_VDI_CLONE : OP_VDI_SNAPSHOT, .by_uuid = true, .force = true,
	};
	struct reply rp = { 0 };
	int err;

	if (!from || !to)
		return;
	err = verb(w, clone ? do_vdi_clone : do_vdi_snapshot, &rq, from, &rp);
	if (err == -E_VDI_DEEP) {
		w->done[7]++;
		return;
	}
	if (!went(w, err))
		return;
	*to = *from;
	to->uuid = rp.vdis.v[0].uuid;
	to->snapshot = !clone;
	to->of = from->uuid;
	compare(w, from);
	compare(w, to);
	w->done[2 + clone]++;
}

static void delete(struct world *w)
{
	struct disk *d = any(w, true);
	struct request rq = { .op = OP_VDI_DELETE, .by_uuid = true };
	struct reply rp = { 0 };

	if (!d || (d == w->disk && rnd_below(&w->r, 16)))
		return;
	if (!went(w, verb(w, do_vdi_delete, &rq, d, &rp)))
		return;
	d->used = false;
	w->done[4]++;
}

static void resize(struct world *w)
{
	struct disk *d = any(w, true);
	struct request rq = { .op = OP_VDI_RESIZE, .by_uuid = true, .has_size = true };
	struct reply rp = { 0 };

	if (!d || d->snapshot || d->size == MOST)
		return;
	rq.size = d->size + (1 + rnd_below(&w->r, (MOST - d->size) / (2 * MiB))) * 2 * MiB;
	if (!went(w, verb(w, do_vdi_resize, &rq, d, &rp)))
		return;
	memset(d->model + d->size / SCALE, 0, (size_t)((rq.size - d->size) / SCALE));
	d->size = rq.size;
	compare(w, d);
	w->done[5]++;
}

static void revert(struct world *w)
{
	struct disk *s = any(w, true), *d = NULL;
	struct request rq = { .op = OP_VDI_REVERT, .by_uuid = true, .force = true };
	struct reply rp = { 0 };
	int err;

	for (size_t i = 0; s && s->snapshot && i < DISKS; i++)
		if (w->disk[i].used && uuid_equal(&w->disk[i].uuid, &s->of))
			d = &w->disk[i];
	if (!d || d->snapshot)
		return;
	rq.other = d->uuid.s;
	err = verb(w, do_vdi_revert, &rq, s, &rp);
	if (err == -E_VDI_DEEP)
		return;
	if (!went(w, err))
		return;
	memcpy(d->model, s->model, sizeof(d->model));
	d->size = s->size;
	compare(w, d);
	compare(w, s);
	w->done[6]++;
}

/* --- all of it ------------------------------------------------------------------- */

static void nothing_left(struct world *w, const char *name)
{
	int fd = -1;
	DIR *d;
	struct dirent *e;

	if (!EQ(dir_sub(&w->sr, name, &fd), 0))
		return;
	d = fdopendir(fd);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' || !strncmp(e->d_name, ".journal", 8))
			if (strcmp(name, ".") || !strncmp(e->d_name, "clone_", 6))
				OK(!*e->d_name);
	closedir(d);
}

static void look_at_all(struct world *w)
{
	struct vdis l = { 0 };
	size_t visible = 0;

	went(w, layout_dir.list(&w->sr, &l));
	tree_fill(&w->ctx.arena, &l);
	for (size_t i = 0; i < l.n_problems; i++)
		printf("# %s: %s\n", l.problems[i].object, l.problems[i].what);
	EQ(l.n_problems, 0);
	for (size_t i = 0; i < l.n; i++) {
		EQ(l.v[i].hidden, l.v[i].n_children > 0);
		OK(!l.v[i].mend);
		OK(tree_depth(&l, &l.v[i]) <= TREE_DEPTH_MAX);
		visible += !l.v[i].hidden;
	}
	for (size_t i = 0; i < DISKS; i++) {
		if (!w->disk[i].used)
			continue;
		visible--;
		compare(w, &w->disk[i]);
	}
	EQ(visible, 0);
	nothing_left(w, ".sm/tmp");
	nothing_left(w, ".");
}

TEST(dir_model)
{
	const char *seed = getenv("SEED");
	struct world *w = calloc(1, sizeof(*w));
	size_t steps = getenv("STEPS") ? strtoul(getenv("STEPS"), NULL, 10) : STEPS;

	w->r.s = seed ? strtoull(seed, NULL, 10) : clock_now_mono() | 1;
	printf("# SEED=%llu\n", (unsigned long long)w->r.s);
	if (!begin(w))
		return;
	for (size_t i = 0; i < steps; i++) {
		uint64_t what = rnd_below(&w->r, 100);

		if (what < 12)
			create(w);
		else if (what < 45)
			write_some(w);
		else if (what < 68)
			split(w, false);
		else if (what < 76)
			split(w, true);
		else if (what < 90)
			delete(w);
		else if (what < 95)
			resize(w);
		else
			revert(w);
		if (i % 64 == 0)
			look_at_all(w);
		fail_clear(&w->ctx);
		arena_reset(&w->ctx.arena);
	}
	for (size_t i = 0; i < 64 * DISKS && any(w, true); i++)
		delete(w);
	look_at_all(w);
	printf("# %zu created, %zu written, %zu snapshots, %zu clones, %zu deleted, %zu resized, "
	       "%zu reverted, %zu too deep\n", w->done[0], w->done[1], w->done[2], w->done[3],
	       w->done[4], w->done[5], w->done[6], w->done[7]);
	end(w);
	free(w);
}
