/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All block devices of this host: which may be looked into, which taken for a new SR. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "arch/scan.h"
#include "drivers/devices.h"
#include "drivers/sr.h"
#include "drivers/transport/devices.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/io.h"

/* A list of lvm2's for 10,000 devices. */
#define LIST_MOST	(2u << 20)

int devices_may_take(struct sr *sr, struct devices *all, const struct device *d)
{
	const struct scan_device *is;
	const char *why;
	int err = devices_scan(sr, all);

	if (err)
		return err;
	is = scan_find(all->scan, d->dev);
	if (!is)
		return fail(sr->ctx, -E_DEVICE_MISSING, "%.128s", d->path);
	why = scan_in_use(&sr->ctx->arena, all->scan, is);
	if (is->root)
		return fail_say(sr->ctx, -E_SR_ROOT, "%s", why);
	if (why)
		return fail_say(sr->ctx, -E_SR_IN_USE, "%s", why);
	why = scan_refuses(all->scan, is, false);
	/* A partition table is the layout's to judge, with all that lies in there. */
	if (why && !is->partitioned)
		return fail_say(sr->ctx, -E_DCONF_BAD, "%.128s is %s", d->path, why);
	if (is->read_only)
		return fail_say(sr->ctx, -E_SR_READ_ONLY, "%.128s is read-only", d->path);
	return 0;
}

/* lvm2's own list, where it has one; NULL where it may use every device. */
static const char *list_of_lvm2(struct sr *sr)
{
	struct view v;

	if (file_read_small(AT_FDCWD, sm_path(sr->ctx, "/etc/lvm/devices/system.devices"),
			    &sr->ctx->arena, LIST_MOST, &v))
		return NULL;
	return v.p;
}

static bool is_candidate(const struct devices *all, const struct scan_device *is, const char *list)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].dev == is->dev)
			return false;
	return !is->mounted && !is->swap && !scan_refuses(all->scan, is, false) &&
	       (!list || scan_is_listed(list, is));
}

int devices_search(struct sr *sr, bool every)
{
	struct devices *all = sr_devices(sr);
	size_t before = all->n;
	const char *list;
	int err = devices_scan(sr, all);

	if (err)
		return err;
	list = every ? NULL : list_of_lvm2(sr);
	for (size_t i = 0; i < all->scan->n; i++) {
		const struct scan_device *is = &all->scan->dev[i], *disk;
		struct device d = { .path = is->path, .dev = is->dev };

		if (!is_candidate(all, is, list))
			continue;
		/* One that cannot be opened is not ours, as far as anybody can tell. */
		if (io_open(&d.io, AT_FDCWD, d.path, IO_DIRECT | IO_RDONLY))
			continue;
		disk = is->disk ? scan_find_name(all->scan, is->disk) : NULL;
		d.disk = disk ? disk->dev : 0;
		devices_add(sr, all, &d);
	}
	return (int)(all->n - before);
}

static int reopen(struct sr *sr, struct device *d)
{
	int err;

	if (d->named || !sr->write)
		return 0;
	io_close(d->io);
	d->io = NULL;
	err = io_open(&d->io, AT_FDCWD, d->path, IO_DIRECT | IO_RDWR);
	return err ? fail(sr->ctx, err, "open %s", d->path) : 0;
}

int devices_keep(struct sr *sr, const bool *keep, bool whole)
{
	struct devices *all = sr_devices(sr);
	struct arena *a = &sr->ctx->arena;
	const char *dconf = "";
	bool changed = whole && all->lost, lost = !whole && all->lost;
	size_t n = 0;
	int err = 0;

	for (size_t i = 0; i < all->n; i++) {
		struct device d = all->v[i];

		changed = changed || d.named != keep[i];
		if (keep[i] && !err)
			err = reopen(sr, &d);
		if (!keep[i]) {
			io_close(d.io);
			continue;
		}
		d.named = true;
		dconf = *dconf ? arena_printf(a, "%s,%s", dconf, d.path) : d.path;
		all->v[n++] = d;
	}
	all->n = n;
	if (err || !changed || !n)
		return err;
	if (lost)
		dconf = arena_printf(a, "%s,%s", dconf, all->lost_paths);
	else
		all->lost = 0;
	/* A list of its own: smtab's is read by others too. */
	sr->dconf.v = arena_copy(a, sr->dconf.v, sr->dconf.n * sizeof(*sr->dconf.v));
	sr->dconf.room = sr->dconf.n;
	kv_set(a, &sr->dconf, "device", dconf);
	sr->moved = true;
	return 0;
}

int devices_survey(struct sr *sr, const char ***paths, size_t *n)
{
	struct devices all = { 0 };
	const char **v, *list;
	int err = devices_scan(sr, &all);

	if (err)
		return err;
	list = list_of_lvm2(sr);
	v = arena_array(&sr->ctx->arena, all.scan->n, sizeof(*v));
	*n = 0;
	for (size_t i = 0; i < all.scan->n; i++)
		if (is_candidate(&all, &all.scan->dev[i], list))
			v[(*n)++] = all.scan->dev[i].path;
	*paths = v;
	return 0;
}
