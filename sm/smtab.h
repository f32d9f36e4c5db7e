/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /etc/smtab: the SRs this host knows, as fstab knows filesystems.
 *
 *	# SR-UUID TYPE NAME key=value …
 *	6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11 file my\040disks location=/srv/disks
 *
 * One SR a line; a blank, tab, comma or backslash inside a field is written as
 * a backslash and three octal digits; # begins a comment line.  Lines that are
 * not understood are kept as they are and reported.  The file is 0600, because
 * a dconf may hold a password, and is replaced as a whole.
 */
#ifndef SM_SMTAB_H
#define SM_SMTAB_H

#include <stddef.h>

#include "lib/ctx.h"
#include "lib/kv.h"
#include "lib/uuid.h"

struct smtab_entry {
	struct uuid uuid;
	const char *type;
	const char *name;
	struct kvs dconf;
};

struct smtab {
	struct smtab_entry *v;
	size_t n;
	size_t bad_line;	/* number of the first line not understood, or 0 */
};

/* A file that does not exist is an empty table. */
int smtab_read(struct ctx *ctx, struct smtab *t);
/* Add the entry, or replace the one with its uuid. Takes the table's lock. */
int smtab_put(struct ctx *ctx, const struct smtab_entry *e);
/* Remove it; nothing to do when it is not there. */
int smtab_remove(struct ctx *ctx, const struct uuid *u);

/*
 * Find by uuid, unique prefix of one, or name: 0 and *e, -E_SR_MISSING, or
 * -E_AMBIGUOUS with the candidates in the hint.
 */
int smtab_find(struct ctx *ctx, const struct smtab *t, const char *what,
	       const struct smtab_entry **e);

#endif
