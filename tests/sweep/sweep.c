/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sweep SM DIR HOW [EVERY [FIRST [CASE]]]: run each verb on a file SR once for
 * each system call that it makes, and disturb it there:
 *
 *	kill	SIGKILL before the call
 *	EIO	the call fails, once (or ENOSPC, EINTR, EMFILE: any of those in disturb.c)
 *	EIO+	this call and all behind it fail
 *	short	a read or write does half of what it was asked for
 *
 * Once the verb has ended no lock, process or descriptor of it may be left.
 * After each, with no step by hand: the verb is given again, the SR must check
 * clean, its disks must hold what they held or what they were to hold, by the
 * reader in data.c, and when disk and SR have been deleted nothing may be left of
 * them: no file, mount, loop device, link, record or line of smtab, and of what a
 * repair keeps no half.  At every 20th point SWEEP_JUDGE, which is qemu-img,
 * opens the images.
 *
 * With SWEEP_TWICE=N, who recovers from a death is killed, too: at its calls 1,
 * 1 + N and so on, once for each death that came behind another change than the
 * one before; with N = 0, at one call of every third point.  After that a
 * second recovery has nothing to do.
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "beside.h"
#include "data.h"
#include "disturb.h"
#include "leftover.h"
#include "verbs.h"

#define ARGS_MOST	18
#define COMPLAINTS_MOST	6
#define JUDGE_EVERY	20	/* points from one look of another program to the next */
#define LOOP_CLR_FD	0x4c01	/* the C library has no headers of the kernel */

static const char *sm, *dir;
static char sr[40], vdi[40], copy[40], root[PATH_MAX], loc[PATH_MAX];
static char held[1 << 16];		/* what others hold on this machine */
static char out[16384], why[512];
static const char *where = "";
static int n_at, n_point, bad, bad_before, judged, twice, twice_bad;
static bool keeps_data;

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

static void slurp(int fd)
{
	ssize_t n = pread(fd, out, sizeof(out) - 1, 0);

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
	slurp(fd);
	return status_of(status);
}

struct call { const char *verb; int to; };

static void child(void *arg)
{
	struct call *c = arg;

	alarm(20);
	run_sm(c->verb, c->to);
}

/* Disturb the n-th system call after exec, as HOW says. */
static int run_disturbed(const char *verb, int n, const char *how, struct disturb *d)
{
	struct call c = { verb, output_file() };
	const char *left;
	int status;

	disturb_how(d, how);
	d->n = n;
	d->watch = getenv("SWEEP_TWICE") != NULL;
	status = disturb(d, child, &c);
	slurp(c.to);
	snprintf(why, sizeof(why), "system call %ld", d->nr);
	status = status_of(status);
	if (*d->open)
		complain("a descriptor is left open", d->open);
	left = leftover_new(held, LEFT_BY_VERB, root, loc);
	if (left)
		complain("when it has ended", left);
	return status;
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

static char remains[PATH_MAX];
static bool half_made;

/* A folder without its list is what a death left, and the next repair has removed it. */
static bool is_half_kept(const char *folder)
{
	char path[PATH_MAX + 8];

	snprintf(path, sizeof(path), "%s/list", folder);
	return access(path, F_OK) != 0;
}

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
	/* What a repair has kept stays. */
	if (strstr(p, ".before-repair") && (type != FTW_D || !is_half_kept(path)))
		return 0;
	if (type == FTW_D && (!*p || !strcmp(p, "/loc") || !strcmp(p, "/root") ||
			      !strcmp(p, "/root/etc") || !strcmp(p, "/root/run") ||
			      !strcmp(p, "/root/run/sm") || !strcmp(p, "/root/run/sm/attached") ||
			      !strcmp(p, "/root/run/sm/shares") || !strcmp(p, "/root/run/sm/seen") ||
			      !strcmp(p, "/root/run/sr-mount") || !strcmp(p, "/root/dev") ||
			      !strcmp(p, "/root/dev/sm") || !strcmp(p, "/root/dev/sm/backend") ||
			      !strcmp(p, "/root/var") || !strcmp(p, "/root/var/lib") ||
			      !strcmp(p, "/root/var/lib/sm")))
		return 0;
	snprintf(remains, sizeof(remains), "%s", p);
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
	/* What has been found out about an SR is not its state; locks are looked at by themselves. */
	if (type == FTW_D || !strncmp(p, "/root/var/lock", 14) || !strncmp(p, "/root/run/sm/shares/", 20) ||
	    !strncmp(p, "/root/run/sm/seen/", 18) || beside_is_lock(p) || !strcmp(p, "/out") || n_line == 256)
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

/* What the disks hold, in words, and what lies beside them. */
enum { DISK_IS, COPY_IS, LOG_IS, COPY_LOG_IS, LOCK_IS, HELD };
static const char *const held_what[HELD] = {
	"the disk holds", "the copy holds", "the log of the disk is", "the log of the copy is", "the lock is",
};
static char held_before[HELD][1024], held_after[HELD][1024];
static bool no_room;

static void look_at_held(char now[HELD][1024])
{
	data_show(loc, vdi, now[DISK_IS], sizeof(*now));
	data_show(loc, copy, now[COPY_IS], sizeof(*now));
	beside_log(loc, vdi, now[LOG_IS], sizeof(*now));
	beside_log(loc, copy, now[COPY_LOG_IS], sizeof(*now));
	beside_lock(loc, vdi, now[LOCK_IS], sizeof(*now));
}

static bool is_new(char now[HELD][1024], int i)
{
	return !strcmp(now[i], held_after[i]) && strcmp(now[i], held_before[i]);
}

static void look_at_data(void)
{
	static char now[HELD][1024];
	char text[1100];

	look_at_held(now);
	for (int i = 0; i < HELD; i++) {
		if (!strcmp(now[i], held_before[i]) || !strcmp(now[i], held_after[i]))
			continue;
		/* Where there is no room for a new log, tracking ends, and that of the copy leads nowhere. */
		if (no_room && !*now[LOG_IS] && (i == LOG_IS || i == COPY_LOG_IS))
			continue;
		snprintf(text, sizeof(text), "%s something else", held_what[i]);
		complain(text, now[i]);
	}
	/* A log may tell too much, and never too little. */
	if (is_new(now, DISK_IS) && *now[LOG_IS] && strcmp(now[LOG_IS], held_after[LOG_IS]))
		complain("the disk is the new one, and its log the old", now[LOG_IS]);
}

/* Who has it from then on is known at once, by whatever it ended. */
static void look_at_lock(bool done)
{
	char now[1024];

	beside_lock(loc, vdi, now, sizeof(now));
	if (strcmp(now, held_after[LOCK_IS]) && (done || strcmp(now, held_before[LOCK_IS])))
		complain(done ? "it has been done, and the lock is" : "the lock is something else", now);
}

/* --- afterwards ----------------------------------------------------------- */

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

/* The first and the last sector of a raw disk of 4 MiB, before a verb. */
static bool raw_data(bool put)
{
	char path[PATH_MAX + 64], text[2][8] = { "" };
	static const char is[2][8] = { "first", "last" };
	int fd;

	snprintf(path, sizeof(path), "%s/%s.raw", loc, vdi);
	fd = open(path, (put ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (fd < 0)
		return true;
	for (int i = 0; i < 2; i++) {
		off_t at = i * ((4 << 20) - 512);

		if (put ? pwrite(fd, is[i], 8, at) != 8 : pread(fd, text[i], 8, at) != 8)
			abort();
	}
	close(fd);
	return put || !memcmp(text, is, sizeof(text));
}

static bool ends_in_vhd(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && !strcmp(dot, ".vhd");
}

static void judge(const struct dirent *e)
{
	const char *said = getenv("SWEEP_JUDGE") ? getenv("SWEEP_JUDGE") : "qemu-img";
	char cmd[2 * PATH_MAX];

	if (!ends_in_vhd(e->d_name))
		return;
	/* It knows no check of what it has opened: 63. */
	snprintf(cmd, sizeof(cmd), "%s check -f vpc %s/%s >>%s/out 2>&1; [ $? -eq 63 ]", said, loc, e->d_name, dir);
	if (system(cmd))
		complain("qemu-img does not open it", e->d_name);
	judged++;
}

static void judges(void)
{
	static int n;
	int vhds = 0;
	struct dirent *e;
	DIR *d;

	d = opendir(loc);
	while (d && (e = readdir(d)))
		vhds += ends_in_vhd(e->d_name);
	if (d)
		closedir(d);
	if (!vhds || n++ % JUDGE_EVERY)
		return;
	d = opendir(loc);
	while (d && (e = readdir(d)))
		judge(e);
	if (d)
		closedir(d);
}

static void look_at_disk(void)
{
	look_at_copy();
	if (keeps_data && !raw_data(false))
		complain("the disk has lost its data", "");
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

/* A recovery that has been done changes nothing when it is done again. */
static void once_more(void)
{
	static char first[1 << 16], second[1 << 16];

	expect("sr scan " SR, "0");
	snapshot(first);
	expect("sr scan " SR, "0");
	snapshot(second);
	if (strcmp(first, second))
		complain("a second recovery does something", "");
}

/* These may leave a node that nobody needs. */
static bool is_about_nodes(const struct example *x)
{
	return !strcmp(x->verb, REVERT) || strstr(x->verb, "data-destroy");
}

static void aftermath(const struct example *x, bool again, bool idle)
{
	const char *left;
	char tab[4096];

	look_at_disk();
	look_at_lock(false);
	if (again)
		expect(x->verb, x->again);
	look_at_lock(again);
	if (x->next)
		expect(x->next, "0");
	/* It was made and is not known here: as the hint of a second create says. */
	if (run("sr attach " SR) == 4 && !access(in_dir("loc/.sm/sr"), F_OK))
		expect("sr introduce " SR " --type file --dconf location=@/loc", "0");
	if (!access(in_dir("loc/.sm/sr"), F_OK) && !run("sr show " SR)) {
		/* A node that nobody needs, or half a copy, may be left. */
		if (strstr(x->verb, "delete") || strstr(x->verb, "copy ") || is_about_nodes(x))
			expect("sr scan " SR, "0");
		if (idle)
			once_more();
		judges();
		if (run("sr check " SR " --json") || !strstr(out, "\"problems\": []"))
			complain("sr check", strstr(out, "\"what\"") ? strstr(out, "\"what\"") : out);
		if (!strncmp(x->name, "cbt ", 4))
			expect("cbt check " SR, "0");
		look_at_disk();
		look_at_data();
		read_text(in_dir("root/etc/smtab"), tab, sizeof(tab));
		if (strncmp(tab, sr, strlen(sr)) || !strstr(tab, " file ") || !strstr(tab, "/loc\n"))
			complain("smtab", tab);
	}
	expect("vdi detach " VDI " --sr " SR, "04");
	if (strstr(x->name, "lock"))
		expect("lock break " VDI " --force", "0");
	expect("vdi delete " VDI " --sr " SR, "04");
	expect("vdi delete " COPY " --sr " SR, "04");
	expect("sr destroy " SR, "04");
	expect("sr forget " SR, "04");
	left = leftover_new(held, LEFT_AT_ALL, root, loc);
	if (left)
		complain("left", left);
	if (nftw(dir, look, 16, FTW_PHYS))
		complain("something is left", remains);
}

/* --- sweeping ------------------------------------------------------------- */

/* A byte more or less at the end of a file, and more. */
static void damage(void)
{
	static const char *const odd[] = { ".sm/vdi/5e5e0000-0000-4000-8003-000000000000",
		".journal-5e5e0000-0000-4000-8003-000000000000" };
	char path[PATH_MAX + 64];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s.vhd", loc, copy);
	if (!stat(path, &st) && truncate(path, st.st_size - 512))	/* its footer */
		abort();
	snprintf(path, sizeof(path), "%s/%s.vhd", loc, vdi);
	if (stat(path, &st) || truncate(path, st.st_size + (1 << 20)))	/* not there where it belongs */
		abort();
	if (access(loc, F_OK) || !strstr(where, "sr check"))
		return;
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		int fd;

		snprintf(path, sizeof(path), "%s/%s", loc, odd[i]);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || write(fd, "name=nobody\n", 12) != 12 || close(fd))
			abort();
	}
}

static int step(const char *verb)
{
	int status;

	if (!strcmp(verb, "!damage"))
		return damage(), 0;
	if (!strcmp(verb, "!leaf"))
		return data_put(loc, vdi, 2, "leaf"), 0;
	if (!strcmp(verb, "!copy"))
		return data_put(loc, copy, 3, "copy"), 0;
	if (!strcmp(verb, "!mark"))
		return beside_mark(loc, vdi), 0;
	status = run(verb);
	if (!status && !strcmp(verb, VHD)) {
		data_put(loc, vdi, 1, "base");
		data_put(loc, vdi, 8191, "end");
	}
	return status;
}

static bool prepare(const struct example *x)
{
	wipe();
	for (size_t i = 0; i < BEFORE_MOST && x->before[i]; i++)
		if (step(x->before[i])) {
			complain(x->before[i], out);
			return false;
		}
	keeps_data = x->before[1] && !strcmp(x->before[1], DISK);
	if (keeps_data)
		raw_data(true);
	return true;
}

/* What it looks like before the verb, and after when nobody disturbs it. */
static void reference(const struct example *x)
{
	if (!prepare(x))
		return;
	snapshot(before);
	look_at_held(held_before);
	if (run(x->verb))
		complain(x->verb, out);
	snapshot(after);
	look_at_held(held_after);
	for (int i = 0; i < HELD && getenv("SWEEP_VERBOSE"); i++)
		printf("# %s: %s '%s', then '%s'\n", where, held_what[i], held_before[i], held_after[i]);
}

static void show_row(const char *name, const char *what, int n, int not_all)
{
	printf("# sweep file ");
	for (const char *s = name; *s; s++)
		putchar(*s == ' ' ? '_' : *s);
	printf(" %s=%d bad=%d\n", what, n, not_all);
	fflush(stdout);
}

/* Who comes to recover from the death at call n is killed at its calls m, m + every …; one of them if every is 0. */
static void die_twice(const struct example *x, int n, int every, int m, bool again)
{
	const char *next = again ? x->verb : strncmp(x->name, "sr ", 3) ? "sr scan " SR : "sr attach " SR;
	struct disturb first = { 0 }, second = { .hit = true };
	int bad_here = bad, bad_first = bad;

	while (second.hit && prepare(x)) {
		run_disturbed(x->verb, n, "kill", &first);
		run_disturbed(next, m, "kill", &second);
		if (!second.hit && !every) {
			m = m % (int)second.calls + 1;		/* it has less calls than that */
			second.hit = true;
			continue;
		}
		twice += second.hit;
		aftermath(x, again, true);
		if (bad != bad_here)
			printf("# after a second death, at its call %d, of: %s\n", m, next);
		bad_here = bad;
		if (!every)
			break;
		m += every;
	}
	twice_bad += bad - bad_first;
}

static void sweep(const struct example *x, const char *how, int every, int first, bool again)
{
	const char *t = getenv("SWEEP_TWICE");
	struct disturb d = { .hit = true };
	int tried = 0, refused = 0, step = t ? atoi(t) : -1, others = twice_bad;
	char name[80], text[1200];
	long changes = -1;

	snprintf(name, sizeof(name), "%s, %s%s", x->name, how, again ? ", and again" : "");
	where = name;
	bad_before = bad;
	reference(x);
	for (n_at = first; d.hit && prepare(x); n_at += every) {
		int status;

		status = run_disturbed(x->verb, n_at, how, &d);
		tried += d.hit;
		refused += d.hit && status;
		half_made = (!d.err || d.on) && !again;
		no_room = d.err == ENOSPC;
		if (d.err && !d.on && status && !x->downhill)
			compare();
		if (d.cut && status) {
			snprintf(text, sizeof(text), "%s: %.600s", why, out);
			complain("a short read or write is an error", text);
		}
		if (status > 128 && (d.err || d.cut)) {
			snprintf(out, sizeof(out), "it died of signal %d (%s)", status - 128, why);
			complain(out, "");
		}
		if (getenv("SWEEP_VERBOSE"))
			printf("# %s call %d: %d %s %s\n", name, n_at, status, why, out);
		aftermath(x, again, false);
		if (!d.hit || d.err || d.cut || step < 0)
			continue;
		if (step ? d.changes == changes : n_point++ % 3)
			continue;
		changes = d.changes;
		die_twice(x, n_at, step, step ? 1 : n_at * 7 % 211 + 1, again);
	}
	printf("%s - %s: %d of %d calls, %d answered with an error\n", bad == bad_before ? "ok" : "not ok",
	       name, tried, n_at - every, refused);
	show_row(x->name, d.err || d.cut ? "failed" : "killed", tried,
		 bad - bad_before - (twice_bad - others));
}

int main(int argc, char **argv)
{
	int every = argc > 4 ? atoi(argv[4]) : 1, first = argc > 5 ? atoi(argv[5]) : 1;
	struct disturb d;

	if (argc < 4 || every < 1 || first < 1 || !disturb_how(&d, argv[3]))
		return fprintf(stderr, "usage: sweep SM DIR kill|EIO|EIO+|short|… [EVERY [FIRST [CASE]]]\n"), 2;
	sm = argv[1];
	dir = argv[2];
	snprintf(root, sizeof(root), "%s/root", dir);
	snprintf(loc, sizeof(loc), "%s/loc", dir);
	setenv("SM_ROOT", root, 1);
	snprintf(sr, sizeof(sr), "5e5e0000-0000-4000-8000-%012d", getpid());
	snprintf(vdi, sizeof(vdi), "5e5e0000-0000-4000-8001-%012d", getpid());
	snprintf(copy, sizeof(copy), "5e5e0000-0000-4000-8002-%012d", getpid());
	wipe();
	leftover(held, sizeof(held), root, loc);
	for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++)
		if (argc < 7 ? every == 1 || !examples[i].turns || (i + (size_t)first) % 3 == 0 :
			       !strcmp(argv[6], examples[i].name))
			for (int again = 0; again < 2; again++)
				sweep(&examples[i], argv[3], every, first, again);
	wipe();
	if (twice)
		show_row("who recovers from a death", "killed", twice, twice_bad);
	printf("# %d images were opened by qemu-img\n", judged);
	return bad ? 1 : 0;
}
