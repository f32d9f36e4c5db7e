/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Locks that live with the storage, as people and programs read them. */
#ifndef SM_FRONT_LOCK_OUT_H
#define SM_FRONT_LOCK_OUT_H

#include "sm/front/table.h"
#include "sm/request.h"

struct arena;
struct buf;
struct json;

void lock_out_json(const struct reply *rp, struct json *j);
void lock_out_table(struct arena *a, const struct reply *rp, const struct term *term, struct buf *b);
/* The disks, for --minimal. */
void lock_out_ids(const struct reply *rp, struct buf *b);
void lock_out_block(struct arena *a, const struct reply *rp, struct buf *b);

#endif
