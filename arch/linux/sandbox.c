/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/dm-ioctl.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch/sandbox.h"
#include "lib/bytes.h"

#if defined(__has_feature) && !defined(OWN_CALLS)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define OWN_CALLS
#endif
#endif

/* OWN_CALLS: the build makes system calls that are not in the source, as COV=1 does. */
#if defined(OWN_CALLS) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ARCH 0
#elif defined(__x86_64__) && !defined(__ILP32__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#define ARCH 0
#endif

/* Whatever their arguments: these touch nothing but ourselves and what we have opened. */
static const uint16_t harmless[] = {
	SYS_read, SYS_pread64, SYS_readv, SYS_preadv, SYS_write, SYS_writev, SYS_close, SYS_lseek,
	SYS_fstat, SYS_newfstatat, SYS_statx, SYS_fstatfs, SYS_statfs, SYS_getdents64, SYS_readlinkat,
	SYS_faccessat, SYS_getcwd, SYS_fadvise64, SYS_readahead, SYS_flock, SYS_fcntl, SYS_dup, SYS_dup3,
	SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk, SYS_ppoll, SYS_futex, SYS_sched_yield,
	SYS_io_setup, SYS_io_submit, SYS_io_getevents, SYS_io_destroy,
	SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sigaltstack, SYS_restart_syscall,
	SYS_clock_gettime, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday, SYS_setitimer,
	SYS_getrandom, SYS_uname, SYS_sysinfo, SYS_getrlimit,
	SYS_getpid, SYS_gettid, SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid,
	SYS_connect, SYS_sendto,	/* of the one kind of socket that can be had */
	SYS_exit, SYS_exit_group,
#ifdef SYS_open		/* old names that newer processors do without; open: below */
	SYS_stat, SYS_lstat, SYS_readlink, SYS_access, SYS_poll, SYS_time, SYS_dup2, SYS_alarm,
#endif
};

/* Questions to devices. */
static const uint32_t questions[] = {
	BLKGETSIZE64, BLKSSZGET, BLKPBSZGET, BLKROGET, LOOP_GET_STATUS64,
	DM_VERSION, DM_LIST_DEVICES, DM_DEV_STATUS, DM_TABLE_DEPS, DM_TABLE_STATUS, DM_LIST_VERSIONS,
	TIOCGWINSZ, TCGETS,
};

struct program {
	struct sock_filter v[4 * (ARRAY_SIZE(harmless) + ARRAY_SIZE(questions)) + 64];
	unsigned short n;
};

static void put(struct program *p, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	p->v[p->n++] = (struct sock_filter){ .code = code, .jt = yes, .jf = no, .k = k };
}

static void answer(struct program *p, uint32_t what)
{
	put(p, BPF_RET | BPF_K, what, 0, 0);
}

static void load(struct program *p, size_t at)
{
	put(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)at, 0, 0);
}

/* The lower half of an argument: what counts of flags.  Both processors have it first. */
static void load_arg(struct program *p, int n)
{
	load(p, offsetof(struct seccomp_data, args) + 8 * (size_t)n);
}

static const uint32_t no = SECCOMP_RET_ERRNO | EPERM;

/* If what is loaded is k: yes. */
static void allow(struct program *p, uint32_t k)
{
	put(p, BPF_JMP | BPF_JEQ | BPF_K, k, 0, 1);
	answer(p, SECCOMP_RET_ALLOW);
}

/* Call nr: yes when its argument has none of these bits, else no. */
static void allow_without(struct program *p, uint32_t nr, int arg, uint32_t bits)
{
	put(p, BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 4);
	load_arg(p, arg);
	put(p, BPF_JMP | BPF_JSET | BPF_K, bits, 1, 0);
	answer(p, SECCOMP_RET_ALLOW);
	answer(p, no);
}

/* A descriptor for reading, of what is there. */
#define TO_WRITE	(O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY))

static void make(struct program *p)
{
	load(p, offsetof(struct seccomp_data, arch));
	put(p, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
	answer(p, SECCOMP_RET_KILL_PROCESS);
	load(p, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		allow(p, harmless[i]);
	allow_without(p, SYS_openat, 2, TO_WRITE);
#ifdef SYS_open
	allow_without(p, SYS_open, 1, TO_WRITE);
#endif
	allow_without(p, SYS_mmap, 2, PROT_EXEC);
	allow_without(p, SYS_mprotect, 2, PROT_EXEC);
	/* Datagrams within this host: the log's. */
	put(p, BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 7);
	load_arg(p, 0);
	put(p, BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 0, 4);
	load_arg(p, 1);
	put(p, BPF_ALU | BPF_AND | BPF_K, 15, 0, 0);
	put(p, BPF_JMP | BPF_JEQ | BPF_K, SOCK_DGRAM, 0, 1);
	answer(p, SECCOMP_RET_ALLOW);
	answer(p, no);
	put(p, BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 1, 0);
	answer(p, no);
	load_arg(p, 1);
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++)
		allow(p, questions[i]);
	answer(p, no);
}

/* What was given up is not to be had again: no_new_privs is set, and nothing is executed. */
static int drop_capabilities(bool keep_dm)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[_LINUX_CAPABILITY_U32S_3] = { 0 };
	uint32_t keep = 1u << CAP_DAC_READ_SEARCH | (keep_dm ? 1u << CAP_SYS_ADMIN : 0);

	if (syscall(SYS_capget, &h, d))
		return -errno;
	d[0].permitted &= keep;
	d[0].effective &= keep;
	d[0].inheritable = 0;
	d[1] = (struct __user_cap_data_struct){ 0 };
	return syscall(SYS_capset, &h, d) ? -errno : 0;
}

int sandbox_enter(bool keep_dm)
{
	struct program p = { .n = 0 };
	struct sock_fprog prog;
	int err;

	if (!ARCH)
		return 0;
	err = drop_capabilities(keep_dm);
	if (err)
		return err;
	make(&p);
	prog = (struct sock_fprog){ .len = p.n, .filter = p.v };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		return errno == EINVAL || errno == ENOSYS ? 0 : -errno;
	return 0;
}
