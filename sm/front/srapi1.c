/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SR-API 1.0, the calls of 2007:
 *
 *	sm vdi_create -t lvm -d /dev/sdb SR-UUID VDI-UUID MB
 *	LVMSR vdi_create /dev/sdb SR-UUID VDI-UUID MB
 *
 * A call that is not well-formed says so in one line on stdout and exits with
 * 1.  One that failed exits with a code of that API and says why on stderr:
 * stdout holds results and nothing else, since agents read it.
 */
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/lease.h"
#include "lib/text/sexpr.h"
#include "lib/text/xml.h"
#include "lib/utf8.h"
#include "sm/front.h"
#include "sm/front/faults.h"
#include "sm/ops.h"

#define OPERANDS	8	/* more than any operation takes */

/* The words of a call, sorted; kept for emit(). */
struct call {
	const char *prog, *command;
	const char *type;
	char *dconf;
	const char *operand[OPERANDS];
	int n;
	bool by_driver;		/* called by the name of a driver */
	bool bad;		/* the call itself, not what it asks for */
};

static bool is_call(const char *word)
{
	return !strncmp(word, "sr_", 3) || !strncmp(word, "vdi_", 4);
}

static bool is_vdi_call(const char *word)
{
	return *word == 'v';
}

static bool is_driver(const char *prog)
{
	size_t n = strlen(prog);

	return n > 2 && !strcmp(prog + n - 2, "SR");
}

static bool claims(int argc, char **argv)
{
	return argc > 1 && is_call(argv[1]) && (!strcmp(argv[0], "sm") || is_driver(argv[0]));
}

/* --- the words ------------------------------------------------------------- */

static void put_operand(struct call *c, char *word)
{
	if (c->by_driver && !c->dconf)
		c->dconf = word;
	else if (c->n++ < OPERANDS)
		c->operand[c->n - 1] = word;
}

/* Sort the words behind the command.  An option's value may be attached to it. */
static int sort_words(struct ctx *ctx, struct call *c, int argc, char **argv)
{
	bool options = !c->by_driver;

	for (int i = 2; i < argc; i++) {
		char *word = argv[i], *value;

		if (!options || word[0] != '-' || !word[1] || strchr("0123456789", word[1])) {
			put_operand(c, word);
			continue;
		}
		if (!strcmp(word, "--")) {
			options = false;
			continue;
		}
		if (word[1] != 't' && word[1] != 'd')
			return fail_say(ctx, -E_USAGE, "unknown option '%.32s'", word);
		value = word[2] ? word + 2 : argv[++i];
		if (i == argc)
			return fail_say(ctx, -E_USAGE, "option %s has no value", word);
		if (word[1] == 't')
			c->type = value;
		else
			c->dconf = value;
	}
	return 0;
}

static int count_words(const char *usage)
{
	struct usage_word w;
	int n = 0;

	while (usage_next(&usage, &w))
		n++;
	return n;
}

/* In the order in which the front end has always looked. */
static int check_words(struct ctx *ctx, const struct call *c, const struct op_row *row)
{
	if (!c->type)
		return fail_say(ctx, -E_USAGE, "missing the type: -t TYPE");
	if (!c->dconf)
		return fail_say(ctx, -E_USAGE, "missing the dconf string%s",
				c->by_driver ? "" : ": -d DCONF");
	if (c->n < 1)
		return fail_say(ctx, -E_USAGE, "missing the UUID of the SR");
	if (is_vdi_call(c->command) && c->n < 2)
		return fail_say(ctx, -E_USAGE, "missing the UUID of the VDI");
	if (!row)
		return fail_say(ctx, -E_USAGE, "unknown command");
	if (c->n != count_words(row->usage07))
		return fail_say(ctx, -E_USAGE, "wrong number of arguments: %d where it takes %d, %s",
				c->n, count_words(row->usage07), row->usage07);
	return 0;
}

/* --- the request ----------------------------------------------------------- */

/* <dconf><device>/dev/sdb</device></dconf>, with the keys of a type as members. */
static int dconf_document(struct ctx *ctx, char *text, struct kvs *dconf)
{
	struct text_where where = { 0 };
	struct xml_node *root = NULL;
	size_t n = strlen(text);
	int err = xml_read(&ctx->arena, text, n, 0, &root, &where);

	if (!err)
		err = xml_kvs(&ctx->arena, root, dconf);
	explicit_bzero(text, n);	/* it may hold a password, and argv is public */
	if (err)
		return fail(ctx, err, "dconf: line %zu, byte %zu", where.line, where.at);
	return 0;
}

static int read_dconf(struct ctx *ctx, char *text, struct request *rq)
{
	const struct sr_type *type = sr_type_find(rq->type);

	if (!type)
		return fail(ctx, -E_SR_TYPE, "type '%.64s'", rq->type);
	rq->type = type->names[0];
	if (text[strspn(text, " \t\r\n")] == '<')
		return dconf_document(ctx, text, &rq->dconf);
	if (!*text)
		return fail_say(ctx, -E_DCONF_BAD, "the dconf string is empty");
	if (!type->dconf_srapi1)
		return fail_say(ctx, -E_UNSUPPORTED, "a dconf string cannot describe the type %s, "
				"an XML document can", rq->type);
	return type->dconf_srapi1(ctx, text, &rq->sr_uuid, &rq->dconf);
}

static int read_uuid(struct ctx *ctx, struct uuid *uuid, const char *what, const char *text)
{
	int err = uuid_parse(uuid, text);

	return err ? fail(ctx, err, "%s '%.64s'", what, text) : 0;
}

static int read_operands(struct ctx *ctx, const struct call *c, const char *usage,
			 struct request *rq)
{
	struct usage_word w;
	int err = 0;

	for (int i = 0; !err && usage_next(&usage, &w); i++) {
		const char *text = c->operand[i];

		err = request_set(ctx, rq, arg_find(w.word), text);
		if (!err && !strcmp(w.word, "SR"))
			err = read_uuid(ctx, &rq->sr_uuid, "SR", text);
		if (!err && !strcmp(w.word, "VDI"))
			err = read_uuid(ctx, &rq->vdi_uuid, "VDI", text);
	}
	return err;
}

/* May the operation be repeated with success? */
static bool is_idempotent(enum op op)
{
	switch (op) {
	case OP_SR_CREATE:
	case OP_VDI_CREATE:
	case OP_VDI_CLONE:
	case OP_VDI_SNAPSHOT:
	case OP_VDI_LOCK:
	case OP_VDI_UNLOCK:
		return false;
	default:
		return true;
	}
}

static int fill(struct ctx *ctx, const struct call *c, const struct op_row *row,
		struct request *rq)
{
	int err;

	rq->op = row->op;
	rq->type = c->type;
	rq->by_uuid = true;
	rq->writable = true;
	rq->activate = row->op == OP_VDI_ATTACH || row->op == OP_VDI_DETACH;
	rq->idempotent = is_idempotent(row->op);
	rq->lease = LEASE_TERM;		/* as ever in this API; by hand it is for good */
	err = read_operands(ctx, c, row->usage07, rq);
	if (err)
		return err;
	if (row->op == OP_SR_CREATE)
		rq->new_uuid = rq->sr_uuid;
	return read_dconf(ctx, c->dconf, rq);
}

static int parse(struct ctx *ctx, int argc, char **argv, struct request *rq)
{
	struct call *c = arena_alloc(&ctx->arena, sizeof(*c));
	const struct op_row *row = op_by_api(argv[1]);
	int err;

	rq->door = c;
	c->prog = argv[0];
	c->command = argv[1];
	c->by_driver = strcmp(argv[0], "sm");
	c->type = c->by_driver ? argv[0] : NULL;
	if (row && !row->usage07)
		row = NULL;
	err = sort_words(ctx, c, argc, argv);
	if (!err)
		err = check_words(ctx, c, row);
	if (err) {
		c->bad = true;
		return err;
	}
	return fill(ctx, c, row, rq);
}

/* --- the answer ------------------------------------------------------------ */

static void put_uuids(struct sexpr_out *s, const char *key, const struct uuid *u, size_t n)
{
	sexpr_begin(s, key);
	sexpr_begin(s, NULL);
	for (size_t i = 0; i < n; i++)
		sexpr_atom(s, u[i].s);
	sexpr_end(s);
	sexpr_end(s);
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static void put_sr(struct sexpr_out *s, const struct sr_info *sr, const struct vdis *l)
{
	sexpr_begin(s, "sr");
	sexpr_pair(s, "uuid", sr->uuid.s);
	sexpr_pair(s, "type", sr->srapi1 ? sr->srapi1 : sr->type);
	sexpr_pair(s, "label", or_empty(sr->name));
	sexpr_pair(s, "description", or_empty(sr->description));
	sexpr_begin(s, "VDIs");
	sexpr_begin(s, NULL);
	for (size_t i = 0; i < l->n; i++)
		if (!l->v[i].hidden)
			sexpr_atom(s, l->v[i].uuid.s);
	sexpr_end(s);
	sexpr_end(s);
	sexpr_pair_u64(s, "physical_utilisation", sr->used);
	sexpr_pair_u64(s, "virtual_allocation", sr->allocated);
	sexpr_pair_u64(s, "size", sr->size);
	sexpr_pair(s, "location", or_empty(sr->location));
	sexpr_end(s);
}

/* The word of that API for what a raw volume is. */
static const char *type_word(const struct sr_type *t, const struct vdi *v)
{
	if (strcmp(v->format, "raw") || !t || !t->srapi1)
		return v->format;
	return !strcmp(t->srapi1, "LVM") ? "partition" : "raw file";
}

static void put_vdi(struct sexpr_out *s, const struct request *rq, const struct vdi *v)
{
	sexpr_begin(s, "vdi");
	sexpr_pair(s, "uuid", v->uuid.s);
	sexpr_pair(s, "SR", rq->sr_uuid.s);
	sexpr_pair(s, "label", or_empty(v->name));
	sexpr_pair(s, "description", or_empty(v->description));
	sexpr_begin(s, "VBDs");
	sexpr_begin(s, NULL);
	for (size_t i = 0; i < v->n_owners; i++)
		sexpr_atom(s, v->owners[i]);
	sexpr_end(s);
	sexpr_end(s);
	sexpr_pair_u64(s, "virtual_size", v->virtual_size);
	sexpr_pair_u64(s, "physical_utilisation", v->physical_size);
	sexpr_pair_u64(s, "sector_size", v->sector_size);
	sexpr_pair(s, "type", type_word(sr_type_find(rq->type), v));
	sexpr_pair(s, "parent", v->parent.s);
	put_uuids(s, "children", v->children, v->n_children);
	sexpr_pair_u64(s, "shareable", 0);
	sexpr_pair_u64(s, "attached", v->at.attached || v->at.active);
	sexpr_pair_u64(s, "lock", v->n_owners > 0);
	sexpr_pair_u64(s, "read_only", v->read_only);
	sexpr_end(s);
}

static void put_reply(struct buf *b, const struct request *rq, const struct reply *rp)
{
	struct sexpr_out s = { .buf = b };

	if (rq->op == OP_SR_SHOW && rp->srs[0].attached && !rp->srs[0].unreachable)	/* away: no output */
		put_sr(&s, &rp->srs[0], &rp->vdis);
	else if (rq->op == OP_VDI_SHOW)
		put_vdi(&s, rq, &rp->vdis.v[0]);
	else if (rq->op == OP_VDI_ATTACH)
		buf_puts(b, rp->vdis.v[0].at.device);
	if (b->n)
		buf_putc(b, '\n');
}

/* Asked about something that is not there: no output, and no failure. */
static bool is_unavailable(enum op op, int err)
{
	int fault = fault_of(op, err);

	return (op == OP_SR_SHOW || op == OP_VDI_SHOW) &&
	       (fault == F_SRUnavailable || fault == F_VDIMissing || fault == F_VDIUnavailable);
}

static int emit_failure(struct ctx *ctx, const struct call *c, enum op op, int err)
{
	_buf_free_ struct buf line = { 0 };
	bool bad = c && c->bad;		/* no call at all: it failed before parse() */

	utf8_show(&line, c ? c->prog : "sm");
	buf_puts(&line, ": ");
	if (c) {
		utf8_show(&line, c->command);
		buf_puts(&line, ": ");
	}
	utf8_show(&line, ctx->why[0] ? ctx->why : err_text(err));
	if (ctx->hint[0]) {
		buf_puts(&line, " (try: ");
		utf8_show(&line, ctx->hint);
		buf_putc(&line, ')');
	}
	fprintf(bad ? stdout : stderr, "%s\n", buf_str(&line));
	return bad ? 1 : fault_exit(op, err);
}

static int emit(struct ctx *ctx, const struct request *rq, const struct reply *rp, int err)
{
	_buf_free_ struct buf out = { 0 };

	if (is_unavailable(rq->op, err))
		return 0;
	if (err)
		return emit_failure(ctx, rq->door, rq->op, err);
	put_reply(&out, rq, rp);
	if (out.n && (fwrite(out.p, 1, out.n, stdout) != out.n || fflush(stdout)))
		return EIO;
	return 0;
}

static const struct front srapi1 = {
	.name   = "srapi1",
	.rank   = 20,
	.claims = claims,
	.parse  = parse,
	.emit   = emit,
};
REGISTER(fronts, srapi1);
