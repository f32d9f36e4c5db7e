/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ioctls of /dev/mapper/control, one function each. */
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "arch/blk.h"
#include "arch/linux/dm_impl.h"
#include "arch/udev.h"
#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/err.h"

#define CONTROL		"/dev/mapper/control"
#define CONTROL_MAJOR	10
#define CONTROL_MINOR	236

/* What a query may answer: ten thousand devices need some 2 MiB. */
#define ANSWER_FIRST	(16u << 10)
#define ANSWER_MOST	(64u << 20)
#define MESSAGE_ANSWER	(64u << 10)

uint64_t dm_dev_put(dev_t dev)
{
	uint64_t ma = major(dev), mi = minor(dev);

	return (mi & 0xff) | ma << 8 | (mi & ~(uint64_t)0xff) << 12;
}

dev_t dm_dev_get(uint64_t w)
{
	return makedev((unsigned)(w >> 8 & 0xfff), (unsigned)((w & 0xff) | (w >> 12 & 0xfff00)));
}

/* --- the two ways to call ---------------------------------------------------- */

/* EINTR comes from waiting for I/O to end, and then all is as it was before. */
static int command(int ctl, unsigned long cmd, struct dm_ioctl *h)
{
	int r;

	do {
		r = ioctl(ctl, cmd, h);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

/*
 * The kernel does not refuse a buffer that is too short: it cuts the answer
 * off and says so in a flag.  Queries, and only they, are then repeated.
 */
static int query(int ctl, unsigned long cmd, const struct dm_ioctl *req, struct buf *b)
{
	for (uint32_t room = ANSWER_FIRST; room <= ANSWER_MOST; room *= 2) {
		struct dm_ioctl *h;
		int err;

		buf_reset(b);
		h = (struct dm_ioctl *)buf_room(b, room);
		memset(h, 0, room);
		memcpy(h, req, sizeof(*h));
		h->data_size = room;
		err = command(ctl, cmd, h);
		if (err)
			return err;
		b->n = room;
		if (!(h->flags & DM_BUFFER_FULL_FLAG))
			return 0;
	}
	return -EMSGSIZE;
}

/* What follows the header in an answer. */
static struct view payload(const struct buf *b)
{
	const struct dm_ioctl *h = (const struct dm_ioctl *)b->p;

	if (h->data_start > b->n)
		return (struct view){ b->p, 0 };
	return (struct view){ b->p + h->data_start, b->n - h->data_start };
}

static void head(struct dm_ioctl *h, uint32_t flags)
{
	*h = (struct dm_ioctl){
		/* What we speak; features beyond it are asked for by flags. */
		.version = { DM_VERSION_MAJOR, 0, 0 },
		.data_size = sizeof(*h),
		.data_start = sizeof(*h),
		.flags = flags,
	};
}

/* A second name for the device is an error to the kernel, and none too. */
static int head_for(struct dm_ioctl *h, struct dm_ref dev, uint32_t flags)
{
	head(h, flags);
	if (!dev.name + !dev.uuid + !dev.dev != 2)
		return -EINVAL;
	if (dev.name)
		return dm_mangle(h->name, sizeof(h->name), dev.name);
	if (dev.uuid)
		return dm_mangle(h->uuid, sizeof(h->uuid), dev.uuid);
	h->dev = dm_dev_put(dev.dev);
	return 0;
}

/* A command with nothing but a header, which needs no memory. */
static int plain(int ctl, unsigned long cmd, struct dm_ref dev, uint32_t flags)
{
	struct dm_ioctl h;
	int err = head_for(&h, dev, flags);

	return err ? err : command(ctl, cmd, &h);
}

/* The cookie counts events that will come: none does from a call that failed. */
static int with_event(int ctl, unsigned long cmd, struct dm_ioctl *h, const struct dm_event *ev)
{
	struct udev_cookie none = { 0 }, *c = ev && ev->cookie ? ev->cookie : &none;
	int err = udev_cookie_add(c);

	if (err)
		return err;
	h->event_nr = (ev ? ev->flags << 16 : 0) | c->base;
	err = command(ctl, cmd, h);
	if (err || !(h->flags & DM_UEVENT_GENERATED_FLAG))
		udev_cookie_sub(c);
	return err;
}

/* --- the control device -------------------------------------------------------- */

/* Who may give it orders is a matter of capabilities; how it was opened does not count. */
static int open_control(void)
{
	int fd = open(CONTROL, O_RDONLY | O_CLOEXEC), err;

	if (fd >= 0)
		return fd;
	if (errno != ENOENT)
		return -errno;
	if (mkdir("/dev/mapper", 0755) && errno != EEXIST)
		return -errno;
	err = blk_node(CONTROL, S_IFCHR, makedev(CONTROL_MAJOR, CONTROL_MINOR));
	if (err)
		return err;
	fd = open(CONTROL, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The kernel fills in its own version even where it refuses ours. */
int dm_version(int ctl, uint32_t *minor_nr)
{
	struct dm_ioctl h;
	int err;

	head(&h, 0);
	err = command(ctl, DM_VERSION, &h);
	if (h.version[0] != DM_VERSION_MAJOR)
		return -E_DM_VERSION;
	if (err)
		return err;
	*minor_nr = h.version[1];
	return 0;
}

int dm_open(void)
{
	_close_ int fd = open_control();
	uint32_t minor_nr;
	int err;

	if (fd < 0)
		return fd;
	err = dm_version(fd, &minor_nr);
	return err ? err : take_fd(&fd);
}

/* --- devices ------------------------------------------------------------------------ */

int dm_create(int ctl, const char *name, const char *uuid, dev_t *dev)
{
	struct dm_ioctl h;
	int err = head_for(&h, dm_by_name(name), 0);

	if (!err && uuid && *uuid)
		err = dm_mangle(h.uuid, sizeof(h.uuid), uuid);
	if (!err)
		err = command(ctl, DM_DEV_CREATE, &h);
	if (!err && dev)
		*dev = dm_dev_get(h.dev);
	return err;
}

int dm_load(int ctl, struct dm_ref dev, const struct dm_table *t, bool read_only)
{
	_buf_free_ struct buf b = { 0 };
	struct dm_ioctl h, *sent;
	int err = head_for(&h, dev, read_only ? DM_READONLY_FLAG : 0);

	if (err)
		return err;
	buf_add(&b, &h, sizeof(h));
	err = dm_table_encode(&b, t);
	if (err)
		return err;
	if (b.n > ANSWER_MOST)
		return -E2BIG;
	sent = (struct dm_ioctl *)b.p;
	sent->data_size = (uint32_t)b.n;
	sent->target_count = (uint32_t)t->n;
	return command(ctl, DM_TABLE_LOAD, sent);
}

int dm_clear(int ctl, struct dm_ref dev)
{
	return plain(ctl, DM_TABLE_CLEAR, dev, 0);
}

static uint32_t how_flags(unsigned how)
{
	return (how & DM_FREEZE_FS ? 0 : DM_SKIP_LOCKFS_FLAG) |
	       (how & DM_NO_FLUSH ? DM_NOFLUSH_FLAG : 0);
}

int dm_suspend(int ctl, struct dm_ref dev, unsigned how)
{
	return plain(ctl, DM_DEV_SUSPEND, dev, DM_SUSPEND_FLAG | how_flags(how));
}

int dm_resume(int ctl, struct dm_ref dev, unsigned how, const struct dm_event *ev)
{
	struct dm_ioctl h;
	int err = head_for(&h, dev, how_flags(how));

	return err ? err : with_event(ctl, DM_DEV_SUSPEND, &h, ev);
}

/* The kernel looks the old one up by name and by nothing else. */
int dm_rename(int ctl, const char *name, const char *new_name, const struct dm_event *ev)
{
	struct {
		struct dm_ioctl h;
		char name[DM_NAME_MAX + 1];
	} m = { 0 };
	int err = head_for(&m.h, dm_by_name(name), 0);

	if (!err)
		err = dm_mangle(m.name, sizeof(m.name), new_name);
	if (err)
		return err;
	m.h.data_size = sizeof(m);
	m.h.data_start = offsetof(typeof(m), name);
	return with_event(ctl, DM_DEV_RENAME, &m.h, ev);
}

int dm_remove(int ctl, struct dm_ref dev, bool later, const struct dm_event *ev)
{
	struct dm_ioctl h;
	int err = head_for(&h, dev, later ? DM_DEFERRED_REMOVE : 0);

	return err ? err : with_event(ctl, DM_DEV_REMOVE, &h, ev);
}

/* --- questions ------------------------------------------------------------------------ */

int dm_info(int ctl, struct dm_ref dev, struct dm_info *info)
{
	struct dm_ioctl h;
	int err = head_for(&h, dev, 0);

	if (!err)
		err = command(ctl, DM_DEV_STATUS, &h);
	if (err)
		return err;
	*info = (struct dm_info){
		.dev = dm_dev_get(h.dev),
		.open_count = (uint32_t)h.open_count,
		.event_nr = h.event_nr,
		.n_targets = h.target_count,
		.live = h.flags & DM_ACTIVE_PRESENT_FLAG,
		.inactive = h.flags & DM_INACTIVE_PRESENT_FLAG,
		.suspended = h.flags & DM_SUSPEND_FLAG,
		.read_only = h.flags & DM_READONLY_FLAG,
		.remove_later = h.flags & DM_DEFERRED_REMOVE,
	};
	h.name[sizeof(h.name) - 1] = '\0';
	h.uuid[sizeof(h.uuid) - 1] = '\0';
	dm_demangle(info->name, sizeof(info->name), h.name);
	dm_demangle(info->uuid, sizeof(info->uuid), h.uuid);
	return 0;
}

static int targets(int ctl, struct dm_ref dev, uint32_t flags, struct arena *a, struct dm_table *t)
{
	_buf_free_ struct buf b = { 0 };
	struct dm_ioctl h;
	int err = head_for(&h, dev, flags);

	if (!err)
		err = query(ctl, DM_TABLE_STATUS, &h, &b);
	if (err)
		return err;
	return dm_table_decode(a, payload(&b), ((struct dm_ioctl *)b.p)->target_count, t);
}

int dm_table(int ctl, struct dm_ref dev, bool inactive, struct arena *a, struct dm_table *t)
{
	uint32_t flags = DM_STATUS_TABLE_FLAG | DM_NOFLUSH_FLAG;

	return targets(ctl, dev, flags | (inactive ? DM_QUERY_INACTIVE_TABLE_FLAG : 0), a, t);
}

int dm_status(int ctl, struct dm_ref dev, struct arena *a, struct dm_table *t)
{
	return targets(ctl, dev, DM_NOFLUSH_FLAG, a, t);
}

int dm_deps(int ctl, struct dm_ref dev, struct arena *a, dev_t **devs, size_t *n)
{
	_buf_free_ struct buf b = { 0 };
	struct dm_ioctl h;
	int err = head_for(&h, dev, 0);

	*devs = NULL;
	*n = 0;
	if (!err)
		err = query(ctl, DM_TABLE_DEPS, &h, &b);
	if (err)
		return err;
	/* Without a live table there is no payload at all. */
	if (!(((struct dm_ioctl *)b.p)->flags & DM_ACTIVE_PRESENT_FLAG))
		return 0;
	return dm_deps_decode(a, payload(&b), devs, n);
}

/* A message is a command: when its answer is cut off, it is not sent again. */
int dm_message(int ctl, struct dm_ref dev, uint64_t sector, const char *text,
	       struct arena *a, const char **answer)
{
	_buf_free_ struct buf b = { 0 };
	struct dm_target_msg msg = { .sector = sector };
	size_t len = sizeof(msg) + strlen(text) + 1;
	struct dm_ioctl h, *m;
	struct view v;
	int err = head_for(&h, dev, 0);

	if (answer)
		*answer = NULL;
	if (err)
		return err;
	if (len > MESSAGE_ANSWER - sizeof(h))
		return -E2BIG;
	memset(buf_room(&b, MESSAGE_ANSWER), 0, MESSAGE_ANSWER);
	h.data_size = MESSAGE_ANSWER;
	buf_add(&b, &h, sizeof(h));
	buf_add(&b, &msg, sizeof(msg));
	buf_add(&b, text, strlen(text) + 1);
	b.n = MESSAGE_ANSWER;
	m = (struct dm_ioctl *)b.p;
	err = command(ctl, DM_TARGET_MSG, m);
	if (err || !(m->flags & DM_DATA_OUT_FLAG))
		return err;
	if (m->flags & DM_BUFFER_FULL_FLAG)
		return -EMSGSIZE;
	v = payload(&b);
	if (answer && v.n)
		*answer = arena_strndup(a, v.p, v.n);
	return 0;
}

/* Before 4.46 (Linux 5.13) the list has no uuids: each device is asked. */
int dm_list(int ctl, struct arena *a, struct dm_entry **v, size_t *n)
{
	_buf_free_ struct buf b = { 0 };
	struct dm_info info;
	struct dm_ioctl h;
	bool has_uuids = false;
	size_t kept = 0;
	int err;

	head(&h, DM_UUID_FLAG);
	err = query(ctl, DM_LIST_DEVICES, &h, &b);
	if (!err)
		err = dm_list_decode(a, payload(&b), ((struct dm_ioctl *)b.p)->version[1], v, n,
				     &has_uuids);
	if (err || has_uuids)
		return err;
	for (size_t i = 0; i < *n; i++) {
		struct dm_entry *e = *v + i;

		err = dm_info(ctl, dm_by_dev(e->dev), &info);
		if (err == -ENXIO)
			continue;		/* removed meanwhile */
		if (err)
			return err;
		e->uuid = arena_strdup(a, info.uuid);
		(*v)[kept++] = *e;
	}
	*n = kept;
	return 0;
}
