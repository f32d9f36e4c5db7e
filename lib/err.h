/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Errors are one negative int: an errno, or one of ours from errors.def.
 *
 * Ours start at 4096, above every errno.  Each names the errno it is a kind
 * of, so a caller may ask either question:
 *
 *	if (err == -E_VHD_SUM)			exactly this
 *	if (err_kind(err) == -EINVAL)		anything of that kind
 *
 * and each names its SMAPIv1 fault.  Front ends translate by these tables and
 * never by a list of their own.
 */
#ifndef LIB_ERR_H
#define LIB_ERR_H

#include <errno.h>

#include "lib/kconfig.h"

enum {
	E_BASE = 4096,
#define E(name, kind, smapi, text) name,
#include "lib/errors.def"
#undef E
	E_END
};

/* What to tell a person; for an errno, what the C library calls it. */
const char *err_text(int err);
/* The errno that err is a kind of, negative; err itself for an errno. */
int err_kind(int err);
/* The name of that errno, "ENOSPC", as JSON shows it; "EIO" for one unknown. */
const char *err_name(int err);
/* The SMAPIv1 fault of one of ours; 0 for a bare errno: the verb decides then. */
int err_smapi(int err);

#endif
