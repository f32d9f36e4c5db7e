/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From what a caller names to one SR and one VDI. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "arch/clock.h"
#include "arch/proc.h"
#include "lib/err.h"
#include "sm/cbt.h"
#include "sm/core.h"
#include "sm/run.h"
#include "sm/smtab.h"
#include "sm/snapshot.h"

static int bind_type(struct run *r, const char *name)
{
	r->sr.type = sr_type_find(name);
	if (r->sr.type)
		return 0;
	hint(r->ctx, "sm help types");
	return fail(r->ctx, -E_SR_TYPE, "type '%.64s'", name);
}

/* The uuid that a new SR gets: the caller's, or a random one. */
static int bind_new_uuid(struct run *r)
{
	struct request *rq = r->rq;

	if (rq->new_uuid.s[0])
		r->sr.uuid = rq->new_uuid;
	else if (rq->sr_uuid.s[0])
		r->sr.uuid = rq->sr_uuid;
	else if (rq->op == OP_SR_CREATE && rq->sr && rq->by_uuid)
		return uuid_parse(&r->sr.uuid, rq->sr) ?
			fail(r->ctx, -E_UUID, "SR '%.64s'", rq->sr) : 0;
	else
		random_uuid(&r->sr.uuid);
	return 0;
}

static int bind_given(struct run *r)
{
	struct request *rq = r->rq;

	if (rq->sr_uuid.s[0]) {
		r->sr.uuid = rq->sr_uuid;
		return 0;
	}
	if (rq->sr && !uuid_parse(&r->sr.uuid, rq->sr))
		return 0;
	hint(r->ctx, rq->by_uuid ? "an SR is given by its whole uuid" :
	     "with --type and --dconf an SR is given by its whole uuid (sm sr probe tells it)");
	return fail(r->ctx, -E_UUID, "SR '%.64s'", rq->sr ? rq->sr : "");
}

static int bind_from_tab(struct run *r)
{
	const struct smtab_entry *e;
	struct smtab tab;
	int err = smtab_read(r->ctx, &tab);

	if (!err)
		err = smtab_find(r->ctx, &tab, r->rq->sr ? r->rq->sr : r->rq->sr_uuid.s, &e);
	if (!err)
		err = bind_type(r, e->type);
	if (err)
		return err;
	if (r->rq->type && sr_type_find(r->rq->type) != r->sr.type)
		return fail_say(r->ctx, -E_ARG, "SR %s is of type %s, not %s", e->uuid.s, e->type,
				r->rq->type);
	r->sr.uuid = e->uuid;
	r->sr.name = e->name;
	r->sr.dconf = e->dconf;
	return 0;
}

int bind_sr(struct run *r)
{
	struct request *rq = r->rq;
	bool fresh = r->row->flags & NEEDS_TYPE;
	int err;

	r->sr = (struct sr){
		.ctx = r->ctx, .dir = -1, .name = "", .description = "",
		.write = r->row->flags & CHANGES && !r->ctx->dry_run,
		/* Machines ask nobody: they have decided before they call. */
		.force = rq->force || rq->by_uuid,
	};
	if (!fresh && !(rq->type && (rq->dconf.n || rq->by_uuid))) {
		err = bind_from_tab(r);
		for (size_t i = 0; IS_ENABLED(CONFIG_SECCOMP_SANDBOX) && !err && i < r->n_ready; i++)
			if (uuid_equal(&r->ready[i].uuid, &r->sr.uuid)) {
				r->sr = r->ready[i];
				return 0;
			}
	} else if (!rq->type) {
		hint(r->ctx, "--type file (sm help types lists them)");
		return fail_say(r->ctx, -E_USAGE, "the type of the SR is missing");
	} else {
		err = bind_type(r, rq->type);
		r->sr.dconf = rq->dconf;
		r->sr.sm_config = rq->sm_config;
		if (IS_ENABLED(CONFIG_TRANSPORT_NFS))
			r->sr.other_config = rq->other_config;
		if (!err)
			err = fresh ? bind_new_uuid(r) : bind_given(r);
	}
	for (size_t i = 0; i < r->sr.dconf.n; i++)
		if (r->sr.dconf.v[i].secret)
			proc_keep_secret();
	/* A person may ask for what is there at all. */
	if (!err && rq->op == OP_SR_PROBE && !rq->by_uuid && !rq->dconf.n &&
	    sr_can_survey(r->sr.type))
		return 0;
	if (!err && IS_ENABLED(CONFIG_TRANSPORT_NFS) && sr_lacks_place(&r->sr)) {
		if (rq->op == OP_SR_PROBE)
			return 0;
		if (rq->op == OP_SR_CREATE && rq->by_uuid && tell_offers(r))
			fail_clear(r->ctx);
	}
	if (!err)
		err = sr_check_dconf(r->ctx, r->sr.type, &r->sr.dconf, !rq->by_uuid);
	if (IS_ENABLED(CONFIG_SHARED_SR) && !err) {
		r->sr.shared = kv_is(&r->sr.dconf, "shared", "true");
		r->sr.verb = run_verb(r);
	}
	return err;
}

/* How surely does text stand for this VDI?  0 = not at all. */
static int match(const struct vdi *vdi, const char *text)
{
	if (!strcasecmp(vdi->uuid.s, text))
		return 3;
	if (vdi->name && !strcmp(vdi->name, text))
		return 2;
	if (uuid_is_prefix(text) && !strncasecmp(vdi->uuid.s, text, strlen(text)))
		return 1;
	return 0;
}

struct hits {
	int best;
	size_t n;
	struct uuid vdi, sr;
};

static void count(struct ctx *ctx, struct hits *h, const struct vdis *l, const char *text)
{
	for (size_t i = 0; i < l->n; i++) {
		int how = match(&l->v[i], text);

		if (!how || how < h->best)
			continue;
		/* A raw disk that has just become a VHD, by whoever died before the old name went. */
		if (IS_ENABLED(CONFIG_SNAPSHOTS) && how == h->best && uuid_equal(&h->vdi, &l->v[i].uuid) &&
		    uuid_equal(&h->sr, &l->v[i].sr))
			continue;
		if (how > h->best)
			h->n = 0;
		h->best = how;
		if (h->n++)
			hint(ctx, "%s or %s", h->vdi.s, l->v[i].uuid.s);
		h->vdi = l->v[i].uuid;
		h->sr = l->v[i].sr;
	}
}

/* One that cannot be read now, by its uuid: the SR is the right one all the same. */
static void count_broken(struct hits *h, const struct vdis *l, const struct uuid *sr,
			 const char *text)
{
	struct uuid u;

	for (size_t i = 0; !h->n && i < l->n_problems; i++)
		if (!uuid_parse(&u, l->problems[i].object) && uuid_is_prefix(text) &&
		    !strncasecmp(u.s, text, strlen(text)))
			*h = (struct hits){ .n = 1, .vdi = u, .sr = *sr };
}

/* All that it could be, of one SR: by its uuid, which needs no list, or else everything. */
static int candidates(struct sr *sr, const char *text, struct vdis *l)
{
	struct uuid u;
	struct vdi one;

	if (IS_ENABLED(CONFIG_OPTIMIZE_SIZE) || uuid_parse(&u, text) || sr->type->layout->find(sr, &u, &one))
		return WITH_CBT ? cbt_list(sr, l) : sr->type->layout->list(sr, l);
	*vdis_add(&sr->ctx->arena, l) = one;
	return 0;
}

static int judge(struct ctx *ctx, const struct hits *h, const char *text)
{
	if (h->n == 1)
		return 0;
	if (h->n)
		return fail_say(ctx, -E_AMBIGUOUS, "%zu VDIs are called %.128s", h->n, text);
	hint(ctx, "sm vdi list");
	return fail(ctx, -E_VDI_MISSING, "VDI %.128s", text);
}

/*
 * A VDI whose volume is gone though it is attached: somebody removed the file.
 * It can still be detached, when given by its uuid.
 */
static bool may_be_lost(const struct run *r, const char *text, struct uuid *u)
{
	enum op op = r->rq->op;

	return (op == OP_VDI_DETACH || op == OP_VDI_DEACTIVATE || op == OP_VDI_DETACH_FROM_CONFIG) &&
		!uuid_parse(u, text);
}

static int bind_lost(struct run *r, const struct uuid *u)
{
	const struct format *f;
	struct vdi *vdi = &r->vdi;
	int err = 0;

	for (size_t i = 0; !err && !vdi->at.active && (f = sr_format_at(r->sr.type, i)); i++) {
		*vdi = (struct vdi){ .uuid = *u, .format = f->name };
		snprintf(vdi->volume, sizeof(vdi->volume), "%s.%s", u->s, f->name);
		err = vdi_complete(&r->sr, vdi);
	}
	return !err && !vdi->at.attached && !vdi->at.active ? -E_VDI_MISSING : err;
}

int find_sr_of_vdi(struct run *r)
{
	struct hits h = { 0 };
	struct smtab tab;
	bool some = false;
	const char *why = NULL, *what = NULL;	/* the first attached one could not be opened */
	int err = smtab_read(r->ctx, &tab), bad = 0;

	for (size_t i = 0; !err && i < tab.n; i++) {
		struct run one = *r;
		struct request rq = { .op = r->rq->op, .sr = tab.v[i].uuid.s };
		struct vdis l = { 0 };
		struct uuid u;
		int one_err;

		if (IS_ENABLED(CONFIG_SHARED_SR) && rq.op == OP_LOCK_BREAK && !strcmp(rq.sr, r->rq->vdi)) {
			r->rq->sr = r->rq->vdi;		/* the SR's own lock */
			return 0;
		}
		one.rq = &rq;
		/* An SR that cannot be read is not the one, unless none is. */
		one_err = bind_sr(&one);
		if (!one_err)
			one_err = sr_open(&one.sr, false);
		if (IS_ENABLED(CONFIG_TRANSPORT_NFS) && one_err && !bad && one.sr.path[0]) {
			bad = one_err;
			why = arena_printf(&r->ctx->arena, "SR %s: %s", one.sr.uuid.s, r->ctx->why);
			what = arena_strdup(&r->ctx->arena, r->ctx->hint);
		}
		if (!one_err) {
			some = true;
			if (!candidates(&one.sr, r->rq->vdi, &l)) {
				for (size_t k = 0; k < l.n; k++)
					l.v[k].sr = one.sr.uuid;
				fail_clear(r->ctx);
				count(r->ctx, &h, &l, r->rq->vdi);
				if (IS_ENABLED(CONFIG_SNAPSHOTS))
					count_broken(&h, &l, &one.sr.uuid, r->rq->vdi);
			}
			if (!h.n && may_be_lost(&one, r->rq->vdi, &u) && !bind_lost(&one, &u))
				h = (struct hits){ .n = 1, .vdi = u, .sr = one.sr.uuid };
		}
		sr_close(&one.sr);
		if (!h.n)
			fail_clear(r->ctx);
	}
	if (err)
		return err;
	if (IS_ENABLED(CONFIG_TRANSPORT_NFS) && !some && bad && *what)
		hint(r->ctx, "%s", what);
	if (IS_ENABLED(CONFIG_TRANSPORT_NFS) && !some && bad)
		return fail_say(r->ctx, bad, "%s", why);
	if (!some) {
		hint(r->ctx, "sm sr attach SR, or name the SR: --sr SR");
		return fail(r->ctx, -E_SR_DETACHED, "VDI %.128s: no SR is attached", r->rq->vdi);
	}
	err = judge(r->ctx, &h, r->rq->vdi);
	if (err)
		return err;
	r->rq->sr = arena_strdup(&r->ctx->arena, h.sr.s);
	r->rq->vdi = arena_strdup(&r->ctx->arena, h.vdi.s);
	return 0;
}

/* An SR that cannot be read is a problem of the list; one that is detached is none. */
int sr_each(struct run *r, int (*fn)(struct run *one))
{
	struct smtab tab;
	int err;

	if (r->sr.type)
		return fn(r);
	err = smtab_read(r->ctx, &tab);
	r->rp->several = true;
	for (size_t i = 0; !err && i < tab.n; i++) {
		struct request rq = *r->rq;
		struct run one = *r;
		int bad;

		one.rq = &rq;
		rq.sr = tab.v[i].uuid.s;
		bad = bind_sr(&one);
		if (!bad && sr_can(one.sr.type, rq.op))
			bad = fn(&one);
		sr_close(&one.sr);
		if (bad == -EINTR)
			return bad;
		if (bad && bad != -E_SR_DETACHED)
			vdis_problem(&r->ctx->arena, &r->rp->vdis, &(struct problem){
				.object = tab.v[i].uuid.s, .severity = "error",
				.what = arena_strdup(&r->ctx->arena, r->ctx->why[0] ? r->ctx->why :
						     err_text(bad)) });
		fail_clear(r->ctx);
	}
	return err;
}

static int find_vdi(struct sr *sr, const struct uuid *u, struct vdi *vdi)
{
	int err = sr->type->layout->find(sr, u, vdi);

	if (!WITH_CBT || !cbt_can(sr))
		return err;
	if (err == -E_VDI_MISSING)
		err = cbt_find(sr, u, vdi);
	else if (!err)
		vdi->cbt = cbt_has(sr, u);
	return err;
}

int bind_vdi(struct run *r)
{
	const struct layout *layout = r->sr.type->layout;
	const char *text = r->rq->vdi ? r->rq->vdi : r->rq->vdi_uuid.s;
	struct hits h = { 0 };
	struct vdis l = { 0 };
	struct uuid u;
	int err;

	if (!uuid_parse(&u, text)) {
		err = find_vdi(&r->sr, &u, &r->vdi);
		/* A disk may be called like a uuid: look at the names before giving up. */
		if (err != -E_VDI_MISSING || r->rq->by_uuid)
			goto found;
	} else if (r->rq->by_uuid) {
		hint(r->ctx, "a VDI is given by its whole uuid");
		return fail(r->ctx, -E_UUID, "VDI '%.64s'", text);
	}
	err = WITH_CBT ? cbt_list(&r->sr, &l) : layout->list(&r->sr, &l);
	if (err)
		return err;
	count(r->ctx, &h, &l, text);
	if (!h.n && uuid_is_prefix(text))
		for (size_t i = 0; i < l.n_problems; i++)
			if (!strncasecmp(l.problems[i].object, text, strlen(text)))
				return fail_say(r->ctx, -E_VDI_LOAD, "%s", l.problems[i].what);
	err = judge(r->ctx, &h, text);
	if (err && (err != -E_VDI_MISSING || !may_be_lost(r, text, &u)))
		return err;
	if (!err)
		err = find_vdi(&r->sr, &h.vdi, &r->vdi);
found:
	if (err == -E_VDI_MISSING && may_be_lost(r, text, &u)) {
		fail_clear(r->ctx);
		err = bind_lost(r, &u);
		if (!err)
			return 0;
	}
	if (err == -E_VDI_MISSING) {
		hint(r->ctx, "sm vdi list --sr %s", r->sr.uuid.s);
		return fail(r->ctx, err, "VDI %.64s", text);
	}
	if (IS_ENABLED(CONFIG_SNAPSHOTS) && err && is_broken(r, err))
		return bind_broken(r);
	return err ? err : vdi_complete(&r->sr, &r->vdi);
}
