/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a process that only looks at storage may still ask of the kernel: what a
 * decoder could be talked into by the bytes that it reads ends there.
 *
 * From sandbox_enter() on files and devices can be opened for reading alone, and
 * read; memory can be had, which holds no code; what is open already can be
 * written (the answer), and the log's datagrams sent.  Devices answer questions
 * (sizes, tables of device-mapper), and take no orders.  Every other system call
 * fails with EPERM: no program is run, no child born, nothing made, renamed,
 * removed, mounted, attached or signalled.  Calls of another ABI are death.
 *
 * Of the capabilities those are kept that `keep` has and that there were: reading
 * any file (always), and asking device-mapper.
 */
#ifndef ARCH_SANDBOX_H
#define ARCH_SANDBOX_H

#include <stdbool.h>

/*
 * 0, also where the kernel has no such filters or this build cannot have one:
 * under sanitizers with a run-time library, which make system calls of their
 * own (the leak detector stops and traces us), and on processors whose numbers
 * of system calls are not known here.  -EPERM when it was refused.
 */
int sandbox_enter(bool keep_dm);

#endif
