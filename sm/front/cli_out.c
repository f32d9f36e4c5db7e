/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Replies as people and shell scripts read them. */
#include <string.h>
#include <unistd.h>

#include "drivers/transport.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/kconfig.h"
#include "lib/text/size.h"
#include "lib/utf8.h"
#include "sm/front/cbt_out.h"
#include "sm/front/cli.h"
#include "sm/front/gc_out.h"
#include "sm/front/image_out.h"
#include "sm/front/json_out.h"
#include "sm/front/lock_out.h"
#include "sm/front/table.h"
#include "sm/front/vg_out.h"

struct out {
	struct ctx *ctx;
	const struct cli *cli;
	const struct request *rq;
	const struct reply *rp;
	struct term term;
	struct buf *b;
};

static const char *bytes(const struct out *o, uint64_t n)
{
	char text[SIZE_TEXT];

	if (o->cli->units_b)
		return arena_printf(&o->ctx->arena, "%llu", (unsigned long long)n);
	return arena_strdup(&o->ctx->arena, size_text(text, n));
}

static const char *yes(bool b)
{
	return b ? "yes" : "no";
}

static const char *pairs(const struct out *o, const struct kvs *s)
{
	_buf_free_ struct buf b = { 0 };

	for (size_t i = 0; i < s->n; i++)
		buf_printf(&b, "%s%s=%s", i ? " " : "", s->v[i].key, kv_show(&s->v[i]));
	return arena_strdup(&o->ctx->arena, buf_str(&b));
}

/* --- repositories ---------------------------------------------------------- */

static void print_srs(const struct out *o)
{
	static const struct column cols[] = {
		{ "UUID", COL_LEFT }, { "NAME", COL_SHRINK }, { "TYPE", COL_LEFT },
		{ "ATTACHED", COL_LEFT }, { "SIZE", COL_RIGHT }, { "USED", COL_RIGHT },
		{ "VDIS", COL_RIGHT }, { "HEALTH", COL_SHRINK },
	};
	struct table t = { .arena = &o->ctx->arena, .cols = cols, .n_cols = ARRAY_SIZE(cols) };

	for (const struct sr_info *sr = o->rp->srs; sr < o->rp->srs + o->rp->n_srs; sr++) {
		bool open = sr->attached && !sr->unreachable;

		table_cell(&t, sr->uuid.s);
		table_cell(&t, sr->name);
		table_cell(&t, sr->type);
		table_cell(&t, yes(sr->attached));
		table_cell(&t, open ? bytes(o, sr->size) : NULL);
		table_cell(&t, open ? bytes(o, sr->used) : NULL);
		table_cell(&t, !open ? NULL :
			   arena_printf(&o->ctx->arena, "%zu", sr->n_vdis));
		table_cell(&t, sr->health);
	}
	table_print(&t, &o->term, o->b);
}

static void print_versions(const struct out *o)
{
	if (IS_ENABLED(CONFIG_TRANSPORT_NFS) && o->rp->versions && o->rp->versions[0])
		block_line(o->b, "versions", o->rp->versions);
}

static void print_probe(const struct out *o)
{
	static const struct column cols[] = {
		{ "UUID", COL_LEFT }, { "NAME", COL_SHRINK }, { "TYPE", COL_LEFT },
		{ "DCONF", COL_LEFT },
	};
	struct table t = { .arena = &o->ctx->arena, .cols = cols, .n_cols = ARRAY_SIZE(cols) };

	for (const struct sr_info *sr = o->rp->srs; sr < o->rp->srs + o->rp->n_srs; sr++) {
		table_cell(&t, sr->uuid.s);
		table_cell(&t, sr->name);
		table_cell(&t, sr->type);
		table_cell(&t, pairs(o, &sr->dconf));
	}
	if (o->rp->n_srs)
		table_print(&t, &o->term, o->b);
	print_versions(o);
}

static void print_offers(const struct out *o)
{
	static const struct column cols[] = { { "SERVERPATH", COL_LEFT }, { "HOSTS", COL_SHRINK } };
	struct table t = { .arena = &o->ctx->arena, .cols = cols, .n_cols = ARRAY_SIZE(cols) };

	for (size_t i = 0; i < o->rp->n_offers; i++) {
		table_cell(&t, o->rp->offers[i].path);
		table_cell(&t, o->rp->offers[i].hosts);
	}
	table_print(&t, &o->term, o->b);
	print_versions(o);
}

static void print_sr(const struct out *o)
{
	const struct sr_info *sr = &o->rp->srs[0];

	block_line(o->b, "uuid", sr->uuid.s);
	block_line(o->b, "name", sr->name);
	if (sr->description && sr->description[0])
		block_line(o->b, "description", sr->description);
	block_line(o->b, "type", sr->type);
	block_line(o->b, "attached", yes(sr->attached));
	block_line(o->b, "path", sr->path);
	block_line(o->b, "dconf", pairs(o, &sr->dconf));
	if (sr->attached && !sr->unreachable) {
		block_line(o->b, "size", bytes(o, sr->size));
		block_line(o->b, "used", bytes(o, sr->used));
		block_line(o->b, "allocated", bytes(o, sr->allocated));
		block_line(o->b, "vdis", arena_printf(&o->ctx->arena, "%zu", sr->n_vdis));
	}
	if (IS_ENABLED(CONFIG_VDI_COPY) && sr->fast_clone)
		block_line(o->b, "fast clone", yes(sr->fast_clone > 0));
	if (IS_ENABLED(CONFIG_VDI_COPY) && sr->server_copy)
		block_line(o->b, "server copy", yes(sr->server_copy > 0));
	block_line(o->b, "health", sr->health);
}

/* --- disks ----------------------------------------------------------------- */

static const struct uuid *sr_of(const struct out *o, const struct vdi *v)
{
	return v->sr.s[0] ? &v->sr : &o->rq->sr_uuid;
}

/* The SR's name where the reply knows it. */
static const char *sr_name(const struct out *o, const struct vdi *v)
{
	const struct uuid *u = sr_of(o, v);

	for (size_t i = 0; i < o->rp->n_srs; i++)
		if (uuid_equal(&o->rp->srs[i].uuid, u) && o->rp->srs[i].name &&
		    o->rp->srs[i].name[0])
			return o->rp->srs[i].name;
	return u->s;
}

static const char *attached(const struct out *o, const struct attachment *at)
{
	if (!at->attached && !at->active)
		return "no";
	return arena_printf(&o->ctx->arena, "%s%s", at->device[0] ? at->device : "no device",
			    IS_ENABLED(CONFIG_LOCK_KEEPER) && at->lost ? " (lock broken)" :
			    at->writable ? "" : " (read-only)");
}

static void print_vdis(const struct out *o)
{
	static const struct column cols[] = {
		{ "UUID", COL_LEFT }, { "NAME", COL_SHRINK }, { "SR", COL_SHRINK },
		{ "FORMAT", COL_LEFT }, { "SIZE", COL_RIGHT }, { "USED", COL_RIGHT },
		{ "ATTACHED", COL_LEFT },
	};
	struct table t = { .arena = &o->ctx->arena, .cols = cols, .n_cols = ARRAY_SIZE(cols) };

	for (const struct vdi *v = o->rp->vdis.v; v < o->rp->vdis.v + o->rp->vdis.n; v++) {
		if (IS_ENABLED(CONFIG_SNAPSHOTS) && v->hidden)	/* vdi tree shows those */
			continue;
		table_cell(&t, v->uuid.s);
		table_cell(&t, v->name);
		table_cell(&t, sr_name(o, v));
		table_cell(&t, v->format);
		table_cell(&t, bytes(o, v->virtual_size));
		table_cell(&t, bytes(o, v->physical_size));
		table_cell(&t, attached(o, &v->at));
	}
	table_print(&t, &o->term, o->b);
}

/* What stands before the name of each: worked out from below, where siblings are known. */
static const char **branches(const struct out *o)
{
	const struct vdis *l = &o->rp->vdis;
	const char **branch = arena_array(&o->ctx->arena, l->n, sizeof(*branch));
	bool *more = arena_array(&o->ctx->arena, l->n + 1, sizeof(*more));
	uint32_t deepest = 0;

	for (size_t i = l->n; i--; ) {
		_buf_free_ struct buf b = { 0 };
		uint32_t depth = l->v[i].depth;

		for (uint32_t d = 1; d <= depth; d++)
			buf_puts(&b, d < depth ? (more[d] ? "│  " : "   ") : more[d] ? "├─ " : "└─ ");
		more[depth] = true;
		for (uint32_t d = depth + 1; d <= deepest; d++)
			more[d] = false;
		deepest = depth > deepest ? depth : deepest;
		branch[i] = arena_strdup(&o->ctx->arena, buf_str(&b));
	}
	return branch;
}

static const char *role(const struct vdi *v)
{
	return v->hidden ? "hidden" : v->snapshot_of.s[0] ? "snapshot" : "disk";
}

static void print_tree(const struct out *o)
{
	static const struct column cols[] = {
		{ "NAME", COL_LEFT }, { "UUID", COL_LEFT }, { "KIND", COL_LEFT },
		{ "FORMAT", COL_LEFT }, { "SIZE", COL_RIGHT }, { "USED", COL_RIGHT },
	};
	struct table t = { .arena = &o->ctx->arena, .cols = cols, .n_cols = ARRAY_SIZE(cols) };
	const char **branch = branches(o);

	for (size_t i = 0; i < o->rp->vdis.n; i++) {
		const struct vdi *v = &o->rp->vdis.v[i];

		table_cell(&t, arena_printf(&o->ctx->arena, "%s%s", branch[i],
					    v->name && v->name[0] ? v->name : "-"));
		table_cell(&t, v->uuid.s);
		table_cell(&t, role(v));
		table_cell(&t, v->format);
		table_cell(&t, bytes(o, v->virtual_size));
		table_cell(&t, bytes(o, v->physical_size));
	}
	table_print(&t, &o->term, o->b);
}

static const char *counter(const struct out *o, uint64_t requests, uint64_t n)
{
	return arena_printf(&o->ctx->arena, "%llu (%s)", (unsigned long long)requests, bytes(o, n));
}

static void print_usage(const struct out *o, const struct attachment *at)
{
	const struct usage *u = at->usage;

	block_line(o->b, "backend", at->backend);
	if (u->pid)
		block_line(o->b, "served by", arena_printf(&o->ctx->arena, "process %d", (int)u->pid));
	if (u->counted) {
		block_line(o->b, "reads", counter(o, u->io.reads, u->io.read_bytes));
		block_line(o->b, "writes", counter(o, u->io.writes, u->io.written_bytes));
	}
}

static void print_vdi(const struct out *o)
{
	const struct vdi *v = &o->rp->vdis.v[0];

	block_line(o->b, "uuid", v->uuid.s);
	block_line(o->b, "name", v->name);
	if (v->description && v->description[0])
		block_line(o->b, "description", v->description);
	block_line(o->b, "sr", sr_of(o, v)->s);
	block_line(o->b, "format", v->format);
	block_line(o->b, "virtual size", bytes(o, v->virtual_size));
	block_line(o->b, "physical size", bytes(o, v->physical_size));
	if (v->parent.s[0])
		block_line(o->b, "parent", v->parent.s);
	for (size_t i = 0; i < v->n_children; i++)
		block_line(o->b, "child", v->children[i].s);
	if (v->snapshot_of.s[0])
		block_line(o->b, "snapshot of", v->snapshot_of.s);
	block_line(o->b, "hidden", yes(v->hidden));
	block_line(o->b, "read-only", yes(v->read_only));
	for (size_t i = 0; i < v->n_owners; i++)
		block_line(o->b, "locked by", v->owners[i]);
	block_line(o->b, "attached", attached(o, &v->at));
	if (IS_ENABLED(CONFIG_SERVE) && v->at.usage)
		print_usage(o, &v->at);
}

/* --- the rest -------------------------------------------------------------- */

void cli_problem(const struct problem *p, struct buf *b)
{
	if (p->object && p->object[0]) {
		utf8_show(b, p->object);
		buf_puts(b, ": ");
	}
	utf8_show(b, p->what);
	if (p->repair) {
		buf_puts(b, " (try: ");
		utf8_show(b, p->repair);
		buf_putc(b, ')');
	}
	buf_putc(b, '\n');
}

static void print_check(const struct out *o)
{
	const struct vdis *l = &o->rp->vdis;

	for (size_t i = 0; i < l->n_problems; i++) {
		buf_printf(o->b, "%s: ", l->problems[i].severity);
		cli_problem(&l->problems[i], o->b);
	}
	if (!IS_ENABLED(CONFIG_CHECK_BACKUP) && o->rq->repair && l->n_problems)
		buf_puts(o->b, "kept: nothing\n");
	if (IS_ENABLED(CONFIG_CHECK_BACKUP) && o->rp->backup) {
		buf_puts(o->b, "kept: ");
		utf8_show(o->b, o->rp->backup);
		buf_putc(o->b, '\n');
	}
	if (!l->n_problems)
		buf_puts(o->b, "ok\n");
}

static void print_plan(const struct out *o)
{
	for (size_t i = 0; i < o->rp->n_plan; i++) {
		utf8_show(o->b, o->rp->plan[i]);
		buf_putc(o->b, '\n');
	}
	if (o->rp->kind == REPLY_PLAN)
		buf_printf(o->b, "space needed: %s\n", bytes(o, o->rp->space));
}

static void print_ids(const struct out *o)
{
	const struct reply *rp = o->rp;
	size_t n = 0;

	if (rp->kind == REPLY_SR || rp->kind == REPLY_SRS || rp->kind == REPLY_PROBE)
		for (n = 0; n < rp->n_srs; n++)
			buf_printf(o->b, "%s%s", n ? "," : "", rp->srs[n].uuid.s);
	else
		for (size_t i = 0; i < rp->vdis.n; i++)
			if (!IS_ENABLED(CONFIG_SNAPSHOTS) || rp->kind != REPLY_VDIS ||
			    !rp->vdis.v[i].hidden)
				buf_printf(o->b, "%s%s", n++ ? "," : "", rp->vdis.v[i].uuid.s);
	buf_putc(o->b, '\n');
}

/* What makes something prints its uuid, as xe does; what shows something shows it. */
static void print_one(const struct out *o, enum op op)
{
	switch (op) {
	case OP_SR_CREATE:
	case OP_SR_INTRODUCE:
	case OP_VDI_CREATE:
	case OP_VDI_SNAPSHOT:
	case OP_VDI_CLONE:
	case OP_VDI_COPY:
		print_ids(o);
		break;
	case OP_SR_SHOW:
		print_sr(o);
		break;
	case OP_VDI_SHOW:
		print_vdi(o);
		break;
	default:
		break;
	}
}

static void print_human(const struct out *o)
{
	const struct attachment *at;

	switch (o->rp->kind) {
	case REPLY_SR:
	case REPLY_VDI:
		print_one(o, o->rq->op);
		break;
	case REPLY_SRS:
		print_srs(o);
		break;
	case REPLY_PROBE:
		print_probe(o);
		break;
	case REPLY_OFFERS:
		if (IS_ENABLED(CONFIG_TRANSPORT_NFS))
			print_offers(o);
		break;
	case REPLY_VDIS:
		print_vdis(o);
		break;
	case REPLY_TREE:
		if (IS_ENABLED(CONFIG_SNAPSHOTS))
			print_tree(o);
		break;
	case REPLY_ATTACH:
		at = &o->rp->vdis.v[0].at;
		buf_printf(o->b, "%s\n", at->device[0] ? at->device : at->link);
		break;
	case REPLY_CHECK:
		print_check(o);
		break;
	case REPLY_PLAN:
	case REPLY_DONE:
		print_plan(o);
		break;
	case REPLY_TEXT:
		if (IS_ENABLED(CONFIG_CLI_VG) && o->term.is_tty)
			vg_out_text(&o->ctx->arena, o->rp->text, o->b);
		else
			buf_printf(o->b, "%s\n", o->rp->text);
		break;
	case REPLY_CBT:
		if (IS_ENABLED(CONFIG_CBT))
			cbt_out(o->rp->cbt, false, o->b);
		break;
	case REPLY_IMAGE:
	case REPLY_MAP:
		if (IS_ENABLED(CONFIG_CLI_IMAGE))
			image_out(o->ctx, o->cli, o->rq, o->rp, &o->term, o->b);
		break;
	case REPLY_VGS:
	case REPLY_HISTORY:
		if (IS_ENABLED(CONFIG_CLI_VG))
			vg_out_print(&o->ctx->arena, o->cli, o->rp, &o->term, o->b);
		break;
	case REPLY_LOCK:
	case REPLY_LOCKS:
		if (IS_ENABLED(CONFIG_CLI_LOCK) && o->rp->kind == REPLY_LOCK)
			lock_out_block(&o->ctx->arena, o->rp, o->b);
		else if (IS_ENABLED(CONFIG_CLI_LOCK))
			lock_out_table(&o->ctx->arena, o->rp, &o->term, o->b);
		break;
	case REPLY_GC_PLAN:
	case REPLY_GC_STATUS:
		if (IS_ENABLED(CONFIG_GC))
			gc_out_print(&o->ctx->arena, o->cli, o->rp, &o->term, o->b);
		break;
	case REPLY_NONE:
	case REPLY_INFO:
	case REPLY_CONFIG:
		break;
	}
}

static bool has_ids(enum reply_kind kind)
{
	return kind == REPLY_SR || kind == REPLY_SRS || kind == REPLY_PROBE ||
	       kind == REPLY_VDI || kind == REPLY_VDIS || kind == REPLY_ATTACH ||
	       (IS_ENABLED(CONFIG_SNAPSHOTS) && kind == REPLY_TREE);
}

void cli_print(struct ctx *ctx, const struct request *rq, const struct reply *rp, struct buf *b)
{
	struct out o = { .ctx = ctx, .cli = rq->door, .rq = rq, .rp = rp, .b = b };

	if (o.cli->json) {
		json_out_reply(rq, rp, b);
		return;
	}
	term_of(STDOUT_FILENO, &o.term);
	if (o.cli->minimal && has_ids(rp->kind))
		print_ids(&o);
	else if (IS_ENABLED(CONFIG_CBT) && o.cli->minimal && rp->kind == REPLY_CBT)
		cbt_out(rp->cbt, true, o.b);
	else if (IS_ENABLED(CONFIG_CLI_LOCK) && o.cli->minimal && rp->kind == REPLY_LOCKS)
		lock_out_ids(rp, b);
	else if (IS_ENABLED(CONFIG_CLI_VG) && o.cli->minimal && vg_out_has_ids(rp))
		vg_out_ids(rp, b);
	else
		print_human(&o);
}

/* Only where one asks how things are: an attach that worked has worked. */
int cli_findings(const struct request *rq, const struct reply *rp)
{
	bool is_one = rp->kind == REPLY_CHECK || rq->op == OP_SR_SHOW || rq->op == OP_VDI_SHOW ||
		      rq->op == OP_IMAGE_INFO || rp->kind == REPLY_VGS;
	bool is_list = rp->kind == REPLY_SRS || rp->kind == REPLY_VDIS || rp->kind == REPLY_TREE ||
		       rp->kind == REPLY_PROBE || rp->kind == REPLY_HISTORY ||
		       (IS_ENABLED(CONFIG_CLI_LOCK) && rp->kind == REPLY_LOCKS) ||
		       rq->op == OP_SR_SCAN || rq->op == OP_GC_RUN || rq->op == OP_GC_PLAN;

	for (size_t i = 0; i < rp->vdis.n_problems; i++)
		if (!strcmp(rp->vdis.problems[i].severity, "error"))
			return is_list || (is_one && rp->several) ? 7 : is_one ? 6 : 0;
	return 0;
}
