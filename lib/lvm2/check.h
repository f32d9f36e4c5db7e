/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is wrong with the VGs of a set, and with its devices: everything the scan
 * has met, and what only shows when the whole is looked at.
 */
#ifndef LIB_LVM2_CHECK_H
#define LIB_LVM2_CHECK_H

#include <stdbool.h>

#include "lib/kconfig.h"

struct lvm_problem;
struct lvm_set;
struct lvm_vg;

/* In lvm_finding.repair: the verb that mends it, without its operands. */
#if IS_ENABLED(CONFIG_CLI_VG)
#define LVM_RESTORE "sm vg restore"
#else
#define LVM_RESTORE "sm vg restore, which the builds rescue and full have"
#endif

enum lvm_severity {
	LVM_NOTE,		/* worth knowing */
	LVM_WARNING,		/* works, but something is lost or will be */
	LVM_ERROR,		/* damaged, or cannot be written to */
};

struct lvm_finding {
	struct lvm_finding *next;
	const char *object;	/* the device, or "vg" or "vg/lv" */
	const char *what;
	enum lvm_severity severity;
	const char *repair;	/* what mends it; NULL when we know nothing */
};

/* The set is best scanned with verify.  The list belongs to the set's arena. */
struct lvm_finding *lvm_check(struct lvm_set *set);
/* What is wrong with a VG in itself, on whatever devices. */
struct lvm_finding *lvm_check_vg(struct lvm_set *set, const struct lvm_vg *vg);
/* How bad what the scan has met is, and what mends it. */
enum lvm_severity lvm_problem_severity(const struct lvm_problem *p, const char **repair);
const char *lvm_severity_name(enum lvm_severity s);
/* Is any of them an error? */
bool lvm_is_damaged(const struct lvm_finding *f);

#endif
