/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the core share: run.c, resolve.c, sr.c, vdi.c, check.c, snapshot.c. */
#ifndef SM_CORE_H
#define SM_CORE_H

#include "drivers/datapath.h"
#include "drivers/format.h"
#include "drivers/layout.h"
#include "drivers/sr.h"
#include "drivers/transport.h"
#include "lib/kconfig.h"
#include "sm/ops.h"
#include "sm/request.h"

struct held;

/* One request on its way through the core. */
struct run {
	struct ctx *ctx;
	struct request *rq;
	struct reply *rp;
	const struct op_row *row;
	struct sr sr;		/* bound when the row needs an SR or a type */
	struct vdi vdi;		/* found when the row needs a VDI */
	const char *broken;	/* why it could not be read; NULL: it was */
	int sr_lock, vdi_lock;
	bool confined;
	struct sr *ready;	/* all of smtab, once the verb is in the sandbox: sr_reach() */
	size_t n_ready;
	bool was_read;		/* a copy: what the disk stands on had to stay as it was (gc.h) */
	struct held *held;	/* disks in use that wait for the end of the verb (live.h) */
};

/* --- resolve.c: which SR, which VDI ---------------------------------------- */

/* Bind sr to the type and the dconf of the request or of smtab; opens nothing. */
int bind_sr(struct run *r);
/* For a verb of people without --sr: find the attached SR that holds rq->vdi. */
int find_sr_of_vdi(struct run *r);
/* fn for the SR of the request, or, without one, for each of smtab that is attached and can do this. */
int sr_each(struct run *r, int (*fn)(struct run *one));
/* Find rq->vdi in the opened SR. */
int bind_vdi(struct run *r);

/* --- opened SRs ------------------------------------------------------------ */

/* Reach the storage of an SR that need not be attached; sr_close() undoes it. */
int sr_stage(struct sr *sr, bool create);
/* Can SRs of the type be looked for without a dconf? */
static inline bool sr_can_survey(const struct sr_type *t)
{
	return IS_ENABLED(CONFIG_TRANSPORT_DEVICES) && t->transport && t->transport->survey;
}
/* -E_SR_MISSING when the staged storage holds another SR than sr->uuid, or (must) none. */
int sr_identify(struct sr *sr, bool must);
/*
 * dconf names a server and nothing on it: what does it have?  For people that
 * answers a probe; an agent gets it beside the error that asks for the key.
 */
bool sr_lacks_place(const struct sr *sr);
int tell_offers(struct run *r);
/* What is known of an SR without looking at its storage. */
void sr_fill_static(const struct sr *sr, struct sr_info *info);
/* Everything that sr list and sr show tell.  A detached SR is no error. */
int sr_describe(struct sr *sr, struct sr_info *info, struct vdis *l);
/* All VDIs with parents, attachments and the SR's uuid filled in. */
int sr_vdis(struct sr *sr, struct vdis *l);
/* The same for one. */
int vdi_complete(struct sr *sr, struct vdi *vdi);
const struct datapath *vdi_datapath(const struct sr *sr, const struct vdi *vdi);
/* Who serves it, and its counters, for who asks. */
void usage_fill(struct sr *sr, struct vdi *vdi);
/* The one that serves it now; not active, the one that would. */
const struct datapath *datapath_now(const struct sr *sr, const struct vdi *vdi);
/* Answer with r->vdi. */
int reply_vdi(struct run *r, enum reply_kind kind);
/* copy.c: a disk made of another's blocks, or -EOPNOTSUPP. */
int shared_copy(struct run *r, const struct vdi *of, struct vdi *copy);
/* vdi.c: the format that was asked for, and the size that it gives a disk. */
int vdi_choose_format(struct run *r, const struct format **f);
int vdi_round_size(struct run *r, const struct format *f, uint64_t asked, uint64_t *size);
/* -E_SR_NO_SPACE unless that many bytes are free. */
int check_space(struct run *r, uint64_t need);

/*
 * run.c: before a verb touches storage that may go away, a child goes on with it
 * and we watch (arch/proc.h).  May be repeated; 0 at once for other storage.
 */
int be_watched(struct run *r);
/*
 * Data is being copied, and grows (moved: bytes and 1), or no longer (0).  Hours of
 * work are not given up because a server is restarted.
 */
void watch_copying(struct ctx *ctx, uint64_t moved);

/* "vdi create": for logs, and for others who find us in their way. */
const char *run_verb(const struct run *r);

/* --- handlers: 0 or an error, the reply in r->rp --------------------------- */

int do_sr_create(struct run *r);
int do_sr_introduce(struct run *r);
int do_sr_destroy(struct run *r);
int do_sr_forget(struct run *r);
int do_sr_probe(struct run *r);
int do_sr_attach(struct run *r);
int do_sr_detach(struct run *r);
int do_sr_scan(struct run *r);
int do_sr_check(struct run *r);
/* Is the VDI what a vdi copy of this host is about to fill?  Then nothing is wrong with it. */
bool check_is_copied(struct run *r, const struct vdi *vdi);
int do_sr_rename(struct run *r);
int do_sr_show(struct run *r);
int do_sr_list(struct run *r);
int do_vdi_create(struct run *r);
int do_vdi_list(struct run *r);		/* and vdi tree */
int do_vdi_show(struct run *r);
int do_vdi_attach(struct run *r);
int do_vdi_detach(struct run *r);
int do_vdi_serve(struct run *r);
int do_vdi_activate(struct run *r);
int do_vdi_deactivate(struct run *r);
int do_vdi_copy(struct run *r);
int do_vdi_resize(struct run *r);
int do_vdi_rename(struct run *r);
int do_vdi_delete(struct run *r);
int do_vdi_config(struct run *r);
int do_vdi_attach_from_config(struct run *r);

int do_vg_show(struct run *r);
int do_vg_check(struct run *r);
int do_vg_history(struct run *r);
int do_vg_backup(struct run *r);
int do_vg_restore(struct run *r);

/* A dry run: one sentence for each step that would be taken. */
int plan(struct run *r, uint64_t space, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
