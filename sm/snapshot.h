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

/* Is everything there that the disk stands on? -E_VDI_UNAVAILABLE names what is not. */
int must_have_parents(struct run *r);

/* Can a disk that find() failed with be deleted all the same? Then bind_broken() makes do with its name. */
bool is_broken(const struct run *r, int err);
int bind_broken(struct run *r);
/* Nobody may stand on it, as far as that can be known; and the warning. */
int may_delete_broken(struct run *r);

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
int do_vdi_update(struct run *r);
int do_vdi_forget(struct run *r);
int do_vdi_compose(struct run *r);
int do_vdi_revert(struct run *r);

#endif
