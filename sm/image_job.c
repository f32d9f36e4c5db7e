/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "arch/clock.h"
#include "lib/err.h"
#include "sm/core.h"
#include "sm/image.h"

/* Blocked and read from a descriptor, so that no handler is needed; threads inherit it. */
void image_job_start(struct run *r, struct image_job *j, const char *what, uint64_t total)
{
	sigset_t stop;

	j->ctx = r->ctx;
	watch_copying(j->ctx, 1);
	progress_start(&j->progress, (enum progress_mode)r->rq->progress, what, total);
	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGHUP);
	sigprocmask(SIG_BLOCK, &stop, &j->old);
	j->signals = signalfd(-1, &stop, SFD_NONBLOCK | SFD_CLOEXEC);
	if (j->signals < 0)	/* then a signal ends us where we are, which is survived as well */
		sigprocmask(SIG_SETMASK, &j->old, NULL);
}

int image_job_tick(void *job, uint64_t done)
{
	struct image_job *j = job;
	struct signalfd_siginfo info;

	watch_copying(j->ctx, done + 1);
	progress_step(&j->progress, done);
	if (j->signals >= 0 && read(j->signals, &info, sizeof(info)) == sizeof(info))
		return fail_say(j->ctx, -EINTR, "interrupted");
	if (!clock_left(j->ctx->deadline))
		return fail(j->ctx, -E_DEADLINE, "%s", j->progress.what);
	return 0;
}

void image_job_end(struct image_job *j)
{
	if (j->signals >= 0)
		close(j->signals);
	sigprocmask(SIG_SETMASK, &j->old, NULL);
	progress_end(&j->progress);
	watch_copying(j->ctx, 0);
}
