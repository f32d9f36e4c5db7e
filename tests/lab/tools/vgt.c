/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Volume groups by the product's own functions, for what no verb does yet:
 *
 *	vgt PATH[,PATH...] COMMAND [ARG...]
 *
 * The paths are devices or files that hold the PVs of one VG.  Every command
 * reads them, changes one thing and commits it; several words may do that many
 * times over.  A failure is one line on stderr and status 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "arch/clock.h"
#include "arch/dm.h"
#include "arch/lvmhost.h"
#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/lvm2/commit.h"
#include "lib/lvm2/dm.h"
#include "lib/lvm2/ops.h"
#include "lib/lvm2/scan.h"
#include "lib/lvm2/show.h"
#include "lib/text/json.h"

#define DEVS 16

struct run {
	struct arena a;
	struct lvm_dev dev[DEVS];
	size_t n;
	struct lvm_set set;
	struct lvm_vg *vg;
	char **arg;			/* of the command; NULL ends them */
	int n_args;
};

static void pause_before_retry(unsigned int attempt)
{
	clock_sleep((10 << attempt) * NS_PER_MS);
}

/* A device goes by without the page cache, as everywhere; for a file that only costs. */
static int open_all(struct run *r, char *paths, int flags)
{
	struct stat st;
	char *path;
	int err = 0;

	while ((path = strsep(&paths, ",")) && !err && r->n < DEVS) {
		bool device = !stat(path, &st) && S_ISBLK(st.st_mode);

		r->dev[r->n].path = path;
		err = io_open(&r->dev[r->n].io, AT_FDCWD, path, flags | (device ? IO_DIRECT : 0));
		r->n += !err;
	}
	return err;
}

static void close_all(struct run *r)
{
	while (r->n)
		io_close(r->dev[--r->n].io);
}

static int read_vg(struct run *r)
{
	struct lvm_scan_how how = { .pause = pause_before_retry };

	for (size_t i = 0; i < r->n; i++)
		r->dev[i] = (struct lvm_dev){ .io = r->dev[i].io, .path = r->dev[i].path };
	lvm_scan(&r->a, r->dev, r->n, &how, &r->set);
	if (!r->set.n_found)
		return -E_LVM_VG_MISSING;
	r->vg = r->set.found[0]->vg;
	return r->set.found[0]->err;
}

static int commit(struct run *r, const char *cause)
{
	struct lvm_stamp stamp = {
		.program = "vgt", .cause = cause, .host = "lab",
		.now = (uint64_t)clock_now_real(NULL),
	};

	return lvm_vg_commit(r->vg, &stamp);
}

static void new_id(struct lvm_id *id)
{
	uint8_t random[32];

	random_bytes(random, sizeof(random));
	lvm_id_make(id, random);
}

static int the_lv(struct run *r, struct lvm_lv **lv)
{
	*lv = r->n_args ? lvm_lv_find(r->vg, r->arg[0]) : NULL;
	return *lv ? 0 : -E_LVM_LV_MISSING;
}

static uint64_t number(const struct run *r, int i)
{
	return i < r->n_args ? strtoull(r->arg[i], NULL, 0) : 0;
}

/* --- logical volumes ---------------------------------------------------------------- */

static int create(struct run *r, const char *name, uint64_t bytes)
{
	struct lvm_lv_spec s = {
		.name = name, .bytes = bytes, .host = "lab", .now = (uint64_t)clock_now_real(NULL),
	};
	struct lvm_lv *lv;

	new_id(&s.id);
	return lvm_lv_create(r->vg, &s, &lv);
}

static int do_create(struct run *r)	/* NAME BYTES */
{
	return create(r, r->arg[0], number(r, 1));
}

static int do_fill(struct run *r)	/* PREFIX BYTES COUNT [FROM]: that many in one commit */
{
	int err = 0;

	for (uint64_t i = 0; i < number(r, 2) && !err; i++)
		err = create(r, arena_printf(&r->a, "%s%" PRIu64, r->arg[0], number(r, 3) + i),
			     number(r, 1));
	return err;
}

static int do_remove(struct run *r)	/* NAME */
{
	struct lvm_lv *lv;
	int err = the_lv(r, &lv);

	return err ? err : lvm_lv_remove(r->vg, lv);
}

static int do_rename(struct run *r)	/* NAME NEW */
{
	struct lvm_lv *lv;
	int err = the_lv(r, &lv);

	return err ? err : lvm_lv_rename(r->vg, lv, r->arg[1]);
}

static int do_resize(struct run *r)	/* NAME BYTES */
{
	struct lvm_lv *lv;
	int err = the_lv(r, &lv);

	return err ? err : lvm_lv_resize(r->vg, lv, number(r, 1));
}

static int do_writable(struct run *r)	/* NAME 0|1 */
{
	struct lvm_lv *lv;
	int err = the_lv(r, &lv);

	return err ? err : lvm_lv_set_writable(r->vg, lv, number(r, 1));
}

static int tag(struct run *r, bool add)
{
	struct lvm_lv *lv;
	int err = the_lv(r, &lv);

	return err ? err : lvm_lv_tag(r->vg, lv, r->arg[1], add);
}

static int do_tag(struct run *r)	/* NAME TAG */
{
	return tag(r, true);
}

static int do_untag(struct run *r)
{
	return tag(r, false);
}

/* The first COUNT LVs at once; a tag that is there is taken away. */
static int do_tag_many(struct run *r)	/* TAG COUNT */
{
	uint64_t left = number(r, 1);
	int err = 0;

	for (struct lvm_lv *lv = r->vg->first; lv && left && !err; lv = lv->next, left--)
		err = lvm_lv_tag(r->vg, lv, r->arg[0], !lvm_has_tag(&lv->tags, r->arg[0]));
	return err ? err : left ? -E_LVM_LV_MISSING : 0;
}

/* --- devices of logical volumes ------------------------------------------------------ */

static const char *node_of(void *arg, const struct lvm_pv *pv)
{
	struct run *r = arg;
	struct stat st;

	if (!pv->dev || fstat(pv->dev->io->fd, &st))
		return NULL;
	return arena_printf(&r->a, "%u:%u", major(st.st_rdev), minor(st.st_rdev));
}

/* What device-mapper shall have for it. */
static int device_of(struct run *r, const struct lvm_lv *lv, struct dm_device *d)
{
	struct dm_table *table = arena_alloc(&r->a, sizeof(*table));
	char *name = arena_alloc(&r->a, LVM_DM_NAME), *uuid = arena_alloc(&r->a, LVM_DM_UUID);
	_buf_free_ struct buf b = { 0 };
	int err = lvm_dm_name(name, r->vg->name, lv->name, NULL);

	lvm_dm_uuid(uuid, r->vg, lv, NULL);
	if (!err)
		err = lvm_dm_table(r->vg, lv, node_of, r, &b);
	if (!err)
		err = dm_table_parse(&r->a, arena_strdup(&r->a, buf_str(&b)), table);
	*d = (struct dm_device){
		.name = name, .uuid = uuid, .read_only = !(lv->flags & LVM_LV_WRITE),
		.table = table, .group = r->vg->name, .volume = lv->name,
		.deadline = clock_now_mono() + 10 * NS_PER_S,
	};
	return err;
}

static int with_device(struct run *r, bool on)
{
	_close_ int ctl = dm_open();
	struct dm_device d;
	struct lvm_lv *lv;
	int err = ctl < 0 ? ctl : the_lv(r, &lv);

	if (!err)
		err = device_of(r, lv, &d);
	if (err)
		return err;
	return on ? dm_activate(ctl, &d, NULL) : dm_deactivate(ctl, &d);
}

static int do_activate(struct run *r)	/* NAME */
{
	return with_device(r, true);
}

static int do_deactivate(struct run *r)
{
	return with_device(r, false);
}

/* --- volume groups ------------------------------------------------------------------- */

static int make_pv(struct lvm_dev *d, uint64_t metadata)
{
	struct lvm_pv_spec spec = {
		.device_size = d->io->size, .n_mdas = 1, .metadata_size = metadata,
		.align = metadata ? 128 * KiB : 0,
	};
	struct lvm_label label;
	struct lvm_id id;
	int err;

	new_id(&id);
	err = lvm_pv_plan(&spec, &id, &label);
	return err ? err : lvm_pv_create(d->io, &label);
}

static int do_new(struct run *r)	/* VG EXTENT [METADATA]: PVs and a VG on all devices */
{
	struct lvm_id id;
	int err = 0;

	for (size_t i = 0; i < r->n && !err; i++)
		err = make_pv(&r->dev[i], number(r, 2));
	lvm_scan(&r->a, r->dev, r->n, NULL, &r->set);
	new_id(&id);
	if (!err)
		err = lvm_vg_new(&r->a, r->arg[0], &id, number(r, 1), NULL, &r->vg);
	for (size_t i = 0; i < r->n && !err; i++)
		err = lvm_vg_extend(r->vg, &r->dev[i]);
	if (!err)
		err = commit(r, "new");
	return err ? err : lvmhost_look_again("");
}

static struct lvm_dev *the_dev(struct run *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (!strcmp(r->dev[i].path, r->arg[0]))
			return &r->dev[i];
	return NULL;
}

static int do_extend(struct run *r)	/* PATH, one of PATHS: a new PV of the VG */
{
	struct lvm_dev *d = the_dev(r);
	int err = d ? make_pv(d, 0) : -E_LVM_PV_SIZE;

	if (!err)
		err = read_vg(r);
	return err ? err : lvm_vg_extend(r->vg, d);
}

static int do_reduce(struct run *r)	/* PATH */
{
	struct lvm_dev *d = the_dev(r);

	return d && d->pv ? lvm_vg_reduce(r->vg, d->pv) : -E_LVM_PV_SIZE;
}

static int do_pvresize(struct run *r)	/* PATH BYTES */
{
	struct lvm_dev *d = the_dev(r);

	return d && d->pv ? lvm_pv_resize(r->vg, d->pv, number(r, 1)) : -E_LVM_PV_SIZE;
}

/* --- over and over ------------------------------------------------------------------- */

/* Read, change, commit, so many times, with nothing kept from one to the next. */
static int do_churn(struct run *r)	/* COUNT */
{
	int err = 0;

	for (uint64_t n = number(r, 0); n && !err; n--) {
		arena_reset(&r->a);
		err = read_vg(r);
		if (!err && !r->vg->first)
			err = -E_LVM_LV_MISSING;
		if (!err)
			err = lvm_lv_tag(r->vg, r->vg->first, "odd",
					 !lvm_has_tag(&r->vg->first->tags, "odd"));
		if (!err)
			err = commit(r, "churn");
	}
	return err;
}

/*
 * Read for so many seconds while somebody else writes.  It never fails, it never
 * sees a VG older than one it has seen, and nothing is odd about what it finds.
 */
static int do_watch(struct run *r)	/* SECONDS */
{
	uint64_t end = clock_now_mono() + number(r, 0) * NS_PER_S;
	uint32_t reads = 0, seen = 0, last = 0;
	int err = 0;

	while (clock_now_mono() < end && !err) {
		arena_reset(&r->a);
		err = read_vg(r);
		if (!err && (r->vg->seqno < last || r->set.problem)) {
			fprintf(stderr, "seqno %u after %u: %s\n", r->vg->seqno, last,
				r->set.problem ? r->set.problem->what : "it went back");
			err = -E_LVM_CHANGED;
		}
		if (!err) {
			reads++;
			seen += r->vg->seqno != last;
			last = r->vg->seqno;
		}
	}
	printf("%u reads, %u versions, the last %u\n", reads, seen, last);
	return err;
}

static int do_show(struct run *r)
{
	struct buf b = { 0 };
	struct json j = { .buf = &b };

	lvm_show_json(&r->set, &j);
	fwrite(b.p, 1, b.n, stdout);
	buf_free(&b);
	return 0;
}

/* --- main ---------------------------------------------------------------------------- */

enum { READS = 1, COMMITS = 2, LOOKS = 4 };

static const struct {
	const char *name;
	int args, how;
	int (*run)(struct run *r);
} commands[] = {
	{ "create", 2, READS | COMMITS, do_create }, { "fill", 3, READS | COMMITS, do_fill },
	{ "remove", 1, READS | COMMITS, do_remove }, { "rename", 2, READS | COMMITS, do_rename },
	{ "resize", 2, READS | COMMITS, do_resize }, { "tag", 2, READS | COMMITS, do_tag },
	{ "untag", 2, READS | COMMITS, do_untag },
	{ "tag_many", 2, READS | COMMITS, do_tag_many },
	{ "activate", 1, READS, do_activate }, { "deactivate", 1, READS, do_deactivate },
	{ "writable", 2, READS | COMMITS, do_writable }, { "new", 2, COMMITS, do_new },
	{ "extend", 1, READS | COMMITS | LOOKS, do_extend },
	{ "reduce", 1, READS | COMMITS | LOOKS, do_reduce },
	{ "pvresize", 2, READS | COMMITS, do_pvresize }, { "churn", 1, COMMITS, do_churn },
	{ "watch", 1, 0, do_watch }, { "show", 0, READS, do_show },
};

static int run(struct run *r, char *paths, size_t i)
{
	int err = open_all(r, paths, commands[i].how & COMMITS ? IO_RDWR : IO_RDONLY);

	if (!err && (commands[i].how & READS))
		err = read_vg(r);
	if (!err)
		err = commands[i].run(r);
	if (!err && (commands[i].how & READS) && (commands[i].how & COMMITS))
		err = commit(r, commands[i].name);
	if (!err && (commands[i].how & LOOKS))
		err = lvmhost_look_again("");
	return err;
}

int main(int argc, char **argv)
{
	struct run r = { .arg = argv + 3, .n_args = argc - 3 };
	int err = -ENOSYS;

	for (size_t i = 0; argc >= 3 && i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[2], commands[i].name) && r.n_args >= commands[i].args)
			err = run(&r, argv[1], i);
	close_all(&r);
	if (err)
		fprintf(stderr, "vgt: %s\n", err <= -E_BASE ? err_text(err) : err_name(err));
	arena_free(&r.a);
	return !!err;
}
