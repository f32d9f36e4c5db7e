/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * block-sm: what xl runs for a disk of a guest that has script=block-sm.
 *
 *	block-sm add | remove		XENBUS_PATH=/local/domain/0/backend/vbd/7/51712
 *
 *	  params, mode			which disk ("SR/VDI"), and r, w or w!
 *	  sm-vdi			ours: the uuids of the disk that this backend has
 *	  physical-device		"fd:3", what the kernel's backend opens
 *	  physical-device-path
 *	  hotplug-status		"connected", or "error" with hotplug-error
 *
 * add: sm-vdi, the disk is attached (commit), the rest in one transaction.
 * remove: the disk is detached (commit) unless another backend has it too, then
 * all of these nodes go.  sm-vdi is there before anything is attached and until
 * all is detached, so remove finds what an add or a remove that died has left,
 * whatever the disk is called by then; and a disk that was attached by hand has
 * none, and stays.
 *
 * The nodes are the record of who has a disk.  Those who look at it and then
 * attach or detach do so one after the other, under a lock of the disk's.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/lock.h"
#include "arch/xenstore.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/utf8.h"
#include "sm/front.h"
#include "sm/locks.h"
#include "sm/run.h"

/* libxl kills a script after 40 seconds; ours then has said what it waits for. */
#define PATIENCE	(30 * NS_PER_S)
/* The kernel's backend says that it is closed a moment before it closes the device. */
#define CLOSE_PATIENCE	(10 * NS_PER_S)
#define REPORT_PATIENCE	(3 * NS_PER_S)
#define LINE_MOST	1024u		/* bytes of hotplug-error: it has to fit in a node */

struct job {
	struct ctx *ctx;
	struct xenstore x;
	const char *path;	/* of our backend */
	const char *root;	/* of all backends */
	const char *domain;	/* number of the guest */
	const char *disk;	/* "<SR>/<VDI>", uuids */
	const char *mode;
	struct vdi vdi;
	size_t others;		/* backends that have the disk too */
	int lock;
};

/* --- nodes ---------------------------------------------------------------------- */

static const char *node(const struct job *j, const char *backend, const char *name)
{
	return arena_printf(&j->ctx->arena, "%s/%s", backend, name);
}

/* *value is NULL when there is no such node. */
static int read_path(struct job *j, const char *path, const char **value)
{
	int err = xenstore_read(&j->x, &j->ctx->arena, path, value);

	if (!err)
		return 0;
	*value = NULL;
	return err == -ENOENT ? 0 : fail(j->ctx, err, "xenstore: read %s", path);
}

static int read_node(struct job *j, const char *name, const char **value)
{
	return read_path(j, node(j, j->path, name), value);
}

static int list(struct job *j, const char *path, const char ***names, size_t *n)
{
	int err = xenstore_list(&j->x, &j->ctx->arena, path, names, n);

	return err && err != -ENOENT ? fail(j->ctx, err, "xenstore: list %s", path) : 0;
}

/* Is it the same guest, on its way from this host to this host? */
static int is_same_vm(struct job *j, const char *domain, bool *same)
{
	const char *ours, *theirs;
	int err = read_path(j, arena_printf(&j->ctx->arena, "/local/domain/%s/vm", j->domain), &ours);

	if (!err)
		err = read_path(j, arena_printf(&j->ctx->arena, "/local/domain/%s/vm", domain), &theirs);
	*same = !err && ours && theirs && !strcmp(ours, theirs);
	return err;
}

static bool writes(const char *mode)
{
	return mode && strchr(mode, 'w');
}

/* Another backend: has it our disk, and is that allowed? */
static int look_at(struct job *j, const char *domain, const char *backend)
{
	const char *disk, *mode;
	bool same = false;
	int err = strcmp(backend, j->path) ? read_path(j, node(j, backend, "sm-vdi"), &disk) : 0;

	if (err || !strcmp(backend, j->path) || !disk || strcmp(disk, j->disk))
		return err;
	j->others++;
	if (!j->mode || strchr(j->mode, '!'))
		return 0;
	err = read_path(j, node(j, backend, "mode"), &mode);
	if (!err && (writes(mode) || writes(j->mode)))
		err = is_same_vm(j, domain, &same);
	else
		same = true;
	if (err || same)
		return err;
	hint(j->ctx, "mode w! gives it to several guests that know of each other");
	return fail_say(j->ctx, -E_VDI_IN_USE, "VDI %s is in use by domain %s", j->vdi.uuid.s, domain);
}

static int look_around(struct job *j)
{
	const char **domains, **devices;
	size_t n_domains, n_devices;
	int err = list(j, j->root, &domains, &n_domains);

	for (size_t i = 0; !err && i < n_domains; i++) {
		const char *domain = node(j, j->root, domains[i]);

		err = list(j, domain, &devices, &n_devices);
		for (size_t k = 0; !err && k < n_devices; k++)
			err = look_at(j, domains[i], node(j, domain, devices[k]));
	}
	return err;
}

/* --- the disk --------------------------------------------------------------------- */

static int find(struct job *j, const char *sr, const char *vdi)
{
	struct request rq = { .op = OP_VDI_SHOW, .sr = sr, .vdi = vdi, .goes_on = true };
	struct reply rp = { 0 };
	int err = sm_run(j->ctx, &rq, &rp);

	if (!err) {
		j->vdi = rp.vdis.v[0];
		j->disk = arena_printf(&j->ctx->arena, "%s/%s", j->vdi.sr.s, j->vdi.uuid.s);
	}
	return err;
}

static int find_split(struct job *j, const char *target, const char *slash)
{
	return find(j, arena_strndup(&j->ctx->arena, target, (size_t)(slash - target)), slash + 1);
}

static bool is_missing(int err)
{
	return err == -E_SR_MISSING || err == -E_VDI_MISSING;
}

/* "SR/VDI", each a name or a uuid, or "VDI" alone; names may have slashes of their own. */
static int find_target(struct job *j, const char *target)
{
	const char *first = strchr(target, '/');
	int err;

	for (const char *slash = first; slash; slash = strchr(slash + 1, '/')) {
		err = find_split(j, target, slash);
		if (!is_missing(err))
			return err;
		fail_clear(j->ctx);
	}
	err = find(j, NULL, target);
	if (!first || !is_missing(err))
		return err;
	/* What most probably was meant is what is told of. */
	fail_clear(j->ctx);
	return find_split(j, target, first);
}

static int change(struct job *j, enum op op, struct reply *rp)
{
	const char *slash = strchr(j->disk, '/');
	struct request rq = {
		.op = op, .activate = true, .writable = writes(j->mode), .vdi = slash + 1,
		.sr = arena_strndup(&j->ctx->arena, j->disk, (size_t)(slash - j->disk)),
	};

	return sm_run(j->ctx, &rq, rp);
}

static int detach(struct job *j)
{
	uint64_t until = clock_now_mono() + CLOSE_PATIENCE;
	struct reply rp = { 0 };
	int err;

	while ((err = change(j, OP_VDI_DETACH, &rp)) == -E_VDI_IN_USE && clock_left(until)) {
		fail_clear(j->ctx);
		clock_sleep(NS_PER_S / 10);
	}
	/* What is not here any more is not attached either. */
	if (is_missing(err) || err == -E_SR_DETACHED) {
		fail_clear(j->ctx);
		err = 0;
	}
	return err;
}

/* --- add --------------------------------------------------------------------------- */

/* By hand, or by whom we do not know: not ours to give away, or to detach later. */
static int may_take(struct job *j, bool ours)
{
	if (!(j->vdi.at.attached || j->vdi.at.active) || ours || j->others || strchr(j->mode, '!'))
		return 0;
	hint(j->ctx, "sm vdi detach %s", j->vdi.uuid.s);
	return fail_say(j->ctx, -E_VDI_IN_USE, "VDI %s is attached already, and not for a guest",
			j->vdi.uuid.s);
}

static int put(struct job *j, const char *name, const char *value)
{
	return xenstore_write(&j->x, node(j, j->path, name), value);
}

/* All of it at once, so that nobody sees a device without its path. */
static int publish(struct job *j, const char *device, const char *number)
{
	int err, end;

	do {
		err = xenstore_begin(&j->x);
		if (err)
			break;
		err = put(j, "physical-device", number);
		if (!err)
			err = put(j, "physical-device-path", device);
		if (!err)
			err = xenstore_remove(&j->x, node(j, j->path, "hotplug-error"));
		if (!err)
			err = put(j, "hotplug-status", "connected");
		end = xenstore_end(&j->x, !err);
		err = err ? err : end;
	} while (err == -EAGAIN && clock_left(j->x.deadline));
	return err ? fail(j->ctx, err == -EAGAIN ? -E_DEADLINE : err, "xenstore: write below %s", j->path) : 0;
}

/* What cannot be detached now keeps its sm-vdi, by which remove finds it. */
static void undo(struct job *j, bool attached)
{
	struct fail_words words;

	fail_keep(j->ctx, &words);		/* what went wrong before is what matters */
	if (!attached || j->others || !detach(j))
		xenstore_remove(&j->x, node(j, j->path, "sm-vdi"));
	fail_again(j->ctx, &words);
}

static int attach(struct job *j)
{
	struct reply rp = { 0 };
	const char *device;
	struct stat st;
	int err = put(j, "sm-vdi", j->disk);

	if (err)
		return fail(j->ctx, err, "xenstore: write below %s", j->path);
	err = change(j, OP_VDI_ATTACH, &rp);
	if (err) {
		undo(j, false);
		return err;
	}
	device = rp.vdis.v[0].at.device;
	if (stat(device, &st))
		err = fail(j->ctx, -errno, "%s", device);
	if (!err)
		err = publish(j, device, arena_printf(&j->ctx->arena, "%x:%x", major(st.st_rdev),
						      minor(st.st_rdev)));
	if (err)
		undo(j, true);
	return err;
}

static int lock_disk(struct job *j, const char *vdi)
{
	return lock_host(j->ctx, vdi, "block", &j->lock);
}

static int add(struct job *j)
{
	const char *target, *ours, *status = NULL;
	int err = read_node(j, "params", &target);

	if (!err)
		err = read_node(j, "mode", &j->mode);
	if (!err)
		err = read_node(j, "sm-vdi", &ours);
	if (!err && ours)
		err = read_node(j, "hotplug-status", &status);
	if (err || (status && !strcmp(status, "connected")))
		return err;			/* called twice */
	if (!target || !*target || !j->mode)
		return fail_say(j->ctx, -E_ARG, "xenstore: %s has no params or no mode", j->path);
	err = find_target(j, target);
	if (!err)
		err = lock_disk(j, j->vdi.uuid.s);
	/* Again, for another may have had it when we looked. */
	if (!err)
		err = find(j, j->vdi.sr.s, arena_strdup(&j->ctx->arena, j->vdi.uuid.s));
	if (!err)
		err = look_around(j);
	if (!err)
		err = may_take(j, ours && !strcmp(ours, j->disk));
	return err ? err : attach(j);
}

/* --- remove ------------------------------------------------------------------------ */

static int forget(struct job *j)
{
	static const char *const names[] = {
		"physical-device", "physical-device-path", "hotplug-status", "hotplug-error", "sm-vdi",
	};
	int err = 0;

	for (size_t i = 0; !err && i < ARRAY_SIZE(names); i++)
		err = xenstore_remove(&j->x, node(j, j->path, names[i]));
	return err ? fail(j->ctx, err, "xenstore: remove below %s", j->path) : 0;
}

static int remove_(struct job *j)
{
	struct uuid sr, vdi;
	const char *slash;
	int err = read_node(j, "sm-vdi", &j->disk);

	if (err || !j->disk)
		return err;			/* nothing was attached here, or nothing is any more */
	slash = strchr(j->disk, '/');
	if (!slash || uuid_parse(&vdi, slash + 1) ||
	    uuid_parse(&sr, arena_strndup(&j->ctx->arena, j->disk, (size_t)(slash - j->disk))))
		return fail_say(j->ctx, -E_ARG, "xenstore: %s/sm-vdi is not ours", j->path);
	err = lock_disk(j, vdi.s);
	if (!err)
		err = look_around(j);
	if (!err && !j->others)
		err = detach(j);
	return err ? err : forget(j);
}

/* --- the front end ------------------------------------------------------------------ */

static bool claims(int argc, char **argv)
{
	return !strcmp(argv[0], "block-sm");
}

/* ".../backend/vbd/7/51712": the guest is 7, all of them are in ".../backend/vbd". */
static int understand_path(struct job *j)
{
	char *root = arena_strdup(&j->ctx->arena, j->path), *slash = strrchr(root, '/');

	if (slash && slash[1]) {
		*slash = '\0';
		slash = strrchr(root, '/');
		if (slash && slash != root && slash[1]) {
			*slash = '\0';
			j->domain = slash + 1;
			j->root = root;
			return 0;
		}
	}
	return fail_say(j->ctx, -E_USAGE, "XENBUS_PATH '%.128s' is not the path of a backend", j->path);
}

/* The one line that xl shows; by a connection of its own, for the other may be what failed. */
static void report(struct job *j, const char *line)
{
	const char *value = arena_strndup(&j->ctx->arena, line, utf8_good(line, strnlen(line, LINE_MOST)));

	if (xenstore_open(&j->x, getenv("XENSTORED_PATH"), clock_now_mono() + REPORT_PATIENCE))
		return;
	if (!put(j, "hotplug-error", value))
		put(j, "hotplug-status", "error");	/* nobody is left to be told of a failure */
	xenstore_close(&j->x);
}

static int run(struct job *j, bool adds)
{
	int err = understand_path(j);

	if (err)
		return err;
	err = xenstore_open(&j->x, getenv("XENSTORED_PATH"), j->ctx->deadline);
	if (err == -ENOENT)
		hint(j->ctx, "is xenstored running?");
	err = err ? fail(j->ctx, err, "open xenstore") : adds ? add(j) : remove_(j);
	xenstore_close(&j->x);
	lock_drop(&j->lock);
	return err;
}

static const char *sentence(struct ctx *ctx, int err)
{
	_buf_free_ struct buf b = { 0 };

	buf_puts(&b, "block-sm: ");
	utf8_show(&b, ctx->why[0] ? ctx->why : err_text(err));
	if (ctx->hint[0]) {
		buf_puts(&b, " (try: ");
		utf8_show(&b, ctx->hint);
		buf_putc(&b, ')');
	}
	return arena_strdup(&ctx->arena, buf_str(&b));
}

static int parse(struct ctx *ctx, int argc, char **argv, struct request *rq)
{
	struct job j = { .ctx = ctx, .path = getenv("XENBUS_PATH"), .x = { .fd = -1 }, .lock = -1 };
	bool adds = argc > 1 && !strcmp(argv[1], "add");
	const char *line;
	int err;

	if (!adds && (argc < 2 || strcmp(argv[1], "remove")))
		return fail_say(ctx, -E_USAGE, "usage: block-sm add|remove, by xl, with XENBUS_PATH set");
	if (!j.path || !*j.path)
		return fail_say(ctx, -E_USAGE, "XENBUS_PATH is not set: this is a script that xl runs");
	ctx->deadline = clock_now_mono() + PATIENCE;
	err = run(&j, adds);
	if (!err)
		return FRONT_DONE;
	line = sentence(ctx, err);
	logf_err(ctx, "%s: %s", j.path, line);
	report(&j, line);
	return err;
}

static int emit(struct ctx *ctx, const struct request *rq, const struct reply *rp, int err)
{
	const char *line;

	if (err == FRONT_DONE)
		return 0;
	line = arena_printf(&ctx->arena, "%s\n", sentence(ctx, err));
	if (write_all(STDERR_FILENO, line, strlen(line)))
		return 1;	/* nobody is left to be told */
	return err == -E_USAGE ? 2 : 1;
}

static const struct front block = {
	.name   = "block",
	.rank   = 30,
	.claims = claims,
	.parse  = parse,
	.emit   = emit,
};
REGISTER(fronts, block);
