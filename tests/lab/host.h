/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the lab's programs on the host share: nothing they start outlives the
 * process they were started for.
 */
#ifndef LAB_HOST_H
#define LAB_HOST_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A descriptor that becomes readable when the process ends, or -1 if it has. */
int watch_process(pid_t pid);

/* Block what must be handled in order, and get it as a signalfd. */
int take_signals(void);
void give_signals_back(void);		/* in a child, before exec */

/* A caller may wait for our descriptors to be closed; bats does. */
void close_from(int first);

/* Become the parent of all orphans below us; kill them all. */
void adopt_orphans(void);
void kill_descendants(void);

/* rm -rf that stays on one file system; no error if it is not there. */
void remove_tree(const char *dir);

/* All of it, or false. */
bool write_all(int fd, const void *from, size_t len);
bool read_all(int fd, void *to, size_t len);

#endif
