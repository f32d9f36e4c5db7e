/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "drivers/transport.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/kconfig.h"
#include "lib/lvm2/show.h"
#include "lib/text/json.h"
#include "sm/front/cbt_out.h"
#include "sm/front/cli.h"
#include "sm/front/gc_out.h"
#include "sm/front/image_out.h"
#include "sm/front/json_out.h"
#include "sm/front/lock_out.h"
#include "sm/front/vg_out.h"

#define SCHEMA 1

static const char *text(const char *s)
{
	return s ? s : "";
}

static void put_uuid(struct json *j, const char *key, const struct uuid *u)
{
	json_key_str(j, key, u->s[0] ? u->s : NULL);
}

/* Secrets are shown as stars here as everywhere. */
static void put_kvs(struct json *j, const char *key, const struct kvs *s)
{
	json_key_obj(j, key);
	for (size_t i = 0; i < s->n; i++)
		json_key_str(j, s->v[i].key, kv_show(&s->v[i]));
	json_obj_end(j);
}

/* 1, -1 = no, 0 = not known. */
static void put_known(struct json *j, const char *key, int known)
{
	json_key(j, key);
	if (!known)
		json_null(j);
	else
		json_bool(j, known > 0);
}

static void put_sr(struct json *j, const struct sr_info *sr)
{
	json_obj_begin(j);
	json_key_str(j, "uuid", sr->uuid.s);
	json_key_str(j, "name", text(sr->name));
	json_key_str(j, "type", text(sr->type));
	json_key_bool(j, "attached", sr->attached);
	json_key_str(j, "path", sr->path);
	put_kvs(j, "dconf", &sr->dconf);
	json_key_u64(j, "size", sr->size);
	json_key_u64(j, "used", sr->used);
	json_key_u64(j, "allocated", sr->allocated);
	json_key_u64(j, "vdis", sr->n_vdis);
	put_known(j, "fast_clone", sr->fast_clone);
	put_known(j, "server_copy", sr->server_copy);
	json_key_str(j, "health", text(sr->health));
	json_obj_end(j);
}

static void put_counters(struct json *j, const struct blk_stat *s)
{
	json_key_obj(j, "io");
	json_key_u64(j, "reads", s->reads);
	json_key_u64(j, "read_bytes", s->read_bytes);
	json_key_u64(j, "writes", s->writes);
	json_key_u64(j, "written_bytes", s->written_bytes);
	json_obj_end(j);
}

static void put_attached(struct json *j, const struct attachment *at)
{
	json_key(j, "attached");
	if (!at->attached && !at->active) {
		json_null(j);
		return;
	}
	json_obj_begin(j);
	json_key_str(j, "device", at->device[0] ? at->device : NULL);
	json_key_str(j, "mode", at->writable ? "rw" : "ro");
	json_key_str(j, "backend", at->backend);
	if (IS_ENABLED(CONFIG_LOCK_KEEPER) && at->lost)
		json_key_bool(j, "lost", true);
	if (IS_ENABLED(CONFIG_SERVE) && at->usage && at->usage->pid)
		json_key_u64(j, "pid", (uint64_t)at->usage->pid);
	if (IS_ENABLED(CONFIG_SERVE) && at->usage && at->usage->counted)
		put_counters(j, &at->usage->io);
	json_obj_end(j);
}

static void put_vdi(struct json *j, const struct request *rq, const struct vdi *v)
{
	json_obj_begin(j);
	if (IS_ENABLED(CONFIG_SNAPSHOTS) && rq->op == OP_VDI_TREE)
		json_key_u64(j, "depth", v->depth);
	json_key_str(j, "uuid", v->uuid.s);
	json_key_str(j, "name", text(v->name));
	json_key_str(j, "description", text(v->description));
	put_uuid(j, "sr", v->sr.s[0] ? &v->sr : &rq->sr_uuid);
	json_key_str(j, "format", text(v->format));
	json_key_u64(j, "virtual_size", v->virtual_size);
	json_key_u64(j, "physical_size", v->physical_size);
	put_uuid(j, "parent", &v->parent);
	json_key_arr(j, "children");
	for (size_t i = 0; i < v->n_children; i++)
		json_str(j, v->children[i].s);
	json_arr_end(j);
	json_key_bool(j, "hidden", v->hidden);
	json_key_bool(j, "read_only", v->read_only);
	put_uuid(j, "snapshot_of", &v->snapshot_of);
	put_attached(j, &v->at);
	json_obj_end(j);
}

static void put_problems(struct json *j, const struct vdis *l)
{
	json_key_arr(j, "problems");
	for (size_t i = 0; i < l->n_problems; i++) {
		json_obj_begin(j);
		json_key_str(j, "object", text(l->problems[i].object));
		json_key_str(j, "what", text(l->problems[i].what));
		json_key_str(j, "severity", text(l->problems[i].severity));
		json_key_str(j, "repair", l->problems[i].repair);
		json_obj_end(j);
	}
	json_arr_end(j);
}

static void put_srs(struct json *j, const struct reply *rp)
{
	json_key_arr(j, "srs");
	for (size_t i = 0; i < rp->n_srs; i++)
		put_sr(j, &rp->srs[i]);
	json_arr_end(j);
	put_problems(j, &rp->vdis);
}

static void put_offers(struct json *j, const struct reply *rp)
{
	json_key_arr(j, "exports");
	for (size_t i = 0; i < rp->n_offers; i++) {
		json_obj_begin(j);
		json_key_str(j, "server", rp->offers[i].server);
		json_key_str(j, "path", rp->offers[i].path);
		json_key_str(j, "hosts", rp->offers[i].hosts);
		json_obj_end(j);
	}
	json_arr_end(j);
	json_key_str(j, "versions", rp->versions);
}

static void put_vdis(struct json *j, const struct request *rq, const struct reply *rp)
{
	json_key_arr(j, "vdis");
	for (size_t i = 0; i < rp->vdis.n; i++)
		put_vdi(j, rq, &rp->vdis.v[i]);
	json_arr_end(j);
	put_problems(j, &rp->vdis);
}

static void put_check(struct json *j, const struct request *rq, const struct reply *rp)
{
	json_key_str(j, "object", text(rp->object));
	json_key_bool(j, "ok", !cli_findings(rq, rp));
	if (IS_ENABLED(CONFIG_CHECK_BACKUP) && rq->repair)
		json_key_str(j, "backup", rp->backup);
	put_problems(j, &rp->vdis);
}

static void put_steps(struct json *j, const char *key, const struct reply *rp)
{
	json_key_arr(j, key);
	for (size_t i = 0; i < rp->n_plan; i++)
		json_str(j, rp->plan[i]);
	json_arr_end(j);
}

static void put_plan(struct json *j, const struct reply *rp)
{
	put_steps(j, "plan", rp);
	json_key_u64(j, "space", rp->space);
}

static void put_reply(struct json *j, const struct request *rq, const struct reply *rp)
{
	switch (rp->kind) {
	case REPLY_SR:
		json_key(j, "sr");
		put_sr(j, &rp->srs[0]);
		break;
	case REPLY_SRS:
	case REPLY_PROBE:
		put_srs(j, rp);
		if (IS_ENABLED(CONFIG_NFS_GUARD) && rp->versions)
			json_key_str(j, "versions", rp->versions);
		break;
	case REPLY_OFFERS:
		if (IS_ENABLED(CONFIG_TRANSPORT_NFS))
			put_offers(j, rp);
		break;
	case REPLY_VDI:
	case REPLY_ATTACH:
		json_key(j, "vdi");
		put_vdi(j, rq, &rp->vdis.v[0]);
		break;
	case REPLY_VDIS:
	case REPLY_TREE:
		put_vdis(j, rq, rp);
		break;
	case REPLY_CHECK:
		put_check(j, rq, rp);
		break;
	case REPLY_PLAN:
		put_plan(j, rp);
		break;
	case REPLY_DONE:
		put_steps(j, "done", rp);
		break;
	case REPLY_HISTORY:
		if (IS_ENABLED(CONFIG_CLI_VG))
			vg_out_history_json(j, rp);
		put_problems(j, &rp->vdis);
		break;
#if IS_ENABLED(CONFIG_CLI_LOCK)
	case REPLY_LOCK:
	case REPLY_LOCKS:
		lock_out_json(rp, j);
		if (rp->kind == REPLY_LOCKS)
			put_problems(j, &rp->vdis);
		break;
#endif
	case REPLY_GC_PLAN:
	case REPLY_GC_STATUS:
		if (IS_ENABLED(CONFIG_GC))
			gc_out_json(j, rp);
		put_problems(j, &rp->vdis);
		break;
	case REPLY_TEXT:
		json_key_str(j, "text", rp->text);
		break;
	case REPLY_CBT:
		if (IS_ENABLED(CONFIG_CBT))
			cbt_out_json(rp->cbt, j);
		break;
	case REPLY_IMAGE:
		if (IS_ENABLED(CONFIG_CLI_IMAGE))
			image_json(j, rp);
		put_problems(j, &rp->vdis);
		break;
	case REPLY_MAP:
	case REPLY_VGS:		/* a document of its own */
#if !IS_ENABLED(CONFIG_CLI_LOCK)
	case REPLY_LOCK:
	case REPLY_LOCKS:
#endif
	case REPLY_NONE:
	case REPLY_INFO:
	case REPLY_CONFIG:	/* no command for people answers with these two */
		break;
	}
}

void json_out_reply(const struct request *rq, const struct reply *rp, struct buf *b)
{
	struct json j = { .buf = b, .pretty = true };

	if (IS_ENABLED(CONFIG_CLI_IMAGE) && rp->kind == REPLY_MAP) {
		image_json_map(&j, rp);
		json_end(&j);
		return;
	}
	if (IS_ENABLED(CONFIG_CLI_VG) && rp->kind == REPLY_VGS) {
		lvm_show_json(rp->vgs, &j);
		return;
	}
	json_obj_begin(&j);
	json_key_u64(&j, "schema", SCHEMA);
	put_reply(&j, rq, rp);
	json_obj_end(&j);
	json_end(&j);
}

void json_out_error(const struct ctx *ctx, int err, struct buf *b)
{
	struct json j = { .buf = b };
	int smapi = err_smapi(err);

	json_obj_begin(&j);
	json_key_obj(&j, "error");
	json_key_str(&j, "code", err_name(err));
	json_key(&j, "smapi");
	if (smapi)
		json_i64(&j, smapi);
	else
		json_null(&j);
	json_key_str(&j, "message", ctx->why[0] ? ctx->why : err_text(err));
	json_key_str(&j, "hint", ctx->hint[0] ? ctx->hint : NULL);
	json_obj_end(&j);
	json_obj_end(&j);
	json_end(&j);
}
