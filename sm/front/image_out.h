/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the image verbs answer, for people and as JSON. */
#ifndef SM_FRONT_IMAGE_OUT_H
#define SM_FRONT_IMAGE_OUT_H

#include "sm/request.h"

struct buf;
struct cli;
struct json;
struct term;

/* REPLY_IMAGE as a block, REPLY_MAP as a table. */
void image_out(struct ctx *ctx, const struct cli *cli, const struct request *rq,
	       const struct reply *rp, const struct term *term, struct buf *b);
/* The members of REPLY_IMAGE but for its problems. */
void image_json(struct json *j, const struct reply *rp);
/* A whole document: the records of qemu-img map --output=json. */
void image_json_map(struct json *j, const struct reply *rp);

#endif
