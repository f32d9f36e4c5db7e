/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* REPLY_GC_PLAN and REPLY_GC_STATUS, for people and as JSON. */
#ifndef SM_FRONT_GC_OUT_H
#define SM_FRONT_GC_OUT_H

struct arena;
struct buf;
struct cli;
struct json;
struct reply;
struct term;

void gc_out_print(struct arena *a, const struct cli *c, const struct reply *rp,
		  const struct term *term, struct buf *b);
/* The key "plans" or "collectors" of the document. */
void gc_out_json(struct json *j, const struct reply *rp);

#endif
