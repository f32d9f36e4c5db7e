/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verbs on SRs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/err.h"
#include "lib/kconfig.h"
#include "lib/log.h"
#include "sm/cbt.h"
#include "sm/core.h"
#include "sm/gc.h"
#include "sm/lease.h"
#include "sm/smtab.h"
#include "sm/snapshot.h"
#include "sm/state.h"
#include "sm/tree.h"

/* --- reaching -------------------------------------------------------------- */

int sr_stage(struct sr *sr, bool create)
{
	return sr->type->transport->stage(sr, create);
}

int sr_identify(struct sr *sr, bool must)
{
	struct sr_info found = { 0 };
	int err;

	if (!sr->type->layout->probe)
		return 0;
	err = sr->type->layout->probe(sr, &found);
	if (err == -E_SR_MISSING && !must)
		return 0;
	if (err)
		return err == -E_SR_MISSING ? fail(sr->ctx, err, "there is no SR here") : err;
	if (uuid_equal(&found.uuid, &sr->uuid)) {
		sr->name = found.name && *found.name ? found.name : sr->name;
		sr->description = found.description ? found.description : sr->description;
		return 0;
	}
	hint(sr->ctx, "sm sr introduce %s --type %s", found.uuid.s, sr->type->names[0]);
	return fail_say(sr->ctx, -E_SR_MISSING, "another SR lives here: %s", found.uuid.s);
}

/* --- telling --------------------------------------------------------------- */

static void sum_up(struct sr_info *info, const struct vdis *l)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i].hidden)
			continue;
		info->n_vdis++;
		info->allocated += l->v[i].virtual_size;
	}
}

void sr_fill_static(const struct sr *sr, struct sr_info *info)
{
	const struct key *k = sr->type->keys;

	*info = (struct sr_info){
		.uuid = sr->uuid, .name = sr->name ? sr->name : "",
		.description = sr->description ? sr->description : "",
		.type = sr->type->names[0], .srapi1 = sr->type->srapi1, .dconf = sr->dconf,
		.health = "detached", .location = "",
	};
	if (IS_ENABLED(CONFIG_TRANSPORT_NFS) && sr->type->transport->where &&
	    kv_get(&sr->dconf, k->name) && kv_get(&sr->dconf, k[1].name)) {
		info->location = sr->type->transport->where(sr);
		return;
	}
	for (; k && k->name; k++)
		if (k->flags & KEY_MUST && kv_get(&sr->dconf, k->name)) {
			info->location = kv_get(&sr->dconf, k->name);
			break;
		}
}

int sr_describe(struct sr *sr, struct sr_info *info, struct vdis *l)
{
	int err = sr_open(sr, false);

	sr_fill_static(sr, info);
	if (err == -E_SR_DETACHED) {
		fail_clear(sr->ctx);
		return 0;
	}
	/* It is mounted, and nobody may touch it: that is what there is to tell. */
	if (IS_ENABLED(CONFIG_TRANSPORT_NFS) && sr->path[0] &&
	    (err_kind(err) == -EHOSTDOWN || err_kind(err) == -ESTALE)) {
		info->attached = info->unreachable = true;
		info->path = arena_strdup(&sr->ctx->arena, sr->path);
		info->health = arena_strdup(&sr->ctx->arena, sr->ctx->why);
		fail_clear(sr->ctx);
		return 0;
	}
	if (err)
		return err;
	sr_fill_static(sr, info);		/* the SR knows its name better than smtab */
	info->attached = true;
	info->path = sr->path[0] ? arena_strdup(&sr->ctx->arena, sr->path) : NULL;
	if (IS_ENABLED(CONFIG_VDI_COPY) && sr->type->layout->can_share)
		info->fast_clone = state_shares(sr), info->server_copy = state_offloads(sr);
	err = sr->type->layout->stat(sr, info);
	if (!err)
		err = sr_vdis(sr, l);
	if (err)
		return err;
	sum_up(info, l);
	info->health = l->n_problems ?
		arena_printf(&sr->ctx->arena, "%zu damaged", l->n_problems) : "ok";
	return 0;
}

static int reply_sr(struct run *r)
{
	struct reply *rp = r->rp;

	rp->kind = REPLY_SR;
	rp->n_srs = 1;
	rp->srs = arena_alloc(&r->ctx->arena, sizeof(*rp->srs));
	return sr_describe(&r->sr, rp->srs, &rp->vdis);
}

int do_sr_show(struct run *r)
{
	return reply_sr(r);
}

int do_sr_list(struct run *r)
{
	struct reply *rp = r->rp;
	struct arena *a = &r->ctx->arena;
	struct smtab tab;
	int err = smtab_read(r->ctx, &tab);

	if (err)
		return err;
	rp->kind = REPLY_SRS;
	rp->srs = arena_array(a, tab.n, sizeof(*rp->srs));
	for (size_t i = 0; i < tab.n; i++) {
		struct request rq = { .op = OP_SR_SHOW, .sr = tab.v[i].uuid.s };
		struct run one = { .ctx = r->ctx, .rq = &rq, .rp = rp, .row = op_row(OP_SR_SHOW) };
		struct sr_info *info = &rp->srs[rp->n_srs++];
		struct vdis l = { 0 };

		if (IS_ENABLED(CONFIG_SECCOMP_SANDBOX))
			one.ready = r->ready, one.n_ready = r->n_ready;
		err = bind_sr(&one);
		if (!err)
			err = sr_describe(&one.sr, info, &l);
		sr_close(&one.sr);
		if (!err)
			continue;
		/* One that cannot be read must not hide the others. */
		info->uuid = tab.v[i].uuid;
		info->name = tab.v[i].name;
		info->description = "";
		info->type = tab.v[i].type;
		info->dconf = tab.v[i].dconf;
		info->health = arena_strdup(a, r->ctx->why[0] ? r->ctx->why : err_text(err));
		vdis_problem(a, &rp->vdis, &(struct problem){
			.object = info->uuid.s, .what = info->health, .severity = "error" });
		fail_clear(r->ctx);
	}
	if (tab.bad_line)
		vdis_problem(a, &rp->vdis, &(struct problem){
			.object = sm_path(r->ctx, "/etc/smtab"),
			.what = arena_printf(a, "line %zu is not UUID TYPE NAME key=value …", tab.bad_line),
			.severity = "error", .repair = "mend the line by hand" });
	return 0;
}

/* --- making and removing --------------------------------------------------- */

static int put_tab(struct run *r)
{
	struct smtab_entry e = {
		.uuid = r->sr.uuid, .type = r->sr.type->names[0],
		.name = r->sr.name ? r->sr.name : "", .dconf = r->sr.dconf,
	};

	return smtab_put(r->ctx, &e);
}

/* What smtab says of our SR; NULL: nothing. */
static int in_smtab(struct run *r, const struct smtab_entry **e)
{
	struct smtab tab;
	int err = smtab_read(r->ctx, &tab);

	*e = NULL;
	if (!err && smtab_find(r->ctx, &tab, r->sr.uuid.s, e)) {
		*e = NULL;
		fail_clear(r->ctx);
	}
	return err;
}

/* Both or neither; what smtab said before comes back. */
static int put_tab_and_attach(struct run *r)
{
	const struct smtab_entry *old;
	int err = in_smtab(r, &old);

	if (err)
		return err;
	err = put_tab(r);
	if (!err)
		err = r->sr.type->transport->attach(&r->sr);
	if (err && old)
		smtab_put(r->ctx, old);
	else if (err)
		smtab_remove(r->ctx, &r->sr.uuid);
	return err;
}

static int must_be_new(struct run *r)
{
	const struct smtab_entry *e;
	int err = in_smtab(r, &e);

	if (err || !e)
		return err;
	hint(r->ctx, "sm sr forget %s", r->sr.uuid.s);
	return fail_say(r->ctx, -E_SR_EXISTS, "SR %s is in smtab already", r->sr.uuid.s);
}

/* Where creation writes to nothing but what it has to be sure of first, that can be asked before. */
static int may_create(struct sr *sr)
{
	int err;

	if (!IS_ENABLED(CONFIG_TRANSPORT_DEVICES) || !sr->type->layout->may_create)
		return 0;
	err = sr_stage(sr, true);
	if (!err)
		err = sr->type->layout->may_create(sr);
	sr_close(sr);
	return err;
}

/*
 * The layout's marker makes the SR (commit); smtab and the mount follow.  A
 * death between leaves an SR that "sr introduce" takes up, as a second "sr
 * create" says.
 */
int do_sr_create(struct run *r)
{
	struct sr *sr = &r->sr;
	int err = r->rq->keep_tab ? must_be_new(r) : 0;

	if (err)
		return err;
	if (r->ctx->dry_run) {
		err = may_create(sr);
		if (err)
			return err;
		plan(r, 0, "make SR %s of type %s", sr->uuid.s, sr->type->names[0]);
		return r->rq->keep_tab ? plan(r, 0, "add it to smtab and attach it") : 0;
	}
	sr->name = r->rq->name ? r->rq->name : "";
	sr->description = r->rq->description ? r->rq->description : "";
	err = sr_stage(sr, true);
	if (!err)
		err = sr->type->layout->create(sr);
	sr_close(sr);
	if (err) {
		if (sr->type->transport->unstage)
			sr->type->transport->unstage(sr);
		return err;
	}
	logf_info(r->ctx, "sr create: SR %s made", sr->uuid.s);
	if (!r->rq->keep_tab)
		return 0;
	err = put_tab(r);
	if (!err)
		err = sr->type->transport->attach(sr);
	if (err) {
		hint(r->ctx, "sm sr attach %s", sr->uuid.s);
		return fail(r->ctx, err, "SR %s was made, but", sr->uuid.s);
	}
	return reply_sr(r);
}

/* Only devices find their way to other hosts, or to other names. */
static int must_be_usable(struct sr *sr)
{
	return IS_ENABLED(CONFIG_TRANSPORT_DEVICES) && sr->type->layout->usable ?
		sr->type->layout->usable(sr) : 0;
}

int do_sr_introduce(struct run *r)
{
	struct sr *sr = &r->sr;
	int err;

	if (!r->rq->new_uuid.s[0])
		return fail_say(r->ctx, -E_USAGE, "the uuid of the SR is missing");
	sr->name = r->rq->name ? r->rq->name : "";
	err = sr_stage(sr, false);
	if (!err)
		err = sr_identify(sr, false);
	if (!err)
		err = must_be_usable(sr);
	sr_close(sr);
	if (err)
		return err;
	if (r->rq->name)
		sr->name = r->rq->name;
	if (r->ctx->dry_run)
		return plan(r, 0, "add SR %s to smtab and attach it", sr->uuid.s);
	err = put_tab_and_attach(r);
	return err ? err : reply_sr(r);
}

/* Nothing of the SR may be in use on this host. */
static int must_be_idle(struct run *r)
{
	struct uuid vdi;
	int err = state_any(&r->sr, &vdi);

	if (err || !vdi.s[0])
		return err;
	hint(r->ctx, "sm vdi detach %s", vdi.s);
	return fail_say(r->ctx, -E_SR_IN_USE, "VDI %s is attached", vdi.s);
}

static int detach(struct run *r)
{
	const struct layout *layout = r->sr.type->layout;
	int err = IS_ENABLED(CONFIG_GC) ? gc_quiet_here(r) : 0;

	if (!err && layout->quiesce)
		err = layout->quiesce(&r->sr);
	if (!err)
		err = r->sr.type->transport->detach(&r->sr);
	if (!err)
		state_forget(&r->sr);
	return err;
}

/* Hidden disks that nobody can reach are no disks. */
static int drop_hidden(struct run *r, struct vdis *l)
{
	struct vdis left = { 0 };
	bool hidden = false;
	int err;

	for (size_t i = 0; i < l->n; i++)
		hidden |= l->v[i].hidden;
	if (!hidden || r->ctx->dry_run)
		return 0;
	tree_fill(&r->ctx->arena, l);
	drop_all_garbage(r, l);
	err = WITH_CBT ? cbt_list(&r->sr, &left) : r->sr.type->layout->list(&r->sr, &left);
	*l = left;
	return err;
}

/*
 * The layout's removal of its marker is the commit.  Everything that can refuse
 * is asked before the SR is even detached.
 */
int do_sr_destroy(struct run *r)
{
	struct sr *sr = &r->sr;
	struct vdis l = { 0 };
	int err = must_be_idle(r);

	if (err)
		return err;
	err = sr_stage(sr, false);
	if (!err)
		err = sr_identify(sr, !r->rq->idempotent);
	if (!err)
		err = WITH_CBT ? cbt_list(sr, &l) : sr->type->layout->list(sr, &l);
	if ((err_kind(err) == -ENOENT) && r->rq->idempotent) {
		fail_clear(r->ctx);
		return 0;
	}
	if (err_kind(err) == -ENOENT && r->rq->keep_tab)
		hint(r->ctx, "sm sr forget %s", sr->uuid.s);
	if (err)
		return err;
	if (IS_ENABLED(CONFIG_SNAPSHOTS)) {
		err = drop_hidden(r, &l);
		if (err)
			return err;
	}
	if (l.n || l.n_problems) {
		hint(r->ctx, "sm vdi list --sr %s", sr->uuid.s);
		return fail_say(r->ctx, -E_SR_NOT_EMPTY, "%zu VDI%s in the SR",
				l.n + l.n_problems,
				l.n + l.n_problems == 1 ? " still exists" : "s still exist");
	}
	if (r->ctx->dry_run)
		return plan(r, 0, "detach SR %s and remove it from its storage", sr->uuid.s);
	/* On LVM they go with the VG. */
	if (IS_ENABLED(CONFIG_DIR_LOCKS) && sr->dir >= 0)
		err = lease_before_destroy(r);
	if (!err)
		err = detach(r);
	if (!err)
		err = sr->type->layout->destroy(sr);
	if (!err && IS_ENABLED(CONFIG_TRANSPORT_NFS) && sr->type->transport->discard)
		err = sr->type->transport->discard(sr);
	if (!err && r->rq->keep_tab)
		err = smtab_remove(r->ctx, &sr->uuid);
	return err;
}

int do_sr_forget(struct run *r)
{
	int err = must_be_idle(r);

	if (err)
		return err;
	if (r->ctx->dry_run)
		return plan(r, 0, "detach SR %s and remove it from smtab", r->sr.uuid.s);
	err = detach(r);
	return err ? err : smtab_remove(r->ctx, &r->sr.uuid);
}

/* --- attaching ------------------------------------------------------------- */

/* The storage has been found under another name: smtab shall say where. */
static int note_moved(struct run *r)
{
	const struct smtab_entry *e;
	int err = in_smtab(r, &e);

	if (err || !e)
		return err;
	logf_info(r->ctx, "SR %s is not where smtab said it was", r->sr.uuid.s);
	return put_tab(r);
}

int do_sr_attach(struct run *r)
{
	struct sr *sr = &r->sr;
	bool fresh;
	int err = sr_stage(sr, false);

	if (err == -ENOENT)
		err = fail(r->ctx, -E_SR_MISSING, "the storage is not there");
	if (!err)
		err = sr_identify(sr, false);
	if (!err)
		err = must_be_usable(sr);
	sr_close(sr);
	if (err)
		return err;
	if (r->ctx->dry_run)
		return plan(r, 0, "attach SR %s", sr->uuid.s);
	fresh = sr->type->transport->open(sr) == -E_SR_DETACHED;
	sr_close(sr);
	fail_clear(r->ctx);
	err = sr->type->transport->attach(sr);
	if (!err)
		err = sr_open(sr, true);	/* and finish what a dead process left */
	if (WITH_READERS && !err && sr->shared)
		err = lease_after_boot(r);
	if (!err && IS_ENABLED(CONFIG_TRANSPORT_DEVICES) && sr->moved && r->rq->keep_tab)
		err = note_moved(r);
	if (!err)
		err = reply_sr(r);
	if (err && fresh) {
		sr_close(sr);
		detach(r);			/* err is what matters */
	}
	return err;
}

int do_sr_detach(struct run *r)
{
	int err = must_be_idle(r);

	if (!err && r->ctx->dry_run)
		return plan(r, 0, "detach SR %s", r->sr.uuid.s);
	return err ? err : detach(r);
}

/* --- looking --------------------------------------------------------------- */

/* Finish what a death left: hidden disks without children. */
static int scan_trees(struct run *r)
{
	struct vdis l = { 0 };
	int err = r->sr.type->layout->list(&r->sr, &l);

	if (err)
		return err;
	tree_fill(&r->ctx->arena, &l);
	return drop_all_garbage(r, &l);
}

/* And chains of logs that it left in between. */
static int scan_logs(struct run *r)
{
	struct vdis l = { 0 };
	int err = sr_vdis(&r->sr, &l);

	return err ? err : cbt_check(&r->sr, true, &l);
}

int do_sr_scan(struct run *r)
{
	const struct vdis *l = &r->rp->vdis;
	const struct problem *p;
	struct uuid u;
	int err = 0;

	if (IS_ENABLED(CONFIG_SNAPSHOTS) && r->sr.type->layout->children && !r->ctx->dry_run)
		err = scan_trees(r);
	if (WITH_CBT && !err && cbt_can(&r->sr) && !r->ctx->dry_run)
		err = scan_logs(r);
	if (!err)
		err = reply_sr(r);
	if (err || !l->n_problems || !r->rq->by_uuid)
		return err;
	/* For xapi a scan that misses a disk would mean that it is gone. */
	p = l->problems;
	while (IS_ENABLED(CONFIG_SNAPSHOTS) && p < l->problems + l->n_problems &&
	       !uuid_parse(&u, p->object) && vdis_find(l, &u))
		p++;
	if (IS_ENABLED(CONFIG_SNAPSHOTS) && p == l->problems + l->n_problems)
		return 0;
	return fail_say(r->ctx, -E_SR_SCAN, "uuid=%s: %s", p->object, p->what);
}

int do_sr_rename(struct run *r)
{
	int err;

	if (r->ctx->dry_run)
		return plan(r, 0, "call SR %s '%s'", r->sr.uuid.s, r->rq->name);
	err = r->sr.type->layout->rename(&r->sr, r->rq->name, r->rq->description);	/* commit */
	if (!err) {
		const struct smtab_entry *e;

		/* smtab has a copy of the name, if it has the SR. */
		err = in_smtab(r, &e);
		if (!err && e) {
			struct smtab_entry new = *e;

			new.name = r->rq->name;
			err = smtab_put(r->ctx, &new);
		}
	}
	return err ? err : reply_sr(r);
}
