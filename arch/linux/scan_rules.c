/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What follows from how devices are stacked: who may be looked into, who written to. */
#include <stdlib.h>
#include <string.h>

#include "arch/linux/scan_impl.h"
#include "arch/scan.h"
#include "lib/arena.h"
#include "lib/bytes.h"
#include "lib/uuid.h"

/* Deeper stacks are not believed: two devices that hold each other have no end. */
#define DEPTH_MOST	16
/* LVM2 takes nothing smaller for a PV. */
#define PV_MIN		(2 * MiB)

static bool begins(const char *s, const char *with)
{
	return s && !strncmp(s, with, strlen(with));
}

/* "part1-mpath-…": what kpartx makes of a partition on a dm device. */
static bool is_dm_partition(const struct scan_device *d)
{
	const char *p = d->dm_uuid;

	if (!begins(p, "part") || p[4] < '0' || p[4] > '9')
		return false;
	p += 4;
	p += strspn(p, "0123456789");
	return *p == '-';
}

/* --- conclusions -------------------------------------------------------------- */

/* Everything below a device that root needs: slaves, and a partition's disk. */
static void mark_root(struct scan *s, const struct scan_device *d, int depth)
{
	if (depth > DEPTH_MOST)
		return;
	for (size_t i = 0; i < s->n; i++) {
		struct scan_device *e = &s->dev[i];
		bool below = d->disk && !strcmp(d->disk, e->name);

		for (size_t k = 0; k < d->n_slaves; k++)
			below = below || !strcmp(d->slaves[k], e->name);
		if (!below || e->root)
			continue;
		e->root = true;
		mark_root(s, e, depth + 1);
	}
}

/*
 * An nbd shows a VDI if it is labelled with its uuid, as ours are from the start
 * and when they are all that a death has left; or with a device of ours on top,
 * where the kernel has no labels.
 */
static bool is_nbd_of_vdi(const struct scan *s, const struct scan_device *d)
{
	struct uuid u;

	if (d->nbd_label && !uuid_parse(&u, d->nbd_label))
		return true;
	for (size_t i = 0; i < d->n_holders; i++) {
		const struct scan_device *h = scan_find_name(s, d->holders[i]);

		if (h && begins(h->dm_name, "sm-"))
			return true;
	}
	return false;
}

static bool is_guest(const struct scan *s, const struct scan_device *d)
{
	if (begins(d->dm_uuid, "LVM-") || begins(d->dm_name, "sm-"))
		return true;
	if (begins(d->loop_file, "/run/sr-mount/") || begins(d->loop_file, "/var/run/sr-mount/"))
		return true;
	if (begins(d->name, "td") && d->name[2] >= 'a' && d->name[2] <= 'z')
		return true;		/* blktap's */
	return begins(d->name, "nbd") && is_nbd_of_vdi(s, d);
}

/* What is made of a guest's disk is one: its partitions, kpartx's, a RAID in it. */
static bool is_above_guest(const struct scan *s, const struct scan_device *d)
{
	const struct scan_device *e;

	e = d->disk ? scan_find_name(s, d->disk) : NULL;
	if (e && e->guest)
		return true;
	for (size_t i = 0; i < d->n_slaves; i++) {
		e = scan_find_name(s, d->slaves[i]);
		if (e && e->guest)
			return true;
	}
	return false;
}

void scan_conclude(struct scan *s)
{
	bool more = true;

	for (size_t i = 0; i < s->n; i++) {
		struct scan_device *d = &s->dev[i];

		if (d->root)
			mark_root(s, d, 0);
		d->guest = is_guest(s, d);
		for (size_t k = 0; k < d->n_holders; k++) {
			const struct scan_device *h = scan_find_name(s, d->holders[k]);

			d->partitioned = d->partitioned || (h && is_dm_partition(h));
		}
	}
	for (int depth = 0; more && depth < DEPTH_MOST; depth++) {
		more = false;
		for (size_t i = 0; i < s->n; i++) {
			if (s->dev[i].guest || !is_above_guest(s, &s->dev[i]))
				continue;
			s->dev[i].guest = true;
			more = true;
		}
	}
}

/* --- who may be looked into ------------------------------------------------------ */

const char *scan_refuses(const struct scan *s, const struct scan_device *d, bool guests_too)
{
	if (d->guest && !guests_too)
		return "a guest's disk";
	if (d->cdrom)
		return "a drive for removable media";
	if (!d->size)
		return "empty: it has no size";
	if (d->hidden)
		return "a path of a multipath device";
	for (size_t i = 0; i < d->n_holders; i++) {
		const struct scan_device *h = scan_find_name(s, d->holders[i]);

		if (h && begins(h->dm_uuid, "mpath-"))
			return "a path of a multipath device";
		if (h && h->md_level)
			return "a member of an md array";
	}
	if (d->dm_suspended)
		return "suspended";
	if (d->partitioned)
		return "a whole disk with partitions";
	if (d->size < PV_MIN)
		return "smaller than 2 MiB";
	return NULL;
}

static const char *shown(const struct scan *s, const char *name)
{
	const struct scan_device *d = scan_find_name(s, name);

	return d ? d->path : name;
}

static const char *why_itself(struct arena *a, const struct scan *s, const struct scan_device *d)
{
	if (d->root)
		return arena_printf(a, "%s holds the root file system", d->path);
	if (d->mounted)
		return arena_printf(a, "%s is mounted at %s", d->path, d->mounted);
	if (d->swap)
		return arena_printf(a, "%s is used as swap", d->path);
	if (d->n_holders)
		return arena_printf(a, "%s is a part of %s", d->path, shown(s, d->holders[0]));
	return NULL;
}

const char *scan_in_use(struct arena *a, const struct scan *s, const struct scan_device *d)
{
	const char *why = why_itself(a, s, d);

	for (size_t i = 0; !why && i < s->n; i++) {
		const struct scan_device *e = &s->dev[i];

		if (e->disk && !strcmp(e->disk, d->name))
			why = why_itself(a, s, e);
		/* A partition of a disk that is, as a whole, a part of something. */
		if (d->disk && !strcmp(d->disk, e->name) && e->n_holders)
			why = why_itself(a, s, e);
	}
	return why;
}

/* --- names that udev gives --------------------------------------------------------------- */

/*
 * Does the rest of an id, n characters, say this wwid?  The kernel says
 * "naa.600…"; scsi_id, and with it multipath, says "3600…", by the type of the id.
 */
static bool is_wwid(const char *id, size_t n, const char *wwid, bool typed)
{
	static const struct {
		char type;
		const char *prefix;
	} kinds[] = { { '3', "naa." }, { '2', "eui." }, { '1', "t10." } };
	char type = wwid ? *wwid : '\0';
	const char *rest = type ? wwid + 1 : "";

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (begins(wwid, kinds[i].prefix)) {
			type = kinds[i].type;
			rest = wwid + 4;
		}
	if (typed && (!n-- || *id++ != type))
		return false;
	return n && strlen(rest) == n && !memcmp(id, rest, n);
}

static bool has_id(const struct scan_device *d, const char *id, size_t n)
{
	if (n > 5 && begins(id, "scsi-"))
		return is_wwid(id + 5, n - 5, d->wwid, true);
	if (n > 6 && begins(id, "wwn-0x"))
		return is_wwid(id + 6, n - 6, d->wwid, false);
	if (n > 5 && begins(id, "nvme-"))
		return d->wwid && strlen(d->wwid) == n - 5 && !memcmp(d->wwid, id + 5, n - 5);
	if (n > 8 && begins(id, "dm-uuid-"))
		return d->dm_uuid && strlen(d->dm_uuid) == n - 8 &&
		       !memcmp(d->dm_uuid, id + 8, n - 8);
	return false;
}

const struct scan_device *scan_find_id(const struct scan *s, const char *id)
{
	const char *part = strstr(id, "-part");
	unsigned long number = part ? strtoul(part + 5, NULL, 10) : 0;
	size_t n = number ? (size_t)(part - id) : strlen(id);
	const struct scan_device *found = NULL;

	for (size_t i = 0; i < s->n; i++) {
		const struct scan_device *d = &s->dev[i];

		if (d->partition == number && has_id(d, id, n) && (!found || d->dm_name))
			found = d;
	}
	return found;
}

/* --- LVM2's list of devices --------------------------------------------------------- */

/* The value of KEY= in a line, as a view; n is 0 when it is not there. */
static struct view value_of(const char *line, size_t n, const char *key)
{
	size_t k = strlen(key);

	for (size_t i = 0; i + k <= n; i++) {
		if ((i && line[i - 1] != ' ') || strncmp(line + i, key, k))
			continue;
		i += k;
		for (k = i; k < n && line[k] != ' '; )
			k++;
		return (struct view){ line + i, k - i };
	}
	return (struct view){ line, 0 };
}

static bool is(struct view v, const char *s)
{
	return s && v.n && strlen(s) == v.n && !memcmp(v.p, s, v.n);
}

static bool line_lists(const char *line, size_t n, const struct scan_device *d)
{
	struct view type = value_of(line, n, "IDTYPE="), name = value_of(line, n, "IDNAME=");
	struct view part = value_of(line, n, "PART=");

	if (type.n && (part.n ? strtoul(part.p, NULL, 10) : 0) != d->partition)
		return false;
	if (is(type, "sys_wwid"))
		return is(name, d->wwid);
	if (is(type, "mpath_uuid") || is(type, "crypt_uuid") || is(type, "lvmlv_uuid"))
		return is(name, d->dm_uuid);
	if (is(type, "loop_file"))
		return is(name, d->loop_file);
	return type.n && is(value_of(line, n, "DEVNAME="), d->path);
}

bool scan_is_listed(const char *list, const struct scan_device *d)
{
	for (const char *p = list; *p; ) {
		size_t n = strcspn(p, "\n");

		if (*p != '#' && line_lists(p, n, d))
			return true;
		p += n;
		p += *p == '\n';
	}
	return false;
}
