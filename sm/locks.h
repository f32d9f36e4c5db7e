/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locks of this host, where and how upstream takes them: record locks on
 * /var/lock/sm/<namespace>/<name>.
 *
 * Order, outer to inner: <SR>/sr, then <VDI>/vdi, then .nil/smtab.
 */
#ifndef SM_LOCKS_H
#define SM_LOCKS_H

#include <stdbool.h>

#include "lib/ctx.h"

/*
 * Wait for the lock until the request's deadline, or 30 s without one.
 * -E_BUSY names who holds it; -E_DEADLINE when the caller's own deadline ended the wait.
 * No namespace is ".nil".
 */
int lock_host(struct ctx *ctx, const char *ns, const char *name, int *fd);
/* The same for who holds an outer lock, on which others wait: 5 s. */
int lock_host_inner(struct ctx *ctx, const char *ns, const char *name, int *fd);

/* Does somebody hold it?  Nobody is waited for, and no file is made. */
bool lock_is_held(struct ctx *ctx, const char *ns, const char *name);

#endif
