/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sm OBJECT VERB [OPERAND] [--option value]: the command line for people. */
#include <string.h>
#include <unistd.h>

#include "drivers/sr.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/utf8.h"
#include "sm/front.h"
#include "sm/front/cli.h"
#include "sm/front/json_out.h"

/* LVMSR: the type that a driver's name stands for, or NULL. */
static const struct sr_type *driver(const char *name)
{
	size_t n = strlen(name);

	return n > 2 && !strcmp(name + n - 2, "SR") ? sr_type_find(name) : NULL;
}

/* What has the form of a call of 2007 is one, known or not; < is SMAPIv1 for a driver. */
static bool claims(int argc, char **argv)
{
	const char *arg = argc > 1 ? argv[1] : "";

	if (strcmp(argv[0], "sm") && (!driver(argv[0]) || arg[0] == '<'))
		return false;
	return strncmp(arg, "sr_", 3) && strncmp(arg, "vdi_", 4);
}

static int parse(struct ctx *ctx, int argc, char **argv, struct request *rq)
{
	struct cli *c = arena_alloc(&ctx->arena, sizeof(*c));
	const struct sr_type *t = driver(argv[0]);

	rq->door = c;
	if (t)
		rq->type = t->names[0];
	return cli_parse(ctx, c, argc, argv, rq);
}

/* --- exit codes ------------------------------------------------------------ */

static int exit_code(int err)
{
	static const struct { int kind, code; } codes[] = {
		{ EBUSY, 3 }, { EAGAIN, 3 }, { ETXTBSY, 3 }, { ENOLCK, 3 },
		{ ENOENT, 4 }, { ENODEV, 4 },
		{ ENOSPC, 5 }, { EDQUOT, 5 },
		{ EUCLEAN, 6 }, { EBADMSG, 6 },
		{ ETIMEDOUT, 124 }, { ETIME, 124 },
	};
	int kind = -err_kind(err);

	/* A bare EINVAL is the kernel's opinion of us, one of ours is about the request. */
	if (kind == EINVAL)
		return err == -EINVAL ? 1 : 2;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (codes[i].kind == kind)
			return codes[i].code;
	return 1;
}

/* --- standard error -------------------------------------------------------- */

static void say(const struct buf *b)
{
	/* Nobody is left to be told that this failed; the exit code tells enough. */
	(void)!write_all(STDERR_FILENO, b->p, b->n);
}

static void print_error(const struct ctx *ctx, const struct cli *c, int err)
{
	_buf_free_ struct buf b = { 0 };

	buf_puts(&b, "sm: ");
	if (c && c->row)
		buf_printf(&b, "%s %s: ", c->row->object, c->row->verb);
	utf8_show(&b, ctx->why[0] ? ctx->why : err_text(err));
	if (ctx->hint[0]) {
		buf_puts(&b, " (try: ");
		utf8_show(&b, ctx->hint);
		buf_putc(&b, ')');
	}
	buf_putc(&b, '\n');
	if (c && c->json)
		json_out_error(ctx, err, &b);
	say(&b);
}

/* What is wrong beside the answer, unless the document tells it. */
static void print_warnings(const struct cli *c, const struct reply *rp, int err)
{
	_buf_free_ struct buf b = { 0 };
	bool is_told = rp->kind == REPLY_CHECK || (c->json && rp->kind != REPLY_SR) ||
		       (err && rp->kind == REPLY_IMAGE);

	if (is_told || c->quiet)
		return;
	for (const struct problem *p = rp->vdis.problems;
	     p < rp->vdis.problems + rp->vdis.n_problems; p++) {
		buf_puts(&b, "sm: warning: ");
		cli_problem(p, &b);
	}
	if (b.n)
		say(&b);
}

static int emit(struct ctx *ctx, const struct request *rq, const struct reply *rp, int err)
{
	_buf_free_ struct buf b = { 0 };
	const struct cli *c = rq->door;
	int bad;

	if (err == FRONT_DONE) {
		buf_puts(&b, c->text);
		err = 0;
	} else if (c && (!err || rp->kind != REPLY_NONE)) {
		cli_print(ctx, rq, rp, &b);
		print_warnings(c, rp, err);
	}
	if (!err && rp->kind == REPLY_PROBE && !rp->n_srs)
		err = fail_say(ctx, -E_SR_MISSING, "no SR is here");
	bad = write_all(STDOUT_FILENO, buf_str(&b), b.n);
	if (bad) {
		fail_clear(ctx);
		err = fail(ctx, bad, "write the answer");
		print_error(ctx, c, err);
		return 1;
	}
	if (!err)
		return cli_findings(rq, rp);
	print_error(ctx, c, err);
	/* A document that tells of several, of which some are damaged. */
	return rp->kind == REPLY_CHECK && rp->several ? 7 : exit_code(err);
}

static const struct front cli = {
	.name = "cli",
	.rank = 50,
	.claims = claims,
	.parse = parse,
	.emit = emit,
};
REGISTER(fronts, cli);
