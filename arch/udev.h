/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * udev, which names device-mapper devices where it runs, and how one waits
 * until it has done so: by a System V semaphore that its rules count down, in
 * libdevmapper's way, so that the rules of the distribution need not know us.
 *
 *	_udev_drop_ struct udev_cookie c = { 0 };
 *
 *	if (udev_runs())
 *		udev_cookie_make(&c);
 *	... dm_resume(ctl, dev, 0, &(struct dm_event){ flags, &c });
 *	udev_cookie_wait(&c, deadline);
 *
 * A death leaves the semaphore behind ("dmsetup udevcookies" lists such); it
 * does no harm beyond taking one of some thousands.
 */
#ifndef ARCH_UDEV_H
#define ARCH_UDEV_H

#include <stdbool.h>
#include <stdint.h>

/* What the rules are to leave undone for a device, and how sure we are. */
enum udev_flags {
	UDEV_NO_NODE	  = 0x0001,	/* no /dev/mapper/NAME */
	UDEV_NO_SUBSYSTEM = 0x0002,	/* no /dev/VG/LV */
	UDEV_NO_DISK	  = 0x0004,	/* no /dev/disk/by-... */
	UDEV_NO_OTHER	  = 0x0008,	/* nobody looks at what is on it */
	UDEV_LOW_PRIORITY = 0x0010,	/* others with the same contents keep the links */
	UDEV_NO_FALLBACK  = 0x0020,	/* the library will not make what the rules do not */
	UDEV_PRIMARY	  = 0x0040,	/* the event comes from who manages the device */
};

/* Zeroed: nobody waits. */
struct udev_cookie {
	uint16_t base;
	int sem;
};

bool udev_runs(void);

/* On failure the cookie stays empty: events are sent, and nobody waits. */
int udev_cookie_make(struct udev_cookie *c);
/* One more, or one less, event to wait for; nothing for an empty cookie. */
int udev_cookie_add(struct udev_cookie *c);
void udev_cookie_sub(struct udev_cookie *c);
/*
 * Until the rules are done with all events, and let the cookie go.  -ETIMEDOUT
 * at the deadline (monotonic clock, ns), or after half a minute when it is 0:
 * udev may have been stopped in between, and then nobody would ever answer.
 */
int udev_cookie_wait(struct udev_cookie *c, uint64_t deadline);
void udev_cookie_drop(struct udev_cookie *c);

#define _udev_drop_ __attribute__((cleanup(udev_cookie_drop)))

#endif
