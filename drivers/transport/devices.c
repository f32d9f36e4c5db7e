/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block devices of this host: dconf device, one or several with commas. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "drivers/attached.h"
#include "drivers/devices.h"
#include "drivers/sr.h"
#include "drivers/transport.h"
#include "lib/err.h"
#include "lib/io.h"

/* Nobody puts more disks under one SR by hand. */
#define DEVICES_MOST	256

struct devices *sr_devices(struct sr *sr)
{
	return sr->transport_data;
}

static int open_device(struct sr *sr, const struct devices *all, struct device *d, bool create)
{
	/* A disk that is mounted, or below another device, is nobody's to take. */
	int flags = IO_DIRECT | (sr->write ? IO_RDWR : IO_RDONLY) | (create ? IO_EXCL : 0);
	struct ctx *ctx = sr->ctx;
	struct stat st;
	int err;

	if (d->path[0] != '/') {
		hint(ctx, "give the whole path, as in /dev/sdb");
		return fail_say(ctx, -E_DCONF_BAD, "dconf device '%.128s' is not an absolute path",
				d->path);
	}
	if (stat(d->path, &st)) {
		hint(ctx, "is the disk connected? ls -l %.128s", d->path);
		return fail(ctx, errno == ENOENT ? -E_DEVICE_MISSING : -errno, "%.128s", d->path);
	}
	if (!S_ISBLK(st.st_mode))
		return fail_say(ctx, -E_DCONF_BAD, "%.128s is not a block device", d->path);
	d->dev = st.st_rdev;
	for (const struct device *other = all->v; other < d; other++)
		if (other->dev == d->dev)
			return fail_say(ctx, -E_DCONF_BAD, "%s and %s are the same device",
					other->path, d->path);
	/* Around the cache: another host, or lvm2, may have written since. */
	err = io_open(&d->io, AT_FDCWD, d->path, flags);
	if (err == -EBUSY) {
		hint(ctx, "see lsblk %.128s: is it mounted, or part of something?", d->path);
		return fail_say(ctx, -E_SR_IN_USE, "%.128s is in use", d->path);
	}
	return err ? fail(ctx, err, "open %.128s", d->path) : 0;
}

static int open_all(struct sr *sr, bool create)
{
	struct arena *a = &sr->ctx->arena;
	struct devices *all = arena_alloc(a, sizeof(*all));
	const char *list = kv_get(&sr->dconf, "device");
	int err;

	all->v = arena_array(a, DEVICES_MOST, sizeof(*all->v));
	sr->transport_data = all;
	for (const char *p = list; p; p = *p ? p + 1 : NULL) {
		size_t n = strcspn(p, ",");
		struct device *d;

		if (all->n == DEVICES_MOST)
			return fail_say(sr->ctx, -E_DCONF_BAD, "more than %d devices", DEVICES_MOST);
		d = &all->v[all->n++];
		d->path = arena_strndup(a, p, n);
		err = open_device(sr, all, d, create);
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

const struct transport transport_devices = {
	.name = "devices",
	.stage = stage,
	.attach = attached_set,		/* commit */
	.detach = attached_clear,	/* commit */
	.open = open_attached,
	.close = close_all,
};
