/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sweep SM DIR HOW [EVERY [FIRST [CASE]]]: run each verb on a file SR once for
 * each system call that it makes, and disturb it there:
 *
 *	kill	SIGKILL before the call
 *	EIO	the call fails, once (or ENOSPC, EINTR, EMFILE: any of the names below)
 *	EIO+	this call and all behind it fail
 *	short	a read or write does half of what it was asked for
 *
 * After each, with no step by hand: the verb is given again, the SR must check
 * clean, its disk must be what it was or what it was to become, and when disk
 * and SR have been deleted nothing may be left of them: no file, mount, loop
 * device, link, record or line of smtab.
 *
 * EVERY = 7, FIRST = 3 tries calls 3, 10, 17 …; a run with EVERY 1 is complete.
 * The lines "# sweep" are for table.sh.
 * Needs root, and a mount namespace of its own: unshare -m.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* In verbs: @ is DIR, $, % and & are the uuids, which no other sweep uses. */
#define SR	"$"
#define VDI	"%"
#define COPY	"&"
#define CREATE	"sr create S --uuid " SR " --description about --type file --dconf location=@/loc"
#define ANY	"vdi create old --uuid " VDI " --sr " SR " --size 4M --description about"
#define DISK	ANY " --format raw"
#define VHD	ANY " --format vhd"
#define SNAPSHOT "vdi snapshot " VDI " copy --uuid " COPY " --sr " SR " --description about"
#define CLONE	"vdi clone " VDI " copy --uuid " COPY " --sr " SR " --description about"
#define MEMBER(k, v) "<member><name>" k "</name><value>" v "</value></member>"
/* No blank in it: one argument, of a driver and not of sm. */
#define COMPOSE	"<methodCall><methodName>vdi_compose</methodName><params><param><value><struct>" \
	MEMBER("command", "vdi_compose") MEMBER("sr_uuid", SR) MEMBER("vdi_uuid", VDI) \
	MEMBER("args", "<array><data><value>" COPY "</value></data></array>") \
	MEMBER("device_config", "<struct>" MEMBER("location", "@/loc") "</struct>") \
	"</struct></value></param></params></methodCall>"
#define ARGS_MOST	18
#define COMPLAINTS_MOST	6
#define LOOP_CLR_FD	0x4c01	/* the C library has no headers of the kernel */

/* A verb, what comes before it, and which answers are right when it comes again. */
struct example {
	const char *name, *before[4], *verb;
	const char *again;	/* exit statuses, as digits */
	bool downhill;		/* once begun it is not undone: the next call goes on */
};

/* Members that are not given are 0. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
static const struct example examples[] = {
	{ "sr create", { NULL }, CREATE, "01", true },	/* 1: it exists */
	{ "sr attach", { CREATE, DISK, "sr detach " SR }, "sr attach " SR, "0" },
	{ "sr detach", { CREATE, DISK }, "sr detach " SR, "0", true },
	{ "sr introduce", { CREATE, DISK, "sr forget " SR },
	  "sr introduce " SR " --type file --dconf location=@/loc", "0" },
	{ "sr forget", { CREATE, DISK }, "sr forget " SR, "04", true },
	{ "sr destroy", { CREATE }, "sr destroy " SR, "04", true },
	{ "sr rename", { CREATE, DISK }, "sr rename " SR " T", "0", true },
	{ "sr scan", { CREATE, DISK }, "sr scan " SR, "0" },
	{ "sr check", { CREATE, DISK }, "sr check " SR " --repair", "0" },
	{ "vdi create", { CREATE }, DISK, "01" },
	{ "vdi create thick", { CREATE }, DISK " --sm-config allocation=thick", "01" },
	{ "vdi delete", { CREATE, DISK }, "vdi delete " VDI, "04", true },
	{ "vdi resize", { CREATE, DISK }, "vdi resize " VDI " 8M", "0" },
	{ "vdi resize live", { CREATE, DISK, "vdi attach " VDI }, "vdi resize " VDI " 8M", "0" },
	{ "vdi rename", { CREATE, DISK }, "vdi rename " VDI " new", "0" },
	{ "vdi attach", { CREATE, DISK }, "vdi attach " VDI, "0" },
	{ "vdi detach", { CREATE, DISK, "vdi attach " VDI }, "vdi detach " VDI, "0", true },
	{ "vdi activate", { CREATE, DISK, "vdi attach " VDI, "vdi deactivate " VDI },
	  "vdi activate " VDI, "0" },
	{ "vdi deactivate", { CREATE, DISK, "vdi attach " VDI }, "vdi deactivate " VDI, "0", true },
	{ "vdi list", { CREATE, DISK }, "vdi list", "0" },
	{ "vhd create", { CREATE }, VHD, "01" },
	{ "vhd snapshot", { CREATE, VHD }, SNAPSHOT, "01" },	/* 1: the copy exists */
	{ "vhd snapshot of raw", { CREATE, DISK }, SNAPSHOT " --force", "01" },
	{ "vhd clone of empty", { CREATE, VHD, SNAPSHOT, "vdi delete " COPY }, CLONE, "01" },
	{ "vhd resize", { CREATE, VHD }, "vdi resize " VDI " 8M", "0" },
	{ "vhd resize by journal", { CREATE, VHD }, "vdi resize " VDI " 64M", "0" },
	{ "vhd delete", { CREATE, VHD, SNAPSHOT }, "vdi delete " VDI, "04", true },
	{ "vhd delete last", { CREATE, VHD, SNAPSHOT, "vdi delete " COPY }, "vdi delete " VDI, "04", true },
	{ "vhd compose", { CREATE, VHD, CLONE }, COMPOSE, "0" },
	{ "vhd scan", { CREATE, VHD, SNAPSHOT }, "sr scan " SR, "0" },
	{ "vhd tree", { CREATE, VHD, CLONE }, "vdi tree " SR, "0" },
};

static const struct { const char *name; int err; } errors[] = {
	{ "EIO", EIO }, { "ENOSPC", ENOSPC }, { "EINTR", EINTR }, { "EMFILE", EMFILE },
	{ "EROFS", EROFS }, { "ENOMEM", ENOMEM }, { "EAGAIN", EAGAIN },
};

static const char *sm, *dir;
static char sr[40], vdi[40], copy[40];
static char out[16384], why[512];
static const char *where = "";
static int n_at, bad, bad_before;
static bool cut;

static void complain(const char *what, const char *more)
{
	if (++bad - bad_before > COMPLAINTS_MOST)
		return;
	printf("# %s, call %d: %s%s%.*s\n", where, n_at, what, *more ? ": " : "",
	       (int)strcspn(more, "\n"), more);
	fflush(stdout);
}

/* --- running -------------------------------------------------------------- */

static void run_sm(const char *verb, int to)
{
	char *argv[ARGS_MOST] = { (char *)(*verb == '<' ? "FileSR" : "sm") }, text[2048], *p = text, *save;
	int n = 1;

	for (const char *s = verb; *s; s++)
		p += snprintf(p, (size_t)(text + sizeof(text) - p), strchr("@$%&", *s) ? "%s" : "%.1s",
			      *s == '@' ? dir : *s == '$' ? sr : *s == '%' ? vdi : *s == '&' ? copy : s);
	for (p = strtok_r(text, " ", &save); p && n < ARGS_MOST - 1; p = strtok_r(NULL, " ", &save))
		argv[n++] = p;
	dup2(to, 1);
	dup2(to, 2);
	execv(sm, argv);
	_exit(126);
}

static void slurp(int fd, pid_t pid)
{
	ssize_t n = pread(fd, out, sizeof(out) - 1, 0);

	(void)pid;
	out[n > 0 ? n : 0] = '\0';
}

static int output_file(void)
{
	static int fd = -1;

	if (fd < 0) {
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%s/out", dir);
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0600);
	}
	if (ftruncate(fd, 0))
		abort();
	return fd;
}

/* Exit status, or 128 + signal; what it said is in out.  A driver says there that it failed. */
static int status_of(int status)
{
	if (WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	return WEXITSTATUS(status) ? WEXITSTATUS(status) : strstr(out, "<fault>") != NULL;
}

static int run(const char *verb)
{
	int fd = output_file(), status;
	pid_t pid = fork();

	if (!pid) {
		alarm(20);
		run_sm(verb, fd);
	}
	waitpid(pid, &status, 0);
	slurp(fd, pid);
	return status_of(status);
}

/* Memory, signals and the end must work; what fails there is another test's. */
static bool is_spared(long nr)
{
	switch (nr) {
	case SYS_brk: case SYS_mmap: case SYS_munmap: case SYS_mprotect: case SYS_madvise:
	case SYS_rt_sigaction: case SYS_rt_sigprocmask: case SYS_exit_group: case SYS_exit:
	case SYS_close: case SYS_getpid: case SYS_gettid: case SYS_arch_prctl: case SYS_execve:
	case SYS_set_tid_address: case SYS_nanosleep: case SYS_clock_nanosleep:
	case SYS_clock_gettime: case SYS_tkill: case SYS_writev:
		return true;
	}
	return false;
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
	if (r->rdx < 2 || r->rdx == 512)
		return false;
	r->rdx = r->rdx > 512 ? (r->rdx / 2 + 511) / 512 * 512 : r->rdx / 2;
	return true;
}

/*
 * Disturb the n-th system call after exec.  *hit tells whether there was one.
 * err: 0 = kill.
 */
static int run_disturbed(const char *verb, int n, int err, bool on, bool *hit)
{
	int fd = output_file(), status, count = 0;
	bool in = false, broken = false;
	pid_t pid = fork();

	if (!pid) {
		alarm(20);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		run_sm(verb, fd);
	}
	*hit = false;
	waitpid(pid, &status, 0);
	ptrace(PTRACE_SETOPTIONS, pid, 0,
	       PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL);
	ptrace(PTRACE_CONT, pid, 0, 0);
	waitpid(pid, &status, 0);			/* the exec */
	ptrace(PTRACE_SYSCALL, pid, 0, 0);
	for (bool first = true; waitpid(pid, &status, 0) == pid && WIFSTOPPED(status); ) {
		struct user_regs_struct r;
		int sig = WSTOPSIG(status);

		if (sig != (SIGTRAP | 0x80)) {
			ptrace(PTRACE_SYSCALL, pid, 0, (long)sig);
			continue;
		}
		if (first) {				/* execve comes back */
			first = false;
			ptrace(PTRACE_SYSCALL, pid, 0, 0);
			continue;
		}
		in = !in;
		if (in)
			count++;
		if (in && (count == n || (on && count > n))) {
			ptrace(PTRACE_GETREGS, pid, 0, &r);
			*hit = true;
			if (cut) {
				if (shorten(&r))
					ptrace(PTRACE_SETREGS, pid, 0, &r);
				snprintf(why, sizeof(why), "system call %lld", (long long)r.orig_rax);
			} else if (!err) {
				kill(pid, SIGKILL);
			} else if (!is_spared((long)r.orig_rax)) {
				broken = true;
				snprintf(why, sizeof(why), "system call %lld", (long long)r.orig_rax);
				r.orig_rax = (unsigned long long)-1;
				ptrace(PTRACE_SETREGS, pid, 0, &r);
			}
		} else if (!in && broken) {
			broken = false;
			ptrace(PTRACE_GETREGS, pid, 0, &r);
			r.rax = (unsigned long long)-err;
			ptrace(PTRACE_SETREGS, pid, 0, &r);
		}
		ptrace(PTRACE_SYSCALL, pid, 0, 0);
	}
	slurp(fd, pid);
	return status_of(status);
}

/* --- looking -------------------------------------------------------------- */

static const char *in_dir(const char *name)
{
	static char path[4][PATH_MAX];
	static int i;

	i = (i + 1) % 4;
	snprintf(path[i], PATH_MAX, "%s/%s", dir, name);
	return path[i];
}

static bool read_text(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, room - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n >= 0;
}

/* Loop devices of files below our directory: how many; freed if asked. */
static int loops(bool clear)
{
	DIR *d = opendir("/sys/block");
	struct dirent *e;
	int count = 0;

	while (d && (e = readdir(d))) {
		char path[300], file[PATH_MAX];

		if (strncmp(e->d_name, "loop", 4))
			continue;
		snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", e->d_name);
		if (!read_text(path, file, sizeof(file)) ||
		    !strstr(file, vdi))
			continue;
		count++;
		if (clear) {
			int fd;

			snprintf(path, sizeof(path), "/dev/%s", e->d_name);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			ioctl(fd, LOOP_CLR_FD, 0);
			close(fd);
		}
	}
	if (d)
		closedir(d);
	return count;
}

static char leftover[PATH_MAX];
static bool half_made;

/* Whatever lies below DIR that a machine without our SR would not have. */
static int look(const char *path, const struct stat *st, int type, struct FTW *f)
{
	const char *p = path + strlen(dir);

	(void)st, (void)f;
	if (!strncmp(p, "/root/var/lock", 14) || !strcmp(p, "/out"))
		return 0;
	if (!strcmp(p, "/root/etc/smtab") && !st->st_size)
		return 0;
	/* An SR half made or unmade: the next create takes it over. */
	if (type == FTW_D && (!strcmp(p, "/loc/.sm") || !strcmp(p, "/loc/.sm/vdi") ||
			      !strcmp(p, "/loc/.sm/tmp")))
		return 0;
	if (half_made && !strncmp(p, "/loc/.sm/tmp/", 13) && !strcmp(p + 13, sr))
		return 0;
	if (type == FTW_D && (!*p || !strcmp(p, "/loc") || !strcmp(p, "/root") ||
			      !strcmp(p, "/root/etc") || !strcmp(p, "/root/run") ||
			      !strcmp(p, "/root/run/sm") || !strcmp(p, "/root/run/sm/attached") ||
			      !strcmp(p, "/root/run/sm/shares") ||
			      !strcmp(p, "/root/run/sr-mount") || !strcmp(p, "/root/dev") ||
			      !strcmp(p, "/root/dev/sm") || !strcmp(p, "/root/dev/sm/backend") ||
			      !strcmp(p, "/root/var")))
		return 0;
	snprintf(leftover, sizeof(leftover), "%s", p);
	return 1;
}

static int zap(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st, (void)type;
	if (f->level && strcmp(path + strlen(dir), "/out"))
		remove(path);
	return 0;
}

static void wipe(void)
{
	char path[80];

	run("vdi detach " VDI " --sr " SR);	/* what lies on the loop device goes first */
	loops(true);
	snprintf(path, sizeof(path), "root/run/sr-mount/%s", sr);
	while (!umount2(in_dir(path), MNT_DETACH))
		;
	nftw(dir, zap, 16, FTW_DEPTH | FTW_PHYS);
	mkdir(in_dir("root"), 0700);
}

static bool is_one_of(int status, const char *digits)
{
	return status < 10 && strchr(digits, '0' + status);
}

static void expect(const char *verb, const char *digits)
{
	int status = run(verb);
	char text[700];

	if (is_one_of(status, digits))
		return;
	snprintf(text, sizeof(text), "%.60s: status %d: %.600s", verb, status,
		 strstr(out, "<fault>") ? strstr(out, "<fault>") : out);
	text[strcspn(text, "\n")] = '\0';
	complain("afterwards", text);
}

/* Its name and size are the old or the new, and its description stays. */
static void look_at_copy(void)
{
	if (run("vdi show " COPY " --sr " SR " --json"))
		return;
	if (!strstr(out, "\"name\": \"copy\"") || !strstr(out, "\"description\": \"about\"") ||
	    !strstr(out, "\"virtual_size\": 4194304,"))
		complain("the copy is not what it should be", out);
}

static void look_at_disk(void)
{
	look_at_copy();
	if (run("vdi show " VDI " --sr " SR " --json"))
		return;
	if (!strstr(out, "\"name\": \"old\"") && !strstr(out, "\"name\": \"new\""))
		complain("the disk has lost its name", "");
	if (!strstr(out, "\"description\": \"about\""))
		complain("the disk has lost its description", "");
	if (!strstr(out, "\"virtual_size\": 4194304,") && !strstr(out, "\"virtual_size\": 8388608,") &&
	    !strstr(out, "\"virtual_size\": 67108864,"))
		complain("the disk has a wrong size", "");
}

static void aftermath(const struct example *x, bool again)
{
	char tab[4096];

	look_at_disk();
	if (again)
		expect(x->verb, x->again);
	/* It was made and is not known here: as the hint of a second create says. */
	if (run("sr attach " SR) == 4 && !access(in_dir("loc/.sm/sr"), F_OK))
		expect("sr introduce " SR " --type file --dconf location=@/loc", "0");
	if (!access(in_dir("loc/.sm/sr"), F_OK) && !run("sr show " SR)) {
		if (strstr(x->verb, "delete"))		/* a node that nobody needs may be left */
			expect("sr scan " SR, "0");
		if (run("sr check " SR " --json") || !strstr(out, "\"problems\": []"))
			complain("sr check", strstr(out, "\"what\"") ? strstr(out, "\"what\"") : out);
		look_at_disk();
		read_text(in_dir("root/etc/smtab"), tab, sizeof(tab));
		if (strncmp(tab, sr, strlen(sr)) || !strstr(tab, " file ") || !strstr(tab, "/loc\n"))
			complain("smtab", tab);
	}
	expect("vdi detach " VDI " --sr " SR, "04");
	expect("vdi delete " VDI " --sr " SR, "04");
	expect("vdi delete " COPY " --sr " SR, "04");
	expect("sr destroy " SR, "04");
	expect("sr forget " SR, "04");
	if (loops(false))
		complain("a loop device is left", "");
	if (nftw(dir, look, 16, FTW_PHYS))
		complain("something is left", leftover);
}

/* --- old or new ----------------------------------------------------------- */

/*
 * All files below DIR, those of a mounted SR twice, with size and, of small
 * ones, contents; sorted.  Empty directories are nobody's loss.
 */
static char *line[256], before[1 << 16], after[1 << 16];
static int n_line;

/* Of uuids only ours are the same each time. */
static void mask(char *s)
{
	const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	for (; strlen(s) >= 36; s++) {
		size_t n = 0;

		while (n < 36 && (form[n] == '-' ? s[n] == '-' : strchr("0123456789abcdef", s[n]) && s[n]))
			n++;
		if (n == 36 && strncmp(s, "5e5e0000", 8))
			memcpy(s, form, 36);
	}
}

static int note(const char *path, const struct stat *st, int type, struct FTW *f)
{
	const char *p = path + strlen(dir);
	char text[512] = "";

	(void)f;
	/* What has been found out about an SR is not its state. */
	if (type == FTW_D || !strncmp(p, "/root/var/lock", 14) || !strncmp(p, "/root/run/sm/shares/", 20) ||
	    !strcmp(p, "/out") || n_line == 256)
		return 0;
	if (type == FTW_SL)
		strcpy(text, "a link");		/* to a device of any number */
	else if (st->st_size < (off_t)sizeof(text))
		read_text(path, text, sizeof(text));
	if (asprintf(&line[n_line++], "%s %lld %s\n", p, (long long)st->st_size, text) < 0)
		abort();
	mask(line[n_line - 1]);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void snapshot(char *to)
{
	n_line = 0;
	nftw(dir, note, 16, FTW_PHYS);
	qsort(line, (size_t)n_line, sizeof(*line), by_text);
	to += sprintf(to, "%d loop devices\n", loops(false));
	for (int i = 0; i < n_line; i++) {
		to = stpcpy(to, line[i]);
		free(line[i]);
	}
}

static void compare(void)
{
	static char now[1 << 16];
	const char *a = before, *b = now;

	snapshot(now);
	if (!strcmp(now, before) || !strcmp(now, after))
		return;
	/* The first line that differs says most. */
	while (*b && !strncmp(a, b, strcspn(b, "\n") + 1)) {
		a += strcspn(b, "\n") + 1;
		b += strcspn(b, "\n") + 1;
	}
	complain("neither as before nor as after; against before", b);
	complain("  which had", a);
}

/* --- sweeping ------------------------------------------------------------- */

static bool prepare(const struct example *x)
{
	wipe();
	for (size_t i = 0; i < 4 && x->before[i]; i++)
		if (run(x->before[i])) {
			complain(x->before[i], out);
			return false;
		}
	return true;
}

/* What it looks like before the verb, and after when nobody disturbs it. */
static void reference(const struct example *x)
{
	if (!prepare(x))
		return;
	snapshot(before);
	if (run(x->verb))
		complain(x->verb, out);
	snapshot(after);
}

static void sweep(const struct example *x, const char *how, int err, int every, int first,
		  bool again)
{
	bool on = how[strlen(how) - 1] == '+', hit = true;
	int tried = 0, refused = 0;
	char name[80], text[1200];

	snprintf(name, sizeof(name), "%s, %s%s", x->name, how, again ? ", and again" : "");
	where = name;
	bad_before = bad;
	reference(x);
	for (n_at = first; hit && prepare(x); n_at += every) {
		int status;

		*why = '\0';
		status = run_disturbed(x->verb, n_at, err, on, &hit);
		tried += hit;
		refused += hit && status;
		half_made = (!err || on) && !again;
		if (err && !on && status && !x->downhill)
			compare();
		if (cut && status) {
			snprintf(text, sizeof(text), "%s: %.600s", why, out);
			complain("a short read or write is an error", text);
		}
		if (status > 128 && (err || cut)) {
			snprintf(out, sizeof(out), "it died of signal %d (%s)", status - 128, why);
			complain(out, "");
		}
		if (getenv("SWEEP_VERBOSE"))
			printf("# %s call %d: %d %s %s\n", name, n_at, status, why, out);
		aftermath(x, again);
	}
	printf("%s - %s: %d of %d calls, %d answered with an error\n", bad == bad_before ? "ok" : "not ok",
	       name, tried, n_at - every, refused);
	printf("# sweep file ");
	for (const char *s = x->name; *s; s++)
		putchar(*s == ' ' ? '_' : *s);
	printf(" %s=%d bad=%d\n", err || cut ? "failed" : "killed", tried, bad - bad_before);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int every = argc > 4 ? atoi(argv[4]) : 1, first = argc > 5 ? atoi(argv[5]) : 1, err = 0;
	char root[PATH_MAX];

	if (argc < 4 || every < 1 || first < 1)
		return fprintf(stderr, "usage: sweep SM DIR kill|EIO|EIO+|short|… [EVERY [FIRST [CASE]]]\n"), 2;
	sm = argv[1];
	dir = argv[2];
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
		if (!strncmp(argv[3], errors[i].name, strlen(errors[i].name)))
			err = errors[i].err;
	cut = !strcmp(argv[3], "short");
	snprintf(root, sizeof(root), "%s/root", dir);
	setenv("SM_ROOT", root, 1);
	snprintf(sr, sizeof(sr), "5e5e0000-0000-4000-8000-%012d", getpid());
	snprintf(vdi, sizeof(vdi), "5e5e0000-0000-4000-8001-%012d", getpid());
	snprintf(copy, sizeof(copy), "5e5e0000-0000-4000-8002-%012d", getpid());
	for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++)
		if (argc < 7 || !strcmp(argv[6], examples[i].name))
			for (int again = 0; again < 2; again++)
				sweep(&examples[i], argv[3], err, every, first, again);
	wipe();
	return bad ? 1 : 0;
}
