/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loaded into linux.uml: it runs on processors with larger registers than it knows.
 *
 * That kernel hands the host 2696 bytes as a process's extended registers, all there
 * were before AMX.  Newer hosts take nothing but the whole area ("ptrace set fp regs
 * failed, errno = 14").  What lies behind the 2696 bytes is given as zeroes: registers
 * in their first state, as the mask in the area's header says, which is not changed.
 */
#include <cpuid.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char area[64 << 10];	/* the kernel in linux.uml is one thread */
static size_t whole;

static void __attribute__((constructor)) measure(void)
{
	unsigned int mask, size, c, d;

	if (__get_cpuid_count(13, 0, &mask, &size, &c, &d) && size <= sizeof(area))
		whole = size;
}

long ptrace(enum __ptrace_request request, ...)
{
	struct iovec larger;
	unsigned long peeked;
	long pid, addr, data, got;
	va_list ap;

	va_start(ap, request);
	pid = va_arg(ap, long);
	addr = va_arg(ap, long);
	data = va_arg(ap, long);
	va_end(ap);
	if (request == PTRACE_SETREGSET && addr == NT_X86_XSTATE) {
		const struct iovec *v = (const struct iovec *)data;

		if (v->iov_len < whole) {
			memcpy(area, v->iov_base, v->iov_len);
			larger = (struct iovec){ area, whole };
			data = (long)&larger;
		}
	}
	if (request < PTRACE_PEEKTEXT || request > PTRACE_PEEKUSER)
		return syscall(SYS_ptrace, request, pid, addr, data);
	got = syscall(SYS_ptrace, request, pid, addr, &peeked);
	return got < 0 ? got : (long)peeked;
}
