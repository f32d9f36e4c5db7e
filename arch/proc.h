/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Children of our own, for work that may never return: a system call on a file
 * system whose server is gone.
 */
#ifndef ARCH_PROC_H
#define ARCH_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ctx;

/*
 * Run fn(ctx, arg) in a child and return what it returned, with its sentence
 * and hint in ctx.  size bytes at arg come back as fn left them, if it returned
 * at all; pointers within mean nothing here.  What else the child allocates,
 * opens or changes in memory dies with it, and it dies with us.
 *
 * -E_DEADLINE when fn has not returned by then (monotonic clock, ns; 0 for no
 * limit): the child is killed and reaped.  One that not even SIGKILL ends within
 * a second, because it sleeps in the kernel, is left behind; it is reaped by
 * init after we are gone, and until then it holds what it shares with us: open
 * files, though no lock that was released by lock_drop().
 * -EIO when the child died without an answer; -errno when there was none.
 */
int proc_run(struct ctx *ctx, int (*fn)(struct ctx *ctx, void *arg), void *arg, size_t size,
	     uint64_t deadline);

/*
 * A process that lives on without us: of its own session, with nothing open
 * but fds and /dev/null for input and output, and with the signals that end
 * others ignored.  Returns its number, and 0 in that process itself.
 */
pid_t proc_detach(const int *fds, size_t n);

/* The last to get the disk and the processor: for work that nobody waits for. */
void proc_idle(void);

/*
 * From here on a child goes on, and 0 is what it gets: whatever it does and
 * prints is what this process would have.  The parent stays here, passes on the
 * signals that come to it, and ends as the child ends.  So it returns only when
 * nothing more can be hoped for: alive() is asked every now and then, may take
 * some seconds, and has not said 0 for that long (ns).  Then the child has been
 * killed, and what alive() said last is returned, with its sentence in ctx.
 *
 * Locks taken before are the parent's, not the child's.
 */
int proc_watched(struct ctx *ctx, int (*alive)(struct ctx *ctx, void *arg), void *arg,
		 uint64_t patience);
/* Zeroed memory that children share, for what alive() is to look at; never freed.  Or NULL. */
void *proc_shared(size_t n);

/*
 * A child that goes on with all that we have: its number, and 0 is what it gets.  It
 * is killed when we die; locks that we hold are held until both have closed them.
 */
pid_t proc_fork(void);
/* Of a child, which is reaped then; and of any process. */
bool proc_ended(pid_t pid);
bool proc_is_there(pid_t pid);
/* Has it this file open, by a descriptor below 1024?  true also where that cannot be seen. */
bool proc_may_have(pid_t pid, const char *path);

/*
 * For a process in the path of block I/O: nothing of it is swapped, it is the
 * last to be killed for memory, and what it allocates does not wait for I/O that
 * may be its own (Linux 5.6).  As far as the kernel allows.
 */
void proc_guard(void);

/* We know a secret: from here on no core is left of us, and none but root looks into our memory. */
void proc_keep_secret(void);

#endif
