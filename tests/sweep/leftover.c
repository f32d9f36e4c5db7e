/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "leftover.h"

#define FILES	4096
#define PATIENCE "100"		/* tenths of a second; LEFT_PATIENCE for another */

static struct { unsigned long long dev, ino; char path[128]; } files[FILES];
static size_t n_file;
static char *to;
static size_t room_left;
static const char *in[2];

static void say(const char *form, ...)
{
	va_list ap;
	int n;

	va_start(ap, form);
	n = vsnprintf(to, room_left, form, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= room_left)
		abort();
	to += n;
	room_left -= (size_t)n;
}

static bool slurp(char *text, size_t room, const char *form, ...)
{
	char path[PATH_MAX];
	size_t len = 0;
	ssize_t n;
	va_list ap;
	int fd;

	va_start(ap, form);
	vsnprintf(path, sizeof(path), form, ap);
	va_end(ap);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && len < room - 1 && (n = read(fd, text + len, room - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	if (fd >= 0)
		close(fd);
	return fd >= 0 && len;
}

static bool is_all(void)
{
	return !strcmp(in[0], "/");
}

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return n && !strncmp(path, dir, n) && (!path[n] || path[n] == '/' || path[n] == ' ' || path[n] == '\n');
}

/* A path that has to do with us. */
static bool is_ours(const char *path)
{
	static const char *const all[] = { "/run/sm", "/run/sr-mount", "/var/lock/sm", "/etc/smtab", "/dev/mapper",
					   "/dev/sm", "/dev/loop", "/dev/dm-", "/dev/nbd", "/dev/VG_", "/dev/ubd" };

	if (is_below(path, in[1]))
		return true;
	if (!is_all())
		return is_below(path, in[0]);
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (!strncmp(path, all[i], strlen(all[i])))
			return true;
	return false;
}

/* --- files ---------------------------------------------------------------- */

static int remember(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)f;
	if (type == FTW_NS || n_file == FILES)
		return 0;
	files[n_file].dev = st->st_dev;
	files[n_file].ino = st->st_ino;
	snprintf(files[n_file++].path, sizeof(files->path), "%s", path);
	return 0;
}

static void walk(int (*f)(const char *, const struct stat *, int, struct FTW *), const char *below)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", is_all() ? "" : in[0], below);
	nftw(path, f, 16, FTW_PHYS);
}

static int tell_file(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st, (void)f;
	if (type != FTW_D && strcmp(path + f->base, "control"))
		say("run %s\n", path);
	return 0;
}

/* Of the names of devices, those of no other program; of states, all. */
static void look_at_files(void)
{
	static const char *const dirs[] = { "/run/sm", "/run/nonpersistent", "/dev/sm", "/dev/mapper" };

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		walk(tell_file, dirs[i]);
}

static void look_at_locks(void)
{
	static char text[1 << 16];
	char kind[16], *save;
	unsigned int major, minor, pid;
	unsigned long long ino;

	n_file = 0;
	walk(remember, "/var/lock");
	walk(remember, "/run/sm");
	walk(remember, "/run/sr-mount");
	walk(remember, "/etc");
	if (*in[1])
		nftw(in[1], remember, 16, FTW_PHYS);
	slurp(text, sizeof(text), "/proc/locks");
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		char *p = strchr(l, ':');

		if (!p || sscanf(p + 1 + 4 * !strncmp(p, ": -> ", 5), "%15s %*s %*s %d %x:%x:%llu", kind, (int *)&pid,
				 &major, &minor, &ino) != 5)
			continue;
		for (size_t i = 0; i < n_file; i++)
			if (files[i].ino == ino && files[i].dev == makedev(major, minor)) {
				say("lock %s %s\n", kind, files[i].path);
				break;
			}
	}
}

/* --- devices and mounts ----------------------------------------------------- */

static void look_at_mounts(void)
{
	static char text[1 << 17];
	char *save, point[PATH_MAX], from[PATH_MAX];

	slurp(text, sizeof(text), "/proc/self/mountinfo");
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		char *tail = strstr(l, " - ");

		if (!tail || sscanf(l, "%*s %*s %*s %*s %4095s", point) != 1 || sscanf(tail, " - %*s %4095s", from) != 1)
			continue;
		if (is_all() || is_ours(point) || is_ours(from))
			say("mount %s of %s\n", point, from);
	}
}

static void look_at_devices(void)
{
	DIR *d = opendir("/sys/block");
	struct dirent *e;
	char text[PATH_MAX], is[16];

	while (d && (e = readdir(d))) {
		if (!strncmp(e->d_name, "loop", 4) &&
		    slurp(text, sizeof(text), "/sys/block/%s/loop/backing_file", e->d_name) && (is_all() || is_ours(text)))
			say("loop %s of %s", e->d_name, text);
		if (!strncmp(e->d_name, "dm-", 3) && slurp(text, sizeof(text), "/sys/block/%s/dm/name", e->d_name)) {
			slurp(is, sizeof(is), "/sys/block/%s/dm/suspended", e->d_name);
			say("dm %.*s%s\n", (int)strcspn(text, "\n"), text, *is == '1' ? ", suspended" : "");
		}
		if (!strncmp(e->d_name, "nbd", 3) && slurp(text, sizeof(text), "/sys/block/%s/pid", e->d_name))
			say("nbd %s\n", e->d_name);
	}
	if (d)
		closedir(d);
}

/* --- processes -------------------------------------------------------------- */

static bool is_program(const char *pid)
{
	static char env[1 << 16];
	char path[300], exe[PATH_MAX], want[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	if (n < 0)
		return false;
	exe[n] = '\0';
	if (!strstr(exe, "/smbox"))
		return false;
	if (is_all())
		return true;
	snprintf(want, sizeof(want), "SM_ROOT=%s", in[0]);
	slurp(env, sizeof(env), "/proc/%s/environ", pid);
	for (const char *p = env; *p; p += strlen(p) + 1)
		if (!strcmp(p, want))
			return true;
	return false;
}

static void look_at_descriptors(const char *pid, const char *comm)
{
	char path[300], file[PATH_MAX];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		ssize_t n = readlinkat(dirfd(d), e->d_name, file, sizeof(file) - 1);

		if (n <= 0)
			continue;
		file[n] = '\0';
		if (is_ours(file))
			say("open %s %s\n", comm, file);
	}
	if (d)
		closedir(d);
}

static int parent_of(int pid)
{
	char text[1024], *p;

	return slurp(text, sizeof(text), "/proc/%d/stat", pid) && (p = strrchr(text, ')')) ? atoi(p + 4) : 0;
}

static void look_at_processes(void)
{
	int kin[16], n = 0;
	DIR *d = opendir("/proc");
	struct dirent *e;
	char comm[32];

	for (int pid = getpid(); pid > 1 && n < 16; pid = parent_of(pid))
		kin[n++] = pid;
	while (d && (e = readdir(d))) {
		int pid = atoi(e->d_name);
		bool is_kin = false;

		for (int i = 0; i < n; i++)
			is_kin |= kin[i] == pid;
		if (!pid || is_kin || !slurp(comm, sizeof(comm), "/proc/%d/comm", pid))
			continue;
		comm[strcspn(comm, "\n")] = '\0';
		if (is_program(e->d_name))
			say("process %s\n", comm);
		look_at_descriptors(e->d_name, comm);
	}
	if (d)
		closedir(d);
}

void leftover(char *text, size_t room, const char *root, const char *where)
{
	to = text;
	room_left = room;
	in[0] = root;
	in[1] = where;
	*text = '\0';
	look_at_locks();
	look_at_processes();
	look_at_mounts();
	look_at_devices();
	look_at_files();
}

/* --- old and new -------------------------------------------------------------- */

/* Is LINE, which ends with a newline, in TEXT? */
static bool has_line(const char *text, const char *line)
{
	size_t n = strcspn(line, "\n") + 1;

	for (; *text; text += strcspn(text, "\n") + 1)
		if (!strncmp(text, line, n))
			return true;
	return false;
}

const char *leftover_new(const char *before, const char *kinds, const char *root, const char *where)
{
	static char now[1 << 17], word[32];
	const char *p = getenv("LEFT_PATIENCE");
	int patience = atoi(p ? p : PATIENCE);
	char *l;

	for (int i = 0; ; i++) {
		leftover(now, sizeof(now), root, where);
		for (l = now; *l; l += strcspn(l, "\n") + 1) {
			snprintf(word, sizeof(word), "%.*s ", (int)strcspn(l, " "), l);
			if (strstr(kinds, word) && !has_line(before, l))
				break;
		}
		if (!*l)
			return NULL;
		if (i >= patience)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	}
	l[strcspn(l, "\n")] = '\0';
	return l;
}
