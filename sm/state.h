/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is attached to this host: /run/sm/attached/<SR>/<VDI>.
 *
 * The record says that somebody asked for the disk and how; which device serves
 * it the kernel knows (drivers/datapath.h).  Records of an earlier boot do not
 * count.  /dev/sm/backend/<SR>/<VDI> is a link to the device, for people and for
 * the toolstack; it is made after the device and removed before it.
 */
#ifndef SM_STATE_H
#define SM_STATE_H

#include <stdbool.h>

#include "drivers/sr.h"

/* Fill at->attached, writable, lease and link. */
int state_get(struct sr *sr, const struct uuid *vdi, struct attachment *at);
/* lease: of the storage's lock that is to be looked after (sm/keeper.h), its generation; or 0. */
int state_put(struct sr *sr, const struct uuid *vdi, bool writable, uint64_t lease);
int state_remove(struct sr *sr, const struct uuid *vdi);
/* state_get() for every member of a list, reading the directory once. */
int state_get_all(struct sr *sr, struct vdis *l);
/* All that are attached with such a lock, by uuid and attachment alone. */
int state_leased(struct sr *sr, struct vdis *l);
/* Some VDI of the SR that is attached; "" when there is none. */
int state_any(struct sr *sr, struct uuid *vdi);
/* The SR is gone from this host: remove its directories, and what deaths left in them. */
void state_forget(struct sr *sr);

/*
 * Can files of the SR share their blocks?  1, -1 = no, 0 while nobody has tried:
 * the first clone or copy of a boot does, and notes it here.
 */
int state_shares(struct sr *sr);
void state_note_shares(struct sr *sr, bool yes);
/* And where they cannot: does the server copy by itself?  Likewise. */
int state_offloads(struct sr *sr);
void state_note_offloads(struct sr *sr, bool yes);

int link_make(struct sr *sr, const struct uuid *vdi, const char *device);
int link_remove(struct sr *sr, const struct uuid *vdi);

#endif
