/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the other verbs need to know about trees of disks. */
#ifndef SM_SNAPSHOT_H
#define SM_SNAPSHOT_H

#include "sm/core.h"

/* The format of new children in SRs of this type; NULL = it has no trees. */
const struct format *child_format(const struct sr_type *t);

/*
 * -E_VDI_NODE when other disks stand on r->vdi: whatever changed its data or
 * took it away would change them.  Not only what is marked as hidden: a death,
 * or a stranger, may have left that out.
 */
int must_be_leaf(struct run *r);

/*
 * Remove what nobody can reach any more: hidden disks without children, from
 * this one upwards.  Nothing while an image cannot be read.
 */
int drop_garbage(struct run *r, const struct uuid *from);
/* The same for the whole SR, from a list that tree_fill() has been at. */
int drop_all_garbage(struct run *r, const struct vdis *l);

int do_vdi_snapshot(struct run *r);
int do_vdi_clone(struct run *r);
int do_vdi_introduce(struct run *r);
int do_vdi_forget(struct run *r);
int do_vdi_compose(struct run *r);
int do_vdi_revert(struct run *r);

#endif
