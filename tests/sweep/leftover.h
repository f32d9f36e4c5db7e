/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What somebody holds on this machine: a line for each, with what it is first,
 *
 *	lock	a lock on one of the files
 *	open	a descriptor of one of the files, or of a device made of one
 *	process	the program
 *	mount, loop, dm, nbd
 *	run	a file below run/sm, or a name of a device
 *
 * Of those that have to do with ROOT, which is what SM_ROOT says, and with
 * WHERE, a folder of SRs; with ROOT "/" all there are, for a machine of our own.
 * The caller and his parents do not count.
 */
#ifndef LEFTOVER_H
#define LEFTOVER_H

#include <stdbool.h>
#include <stddef.h>

/* What must be gone as soon as a verb has ended; all of it when what was made is unmade. */
#define LEFT_BY_VERB	"lock open process "
#define LEFT_AT_ALL	"lock open process mount loop dm nbd run "

/* All that is held. */
void leftover(char *text, size_t room, const char *root, const char *where);

/*
 * The first line of one of these kinds that is not in BEFORE; NULL: there is none.
 * What goes away by itself is given time to.
 */
const char *leftover_new(const char *before, const char *kinds, const char *root, const char *where);

#endif
