/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dconf as people give it: pairs, files of pairs, and values that are kept out
 * of argv because they are secret.
 */
#ifndef SM_DCONF_H
#define SM_DCONF_H

#include "lib/ctx.h"
#include "lib/kv.h"

/*
 * Set key; a value "@FILE" stands for the first line of FILE, "@-" for that of
 * standard input.  A secret given in argv is overwritten there.
 */
int dconf_add(struct ctx *ctx, struct kvs *dconf, const char *key, const char *value);
/* A file of KEY=VALUE lines; "-" is standard input, # starts a comment. */
int dconf_add_file(struct ctx *ctx, struct kvs *dconf, const char *path);

#endif
