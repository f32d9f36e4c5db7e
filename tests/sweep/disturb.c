/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disturb.h"

#define TASKS	128
#define SECTOR	512

struct task {
	pid_t pid;
	bool in, broken;
};

static const struct { const char *name; int err; } errors[] = {
	{ "EIO", EIO }, { "ENOSPC", ENOSPC }, { "EINTR", EINTR }, { "EMFILE", EMFILE },
	{ "EROFS", EROFS }, { "ENOMEM", ENOMEM }, { "EAGAIN", EAGAIN },
};

bool disturb_how(struct disturb *d, const char *how)
{
	size_t len = strcspn(how, "+");

	d->on = how[len] == '+';
	d->cut = !strcmp(how, "short");
	d->err = 0;
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
		if (strlen(errors[i].name) == len && !strncmp(how, errors[i].name, len))
			d->err = errors[i].err;
	d->only = !strcmp(how, "only") ? getenv("AT_DO") : NULL;
	return d->err || d->cut || d->only || !strcmp(how, "kill");
}

/* That a descriptor is there, which is all that this tells, cannot fail otherwise. */
static bool is_asked_for(const struct user_regs_struct *r)
{
	return r->orig_rax == SYS_fcntl && r->rsi == F_GETFD;
}

/* Memory, waiting, signals and the end must work; what fails there is another test's. */
static bool is_spared(long nr)
{
	switch (nr) {
	case SYS_brk: case SYS_mmap: case SYS_munmap: case SYS_mprotect: case SYS_madvise: case SYS_mremap:
	case SYS_rt_sigaction: case SYS_rt_sigprocmask: case SYS_exit_group: case SYS_exit:
	case SYS_close: case SYS_getpid: case SYS_gettid: case SYS_arch_prctl: case SYS_execve:
	case SYS_set_tid_address: case SYS_nanosleep: case SYS_clock_nanosleep: case SYS_futex:
	case SYS_clock_gettime: case SYS_tkill: case SYS_writev: case SYS_membarrier:
		return true;
	}
	return false;
}

/* No call that it does not know is taken for one that only looks. */
static bool only_looks(const struct user_regs_struct *r)
{
	switch (r->orig_rax) {
	case SYS_open:
		return !(r->rsi & (O_CREAT | O_TRUNC));
	case SYS_openat:
		return !(r->rdx & (O_CREAT | O_TRUNC));
	case SYS_read: case SYS_pread64: case SYS_readv: case SYS_lseek: case SYS_stat: case SYS_fstat: case SYS_lstat:
	case SYS_newfstatat: case SYS_statx: case SYS_statfs: case SYS_fstatfs: case SYS_access: case SYS_faccessat:
	case SYS_getdents64: case SYS_readlink: case SYS_readlinkat: case SYS_getcwd: case SYS_uname: case SYS_getuid:
	case SYS_geteuid: case SYS_getrandom: case SYS_fsync: case SYS_fdatasync: case SYS_fcntl: case SYS_flock:
	case SYS_dup: case SYS_dup2: case SYS_dup3: case SYS_poll: case SYS_ppoll: case SYS_pipe2: case SYS_umask:
	case SYS_fadvise64: case SYS_sysinfo: case SYS_socket: case SYS_connect: case SYS_getppid: case SYS_prctl:
		return true;
	}
	return is_spared((long)r->orig_rax);
}

/*
 * Half of it, in whole sectors: one that goes around the cache cannot be less.  A short
 * count is no failure, and the program has to ask for the rest.
 */
static bool shorten(struct user_regs_struct *r)
{
	switch (r->orig_rax) {
	case SYS_read: case SYS_write: case SYS_pread64: case SYS_pwrite64:
		break;
	default:
		return false;
	}
	if (r->rdx < 2 || r->rdx == SECTOR)
		return false;
	r->rdx = r->rdx > SECTOR ? (r->rdx / 2 + SECTOR - 1) / SECTOR * SECTOR : r->rdx / 2;
	return true;
}

/* --- descriptors ---------------------------------------------------------- */

/* The descriptors of a process that is stopped, and what one behind a number that was not there is. */
static void descriptors(pid_t pid, bool *had, int most, char *left, size_t room)
{
	char path[64], target[400];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		int fd = atoi(e->d_name);
		ssize_t n;

		if (*e->d_name == '.' || fd >= most)
			continue;
		if (!left) {
			had[fd] = true;
			continue;
		}
		if (had[fd])
			continue;
		n = readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1);
		snprintf(left, room, "%d %.*s", fd, n > 0 ? (int)n : 0, target);
	}
	if (d)
		closedir(d);
}

/* --- the tracer ----------------------------------------------------------- */

struct trace {
	struct disturb *d;
	struct task task[TASKS];
	pid_t leader;
	bool had[1024], begun;
};

static struct task *task_of(struct trace *t, pid_t pid, bool *is_new)
{
	struct task *empty = NULL;

	*is_new = false;
	for (int i = 0; i < TASKS; i++) {
		if (t->task[i].pid == pid)
			return &t->task[i];
		if (!t->task[i].pid && !empty)
			empty = &t->task[i];
	}
	*is_new = true;
	if (!empty)
		abort();
	*empty = (struct task){ .pid = pid };
	return empty;
}

static void kill_all(struct trace *t)
{
	for (int i = 0; i < TASKS; i++)
		if (t->task[i].pid && (t->d->family || t->task[i].pid == t->leader))
			kill(t->task[i].pid, SIGKILL);
}

static void enter(struct trace *t, struct task *task)
{
	struct disturb *d = t->d;
	struct user_regs_struct r;

	if (!t->begun)
		descriptors(t->leader, t->had, 1024, NULL, 0);
	t->begun = true;
	d->calls++;
	/* Who is to die needs no look at each call, which is what this costs. */
	if (!d->err && !d->cut && !d->watch && d->n && d->calls != d->n)
		return;
	ptrace(PTRACE_GETREGS, task->pid, 0, &r);
	if (r.orig_rax == SYS_exit_group && task->pid == t->leader)
		descriptors(task->pid, t->had, 1024, d->open, sizeof(d->open));
	if (!d->n || d->calls < d->n || (d->calls > d->n && !d->on)) {
		d->changes += d->calls < d->n && !only_looks(&r);
		return;
	}
	d->hit = true;
	d->nr = (long)r.orig_rax;
	if (d->only) {
		if (system(d->only))
			abort();
	} else if (d->cut) {
		if (shorten(&r))
			ptrace(PTRACE_SETREGS, task->pid, 0, &r);
	} else if (!d->err) {
		kill_all(t);
	} else if (!is_spared((long)r.orig_rax) && !is_asked_for(&r)) {
		task->broken = true;
		r.orig_rax = (unsigned long long)-1;
		ptrace(PTRACE_SETREGS, task->pid, 0, &r);
	}
}

static void leave(struct trace *t, struct task *task)
{
	struct user_regs_struct r;

	if (!task->broken)
		return;
	task->broken = false;
	ptrace(PTRACE_GETREGS, task->pid, 0, &r);
	r.rax = (unsigned long long)-t->d->err;
	ptrace(PTRACE_SETREGS, task->pid, 0, &r);
}

/* Handle one stop; the signal to go on with. */
static int stopped(struct trace *t, struct task *task, int status, bool is_new)
{
	if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
		task->in = !task->in;
		if (task->in)
			enter(t, task);
		else
			leave(t, task);
		return 0;
	}
	/* Events of clone and exec, and the stop with which one is born, outside of a call. */
	return status >> 16 || is_new ? 0 : WSTOPSIG(status);
}

int disturb(struct disturb *d, void (*child)(void *), void *arg)
{
	struct trace t = { .d = d };
	int status = 0, end = 0;
	bool is_new;
	pid_t pid;

	d->hit = false;
	d->calls = d->changes = d->nr = 0;
	*d->open = '\0';
	t.leader = fork();
	if (!t.leader) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		child(arg);
		_exit(126);
	}
	waitpid(t.leader, &status, 0);
	ptrace(PTRACE_SETOPTIONS, t.leader, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE |
	       (d->family ? PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK : PTRACE_O_EXITKILL));
	ptrace(PTRACE_CONT, t.leader, 0, 0);
	waitpid(t.leader, &end, 0);
	if (!WIFSTOPPED(end))
		return end;
	task_of(&t, t.leader, &is_new)->in = true;	/* the exec, which comes back */
	ptrace(PTRACE_SYSCALL, t.leader, 0, 0);
	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		struct task *task = task_of(&t, pid, &is_new);

		if (WIFSTOPPED(status)) {
			ptrace(PTRACE_SYSCALL, pid, 0, (long)stopped(&t, task, status, is_new));
			continue;
		}
		task->pid = 0;
		if (pid != t.leader)
			continue;
		end = status;
		if (d->family)
			break;
	}
	return end;
}
