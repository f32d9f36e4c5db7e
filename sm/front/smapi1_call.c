/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/text/xmlrpc.h"
#include "sm/front/smapi1.h"
#include "sm/ops.h"

/* Linux passes no longer argument; with room to spare. */
#define CALL_MAX	MiB

/* A disk's names are kept in a small record of its own, escaped. */
#define NAME_MOST	((size_t)4096)

/*
 * What the members of "args" mean, by position.  The rest of vdi_create's
 * (metadata_of_pool, is_a_snapshot …) goes into xapi's database and nowhere
 * else; references are for xapi too.
 */
enum what { NO_MORE, SIZE, LABEL, DESCRIPTION, WRITABLE, OTHER };

static const struct positions {
	enum op op;
	size_t must;		/* how many have to be there */
	enum what what[4];
} positions[] = {
	{ OP_SR_CREATE,			0, { SIZE } },
	{ OP_VDI_CREATE,		3, { SIZE, LABEL, DESCRIPTION } },
	{ OP_VDI_RESIZE,		1, { SIZE } },
	{ OP_VDI_ATTACH,		1, { WRITABLE } },
	{ OP_VDI_ACTIVATE,		1, { WRITABLE } },
	{ OP_VDI_COMPOSE,		1, { OTHER } },
	{ OP_VDI_LIST_CHANGED_BLOCKS,	1, { OTHER } },
	{ OP_VDI_REVERT,		1, { OTHER } },
};

static const struct positions *positions_of(enum op op)
{
	for (size_t i = 0; i < ARRAY_SIZE(positions); i++)
		if (positions[i].op == op)
			return &positions[i];
	return NULL;
}

/* The row of a command that xapi may give; the other API has a few of its own. */
static const struct op_row *row_of(const char *command)
{
	const struct op_row *row = op_by_api(command);

	if (!strcmp(command, "vdi_resize_online"))	/* what xapi of 2012 calls it */
		return op_row(OP_VDI_RESIZE);
	if (row && (row->op == OP_SR_SHOW || row->op == OP_VDI_SHOW ||
		    row->op == OP_VDI_LOCK || row->op == OP_VDI_UNLOCK))
		return NULL;
	return row;
}

/* --- members of the struct ------------------------------------------------- */

static int bad(struct ctx *ctx, const char *key, const char *what)
{
	return fail_say(ctx, -E_REQUEST, "%s %s", key, what);
}

/* A string; an absent one stays as it is. */
static int get_text(struct ctx *ctx, const struct xval *st, const char *key, const char **to)
{
	const struct xval *v = xval_get(st, key);

	return v && xval_str(v, to) ? bad(ctx, key, "is not a string") : 0;
}

static int need_text(struct ctx *ctx, const struct xval *st, const char *key, const char **to)
{
	int err = get_text(ctx, st, key, to);

	return !err && !*to ? bad(ctx, key, "is missing") : err;
}

static int get_uuid(struct ctx *ctx, const struct xval *st, const char *key, struct uuid *to)
{
	const char *text = NULL;
	int err = get_text(ctx, st, key, &text);

	if (!err && text && *text) {
		err = uuid_parse(to, text);
		if (err)
			return fail(ctx, err, "%s '%.64s'", key, text);
	}
	return err;
}

static int get_kvs(struct ctx *ctx, const struct xval *st, const char *key, struct kvs *to)
{
	const struct xval *v = xval_get(st, key);

	return v && xval_kvs(&ctx->arena, v, to) ? bad(ctx, key, "is not a struct of strings") : 0;
}

/* --- args ------------------------------------------------------------------ */

/* The text of a value that may come typed: <int>, <boolean> or a plain string. */
static const char *scalar(struct ctx *ctx, const struct xval *v)
{
	switch (v->kind) {
	case XVAL_STRING:
		return v->text;
	case XVAL_INT:
		return arena_printf(&ctx->arena, "%lld", (long long)v->i);
	case XVAL_BOOL:
		return v->i ? "true" : "false";
	default:
		return NULL;
	}
}

/* Unlike a name that a person types, xapi's may have several lines: XML allows that. */
static int set_name(struct ctx *ctx, const char **to, const char *text)
{
	if (strlen(text) > NAME_MOST)
		return fail_say(ctx, -E_ARG, "a name is longer than %zu bytes", NAME_MOST);
	*to = text;
	return 0;
}

static int set_writable(struct ctx *ctx, struct request *rq, const char *text)
{
	rq->writable = !strcmp(text, "true");
	if (!rq->writable && strcmp(text, "false"))
		return bad(ctx, "args", "does not begin with true or false");
	return 0;
}

static int set_arg(struct ctx *ctx, struct request *rq, enum what what, const char *text)
{
	switch (what) {
	case SIZE:
		return request_set(ctx, rq, arg_find("SIZE"), text);
	case LABEL:
		return set_name(ctx, &rq->name, text);
	case DESCRIPTION:
		return set_name(ctx, &rq->description, text);
	case WRITABLE:
		return set_writable(ctx, rq, text);
	case OTHER:
		rq->other = text;
		break;
	case NO_MORE:
		break;
	}
	return 0;
}

static int read_args(struct ctx *ctx, const struct xval *args, struct request *rq)
{
	const struct positions *p = positions_of(rq->op);
	const struct xval *v = args ? args->first : NULL;
	int err = 0;

	if (args && args->kind != XVAL_ARRAY)
		return bad(ctx, "args", "is not an array");
	if (p && (args ? args->n : 0) < p->must)
		return bad(ctx, "args", "is too short");
	for (size_t i = 0; !err && p && v && p->what[i]; i++, v = v->next) {
		const char *text = scalar(ctx, v);

		err = text ? set_arg(ctx, rq, p->what[i], text) :
			bad(ctx, "args", "holds a value that is not a string");
	}
	return err;
}

/* --- the request ----------------------------------------------------------- */

static int read_names(struct ctx *ctx, const struct xval *st, const struct op_row *row,
		      struct request *rq)
{
	bool needs_sr = row->flags & NEEDS_SR || row->op == OP_SR_CREATE;
	int err = (needs_sr ? need_text : get_text)(ctx, st, "sr_uuid", &rq->sr);

	if (!err && row->flags & NEEDS_VDI)
		err = need_text(ctx, st, "vdi_uuid", &rq->vdi);
	if (err)
		return err;
	switch (row->op) {
	case OP_SR_CREATE:
		return get_uuid(ctx, st, "sr_uuid", &rq->new_uuid);
	case OP_VDI_CREATE:
		return get_uuid(ctx, st, "vdi_uuid", &rq->new_uuid);
	case OP_VDI_INTRODUCE:
		err = need_text(ctx, st, "vdi_location", &rq->vdi);
		return err ? err : get_uuid(ctx, st, "new_uuid", &rq->new_uuid);
	default:
		return 0;
	}
}

static int read_configs(struct ctx *ctx, const struct xval *st, struct request *rq)
{
	bool makes_vdi = rq->op == OP_VDI_CREATE || rq->op == OP_VDI_INTRODUCE;
	int err;

	if (!xval_get(st, "device_config"))
		return bad(ctx, "device_config", "is missing");
	err = get_kvs(ctx, st, "device_config", &rq->dconf);
	if (!err)
		err = get_kvs(ctx, st, makes_vdi ? "vdi_sm_config" : "sr_sm_config", &rq->sm_config);
	if (!err)
		err = get_kvs(ctx, st, "sr_other_config", &rq->other_config);
	if (!err)
		err = get_kvs(ctx, st, "driver_params", &rq->driver_params);
	if (!err && makes_vdi)
		rq->format = kv_get(&rq->sm_config, "type");
	return err;
}

static int read_rest(struct ctx *ctx, const struct xval *st, struct request *rq)
{
	const char *on_boot = NULL;
	int err = get_text(ctx, st, "session_ref", &rq->session);

	if (!err)
		err = get_text(ctx, st, "subtask_of", &rq->subtask_of);
	if (!err)
		err = get_text(ctx, st, "vdi_type", &rq->vdi_type);
	if (!err)
		err = get_text(ctx, st, "vdi_on_boot", &on_boot);
	rq->on_boot_reset = on_boot && !strcmp(on_boot, "reset");
	rq->activate = rq->op == OP_VDI_ATTACH_FROM_CONFIG || rq->op == OP_VDI_DETACH_FROM_CONFIG;
	ctx->tag = rq->subtask_of;
	return err;
}

int smapi1_read_call(struct ctx *ctx, const char *doc, size_t n, struct request *rq)
{
	struct text_where where = { 0 };
	struct xmlrpc_call call = { 0 };
	const struct op_row *row;
	const struct xval *st;
	const char *command;
	int err = n > CALL_MAX ? -E_TEXT_BIG :
		xmlrpc_read_call(&ctx->arena, doc, n, &call, &where);

	if (err)
		return fail(ctx, err, "line %zu, byte %zu", where.line, where.at);
	row = row_of(call.method);
	if (!row)
		return fail_say(ctx, -E_UNSUPPORTED, "unknown command '%.64s'", call.method);
	rq->op = row->op;
	if (rq->op == OP_SR_DRIVER_INFO)	/* to be answered whatever else is there */
		return 0;

	st = call.params->first;
	command = call.method;
	if (call.params->n != 1 || st->kind != XVAL_STRUCT)
		return fail_say(ctx, -E_REQUEST, "the one parameter is not a struct");
	err = get_text(ctx, st, "command", &command);
	if (!err && strcmp(command, call.method))
		err = bad(ctx, "command", "is not the name of the method");
	if (!err)
		err = read_configs(ctx, st, rq);
	if (!err)
		err = read_names(ctx, st, row, rq);
	if (!err)
		err = read_rest(ctx, st, rq);
	return err ? err : read_args(ctx, xval_get(st, "args"), rq);
}
