/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an lvm2 on this host believes without looking: /run/lvm.  A PV or VG
 * that comes, goes or gets another name by our hand stays unseen by it, or
 * seems to be there still, until that is taken back.
 *
 * root is SM_ROOT or "".  No /run/lvm, no beliefs: 0.
 */
#ifndef ARCH_LVMHOST_H
#define ARCH_LVMHOST_H

struct arena;
struct lvm_stamp;

/* Who we are and when it is, as a text of LVM2 says who wrote it. */
void lvmhost_stamp(struct arena *a, struct lvm_stamp *stamp, const char *cause);

/* Let it look at all devices the next time, whatever it has noted of them. */
int lvmhost_look_again(const char *root);

/*
 * The system id by which VGs are this host's and no other's: what lvm2's
 * configuration in /etc/lvm says (source none, lvmlocal, uname, machineid or
 * file).  NULL when this host has none.
 */
const char *lvmhost_system_id(const char *root, struct arena *a);

/* A VG, and a PV by its 32 characters without dashes, that are gone; each may be NULL. */
int lvmhost_gone(const char *root, const char *vg, const char *pv);

#endif
