/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The channel back to xapi, which keeps a database of SRs and VDIs and expects
 * a driver to write what it did into it.
 *
 * Where xapi is not installed there is nobody to tell, and the driver works
 * alone: it does the storage work and nothing else.  That is the case when the
 * caller gave no session, or when xapi's socket does not exist.  A socket that
 * exists and does not answer is xapi in trouble, and then nothing may be done
 * behind its back.
 */
#ifndef SM_XAPI_H
#define SM_XAPI_H

#include "sm/request.h"

/*
 * Before anything is changed: can the call-backs of this request be made, or
 * are there none to make?  0 or -E_XAPI.
 */
int xapi_check(struct ctx *ctx, const struct request *rq);

#endif
