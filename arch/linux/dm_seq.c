/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sequences of calls that belong together, and the nodes and links of devices. */
#include <errno.h>
#include <string.h>

#include "arch/blk.h"
#include "arch/clock.h"
#include "arch/linux/dm_impl.h"
#include "arch/udev.h"
#include "lib/arena.h"

/* lvm2 tries 25 times, 200 ms apart. */
#define PATIENCE	(5 * NS_PER_S)
#define PAUSE		(20 * NS_PER_MS)

/* --- names in /dev ------------------------------------------------------------ */

/* One change and who is told of it: udev and a cookie, or nobody. */
struct change {
	bool udev;
	struct udev_cookie cookie;
	struct dm_event event;
};

static void cleanup_change(struct change *c)
{
	udev_cookie_drop(&c->cookie);
}
#define _change_drop_ __attribute__((cleanup(cleanup_change)))

static bool is_outside(const struct dm_device *d)
{
	return d->root && *d->root;
}

/* As lvm2 sets them; without udev they say that all was done by hand. */
static unsigned event_flags(const struct dm_device *d, bool udev)
{
	static const unsigned kind[] = {
		[DM_VISIBLE]	  = 0,
		[DM_GUEST]	  = UDEV_NO_DISK | UDEV_NO_OTHER,
		[DM_HIDDEN]	  = UDEV_NO_SUBSYSTEM | UDEV_NO_DISK | UDEV_NO_OTHER,
		[DM_COW_STORE]	  = UDEV_NO_SUBSYSTEM | UDEV_NO_DISK | UDEV_NO_OTHER |
				    UDEV_LOW_PRIORITY,
		[DM_COW_SNAPSHOT] = UDEV_LOW_PRIORITY,
	};
	unsigned flags = kind[d->kind] | UDEV_PRIMARY;

	if (!udev)
		return flags | UDEV_NO_NODE | UDEV_NO_SUBSYSTEM;
	if (is_outside(d))
		flags |= UDEV_NO_SUBSYSTEM;	/* the link is not in /dev, and ours */
	return flags | UDEV_NO_FALLBACK;
}

/* Without a cookie udev does the same work, and we look what it has done. */
static void begin(struct change *c, const struct dm_device *d)
{
	*c = (struct change){ .udev = udev_runs() };
	if (c->udev && !d->hurry)
		udev_cookie_make(&c->cookie);
	c->event = (struct dm_event){ event_flags(d, c->udev), &c->cookie };
}

/*
 * udev may have died, or be set up in its own way.  What it was to make and
 * did not is made here: nobody shall fail for want of a name.
 */
static int named(struct change *c, const struct dm_device *d, const char *name,
		 const char *volume, dev_t dev)
{
	int err = 0;

	udev_cookie_wait(&c->cookie, d->deadline);
	if (!dm_node_is(name, dev))
		err = dm_node_make(name, dev, c->udev);
	if (!err && d->group && volume && !dm_link_is(d->root, d->group, volume, dev))
		err = dm_link_make(d->root, d->group, volume, name);
	return err;
}

/* udev removes what it made; a link of it that still leads somewhere is a new one. */
static int unnamed(struct change *c, const struct dm_device *d, const char *name,
		   const char *volume)
{
	bool answered = !udev_cookie_wait(&c->cookie, d->deadline);
	bool stale_only = c->udev && answered;
	int err = 0, node;

	if (d->group && volume)
		err = dm_link_drop(d->root, d->group, volume, stale_only && !is_outside(d));
	node = dm_node_drop(name, stale_only);
	return err ? err : node;
}

/* --- finding and comparing -------------------------------------------------------- */

/* -ENXIO when there is none; -EEXIST when name and uuid are not of one device. */
static int find(int ctl, const struct dm_device *d, struct dm_info *now)
{
	bool has_uuid = d->uuid && *d->uuid;
	int err = dm_info(ctl, has_uuid ? dm_by_uuid(d->uuid) : dm_by_name(d->name), now);

	if (!err)
		return strcmp(has_uuid ? now->name : now->uuid, has_uuid ? d->name : "") ?
		       -EEXIST : 0;
	if (err == -ENXIO && has_uuid && !dm_info(ctl, dm_by_name(d->name), now))
		return -EEXIST;
	return err;
}

/* 1: the live table is the one wanted.  0: it is not, or there is none. */
static int is_current(int ctl, const struct dm_device *d, const struct dm_info *now)
{
	struct arena a = { 0 };
	struct dm_table have;
	int r = 0;

	if (now->live && now->read_only == d->read_only) {
		r = dm_table(ctl, dm_by_dev(now->dev), false, &a, &have);
		if (!r)
			r = dm_table_equal(&have, d->table);
	}
	arena_free(&a);
	return r;
}

/* --- swapping tables ---------------------------------------------------------------- */

/* A table that is refused leaves the device suspended, with the old one. */
static int swap(int ctl, dev_t dev, unsigned how, const struct dm_event *ev)
{
	int err = dm_resume(ctl, dm_by_dev(dev), how, ev);
	struct dm_info now;

	if (err && !dm_info(ctl, dm_by_dev(dev), &now) && now.suspended)
		dm_resume(ctl, dm_by_dev(dev), how, ev);	/* err is what matters */
	return err;
}

int dm_freeze(struct dm_frozen *f, int ctl, dev_t dev, unsigned how, const struct dm_event *ev)
{
	int err = dm_suspend(ctl, dm_by_dev(dev), how);

	if (err)
		return err;
	*f = (struct dm_frozen){ ctl, dev, ev, true };
	return 0;
}

int dm_thaw(struct dm_frozen *f)
{
	int err = 0;

	if (f->held)
		err = swap(f->ctl, f->dev, 0, f->event);
	f->held = false;
	return err;
}

void dm_thaw_back(struct dm_frozen *f)
{
	int e = errno;

	if (f->held) {
		/* Even with the wrong table a device that runs is better than one that does not. */
		dm_clear(f->ctl, dm_by_dev(f->dev));
		dm_resume(f->ctl, dm_by_dev(f->dev), 0, f->event);
	}
	f->held = false;
	errno = e;
}

/* Whatever it is doing: this table, live and running. */
static int bring_to(int ctl, const struct dm_device *d, const struct dm_info *now, unsigned how,
		    struct change *c)
{
	struct dm_ref dev = dm_by_dev(now->dev);
	int current = is_current(ctl, d, now), err;

	if (current < 0)
		return current;
	if (current && now->inactive) {			/* left by a death */
		err = dm_clear(ctl, dev);
		if (err)
			return err;
	}
	if (current && !now->suspended)
		return 0;
	if (!current) {
		err = dm_load(ctl, dev, d->table, d->read_only);
		if (err)
			return err;
	}
	err = swap(ctl, now->dev, how, &c->event);	/* commit */
	if (err && !current)
		dm_clear(ctl, dev);		/* a table that failed and is still there */
	return err;
}

/* --- what drivers call ---------------------------------------------------------------- */

static bool names_ok(const struct dm_device *d)
{
	return !d->group || !d->volume || dm_link_ok(d->group, d->volume);
}

int dm_activate(int ctl, const struct dm_device *d, dev_t *dev)
{
	_change_drop_ struct change c = { 0 };
	struct dm_info now = { 0 };
	bool made = false;
	int err = names_ok(d) ? find(ctl, d, &now) : -EINVAL;

	if (err == -ENXIO) {
		err = dm_create(ctl, d->name, d->uuid, &now.dev);
		made = !err;
		if (err == -EBUSY)		/* somebody else was faster */
			err = find(ctl, d, &now);
	}
	if (err)
		return err;
	begin(&c, d);
	err = bring_to(ctl, d, &now, 0, &c);
	if (err && made)
		dm_remove(ctl, dm_by_dev(now.dev), false, NULL);	/* err is what matters */
	if (err)
		return err;
	if (dev)
		*dev = now.dev;
	err = named(&c, d, d->name, d->volume, now.dev);
	if (err && made)
		dm_deactivate(ctl, d);
	return err;
}

int dm_reload(int ctl, const struct dm_device *d, unsigned how)
{
	_change_drop_ struct change c = { 0 };
	struct dm_info now;
	int err = find(ctl, d, &now);

	if (err)
		return err;
	begin(&c, d);
	err = bring_to(ctl, d, &now, how, &c);
	return err ? err : named(&c, d, d->name, d->volume, now.dev);
}

/* Mounted, or in another table: waiting would not help.  Opened plainly cannot be seen. */
static bool is_held(const char *name, dev_t dev)
{
	struct arena a = { 0 };
	char path[DM_PATH_MAX];
	const char **holders;
	size_t n = 0;
	bool held;

	held = !blk_holders(dev, &a, &holders, &n) && n;
	arena_free(&a);
	return held || (!dm_path(path, name) && blk_is_held(path) == 1);
}

static int remove_patiently(int ctl, const struct dm_device *d, const struct dm_info *now,
			    const struct dm_event *ev)
{
	uint64_t until = clock_now_mono() + PATIENCE;
	int err;

	if (d->deadline && d->deadline < until)
		until = d->deadline;
	for (;;) {
		err = dm_remove(ctl, dm_by_dev(now->dev), false, ev);
		if (err != -EBUSY || !clock_left(until) || is_held(now->name, now->dev))
			return err;
		clock_sleep(PAUSE);
	}
}

int dm_deactivate(int ctl, const struct dm_device *d)
{
	_change_drop_ struct change c = { 0 };
	bool has_uuid = d->uuid && *d->uuid;
	struct dm_info now;
	int err;

	err = dm_info(ctl, has_uuid ? dm_by_uuid(d->uuid) : dm_by_name(d->name), &now);
	if (err == -ENXIO) {
		/* Its names may have outlived it, unless they are another device's. */
		if (!dm_info(ctl, dm_by_name(d->name), &now))
			return 0;
		return unnamed(&c, d, d->name, d->volume);
	}
	if (err)
		return err;
	begin(&c, d);
	err = remove_patiently(ctl, d, &now, &c.event);
	if (err && err != -ENXIO)
		return err;
	return unnamed(&c, d, now.name, d->volume);
}

int dm_move(int ctl, const struct dm_device *d, const char *new_name, const char *new_volume)
{
	_change_drop_ struct change c = { 0 };
	struct dm_device to = *d;
	struct dm_info now;
	int err;

	to.name = new_name;
	to.volume = new_volume;
	if (!names_ok(&to))
		return -EINVAL;
	begin(&c, d);
	err = find(ctl, &to, &now);		/* we may have been here before */
	if (err) {
		err = find(ctl, d, &now);
		if (!err)
			err = dm_rename(ctl, d->name, new_name, &c.event);	/* commit */
	}
	if (!err)
		err = named(&c, d, new_name, new_volume, now.dev);
	if (!err && strcmp(d->name, new_name))
		err = dm_node_drop(d->name, false);
	if (!err && d->group && d->volume && (!new_volume || strcmp(d->volume, new_volume)))
		err = dm_link_drop(d->root, d->group, d->volume, false);
	return err;
}
