/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changed block tracking, for the verbs: drivers/cbt.h says how it works. */
#ifndef SM_CBT_H
#define SM_CBT_H

#include "drivers/cbt.h"
#include "sm/core.h"

#define WITH_CBT IS_ENABLED(CONFIG_CBT)

/* What sm cbt show and changed tell. */
struct cbt_report {
	struct uuid vdi, to;		/* to "": one log, not a sum of several */
	bool enabled, in_use;
	struct cbt log;			/* with bits */
	const char *bitmap;		/* of a sum, as xapi answers it */
};

/* All there is in an SR, disks that are nothing but their log too. */
int cbt_list(struct sr *sr, struct vdis *l);
/* r->vdi is nothing but its log: may the verb be done with that? */
int cbt_admit(struct run *r);
bool cbt_is_log(const struct vdi *vdi);

int do_cbt_enable(struct run *r);
int do_cbt_disable(struct run *r);
int do_cbt_show(struct run *r);
int do_cbt_check(struct run *r);
int do_cbt_changed(struct run *r);
int do_data_destroy(struct run *r);

#endif
