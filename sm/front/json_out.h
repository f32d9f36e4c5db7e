/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The JSON documents of the command line; their keys and order are a contract. */
#ifndef SM_FRONT_JSON_OUT_H
#define SM_FRONT_JSON_OUT_H

#include "lib/ctx.h"
#include "sm/request.h"

struct buf;

/* Append the document that answers a request. */
void json_out_reply(const struct request *rq, const struct reply *rp, struct buf *b);
/* Append {"error":{…}} on a line of its own. */
void json_out_error(const struct ctx *ctx, int err, struct buf *b);

#endif
