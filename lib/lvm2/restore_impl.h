/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What restore.c and restore_dev.c share; for nobody else. */
#ifndef LIB_LVM2_RESTORE_IMPL_H
#define LIB_LVM2_RESTORE_IMPL_H

#include "lib/lvm2/restore.h"

/* Note a step; refuse with a sentence. */
void lvm_restore_step(struct lvm_restore *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int lvm_restore_refuse(struct lvm_restore *r, int err, const char *try, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Find the device of every PV, and make labels and headers in memory where they are lost. */
int lvm_restore_bind(struct lvm_restore *r);
/* Once the VG is there: foreign signatures on devices that have a new label. */
int lvm_restore_wipe(const struct lvm_restore *r);

#endif
