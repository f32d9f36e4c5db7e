/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* REPLY_VGS and REPLY_HISTORY for people, and what lib/lvm2/show.h leaves to do of JSON. */
#ifndef SM_FRONT_VG_OUT_H
#define SM_FRONT_VG_OUT_H

#include <stdbool.h>

struct arena;
struct buf;
struct cli;
struct json;
struct reply;
struct term;

void vg_out_print(struct arena *a, const struct cli *c, const struct reply *rp,
		  const struct term *term, struct buf *b);
/* A text from a disk may hold anything, and a terminal would obey. */
void vg_out_text(struct arena *a, const char *text, struct buf *b);
/* --minimal: uuids of VGs, seqnos of versions. */
bool vg_out_has_ids(const struct reply *rp);
void vg_out_ids(const struct reply *rp, struct buf *b);
/* The key "versions" of a history's document. */
void vg_out_history_json(struct json *j, const struct reply *rp);

#endif
