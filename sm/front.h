/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A front end: a syntax on its way in and on its way out, and no storage.
 *
 * main() asks each registered front in the order of rank whether the call is
 * its own (argv[0] is the base name the program was called by), lets it parse,
 * runs the request, and lets it print.  emit() returns the exit code.
 */
#ifndef SM_FRONT_H
#define SM_FRONT_H

#include <stdbool.h>

#include "lib/ctx.h"
#include "lib/registry.h"
#include "sm/request.h"

struct front {
	const char *name;
	int rank;		/* lower is asked first */
	bool (*claims)(int argc, char **argv);
	/*
	 * Fill the request.  0: run it.  Anything else goes to emit() as err
	 * without running; FRONT_DONE when parse has answered by itself (help).
	 */
	int (*parse)(struct ctx *ctx, int argc, char **argv, struct request *rq);
	int (*emit)(struct ctx *ctx, const struct request *rq, const struct reply *rp, int err);
};

#define FRONT_DONE	1

DECLARE_REGISTRY(fronts, struct front);

/* The front end that such a call belongs to; NULL when nobody claims it. */
const struct front *front_for(int argc, char **argv);

#endif
