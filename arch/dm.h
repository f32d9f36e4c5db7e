/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Device-mapper: block devices that are made of ranges of others.
 *
 *	create       load              resume
 *	  ──► empty ──► table inactive ──► table live ──► remove
 *	                      ▲   resume:      │
 *	                      │   they swap    │ load: a second table, beside it
 *	                      └────────────────┘
 *
 * Part one is the kernel's calls, one function each.  Part two is what drivers
 * use: whole sequences with device nodes, links and udev, which can be repeated
 * after a death at any point.  For an LV's name, uuid and table see lib/lvm2/dm.h.
 *
 * Names and uuids are plain here.  Characters that the kernel or udev would
 * trip over are written \xNN outside, as libdevmapper does, so the limits hold
 * for that form.  Sizes and offsets are in sectors of 512 bytes.
 */
#ifndef ARCH_DM_H
#define ARCH_DM_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct arena;
struct buf;
struct udev_cookie;

#define DM_NAME_MAX	127
#define DM_UUID_MAX	128
#define DM_TYPE_MAX	15

struct dm_target {
	uint64_t start, length;
	const char *type;		/* "linear" */
	const char *params;		/* devices in them are best given as MAJOR:MINOR */
};

struct dm_table {
	struct dm_target *target;	/* without gaps, the first at 0 */
	size_t n;
};

/* Which device: exactly one of the three. */
struct dm_ref {
	const char *name;
	const char *uuid;
	dev_t dev;
};

static inline struct dm_ref dm_by_name(const char *name)
{
	return (struct dm_ref){ .name = name };
}

/* The best one for LVs: their names change, minor numbers are used again. */
static inline struct dm_ref dm_by_uuid(const char *uuid)
{
	return (struct dm_ref){ .uuid = uuid };
}

static inline struct dm_ref dm_by_dev(dev_t dev)
{
	return (struct dm_ref){ .dev = dev };
}

struct dm_info {
	dev_t dev;
	char name[DM_NAME_MAX + 1];
	char uuid[DM_UUID_MAX + 1];	/* "" = none */
	uint32_t open_count;		/* holders in other tables included */
	uint32_t event_nr;
	uint32_t n_targets;		/* of the live table */
	bool live, inactive;		/* which tables there are */
	bool suspended;
	bool read_only;
	bool remove_later;		/* as soon as its last user closes it */
};

struct dm_entry {
	dev_t dev;
	const char *name, *uuid;	/* no uuid is "" */
};

/* --- the kernel's calls ----------------------------------------------------
 *
 * Each returns 0 or the kernel's error; -ENXIO means that there is no such
 * device, -ENAMETOOLONG or -EINVAL that a name cannot be one.  Commands are
 * never sent twice, except after -EINTR, which left nothing done.
 */

/*
 * The control device, whose node is made if it is missing; close() it.
 * -ENODEV or -ENXIO without device-mapper in the kernel, -E_DM_VERSION when
 * that speaks another protocol (since 2006 all speak ours).
 */
int dm_open(void);
/* By what dm_open() has answered: there is none, so nothing can be active. */
static inline bool dm_is_absent(int err)
{
	return err == -ENODEV || err == -ENXIO;
}
/* The version of the kernel's interface, 4.x: features are dated by x. */
int dm_version(int ctl, uint32_t *minor);

/* A device without a table; -EBUSY if the name or the uuid is taken.  uuid may be NULL. */
int dm_create(int ctl, const char *name, const char *uuid, dev_t *dev);

/*
 * Into the inactive slot, instead of what is there.  The first table of a
 * device is checked against the sizes of those below, a later one only when it
 * is resumed.  A table that leads back to the device itself is not noticed.
 */
int dm_load(int ctl, struct dm_ref dev, const struct dm_table *t, bool read_only);
/* Forget the inactive table. */
int dm_clear(int ctl, struct dm_ref dev);

enum dm_suspend_how {
	DM_FREEZE_FS = 1,	/* a mounted file system is brought to rest first */
	DM_NO_FLUSH  = 2,	/* keep I/O under way, do not wait for it: thin pools */
};

/*
 * No I/O passes from here on.  Until dm_resume() nothing may be touched that
 * could lie on the device: no files, no log, no memory that may be swapped.
 * Suspending a suspended device does nothing.
 */
int dm_suspend(int ctl, struct dm_ref dev, unsigned how);

/* What udev is told; NULL or no cookie: nobody waits. */
struct dm_event {
	unsigned flags;			/* enum udev_flags */
	struct udev_cookie *cookie;
};

/*
 * Let I/O pass, and first swap in the inactive table if there is one.  A device
 * that was running is suspended for that moment by the kernel itself, so that
 * we cannot die in between.  When the kernel does not like the table, that is
 * gone and the device *stays suspended* with the old one: resume once more.
 */
int dm_resume(int ctl, struct dm_ref dev, unsigned how, const struct dm_event *ev);

/* The new name must be free (-EBUSY). */
int dm_rename(int ctl, const char *name, const char *new_name, const struct dm_event *ev);

/*
 * -EBUSY while it is open; with later, the kernel does it at the last close,
 * and the device is still seen until then, or even a moment longer.
 */
int dm_remove(int ctl, struct dm_ref dev, bool later, const struct dm_event *ev);

int dm_info(int ctl, struct dm_ref dev, struct dm_info *info);
/* The live table, or the inactive one; one that is not there has no targets. */
int dm_table(int ctl, struct dm_ref dev, bool inactive, struct arena *a, struct dm_table *t);
/* What each target says of itself; params are its words.  Does not make a pool commit. */
int dm_status(int ctl, struct dm_ref dev, struct arena *a, struct dm_table *t);
/* The devices below the live table. */
int dm_deps(int ctl, struct dm_ref dev, struct arena *a, dev_t **devs, size_t *n);
/*
 * To the target at that sector.  *answer, unless NULL, is what it said, or NULL.
 * -EMSGSIZE: it was done, but the answer has more than 64 KiB.
 */
int dm_message(int ctl, struct dm_ref dev, uint64_t sector, const char *text,
	       struct arena *a, const char **answer);
/* All devices, in no particular order. */
int dm_list(int ctl, struct arena *a, struct dm_entry **v, size_t *n);

/* --- tables as text ---------------------------------------------------------
 * Lines of "START LENGTH TYPE PARAMS", as dmsetup has them.
 */

/* -E_DM_TABLE for what is none. */
int dm_table_parse(struct arena *a, const char *text, struct dm_table *t);
void dm_table_print(const struct dm_table *t, struct buf *b);
bool dm_table_equal(const struct dm_table *a, const struct dm_table *b);

/* --- names -------------------------------------------------------------------*/

/* "a b" to "a\x20b" and back; n is the size of out.  -ENAMETOOLONG, -EINVAL if empty. */
int dm_mangle(char *out, size_t n, const char *plain);
void dm_demangle(char *out, size_t n, const char *mangled);

#define DM_PATH_MAX	(sizeof("/dev/mapper/") + DM_NAME_MAX)

/* /dev/mapper/NAME. */
int dm_path(char path[DM_PATH_MAX], const char *name);

/* --- sequences ---------------------------------------------------------------*/

/* Who shall see a device, and who may look into it. */
enum dm_kind {
	DM_VISIBLE,		/* an LV: udev looks what is on it */
	DM_GUEST,		/* a guest's disk: it has names, but nobody looks inside */
	DM_HIDDEN,		/* a part of others */
	DM_COW_STORE,
	DM_COW_SNAPSHOT,
};

/* A device as it should be. */
struct dm_device {
	const char *name;
	const char *uuid;		/* NULL: none */
	enum dm_kind kind;
	bool read_only;
	const struct dm_table *table;
	const char *group, *volume;	/* /dev/GROUP/VOLUME leads to it; or NULL */
	const char *root;		/* those links are below it: SM_ROOT, or NULL */
	uint64_t deadline;		/* for udev, and for who still has it open */
	bool hurry;			/* a guest waits: names are made here, and nobody waits for udev */
};

/*
 * Make it so, whatever of it exists: created, with this table and no other,
 * running, with its node and link.  -EEXIST when the name belongs to another
 * device, or the device has another name; that is left alone.  What was
 * created here is removed again on failure.  *dev may be NULL.
 */
int dm_activate(int ctl, const struct dm_device *d, dev_t *dev);

/*
 * Change the table of a running device; the I/O of its users just waits for it.
 * Nothing happens when it has that table already.  On failure it goes on with
 * the old one.
 */
int dm_reload(int ctl, const struct dm_device *d, unsigned how);

/*
 * Remove it with its node and link; 0 too when there is none.  -EBUSY when it
 * is mounted or below another device; for who just has it open, we wait up to
 * five seconds, because udev looks at devices after each change.  table and
 * kind are not used, and with a uuid the name need not be right any more.
 */
int dm_deactivate(int ctl, const struct dm_device *d);

/* Give it, and its link, new names.  0 too when it has them already. */
int dm_move(int ctl, const struct dm_device *d, const char *new_name, const char *new_volume);

/*
 * Hold a device still while something is committed that must change together
 * with its table:
 *
 *	_dm_thaw_ struct dm_frozen f = { 0 };
 *
 *	err = dm_load(ctl, dev, &table, false);
 *	if (!err)
 *		err = dm_freeze(&f, ctl, info.dev, 0, &ev);
 *	if (!err)
 *		err = ... commit ...
 *	return err ? err : dm_thaw(&f);		with the new table
 *
 * On every other way out the new table is dropped and the old one goes on.
 * The caller's event must live as long; to wait for udev is for afterwards.
 */
struct dm_frozen {
	int ctl;
	dev_t dev;
	const struct dm_event *event;
	bool held;
};

int dm_freeze(struct dm_frozen *f, int ctl, dev_t dev, unsigned how, const struct dm_event *ev);
/* When the kernel does not take the new table: its error, running with the old one. */
int dm_thaw(struct dm_frozen *f);
void dm_thaw_back(struct dm_frozen *f);

#define _dm_thaw_ __attribute__((cleanup(dm_thaw_back)))

#endif
