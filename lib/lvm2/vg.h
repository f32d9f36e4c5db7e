/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A volume group in memory: what one text says, and what has been changed.
 *
 *	struct lvm_vg ── pvs[] ──> struct lvm_pv ── dev ──> the device it is on
 *	     └── first ──> struct lvm_lv ──next──> ...
 *	                        └── seg[] ── leg[] ──> extents of a PV, or another LV
 *
 * Only what somebody acts on is a field here.  Everything else stays in the
 * text: an object remembers the part of the text it was read from (raw), and
 * that part is written back as it was unless the object is marked as changed.
 * Then it is parsed once more, the fields below are put into it, and what we do
 * not know is kept.
 *
 * Sizes are extents here; a sector is 512 bytes as everywhere in LVM2.
 */
#ifndef LIB_LVM2_VG_H
#define LIB_LVM2_VG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bytes.h"
#include "lib/lvm2/label.h"
#include "lib/lvm2/map.h"

struct arena;
struct buf;
struct lvm_dev;
struct lvm_node;

/* Words of "status" and "flags"; one set for each kind of object. */
enum lvm_vg_flag {
	LVM_VG_EXPORTED = 1 << 0, LVM_VG_RESIZEABLE = 1 << 1, LVM_VG_PVMOVE = 1 << 2,
	LVM_VG_READ = 1 << 3, LVM_VG_WRITE = 1 << 4, LVM_VG_WRITE_LOCKED = 1 << 5,
	LVM_VG_NOAUTOACTIVATE = 1 << 6, LVM_VG_CLUSTERED = 1 << 7, LVM_VG_SHARED = 1 << 8,
	LVM_VG_PARTIAL = 1 << 9,
};

enum lvm_pv_flag { LVM_PV_ALLOCATABLE = 1 << 0, LVM_PV_EXPORTED = 1 << 1, LVM_PV_MISSING = 1 << 2 };

enum lvm_lv_flag {
	LVM_LV_READ = 1 << 0, LVM_LV_WRITE = 1 << 1, LVM_LV_WRITE_LOCKED = 1 << 2,
	LVM_LV_FIXED_MINOR = 1 << 3, LVM_LV_VISIBLE = 1 << 4, LVM_LV_PVMOVE = 1 << 5,
	LVM_LV_LOCKED = 1 << 6, LVM_LV_NOTSYNCED = 1 << 7, LVM_LV_REBUILD = 1 << 8,
	LVM_LV_WRITEMOSTLY = 1 << 9, LVM_LV_ACTIVATION_SKIP = 1 << 10,
	LVM_LV_NOAUTOACTIVATE = 1 << 11, LVM_LV_ERROR_WHEN_FULL = 1 << 12,
	LVM_LV_CACHE_VOL = 1 << 13,
};

struct lvm_word {
	const char *word;
	uint32_t bit;
	bool compatible;	/* belongs to "flags": may be unknown to a reader */
};
/* In the order in which LVM2 writes them; a NULL word ends each. */
extern const struct lvm_word lvm_vg_words[], lvm_pv_words[], lvm_lv_words[];

struct lvm_tags {
	const char **v;
	uint32_t n;
};

/* A run of free extents. */
struct lvm_gap {
	uint32_t start, count;
};

struct lvm_pv {
	const char *key;		/* "pv0": the name areas use, valid in this VG only */
	struct lvm_id id;
	const char *device;		/* where it was last seen; a hint */
	uint32_t flags;			/* enum lvm_pv_flag */
	uint64_t dev_size;		/* sectors; 0 unknown */
	uint64_t pe_start;		/* sectors */
	uint32_t pe_count;
	uint64_t ba_start, ba_size;	/* sectors; a region kept for boot code */
	struct lvm_tags tags;
	struct lvm_gap *gap;		/* free extents, in order */
	uint32_t n_gaps, gap_room;
	uint32_t n_free;		/* extents */
	bool mark;			/* scratch of the allocator, also the next */
	uint32_t end;
	struct lvm_dev *dev;		/* NULL: not among the devices looked at */
	struct view raw;
	bool changed;
};

struct lvm_leg {
	struct lvm_pv *pv;		/* one of the two */
	struct lvm_lv *lv;
	uint32_t extent;
};

enum lvm_seg_kind {
	LVM_SEG_UNKNOWN, LVM_SEG_STRIPED, LVM_SEG_SNAPSHOT, LVM_SEG_MIRROR, LVM_SEG_RAID,
	LVM_SEG_THIN_POOL, LVM_SEG_THIN, LVM_SEG_CACHE, LVM_SEG_CACHE_POOL, LVM_SEG_WRITECACHE,
	LVM_SEG_VDO_POOL, LVM_SEG_VDO, LVM_SEG_INTEGRITY, LVM_SEG_NONE,
};

struct lvm_seg {
	uint32_t start, count;		/* extents of the LV */
	const char *type;		/* as written, without its "+FLAGS" */
	enum lvm_seg_kind kind;
	uint32_t n_legs;
	uint32_t stripe_size;		/* sectors; 0 unless there are several stripes */
	struct lvm_leg *leg;		/* what the data lies on: stripes, images, data LV */
	struct view raw;
	bool tagged;			/* it has tags of its own */
	bool changed;
};

struct lvm_lv {
	struct lvm_lv *next, **link;	/* in the order of the text */
	const char *name;
	struct lvm_id id;
	uint32_t flags;			/* enum lvm_lv_flag */
	uint32_t extents;
	uint32_t n_segs;
	uint32_t n_users;		/* segments of other LVs that name this one */
	struct lvm_seg *seg;
	struct lvm_tags tags;
	uint64_t created;		/* seconds; 0 unknown */
	const char *host;		/* where it was created, or NULL */
	const char *policy;		/* allocation policy; NULL: the VG's */
	int64_t major, minor;		/* with LVM_LV_FIXED_MINOR */
	struct lvm_ref *ref;		/* the LVs its segments name */
	uint32_t n_refs;
	uint32_t mark;			/* scratch of whoever walks the graph */
	bool partial;			/* some of its data is on a PV that is not there */
	bool changed;
	struct view raw;
};

struct lvm_ref {
	struct lvm_lv *from, *to;
};

struct lvm_vg {
	struct arena *arena;
	const char *name;
	struct lvm_id id;
	uint32_t seqno;
	uint32_t flags;			/* enum lvm_vg_flag */
	struct lvm_tags tags;
	const char *system_id, *lock_type, *policy;	/* NULL: none */
	uint32_t extent_size;		/* sectors */
	uint32_t max_lv, max_pv;	/* 0: no limit */
	uint32_t metadata_copies;
	struct lvm_pv **pv;
	uint32_t n_pvs, n_lvs;
	struct lvm_lv *first, **end;
	struct lvm_lv *hidden;		/* the first LV of those that LVM2 writes last */
	struct lvm_map by_name;		/* LVs */
	struct lvm_map by_id;		/* LVs */
	struct lvm_node *head;		/* the VG's own fields */
	struct lvm_node *rest;		/* sections we carry along: historical LVs */
	struct lvm_ref *ref;
	uint32_t n_refs;
	struct lvm_lv **order;		/* as read: an LV before those it stands on; NULL: none does */
	uint32_t n_order;

	/* Of the devices it was read from (lib/lvm2/scan.h). */
	struct lvm_dev **dev;		/* those of its PVs that are present */
	uint32_t n_devs;
	struct lvm_dev **leaving;	/* to be emptied at the next commit */
	uint32_t n_leaving;
	bool twice;			/* another VG has the same name */
	bool removed;			/* the next commit removes it */
	bool restored;			/* the next commit puts back what was, read-only or not */
	bool grown;			/* something was done that wants every PV to be there */
	const char *our_system_id;	/* of the host we are on, or NULL */

	/* Why it must not be written to, beside what its fields say; 0: nothing. */
	int refuse;
	const char *refuse_why;
};

/*
 * Build a VG from its text, which must live as long as the VG.  On failure
 * *why says what is wrong, in words.  -E_TEXT… when the text cannot be read,
 * -E_LVM_FIELD for a field that is missing or no such field, -E_LVM_BAD when
 * it contradicts itself: overlapping segments, extents a PV does not have, a
 * missing LV, circles, one name or uuid twice.
 */
int lvm_vg_decode(struct arena *a, struct view text, struct lvm_vg **vg, const char **why);

/* What the beginning of a text says, without reading all of it. */
struct lvm_summary {
	const char *name;
	struct lvm_id id;
	uint32_t seqno;
};
int lvm_vg_summary(struct arena *a, struct view text, struct lvm_summary *s);

/* The text of a VG, as it goes to a disk; who signs it and when is in the stamp. */
struct lvm_stamp {
	const char *program;		/* "smbox 1.2" */
	const char *cause;		/* what was asked for: "vdi create" */
	const char *host;		/* of the person or agent who asked; "" unknown */
	const char *kernel;		/* "Linux 6.1.0 #1 SMP x86_64", or NULL */
	const char *system_id;		/* of this host, or NULL */
	uint64_t now;			/* seconds since 1970 */
};
void lvm_vg_print(struct lvm_vg *vg, const struct lvm_stamp *stamp, struct buf *b);
/* The part behind the VG: who, when, why. */
void lvm_stamp_print(struct buf *b, const struct lvm_stamp *stamp);
/* The part of it that is one LV, its name and braces included, as LVM2 would indent nothing. */
void lvm_lv_print(struct lvm_vg *vg, struct lvm_lv *lv, struct buf *b);

struct lvm_lv *lvm_lv_find(const struct lvm_vg *vg, const char *name);
struct lvm_lv *lvm_lv_by_id(const struct lvm_vg *vg, const char *id);
struct lvm_pv *lvm_pv_by_id(const struct lvm_vg *vg, const char *id);
/* Is it what its user made, and not a part of something else? */
bool lvm_lv_is_visible(const struct lvm_lv *lv);
bool lvm_pv_is_missing(const struct lvm_pv *pv);
uint64_t lvm_lv_bytes(const struct lvm_vg *vg, const struct lvm_lv *lv);
uint64_t lvm_extent_bytes(const struct lvm_vg *vg);
uint64_t lvm_vg_extents(const struct lvm_vg *vg);
uint64_t lvm_vg_free(const struct lvm_vg *vg);		/* extents, also those we may not use */

/* "" is not valid; "." and ".." neither; no '/' and nothing a shell or udev would trip over. */
bool lvm_name_ok(const char *s, size_t n);
bool lvm_tag_ok(const char *s);
bool lvm_has_tag(const struct lvm_tags *tags, const char *tag);

/* For those who read and change the model: lib/lvm2 itself. */
void lvm_tag_put(struct arena *a, struct lvm_tags *tags, const char *tag, bool add);
enum lvm_seg_kind lvm_seg_kind(struct view type);
void lvm_lv_link(struct lvm_vg *vg, struct lvm_lv *lv, struct lvm_lv *before);
void lvm_lv_unlink(struct lvm_vg *vg, struct lvm_lv *lv);
const char *lvm_lv_name_of(const void *lv);
const char *lvm_lv_id_of(const void *lv);
/* Set lv->partial of all, once the PVs have got their devices. */
void lvm_vg_mark_partial(struct lvm_vg *vg);
/* How many extents of its area a leg takes. */
uint32_t lvm_leg_extents(const struct lvm_seg *seg);
extern const char *const lvm_ref_keys[];		/* of a segment: fields that name LVs */

#endif
