/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One request struct in, one reply out.  Every front end fills the first and
 * prints the second; nothing below a front end knows which one it was.
 *
 * Strings belong to ctx->arena or argv.
 */
#ifndef SM_REQUEST_H
#define SM_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/sr.h"
#include "drivers/vdi.h"
#include "lib/kv.h"
#include "lib/uuid.h"

/* Every operation of every door.  The table in ops.c has a row for each. */
enum op {
	OP_NONE,
	OP_SR_DRIVER_INFO,	/* what the type is and can do; needs no SR */
	OP_SR_CREATE,
	OP_SR_DESTROY,		/* sr_delete */
	OP_SR_INTRODUCE,	/* smtab only */
	OP_SR_FORGET,
	OP_SR_PROBE,
	OP_SR_ATTACH,
	OP_SR_DETACH,
	OP_SR_SCAN,
	OP_SR_UPDATE,
	OP_SR_SHOW,		/* sr_get_params */
	OP_SR_LIST,
	OP_SR_RENAME,
	OP_SR_CHECK,
	OP_SR_CONTENT_TYPE,
	OP_VDI_CREATE,
	OP_VDI_DELETE,
	OP_VDI_LIST,
	OP_VDI_TREE,
	OP_VDI_SHOW,		/* vdi_get_params */
	OP_VDI_ATTACH,		/* with rq->activate also the device */
	OP_VDI_DETACH,		/* with rq->activate the device goes first */
	OP_VDI_SERVE,		/* until a signal */
	OP_VDI_ACTIVATE,
	OP_VDI_DEACTIVATE,
	OP_VDI_RESIZE,
	OP_VDI_RENAME,
	OP_VDI_UPDATE,
	OP_VDI_SNAPSHOT,
	OP_VDI_CLONE,
	OP_VDI_COPY,		/* rq->sr is where the copy goes */
	OP_VDI_INTRODUCE,
	OP_VDI_FORGET,
	OP_VDI_LOCK,
	OP_VDI_UNLOCK,
	OP_VDI_COMPOSE,
	OP_VDI_GENERATE_CONFIG,
	OP_VDI_ATTACH_FROM_CONFIG,
	OP_VDI_DETACH_FROM_CONFIG,
	OP_VDI_EPOCH_BEGIN,
	OP_VDI_EPOCH_END,
	OP_VDI_ENABLE_CBT,
	OP_VDI_DISABLE_CBT,
	OP_VDI_DATA_DESTROY,
	OP_VDI_LIST_CHANGED_BLOCKS,
	OP_VDI_REVERT,
	OP_CBT_SHOW,
	OP_CBT_CHECK,
	OP_IMAGE_INFO,
	OP_IMAGE_CHECK,
	OP_IMAGE_REPAIR,
	OP_IMAGE_MAP,
	OP_IMAGE_CONVERT,
	OP_IMAGE_CREATE,
	OP_IMAGE_SNAPSHOT,
	OP_IMAGE_RESIZE,
	OP_IMAGE_COALESCE,
	OP_GC_RUN,
	OP_GC_PLAN,
	OP_GC_STATUS,
	OP_GC_STOP,
	OP_VG_SHOW,
	OP_VG_CHECK,
	OP_VG_HISTORY,
	OP_VG_BACKUP,
	OP_VG_RESTORE,
	OP_LOCK_LIST,
	OP_LOCK_SHOW,
	OP_LOCK_BREAK,
	OP_LOCK_RENEW,
	OP_MAX
};

struct cbt_report;
struct gc_report;
struct gc_status;
struct offer;
struct image_report;
struct image_map;
struct lease;
struct lvm_past;
struct lvm_set;

struct request {
	enum op op;

	/* Which SR and VDI, as given; sm_run() resolves them into the uuids. */
	const char *sr;			/* uuid, unique prefix or name; NULL = not given */
	const char *vdi;		/* vdi_introduce: its location */
	const char *other;		/* vdi_compose: the parent; vdi_revert: the disk; cbt changed: to */
	struct uuid sr_uuid, vdi_uuid;	/* also set by doors that only know uuids */
	bool by_uuid;			/* sr and vdi must be whole uuids: the machines' doors */

	const char *type;		/* name of the SR type; NULL = smtab knows it */
	struct kvs dconf;
	struct kvs sm_config;		/* vdi_sm_config or sr_sm_config */
	struct kvs other_config;	/* sr_other_config */
	struct kvs driver_params;

	const char *name;		/* NULL = not given, "" = cleared */
	const char *description;
	const char *vdi_type;		/* SMAPI's: user, system … */
	const char *format;		/* "raw", "vhd"; NULL = default */
	const char *owner;		/* vdi_lock's user string */
	uint32_t lease;			/* for how long it locks without a renewal, s; 0 = for good */
	bool has_lease;
	bool shared;			/* vdi attach, activate: other hosts use the SR too */
	uint64_t size;			/* bytes; gc run: a second, at most */
	bool has_size;
	struct uuid new_uuid;		/* of what is created; "" = random */
	const char **paths;		/* image and vg verbs: files and devices */
	size_t n_paths;
	const char *socket;		/* vdi serve */
	const char *out_format;		/* image convert */
	const char *vg;			/* vg verbs: name or uuid of the one that is meant */
	const char *backup, *journal;	/* image repair, resize: files beside the image; sr check: a folder */
	const char *undo;		/* sr check: such a folder, to be put back */
	const char *from;		/* vg restore: a file with the text */
	struct kvs pvs;			/* vg restore: PV uuid = path of a device without a label */
	const char *to;			/* vg backup: the file to write */
	uint64_t seqno;			/* one of the older versions */
	bool has_seqno;

	bool writable;			/* attach: default true is set by the door */
	bool goes_on;			/* this process asks for more afterwards: it keeps its rights */
	bool activate;			/* attach and detach include the device */
	bool keep_tab;			/* people: what changes an SR or its place changes smtab too */
	bool idempotent;		/* SR-API 1.0 and SMAPIv1: deleting what is absent succeeds */
	bool force;
	bool repair;
	bool on_boot_reset;
	bool anywhere;			/* image verbs: parents outside of the image's folder too */
	int progress;			/* enum progress_mode, of the door */

	/* SMAPIv1: call-backs to xapi (sm/xapi.h). */
	const char *session;		/* session_ref; NULL = none */
	const char *subtask_of;

	void *door;			/* the front end's own, from parse() to emit() */
};

enum reply_kind {
	REPLY_NONE,
	REPLY_SR,		/* srs[0] */
	REPLY_SRS,
	REPLY_VDI,		/* vdis.v[0] */
	REPLY_VDIS,
	REPLY_TREE,		/* the same, to be shown as trees */
	REPLY_ATTACH,		/* vdis.v[0], and its attachment */
	REPLY_INFO,		/* type: what driver_info tells */
	REPLY_TEXT,		/* text: content type, base64 */
	REPLY_CONFIG,		/* a static attach document is to be made of srs[0], vdis.v[0] */
	REPLY_PROBE,		/* srs: which SRs are here, with the dconf to attach them */
	REPLY_OFFERS,		/* offers, versions: what a server has */
	REPLY_CHECK,		/* object, vdis.problems */
	REPLY_PLAN,		/* a dry run: plan, space */
	REPLY_IMAGE,		/* image */
	REPLY_MAP,		/* map */
	REPLY_DONE,		/* plan: what was done, for verbs that say so */
	REPLY_VGS,		/* vgs */
	REPLY_HISTORY,		/* past */
	REPLY_LOCK,		/* locks[0]; none = it is not locked */
	REPLY_LOCKS,		/* locks, vdis.problems */
	REPLY_GC_PLAN,		/* gc */
	REPLY_GC_STATUS,	/* gc_status */
	REPLY_CBT,		/* cbt; text: the bitmap of what has changed, in base64 */
};

/* A lock that lives with the storage. */
struct lock_info {
	struct uuid vdi, sr;
	const struct lease *lease;
	bool here;			/* by this host, in this boot */
	bool dead;			/* its holder is, and why says how that is known */
	bool damaged;			/* nothing of lease can be read */
	bool broken;			/* this host has lost it, and the disk attached: nothing of lease counts */
	const char *why;
};

struct reply {
	enum reply_kind kind;
	struct sr_info *srs;
	size_t n_srs;
	struct vdis vdis;		/* also carries the problems */
	const struct offer *offers;	/* also with E_DCONF_SERVERPATH: to choose from */
	size_t n_offers;
	const char *versions;		/* of the protocol, "3,4"; NULL = not asked for */
	const struct sr_type *type;
	const char *text;
	const char *object;		/* REPLY_CHECK: what was checked */
	const char *backup;		/* where what was repaired is kept; NULL = nothing was */
	const char **plan;		/* REPLY_PLAN: one sentence a step */
	size_t n_plan;
	uint64_t space;			/* REPLY_PLAN: bytes the steps will take */
	const struct image_report *image;	/* sm/image.h */
	const struct image_map *map;
	const struct lvm_set *vgs;	/* what was found on the devices */
	const struct lvm_past *past;	/* older metadata, newest first */
	struct lock_info *locks;
	size_t n_locks;
	const struct cbt_report *cbt;	/* sm/cbt.h */
	struct gc_report *gc;		/* sm/gc.h */
	struct gc_status *gc_status;
	size_t n_gc;			/* of either */
	bool several;			/* more than one object was asked for */
};

#endif
