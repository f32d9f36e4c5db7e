/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SMAPIv1: xapi runs a driver by its name with one XML-RPC call as the only
 * argument, and reads the answer from stdout.  A failure is an answer too, so
 * the exit status is 0 unless nothing could be written at all.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/kconfig.h"
#include "sm/front.h"
#include "sm/front/faults.h"
#include "sm/front/smapi1.h"

static bool claims(int argc, char **argv)
{
	size_t n = strlen(argv[0]);

	return n > 2 && !strcmp(argv[0] + n - 2, "SR") && argc > 1 && argv[1][0] == '<';
}

static int parse(struct ctx *ctx, int argc, char **argv, struct request *rq)
{
	const struct sr_type *type = sr_type_find(argv[0]);
	size_t n = strlen(argv[1]);
	int err;

	rq->type = type ? type->names[0] : argv[0];
	rq->by_uuid = true;
	rq->writable = true;
	rq->idempotent = true;
	if (argc != 2)
		return fail_say(ctx, -E_REQUEST, "one argument is expected, %d were given", argc - 1);
	err = smapi1_read_call(ctx, argv[1], n, rq);
	explicit_bzero(argv[1], n);	/* it may hold passwords, and argv is public */
	return err;
}

static int emit(struct ctx *ctx, const struct request *rq, const struct reply *rp, int err)
{
	_buf_free_ struct buf out = { 0 };
	_buf_free_ struct buf choice = { 0 };

	if (IS_ENABLED(CONFIG_TRANSPORT_NFS) && err && rp->n_offers) {
		smapi1_write_offers(&choice, rp);
		(void)!write_all(STDERR_FILENO, choice.p, choice.n);	/* the fault says the rest */
	}
	if (err)
		smapi1_write_fault(&out, fault_of(rq->op, err),
				   ctx->why[0] ? ctx->why : err_text(err));
	else
		smapi1_write_reply(&out, rq, rp);
	if (fwrite(out.p, 1, out.n, stdout) != out.n || fflush(stdout))
		return 1;
	return 0;
}

static const struct front smapi1 = {
	.name   = "smapi1",
	.rank   = 10,
	.claims = claims,
	.parse  = parse,
	.emit   = emit,
};
REGISTER(fronts, smapi1);
