/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Logs of changed blocks, as people and programs read them. */
#ifndef SM_FRONT_CBT_OUT_H
#define SM_FRONT_CBT_OUT_H

struct buf;
struct cbt_report;
struct json;

void cbt_out_json(const struct cbt_report *c, struct json *j);
/* minimal: of what has changed nothing but the bitmap. */
void cbt_out(const struct cbt_report *c, bool minimal, struct buf *b);

#endif
