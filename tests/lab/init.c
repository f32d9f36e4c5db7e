/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Process 1 of a lab guest until guestd takes over: file systems, devices, the
 * usual modules, the program under test.  In C because a shell script that
 * does the same forks fifty times, which is a second in here.
 *
 * The kernel's command line says what to do, in our environment:
 *
 *	lab_name=a		host name
 *	lab_share=DIR		directory of the host to have at /share
 *	lab_mods=loop,dm-mod	modules to load (see insmods)
 *	lab_disks=one,two	/dev/lab/one is a link to /dev/ubda, and so on
 *	lab_root=host		commands see the host's root directory (judge-root)
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MODULES "/lib/lab/modules"

static const struct mount_row {
	const char *type, *at, *data;
	unsigned long flags;
} mounts[] = {
	{ "proc",   "/proc",    NULL, 0 },
	{ "sysfs",  "/sys",     NULL, 0 },
	{ "tmpfs",  "/tmp",     "mode=1777", 0 },
	{ "tmpfs",  "/run",     "mode=755", 0 },
	{ "tmpfs",  "/etc",     "mode=755", 0 },
	{ "tmpfs",  "/var",     "mode=755", 0 },
	{ "tmpfs",  "/root",    "mode=700", 0 },
	{ "tmpfs",  "/mnt",     "mode=755", 0 },
	{ "tmpfs",  "/opt",     "mode=755", 0 },
	{ "tmpfs",  "/srv",     "mode=755", 0 },
	{ "tmpfs",  "/sm",      "mode=755", 0 },
	{ "devpts", "/dev/pts", "ptmxmode=666", 0 },
	{ "tmpfs",  "/dev/shm", "mode=1777", 0 },
	{ "hostfs", "/host",    NULL, MS_RDONLY },
};

static const char *const dirs[] = {
	"/run/lock", "/var/lib", "/var/log", "/dev/mapper", "/dev/lab", "/sm/bin",
};

static const struct link_row {
	const char *name, *to;
} links[] = {
	{ "/dev/fd",     "/proc/self/fd" },
	{ "/dev/stdin",  "/proc/self/fd/0" },
	{ "/dev/stdout", "/proc/self/fd/1" },
	{ "/dev/stderr", "/proc/self/fd/2" },
	{ "/etc/mtab",   "/proc/self/mounts" },
	{ "/var/run",    "/run" },
	{ "/var/lock",   "/run/lock" },
};

static void complain(const char *what)
{
	fprintf(stderr, "init: %s: %s\n", what, strerror(errno));
}

static const char *argument(const char *name)
{
	const char *value = getenv(name);

	return value ? value : "";
}

static void make_tree(void)
{
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		const struct mount_row *m = &mounts[i];

		mkdir(m->at, 0755);
		if (mount(m->type, m->at, m->type, m->flags, m->data))
			complain(m->at);
	}
	if (mount("share", "/share", "hostfs", 0, argument("lab_share")))
		complain("/share");
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		mkdir(dirs[i], 0755);
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		symlink(links[i].to, links[i].name);
	/* What a judge mounts is to be seen here, and the other way round. */
	if (mount(NULL, "/", NULL, MS_SHARED | MS_REC, NULL))
		complain("share mounts");
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		complain(path);
	if (fd >= 0)
		close(fd);
}

static void copy_file(const char *from, const char *to, mode_t mode)
{
	static char buf[256 << 10];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	ssize_t n = 0;

	while (in >= 0 && out >= 0 && (n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, n) != n)
			n = -1;
	if (in < 0 || out < 0 || n < 0)
		complain(from);
	close(in);
	close(out);
}

static void make_etc(void)
{
	DIR *d = opendir("/lib/lab/etc");
	struct dirent *e;
	char from[PATH_MAX], to[PATH_MAX];

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(from, sizeof(from), "/lib/lab/etc/%s", e->d_name);
		snprintf(to, sizeof(to), "/etc/%s", e->d_name);
		copy_file(from, to, 0644);
	}
	if (d)
		closedir(d);
	write_file("/etc/hostname", argument("lab_name"));
	sethostname(argument("lab_name"), strlen(argument("lab_name")));
}

static void loopback_up(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s < 0 || ioctl(s, SIOCSIFFLAGS, &lo))
		complain("lo");
	close(s);
}

static void run(char *const *argv)
{
	pid_t pid = fork();
	int wstatus;

	if (!pid) {
		execv(argv[0], argv);
		complain(argv[0]);
		_exit(127);
	}
	waitpid(pid, &wstatus, 0);
}

/* No module is asked for behind our back: modprobe takes a quarter of a second. */
static void load_modules(char *names)
{
	char *argv[64] = { "/bin/insmods", MODULES }, *save = NULL;
	int n = 2;

	write_file("/proc/sys/kernel/modprobe", "\n");
	for (char *m = strtok_r(names, ",", &save); m && n < 63; m = strtok_r(NULL, ",", &save))
		argv[n++] = m;
	run(argv);
}

static void name_disks(char *names)
{
	char link[PATH_MAX], disk[] = "/dev/ubda", *save = NULL;

	for (char *d = strtok_r(names, ",", &save); d; d = strtok_r(NULL, ",", &save)) {
		snprintf(link, sizeof(link), "/dev/lab/%s", d);
		symlink(disk, link);
		disk[strlen(disk) - 1]++;
	}
}

static void install_program(void)
{
	char *const argv[] = { "/sm/bin/smbox", "--install", "-s", "/sm/bin", NULL };

	if (access("/share/.lab/smbox", F_OK))
		return;
	copy_file("/share/.lab/smbox", argv[0], 0755);
	run(argv);
	symlink("smbox", "/sm/bin/sm");		/* unless it made the link itself */
}

int main(void)
{
	char *judge_root[] = { "/lib/lab/judge-root", "/judge", NULL };
	int on_host;

	make_tree();
	make_etc();
	loopback_up();
	load_modules(strdup(argument("lab_mods")));
	name_disks(strdup(argument("lab_disks")));
	install_program();

	on_host = !strcmp(argument("lab_root"), "host");
	clearenv();
	setenv("HOME", "/root", 1);
	setenv("LC_ALL", "C", 1);
	setenv("SM_GC", "off", 1);	/* a test of trees counts what is left; those of gc take it back */
	setenv("PATH", "/sm/bin:/bin", 1);
	if (on_host) {
		run(judge_root);
		if (chroot("/judge") || chdir("/"))
			complain("/judge");
		setenv("PATH", "/sm/bin:/lab/bin:/usr/sbin:/usr/bin", 1);
	}
	execl(on_host ? "/lab/bin/guestd" : "/bin/guestd", "guestd", "/dev/ttyS0", (char *)NULL);
	complain("guestd");
	return 1;				/* a panic; the host sees it */
}
