/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The core: what is true for every driver and every door. */
#ifndef SM_RUN_H
#define SM_RUN_H

#include "sm/request.h"

/*
 * Carry out one request: check it, resolve what it names, take the locks, call
 * the driver, let go.  Returns 0 or an error whose sentence is in ctx->why; the
 * reply may hold a document even then (several of which some failed).
 */
int sm_run(struct ctx *ctx, struct request *rq, struct reply *rp);

/* Can this type of SR do the operation?  The one source of capabilities. */
bool sr_can(const struct sr_type *t, enum op op);

#endif
