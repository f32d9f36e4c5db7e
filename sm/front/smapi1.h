/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SMAPIv1 within itself: smapi1.c is the front end, the others its two directions. */
#ifndef SM_FRONT_SMAPI1_H
#define SM_FRONT_SMAPI1_H

#include <stddef.h>

#include "sm/request.h"

struct buf;

/* The methodCall that xapi gives as the only argument, n bytes of it. */
int smapi1_read_call(struct ctx *ctx, const char *doc, size_t n, struct request *rq);

/* Append the methodResponse for what was done. */
void smapi1_write_reply(struct buf *b, const struct request *rq, const struct reply *rp);
/* And for what was not. */
void smapi1_write_fault(struct buf *b, int code, const char *detail);

/* What creation dialogs read from stderr when a fault asks them to choose. */
void smapi1_write_offers(struct buf *b, const struct reply *rp);

/* The value of vdi_attach, and that of sr_get_driver_info within its struct. */
void smapi1_put_attach(struct buf *b, const struct request *rq, const struct vdi *v);
void smapi1_put_info(struct buf *b, const struct sr_type *t);

/* Append text as XML character data, quotes as they are. */
void smapi1_put_text(struct buf *b, const char *s);
/* <value><string>…</string></value>, and as a member of a struct. */
void smapi1_put_string(struct buf *b, const char *s);
void smapi1_put_member(struct buf *b, const char *name, const char *s);

#endif
