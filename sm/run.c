/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "arch/clock.h"
#include "arch/lock.h"
#include "arch/proc.h"
#include "arch/sandbox.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/kconfig.h"
#include "lib/log.h"
#include "sm/cbt.h"
#include "sm/core.h"
#include "sm/gc.h"
#include "sm/image.h"
#include "sm/keeper.h"
#include "sm/lease.h"
#include "sm/live.h"
#include "sm/locks.h"
#include "sm/run.h"
#include "sm/smtab.h"
#include "sm/snapshot.h"
#include "sm/xapi.h"

static int do_nothing(struct run *r)
{
	return 0;
}

static int do_info(struct run *r)
{
	r->sr.type = r->rq->type ? sr_type_find(r->rq->type) : NULL;
	if (!r->sr.type)
		return fail(r->ctx, -E_SR_TYPE, "type '%.64s'", r->rq->type ? r->rq->type : "");
	r->rp->kind = REPLY_INFO;
	r->rp->type = r->sr.type;
	return 0;
}

static int do_content_type(struct run *r)
{
	r->rp->kind = REPLY_TEXT;
	r->rp->text = r->sr.type->content;
	return 0;
}

/* A VM starts: only a disk that forgets at each start needs anything done. */
static int do_epoch_begin(struct run *r)
{
	return r->rq->on_boot_reset ? fail(r->ctx, -E_UNSUPPORTED, "reset on boot") : 0;
}

#define IF_CBT(fn)	(IS_ENABLED(CONFIG_CBT) ? (fn) : NULL)
#define IF_GC(fn)	(IS_ENABLED(CONFIG_GC) ? (fn) : NULL)
#define IF_SNAPSHOTS(fn)	(IS_ENABLED(CONFIG_SNAPSHOTS) ? (fn) : NULL)

/* An operation without a handler is one that no driver can do yet. */
static int (*const handlers[])(struct run *r) = {
	[OP_SR_DRIVER_INFO] = do_info,
	[OP_SR_CREATE] = do_sr_create,
	[OP_SR_DESTROY] = do_sr_destroy,
	[OP_SR_INTRODUCE] = do_sr_introduce,
	[OP_SR_FORGET] = do_sr_forget,
	[OP_SR_PROBE] = do_sr_probe,
	[OP_SR_ATTACH] = do_sr_attach,
	[OP_SR_DETACH] = do_sr_detach,
	[OP_SR_SCAN] = do_sr_scan,
	[OP_SR_UPDATE] = do_nothing,
	[OP_SR_SHOW] = do_sr_show,
	[OP_SR_LIST] = do_sr_list,
	[OP_SR_RENAME] = do_sr_rename,
	[OP_SR_CHECK] = do_sr_check,
	[OP_SR_CONTENT_TYPE] = do_content_type,
	[OP_VDI_CREATE] = do_vdi_create,
	[OP_VDI_DELETE] = do_vdi_delete,
	[OP_VDI_LIST] = do_vdi_list,
	[OP_VDI_SHOW] = do_vdi_show,
	[OP_VDI_ATTACH] = do_vdi_attach,
	[OP_VDI_DETACH] = do_vdi_detach,
	[OP_VDI_SERVE] = IS_ENABLED(CONFIG_DATAPATH_SOCKET) ? do_vdi_serve : NULL,
	[OP_VDI_ACTIVATE] = do_vdi_activate,
	[OP_VDI_DEACTIVATE] = do_vdi_deactivate,
	[OP_VDI_RESIZE] = do_vdi_resize,
	[OP_VDI_RENAME] = do_vdi_rename,
	[OP_VDI_UPDATE] = IS_ENABLED(CONFIG_SNAPSHOTS) ? do_vdi_update : do_nothing,
#if IS_ENABLED(CONFIG_STORAGE_LOCKS)
	[OP_VDI_LOCK] = do_vdi_lock,
	[OP_VDI_UNLOCK] = do_vdi_unlock,
	[OP_LOCK_LIST] = do_lock_list,
	[OP_LOCK_SHOW] = do_lock_show,
	[OP_LOCK_BREAK] = do_lock_break,
	[OP_LOCK_RENEW] = do_lock_renew,
#endif
#if IS_ENABLED(CONFIG_VDI_COPY)
	[OP_VDI_COPY] = do_vdi_copy,
#endif
	[OP_VDI_TREE] = IF_SNAPSHOTS(do_vdi_list),
	[OP_VDI_SNAPSHOT] = IF_SNAPSHOTS(do_vdi_snapshot),
	[OP_VDI_CLONE] = IF_SNAPSHOTS(do_vdi_clone),
	[OP_VDI_INTRODUCE] = IF_SNAPSHOTS(do_vdi_introduce),
	[OP_VDI_FORGET] = IF_SNAPSHOTS(do_vdi_forget),
	[OP_VDI_COMPOSE] = IF_SNAPSHOTS(do_vdi_compose),
	[OP_VDI_REVERT] = IF_SNAPSHOTS(do_vdi_revert),
	[OP_VDI_ENABLE_CBT] = IF_CBT(do_cbt_enable),
	[OP_VDI_DISABLE_CBT] = IF_CBT(do_cbt_disable),
	[OP_VDI_DATA_DESTROY] = IF_CBT(do_data_destroy),
	[OP_VDI_LIST_CHANGED_BLOCKS] = IF_CBT(do_cbt_changed),
	[OP_CBT_SHOW] = IF_CBT(do_cbt_show),
	[OP_CBT_CHECK] = IF_CBT(do_cbt_check),
	[OP_VDI_GENERATE_CONFIG] = do_vdi_config,
	[OP_VDI_ATTACH_FROM_CONFIG] = do_vdi_attach_from_config,
	[OP_VDI_DETACH_FROM_CONFIG] = do_vdi_detach,
	[OP_VDI_EPOCH_BEGIN] = do_epoch_begin,
	[OP_VDI_EPOCH_END] = do_nothing,
#if IS_ENABLED(CONFIG_CLI_IMAGE)
	[OP_IMAGE_INFO] = do_image_info,
	[OP_IMAGE_CHECK] = do_image_check,
	[OP_IMAGE_MAP] = do_image_map,
	[OP_IMAGE_CONVERT] = do_image_convert,
	[OP_IMAGE_CREATE] = do_image_create,
	[OP_IMAGE_SNAPSHOT] = do_image_snapshot,
	[OP_IMAGE_RESIZE] = do_image_resize,
	[OP_IMAGE_REPAIR] = do_image_repair,
	[OP_IMAGE_COALESCE] = do_image_coalesce,
#endif
	[OP_GC_RUN] = IF_GC(do_gc_run),
	[OP_GC_PLAN] = IF_GC(do_gc_plan),
	[OP_GC_STATUS] = IF_GC(do_gc_status),
	[OP_GC_STOP] = IF_GC(do_gc_stop),
#if IS_ENABLED(CONFIG_CLI_VG)
	[OP_VG_SHOW] = do_vg_show,
	[OP_VG_CHECK] = do_vg_check,
	[OP_VG_HISTORY] = do_vg_history,
	[OP_VG_BACKUP] = do_vg_backup,
	[OP_VG_RESTORE] = do_vg_restore,
#endif
};

static int (*handler(enum op op))(struct run *r)
{
	return op < ARRAY_SIZE(handlers) ? handlers[op] : NULL;
}

static bool is_of_trees(enum op op)
{
	return op == OP_VDI_SNAPSHOT || op == OP_VDI_CLONE || op == OP_VDI_COMPOSE ||
	       op == OP_VDI_REVERT;
}

static bool is_of_cbt(enum op op)
{
	return (op >= OP_VDI_ENABLE_CBT && op <= OP_VDI_LIST_CHANGED_BLOCKS) || op == OP_CBT_SHOW ||
	       op == OP_CBT_CHECK;
}

static bool is_of_gc(enum op op)
{
	return op == OP_GC_RUN || op == OP_GC_PLAN || op == OP_GC_STATUS || op == OP_GC_STOP;
}

/* Without an SR in the request it is about all of them. */
static bool is_of_all(enum op op)
{
	return op == OP_VDI_LIST || op == OP_VDI_TREE || (WITH_LOCKS && op == OP_LOCK_LIST) ||
	       (IS_ENABLED(CONFIG_GC) && is_of_gc(op));
}

bool sr_can(const struct sr_type *t, enum op op)
{
	const struct layout *l = t->layout;
	const struct datapath *d = sr_datapath_at(t, 0);

	if (!handler(op))
		return false;
	/* Where scans find what others put there; what a driver makes up itself it knows. */
	if (IS_ENABLED(CONFIG_SNAPSHOTS) && (op == OP_VDI_INTRODUCE || op == OP_VDI_FORGET))
		return child_format(t);
	if (IS_ENABLED(CONFIG_SNAPSHOTS) && is_of_trees(op))
		return child_format(t) &&
			(op == OP_VDI_COMPOSE ? !!l->volume_compose : !!l->volume_split);
	if (WITH_LOCKS && (op == OP_VDI_LOCK || op == OP_VDI_UNLOCK ||
			   (op >= OP_LOCK_SHOW && op <= OP_LOCK_RENEW)))
		return l->leases;
	if (WITH_CBT && is_of_cbt(op))
		return child_format(t) && l->logs;
	if (IS_ENABLED(CONFIG_GC) && is_of_gc(op))
		return child_format(t) && l->merge_begin;
	switch (op) {
	case OP_SR_CREATE:	return l->create && t->transport->stage;
	case OP_SR_DESTROY:	return l->destroy && t->transport->stage;
	case OP_SR_PROBE:	return l->probe && t->transport->stage;
	case OP_SR_ATTACH:	return t->transport->attach;
	case OP_SR_DETACH:	return t->transport->detach;
	case OP_SR_SCAN:	return l->list;
	case OP_SR_UPDATE:	return l->stat;
	case OP_SR_RENAME:	return l->rename;
	case OP_SR_CHECK:	return l->list;
	case OP_VDI_CREATE:	return l->volume_create;
	case OP_VDI_DELETE:	return l->volume_delete;
	case OP_VDI_RESIZE:	return l->volume_resize;
	case OP_VDI_RENAME:
	case OP_VDI_UPDATE:	return l->volume_describe;
	case OP_VDI_ATTACH:
	case OP_VDI_ACTIVATE:
	case OP_VDI_GENERATE_CONFIG:
	case OP_VDI_ATTACH_FROM_CONFIG:	return d && d->activate;
	case OP_VDI_SERVE:	return IS_ENABLED(CONFIG_DATAPATH_SOCKET) &&
						(l->volume_open || l->volume_map);
	case OP_VDI_DETACH:
	case OP_VDI_DEACTIVATE:
	case OP_VDI_DETACH_FROM_CONFIG:	return d && d->deactivate;
	case OP_VDI_EPOCH_BEGIN:
	case OP_VDI_EPOCH_END:	return false;	/* answered, but nothing is reset */
	default:		return true;
	}
}

int plan(struct run *r, uint64_t space, const char *fmt, ...)
{
	struct reply *rp = r->rp;
	va_list ap;

	rp->kind = REPLY_PLAN;
	rp->plan = arena_grow(&r->ctx->arena, rp->plan, rp->n_plan, rp->n_plan + 1,
			      sizeof(*rp->plan));
	va_start(ap, fmt);
	rp->plan[rp->n_plan++] = arena_vprintf(&r->ctx->arena, fmt, ap);
	va_end(ap);
	rp->space += space;
	return 0;
}

/* Can it be done at all?  Asked before anything is locked or opened. */
static int check_can(struct run *r)
{
	enum op op = r->rq->op;

	if (op == OP_VDI_EPOCH_BEGIN || op == OP_VDI_EPOCH_END || sr_can(r->sr.type, op))
		return 0;
	if (!handler(op))
		return fail(r->ctx, -E_UNSUPPORTED, "%s", r->row->api ? r->row->api : r->row->verb);
	return fail(r->ctx, -E_UNSUPPORTED, "type %s", r->sr.type->names[0]);
}

/* --- storage that may go away -------------------------------------------------- */

/* How long a server may be silent before a verb that waits for it is given up. */
#define PATIENCE	(5 * NS_PER_S)
/* And while data is copied, which a soft mount gives up itself some five minutes after it stopped. */
#define COPY_PATIENCE	(600 * NS_PER_S)
/* What copies nothing takes no longer, whatever a server answers that goes on and on. */
#define LOOK_PATIENCE	(1800 * NS_PER_S)

void watch_copying(struct ctx *ctx, uint64_t moved)
{
	if (IS_ENABLED(CONFIG_TRANSPORT_NFS) && ctx->watched)
		__atomic_store_n(&ctx->watched->moved, moved, __ATOMIC_RELAXED);
}

/* A copy that has moved, or not for long enough. */
static bool may_wait(struct watched *w)
{
	uint64_t moved = __atomic_load_n(&w->moved, __ATOMIC_RELAXED);

	if (!moved || moved != w->seen)
		w->since = clock_now_mono();
	w->seen = moved;
	return moved && clock_now_mono() - w->since < COPY_PATIENCE;
}

static int still_alive(struct ctx *ctx, void *arg)
{
	struct watched *w = arg;
	const struct transport *t = __atomic_load_n(&w->transport, __ATOMIC_ACQUIRE);
	bool patient = may_wait(w);

	/* Anew after each copy: what comes after one that took long is no longer at work than that. */
	if (!w->began || w->seen)
		w->began = clock_now_mono();
	if (!w->seen && clock_now_mono() - w->began > LOOK_PATIENCE)
		return fail_say(ctx, -E_DEADLINE, "it has copied nothing, and is at work for half an hour");
	return t && !patient ? t->alive(ctx, w) : 0;
}

static bool may_hang(const struct sr_type *t)
{
	return t && t->transport->alive;
}

/* A verb that looks into every SR of smtab. */
static bool one_may_hang(struct run *r)
{
	struct smtab tab;
	int err = smtab_read(r->ctx, &tab);

	fail_clear(r->ctx);
	for (size_t i = 0; !err && i < tab.n; i++)
		if (may_hang(sr_type_find(tab.v[i].type)))
			return true;
	return false;
}

/*
 * From here on a child does the verb, while we look whether the server that it
 * speaks to still answers (arch/proc.h).  A system call on a dead mount may take
 * minutes or for ever; this ends it in seconds, as a death would.
 */
int be_watched(struct run *r)
{
	int err;

	/* A server of a disk waits for its storage, as the disk's user does. */
	if (!IS_ENABLED(CONFIG_TRANSPORT_NFS) || r->ctx->watched || r->rq->op == OP_VDI_SERVE)
		return 0;
	if (r->sr.type ? !may_hang(r->sr.type) : !one_may_hang(r))
		return 0;
	r->ctx->watched = proc_shared(sizeof(*r->ctx->watched));
	if (!r->ctx->watched)
		return 0;
	err = proc_watched(r->ctx, still_alive, r->ctx->watched, PATIENCE);
	return err ? fail(r->ctx, err, "given up") : 0;
}

/*
 * Without an SR all of smtab may be looked at: what needs more than reading comes
 * first, for all of them, lvm2's locks and a word with each server.
 */
static void reach_all(struct run *r)
{
	struct smtab tab;
	int err = smtab_read(r->ctx, &tab);	/* who reads it next says what is wrong with it */

	r->ready = arena_array(&r->ctx->arena, tab.n, sizeof(*r->ready));
	for (size_t i = 0; !err && i < tab.n; i++) {
		struct request rq = { .op = r->rq->op, .sr = tab.v[i].uuid.s };
		struct run one = *r;

		one.rq = &rq;
		if (!bind_sr(&one)) {
			sr_reach(&one.sr);
			r->ready[r->n_ready++] = one.sr;
		}
		fail_clear(r->ctx);
	}
	fail_clear(r->ctx);
}

/*
 * From here on a verb that only looks can do no more than that, whatever the
 * bytes make of it that it reads.  The core's own children were born before.
 * sr_open() of the one SR that is named does it, where that has to be reached first.
 */
static int confine(struct run *r)
{
	bool of_sr = r->row->flags & NEEDS_SR || r->rq->op == OP_SR_LIST || is_of_all(r->rq->op);
	int err;

	if (!IS_ENABLED(CONFIG_SECCOMP_SANDBOX) || !(r->row->flags & INSPECTS) || r->confined ||
	    r->rq->goes_on)
		return 0;
	r->confined = true;
	r->sr.confine = of_sr;
	if (of_sr && r->sr.type && (may_hang(r->sr.type) || r->sr.type->layout->lock))
		return 0;
	if (of_sr && !r->sr.type)
		reach_all(r);
	if (of_sr)
		return sr_confine(&r->sr);
	err = sandbox_enter(false);
	return err ? fail(r->ctx, err, "give up rights") : 0;
}

static int take_locks(struct run *r)
{
	struct uuid locked = r->sr.uuid;
	int err;

	/* A dry run writes nothing, not even a lock file. */
	if (r->ctx->dry_run || !(r->row->flags & LOCKS_SR) || !r->sr.uuid.s[0])
		return 0;
	err = lock_host(r->ctx, r->sr.uuid.s, "sr", &r->sr_lock);
	if (err || r->row->flags & NEEDS_TYPE)
		return err;
	/* While we waited the SR may have been forgotten, destroyed or renamed. */
	err = bind_sr(r);
	if (!err && !uuid_equal(&r->sr.uuid, &locked))
		err = fail(r->ctx, -E_SR_MISSING, "SR %s", locked.s);
	return err;
}

static int open_and_find(struct run *r)
{
	int err;

	if (r->row->flags & NEEDS_OPEN) {
		/* Who breaks the SR's own lock does not take it first. */
		bool breaks = WITH_LOCKS && lease_breaks_sr(r);

		err = sr_open(&r->sr, r->row->flags & CHANGES && !r->ctx->dry_run && !breaks);
		if (!err && breaks)
			r->vdi = (struct vdi){ .uuid = r->sr.uuid };
		if (err || breaks)
			return err;
	}
	if (!(r->row->flags & NEEDS_VDI) || !(r->row->flags & NEEDS_OPEN))
		return 0;
	err = bind_vdi(r);
	if (WITH_LOCKS && err == -E_VDI_MISSING && lease_is_alone(r))
		return 0;
	if (WITH_CBT && !err && cbt_is_log(&r->vdi))
		err = cbt_admit(r);
	if (!err && r->row->flags & LOCKS_VDI && !r->ctx->dry_run)
		err = lock_host_inner(r->ctx, r->vdi.uuid.s, "vdi", &r->vdi_lock);
	return err || !WITH_LOCKS ? err : lease_admit(r);
}

static int run_row(struct run *r)
{
	struct request *rq = r->rq;
	bool with_sr = r->row->flags & NEEDS_SR ||
		(r->row->flags & NEEDS_TYPE && (rq->op != OP_SR_PROBE || rq->type));
	bool find_sr = r->row->flags & NEEDS_VDI && !rq->sr && !rq->sr_uuid.s[0] && !rq->type;
	int err = xapi_check(r->ctx, rq);

	if (!err && (find_sr || rq->op == OP_SR_LIST || is_of_all(rq->op)))
		err = be_watched(r);
	if (!err && is_of_all(rq->op) && (rq->sr || rq->type))
		with_sr = true;
	if (!err && (find_sr || !with_sr))
		err = confine(r);
	if (!err && find_sr)
		err = find_sr_of_vdi(r);
	if (!err && with_sr)
		err = bind_sr(r);
	if (!err && with_sr)
		err = be_watched(r);
	if (!err)
		err = confine(r);
	if (!err && with_sr)
		err = check_can(r);
	if (!err && with_sr)
		err = take_locks(r);
	if (!err && with_sr)
		err = open_and_find(r);
	/* Deleting or forgetting what is not there has been done. */
	if (err == -E_VDI_MISSING && rq->idempotent &&
	    (rq->op == OP_VDI_DELETE || (IS_ENABLED(CONFIG_SNAPSHOTS) && rq->op == OP_VDI_FORGET))) {
		fail_clear(r->ctx);
		return 0;
	}
	if (!err && !handler(rq->op))
		err = fail(r->ctx, -E_UNSUPPORTED, "%s", r->row->api ? r->row->api : r->row->verb);
	return err ? err : handler(rq->op)(r);
}

const char *run_verb(const struct run *r)
{
	return r->row->object ? arena_printf(&r->ctx->arena, "%s %s", r->row->object, r->row->verb)
			      : r->row->api;
}

/* Which server it is, when its storage is what gives trouble. */
static void name_server(struct run *r, int err)
{
	const struct transport *t = r->sr.type ? r->sr.type->transport : NULL;
	int kind = err_kind(err);
	const char *where;

	if (!t || !t->where || (kind != -EROFS && kind != -ENOSPC && kind != -EIO))
		return;
	for (const struct key *k = r->sr.type->keys; k->name; k++)
		if (k->flags & KEY_MUST && !kv_get(&r->sr.dconf, k->name))
			return;
	where = t->where(&r->sr);
	if (kind == -EROFS)
		hint(r->ctx, "has it options=ro, or is it exported read-only?  sm sr show %s", r->sr.uuid.s);
	if (kind == -ENOSPC)
		hint(r->ctx, "make room on the server, or: sm gc run %s", r->sr.uuid.s);
	if (!strstr(r->ctx->why, where))
		fail(r->ctx, err, "%s", where);
}

int sm_run(struct ctx *ctx, struct request *rq, struct reply *rp)
{
	struct run r = {
		.ctx = ctx, .rq = rq, .rp = rp, .row = op_row(rq->op),
		.sr = { .ctx = ctx, .dir = -1 }, .sr_lock = -1, .vdi_lock = -1,
	};
	bool changes;
	int err;

	if (!r.row)
		return fail(ctx, -E_USAGE, "no operation");
	changes = r.row->flags & CHANGES && !ctx->dry_run;
	if (changes)
		logf_info(ctx, "%s: SR %s VDI %s", run_verb(&r), rq->sr ? rq->sr : "-",
			 rq->vdi ? rq->vdi : "-");
	err = run_row(&r);
	sr_close(&r.sr);
	/* Whoever reads what we say may take his time.  The others of it have been copies. */
	for (size_t i = 0; IS_ENABLED(CONFIG_SECCOMP_SANDBOX) && i < r.n_ready; i++) {
		r.ready[i].reached = NULL;
		sr_close(&r.ready[i]);
	}
	lock_drop(&r.vdi_lock);
	lock_drop(&r.sr_lock);
	if (IS_ENABLED(CONFIG_SERVE) && r.held) {
		int bad = live_go(&r);

		err = err ? err : bad;
	}
	if (err && IS_ENABLED(CONFIG_NFS_GUARD) && r.row->flags & NEEDS_SR)
		name_server(&r, err);
	if (err && r.sr.uuid.s[0] && r.row->flags & NEEDS_SR)
		fail(ctx, err, "SR %s", r.sr.uuid.s);
	if (err)
		logf_err(ctx, "%s: %s", run_verb(&r), ctx->why[0] ? ctx->why : err_text(err));
	else if (changes)
		logf_info(ctx, "%s: done", run_verb(&r));
	if (WITH_KEEPER && changes)
		keeper_start(&r);
	if (IS_ENABLED(CONFIG_GC) && !err && changes)
		gc_kick(&r);
	return err;
}
