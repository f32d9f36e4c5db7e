/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block devices of this host: dconf device, one or several with commas. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "arch/scan.h"
#include "drivers/attached.h"
#include "drivers/devices.h"
#include "drivers/sr.h"
#include "drivers/transport.h"
#include "drivers/transport/devices.h"
#include "lib/err.h"
#include "lib/io.h"

/* Nobody puts more disks under one SR by hand. */
#define NAMED_MOST	256

#define BY_ID		"/dev/disk/by-id/"

struct devices *sr_devices(struct sr *sr)
{
	return sr->transport_data;
}

int devices_scan(struct sr *sr, struct devices *all)
{
	int err;

	if (all->scan)
		return 0;
	all->scan = arena_alloc(&sr->ctx->arena, sizeof(*all->scan));
	err = scan_devices(&sr->ctx->arena, "", all->scan);
	if (!err)
		return 0;
	all->scan = NULL;
	hint(sr->ctx, "are /sys and /proc mounted?");
	return fail(sr->ctx, err, "list the block devices");
}

struct device *devices_add(struct sr *sr, struct devices *all, const struct device *d)
{
	if (all->n == all->room) {
		all->room = all->room ? all->room * 2 : 8;
		all->v = arena_grow(&sr->ctx->arena, all->v, all->n, all->room, sizeof(*all->v));
	}
	all->v[all->n] = *d;
	return &all->v[all->n++];
}

/* The first reason counts; the layout may find the device under another name. */
static int lose(struct sr *sr, struct devices *all, const char *path, int err, const char *why)
{
	struct arena *a = &sr->ctx->arena;

	if (!all->lost) {
		all->lost = err;
		all->lost_why = why;
	}
	all->lost_paths = all->lost_paths ? arena_printf(a, "%s,%s", all->lost_paths, path) : path;
	return 0;
}

/* A link by id that no udev has made leads where udev would lead it. */
static const char *node_of(struct sr *sr, struct devices *all, const char *path)
{
	const struct scan_device *d = NULL;
	struct stat st;

	if (strncmp(path, BY_ID, strlen(BY_ID)) || !lstat(path, &st) || devices_scan(sr, all))
		return path;
	d = scan_find_id(all->scan, path + strlen(BY_ID));
	return d ? d->path : path;
}

/* May we look into it at all?  Whoever makes an SR of it asks more (devices_take.c). */
static const char *may_look(struct sr *sr, struct device *d)
{
	const struct scan_device *is;
	const char *why = NULL;
	struct scan s;

	if (scan_around(&sr->ctx->arena, "", d->dev, &s))
		return NULL;			/* no sysfs: a rescue system, and nothing to go by */
	is = scan_find(&s, d->dev);
	if (is)
		why = scan_refuses(&s, is, false);
	return why ? arena_printf(&sr->ctx->arena, "%s is %s", d->path, why) : NULL;
}

static int open_named(struct sr *sr, struct devices *all, const char *path, bool create)
{
	struct device d = { .path = path, .named = true };
	struct ctx *ctx = sr->ctx;
	const char *node, *why;
	struct stat st;
	int err;

	if (path[0] != '/') {
		hint(ctx, "give the whole path, as in /dev/sdb");
		return fail_say(ctx, -E_DCONF_BAD, "dconf device '%.128s' is not an absolute path",
				path);
	}
	node = node_of(sr, all, path);
	if (stat(node, &st)) {
		err = errno == ENOENT || errno == ENXIO ? -E_DEVICE_MISSING : -errno;
		if (!create)
			return lose(sr, all, path, err,
				    arena_printf(&ctx->arena, "%s: %s", path, err_text(err)));
		return fail_path(ctx, err, path);
	}
	if (!S_ISBLK(st.st_mode))
		return fail_say(ctx, -E_DCONF_BAD, "%.128s is not a block device", path);
	d.dev = st.st_rdev;
	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].dev == d.dev)
			return fail_say(ctx, -E_DCONF_BAD, "%s and %s are the same device",
					all->v[i].path, path);
	err = create ? devices_may_take(sr, all, &d) : 0;
	if (err)
		return err;
	if (!create && (why = may_look(sr, &d)))
		return lose(sr, all, path, -E_DCONF_BAD, why);
	/* Around the cache: another host, or lvm2, may have written since. */
	err = io_open(&d.io, AT_FDCWD, node, IO_DIRECT | (sr->write ? IO_RDWR : IO_RDONLY) |
		      (create ? IO_EXCL : 0));
	if (err == -EBUSY && create) {
		hint(ctx, "see who has it open: fuser %.128s", path);
		return fail_say(ctx, -E_SR_IN_USE, "%.128s is in use", path);
	}
	if (err && create)
		return fail(ctx, err, "open %.128s", path);
	if (err)
		return lose(sr, all, path, err,
			    arena_printf(&ctx->arena, "open %s: %s", path, err_text(err)));
	devices_add(sr, all, &d);
	return 0;
}

static int open_all(struct sr *sr, bool create)
{
	struct arena *a = &sr->ctx->arena;
	struct devices *all = arena_alloc(a, sizeof(*all));
	const char *list = kv_get(&sr->dconf, "device");
	size_t count = 0;
	int err;

	sr->transport_data = all;
	for (const char *p = list; p; p = *p ? p + 1 : NULL) {
		size_t n = strcspn(p, ",");

		if (count++ == NAMED_MOST)
			return fail_say(sr->ctx, -E_DCONF_BAD, "more than %d devices", NAMED_MOST);
		err = open_named(sr, all, arena_strndup(a, p, n), create);
		if (err)
			return err;
		p += n;
	}
	return 0;
}

static int stage(struct sr *sr, bool create)
{
	return open_all(sr, create);
}

static int open_attached(struct sr *sr)
{
	int err = attached_is(sr);

	if (err <= 0)
		return err ? err : -E_SR_DETACHED;
	return open_all(sr, false);
}

static void close_all(struct sr *sr)
{
	struct devices *all = sr->transport_data;

	for (size_t i = 0; all && i < all->n; i++)
		io_close(all->v[i].io);
	sr->transport_data = NULL;
}

static int detach(struct sr *sr)
{
	devices_forget(sr);
	return attached_clear(sr);	/* commit */
}

const struct transport transport_devices = {
	.name = "devices",
	.stage = stage,
	.attach = attached_set,		/* commit */
	.detach = detach,
	.open = open_attached,
	.close = close_all,
	.survey = devices_survey,
};
