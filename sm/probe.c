/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sr probe: which SRs are in a place, or on any device of this host. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/err.h"
#include "sm/core.h"

/* Does the key of a type that names the storage fit what lies at target? */
static const char *key_for(const struct sr_type *t, const char *target)
{
	struct stat st;

	if (stat(target, &st))
		return NULL;
	for (const struct key *k = t->keys; k && k->name && !(k->flags & KEY_HOST); k++)
		if (k->flags & KEY_MUST && ((k->flags & KEY_PATH && S_ISDIR(st.st_mode)) ||
					    (k->flags & KEY_DEVICE && S_ISBLK(st.st_mode))))
			return k->name;
	return NULL;
}

static int probe_one(struct run *r, struct sr *sr)
{
	struct reply *rp = r->rp;
	struct sr_info found = { 0 };
	int err = sr_stage(sr, false);

	if (!err)
		err = sr->type->layout->probe(sr, &found);
	if (!err) {
		rp->srs = arena_grow(&r->ctx->arena, rp->srs, rp->n_srs, rp->n_srs + 1,
				     sizeof(*rp->srs));
		sr->uuid = found.uuid;
		sr->name = found.name;
		sr->description = found.description;
		sr_fill_static(sr, &rp->srs[rp->n_srs]);
		rp->srs[rp->n_srs].size = found.size;
		rp->srs[rp->n_srs++].used = found.used;
	}
	sr_close(sr);
	return err;
}

/* One place of several: that it is no SR is the usual answer, what is wrong with one is told. */
static int probe_next(struct run *r, struct sr *sr, const char *where)
{
	int err = sr_check_dconf(r->ctx, sr->type, &sr->dconf, true);

	if (!err)
		err = probe_one(r, sr);
	if (err == -E_SR_MISSING)
		err = 0;
	if (err)
		vdis_problem(&r->ctx->arena, &r->rp->vdis, &(struct problem){
			.object = where, .severity = "error",
			.what = arena_strdup(&r->ctx->arena, r->ctx->why) });
	fail_clear(r->ctx);
	return err;
}

static int probe_inhabitants(struct run *r);

/* HOST:/PATH: a directory of another host, with the first type that takes one. */
static int probe_remote(struct run *r, const char *path)
{
	const char *host = arena_strndup(&r->ctx->arena, r->rq->sr, (size_t)(path - r->rq->sr - 1));
	int err;

	for_each_registered(sr_types, t) {
		const struct key *k = (*t)->keys;

		if (!(*t)->transport->inhabitants || !k)
			continue;
		r->sr.type = *t;
		for (size_t i = 0; i < r->rq->dconf.n; i++)
			kv_set(&r->ctx->arena, &r->sr.dconf, r->rq->dconf.v[i].key, r->rq->dconf.v[i].value);
		kv_set(&r->ctx->arena, &r->sr.dconf, k[0].name, host);
		kv_set(&r->ctx->arena, &r->sr.dconf, k[1].name, path);
		err = be_watched(r);
		return err ? err : probe_inhabitants(r);
	}
	return -E_UNSUPPORTED;
}

static bool is_remote(const char *target)
{
	return target[0] != '/' && strstr(target, ":/");
}

static int probe_target(struct run *r)
{
	const char *target = r->rq->sr;
	int err, first = 0;

	if (access(target, F_OK))
		return fail_path(r->ctx, -errno, target);
	for_each_registered(sr_types, t) {
		const char *key = (*t)->layout->probe ? key_for(*t, target) : NULL;
		struct sr sr = { .ctx = r->ctx, .type = *t, .dir = -1 };

		if (!key)
			continue;
		kv_set(&r->ctx->arena, &sr.dconf, key, target);
		err = probe_next(r, &sr, target);
		first = first ? first : err;
	}
	return first;
}

/* Has one of the SRs that were found this among its storage? */
static bool is_covered(const struct reply *rp, const char *key, const char *value)
{
	for (size_t i = 0; i < rp->n_srs; i++) {
		const char *list = kv_get(&rp->srs[i].dconf, key);
		size_t n = strlen(value);

		for (const char *p = list; p; p = strchr(p, ','), p = p ? p + 1 : NULL)
			if (!strncmp(p, value, n) && (!p[n] || p[n] == ','))
				return true;
	}
	return false;
}

/* Everything on this host that might hold an SR of the type. */
static int probe_host(struct run *r, const struct sr_type *t)
{
	struct sr host = { .ctx = r->ctx, .type = t, .dir = -1 };
	const char *key = t->keys[0].name, **values;
	size_t n;
	int one, err = sr_can_survey(t) ? t->transport->survey(&host, &values, &n) : -E_UNSUPPORTED;

	if (err)
		return err;
	for (size_t i = 0; i < n; i++) {
		struct sr sr = { .ctx = r->ctx, .type = t, .dir = -1 };

		if (is_covered(r->rp, key, values[i]))
			continue;
		kv_set(&r->ctx->arena, &sr.dconf, key, values[i]);
		one = probe_next(r, &sr, values[i]);
		err = err ? err : one;
	}
	return err;
}

static int probe_everything(struct run *r)
{
	int err = -E_UNSUPPORTED, one;

	if (!IS_ENABLED(CONFIG_TRANSPORT_DEVICES))
		return err;
	for_each_registered(sr_types, t) {
		one = (*t)->layout->probe ? probe_host(r, *t) : -E_UNSUPPORTED;
		err = one == -E_UNSUPPORTED || (err && err != -E_UNSUPPORTED) ? err : one;
	}
	return err;
}

bool sr_lacks_place(const struct sr *sr)
{
	const struct key *k = sr->type->keys;

	return sr->type->transport && sr->type->transport->offers && kv_get(&sr->dconf, k[0].name) &&
		!kv_get(&sr->dconf, k[1].name);
}

int tell_offers(struct run *r)
{
	struct reply *rp = r->rp;
	struct offer *v = NULL;
	bool versions = kv_get(&r->sr.dconf, "probeversion");
	int err = r->sr.type->transport->offers(&r->sr, &v, &rp->n_offers,
						versions ? &rp->versions : NULL);

	rp->offers = v;
	return err;
}

static int probe_server(struct run *r)
{
	int err = tell_offers(r);

	if (!err && r->rq->by_uuid)
		err = sr_check_dconf(r->ctx, r->sr.type, &r->sr.dconf, false);
	r->rp->kind = err ? REPLY_NONE : REPLY_OFFERS;
	return err;
}

/* Several SRs in one place, each with the dconf that attaches it. */
static int probe_inhabitants(struct run *r)
{
	struct arena *a = &r->ctx->arena;
	bool versions = kv_get(&r->sr.dconf, "probeversion");
	struct sr_info *v;
	size_t n;
	int err = r->sr.type->transport->inhabitants(&r->sr, &v, &n, versions ? &r->rp->versions : NULL);

	if (err)
		return err;
	r->rp->srs = arena_array(a, n, sizeof(*v));
	for (size_t i = 0; i < n; i++) {
		struct sr_info *to = &r->rp->srs[r->rp->n_srs++];

		r->sr.uuid = v[i].uuid;
		r->sr.name = v[i].name;
		r->sr.description = v[i].description;
		sr_fill_static(&r->sr, to);
		to->dconf = (struct kvs){ .v = NULL };
		for (size_t k = 0; k < r->sr.dconf.n; k++)
			if (strcmp(r->sr.dconf.v[k].key, "probeversion"))
				kv_set(a, &to->dconf, r->sr.dconf.v[k].key, r->sr.dconf.v[k].value);
		for (size_t k = 0; k < v[i].dconf.n; k++)
			kv_set(a, &to->dconf, v[i].dconf.v[k].key, v[i].dconf.v[k].value);
	}
	return 0;
}

/* What lies on this host is only read: no lock is taken, nothing is mounted. */
static int probe_here(struct run *r)
{
	const struct sr_type *t = r->sr.type;
	int err = 0;

	r->sr.confine = true;
	if (IS_ENABLED(CONFIG_SECCOMP_SANDBOX))
		err = sr_confine(&r->sr);
	if (err)
		return err;
	if (r->rq->type && sr_can_survey(t) && !kv_get(&r->sr.dconf, t->keys[0].name))
		return probe_host(r, t);
	if (r->rq->type)
		return probe_one(r, &r->sr);
	return r->rq->sr ? probe_target(r) : probe_everything(r);
}

int do_sr_probe(struct run *r)
{
	const struct sr_type *t = r->sr.type;
	int err;

	r->rp->kind = REPLY_PROBE;
	r->rp->type = t;
	r->sr.uuid = r->rq->sr_uuid;	/* whichever is there, unless one is asked for */
	if (IS_ENABLED(CONFIG_TRANSPORT_NFS) && r->rq->type && sr_lacks_place(&r->sr))
		return probe_server(r);
	if (IS_ENABLED(CONFIG_TRANSPORT_NFS) && r->rq->type && t->transport->inhabitants)
		err = probe_inhabitants(r);
	else if (IS_ENABLED(CONFIG_TRANSPORT_NFS) && !r->rq->type && r->rq->sr && is_remote(r->rq->sr))
		err = probe_remote(r, strstr(r->rq->sr, ":/") + 1);
	else
		err = probe_here(r);
	if (err == -E_UNSUPPORTED) {
		hint(r->ctx, "sm sr probe /dev/sdb, or --type and --dconf");
		return fail_say(r->ctx, -E_USAGE, "what to probe is missing");
	}
	if (err == -E_SR_MISSING || (!err && !r->rp->n_srs && !r->rp->vdis.n_problems)) {
		/* An agent asks for a list, which may be empty; a person for an SR. */
		if (r->rq->by_uuid)
			return 0;
		return fail(r->ctx, -E_SR_MISSING, "%s", r->rq->sr ? r->rq->sr :
			    r->rq->type ? r->rq->type : "on the devices of this host");
	}
	if (r->rp->n_srs)
		return 0;
	if (r->rp->vdis.n_problems) {
		r->rp->vdis.n_problems--;	/* the sentence itself, then */
		fail_say(r->ctx, err, "%s", r->rp->vdis.problems[0].what);
	}
	return err;
}
