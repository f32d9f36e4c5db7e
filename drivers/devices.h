/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a transport of block devices hands to the layout on them: the members
 * of dconf device, opened, and on demand all others of this host.
 *
 * Devices change their names: /dev/sdb of yesterday is /dev/sdc today, and
 * something else may be /dev/sdb.  The layout knows by their contents which are
 * its own.  What it does not find among those it was given it looks for:
 *
 *	if (n_pvs < wanted && devices_search(sr, false) > 0) {
 *		keep[i] = ... is it one of ours? ...
 *		devices_keep(sr, keep, all_found);
 *	}
 *
 * A device that belongs to a guest, or that is only a part of something else
 * (arch/scan.h), is not even opened, also when dconf names it.
 */
#ifndef DRIVERS_DEVICES_H
#define DRIVERS_DEVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct io;
struct scan;
struct sr;

struct device {
	const char *path;	/* as dconf names it, or where it was found */
	dev_t dev;
	dev_t disk;		/* of a partition, its disk; else 0 */
	struct io *io;		/* owned by the transport; writable when the verb writes */
	bool named;		/* by dconf; the others are open for reading only */
};

struct devices {
	struct device *v;
	size_t n, room;
	/* Of the first member of dconf that is not in the list: an error, in words too. */
	int lost;
	const char *lost_why, *lost_paths;	/* all of them, with commas */
	struct scan *scan;	/* of the whole host, once it was needed */
};

/* sr->transport_data of a transport of devices, once it is staged or open. */
struct devices *sr_devices(struct sr *sr);

/*
 * Add what else there is to the list.  How many were added, or an error.  every:
 * also what lvm2's list of devices leaves out.
 */
int devices_search(struct sr *sr, bool every);

/*
 * Are there other devices than at the last devices_seen() for this SR?  A copy of
 * one of its disks may have come.  *now says which there are, for devices_seen()
 * once all of those have been looked into: what comes meanwhile is news again.
 */
bool devices_have_news(struct sr *sr, uint64_t *now);
void devices_seen(struct sr *sr, uint64_t then);
void devices_forget(struct sr *sr);	/* it is detached, or gone */

/*
 * Keep these members, open as the verb needs them, and close the others.  When
 * that are not those that dconf names, dconf device is changed (sr->moved);
 * whole: none is missing any more, so what could not be opened leaves it too.
 */
int devices_keep(struct sr *sr, const bool *keep, bool whole);

/*
 * Every device of this host that might hold an SR, by path: what "sr probe"
 * looks into when it is told of none.
 */
int devices_survey(struct sr *sr, const char ***paths, size_t *n);

#endif
