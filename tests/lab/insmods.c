/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * insmods LIST BASE NAME...: load kernel modules and what they need, fast.
 *
 * modprobe works this out again for every module and costs a quarter of a
 * second each in a guest.  Here LIST, made once on the host, has a line per
 * module: its name, then the files to load in order, relative to BASE.
 * What is loaded already is no error; what LIST does not know is, because the
 * test that asked for it would fail later and less clearly.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char list[1 << 20];

/* In names of modules '-' and '_' are the same. */
static char plain(char c)
{
	return c == '-' ? '_' : c;
}

/* The files of a module: the rest of its line in the list, or NULL. */
static char *find(const char *name)
{
	for (char *line = list; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t i = 0;

		while (name[i] && plain(name[i]) == plain(line[i]))
			i++;
		if (!name[i] && line[i] == ' ')
			return line + i;
	}
	return NULL;
}

static int load(int base, const char *file)
{
	int fd = openat(base, file, O_RDONLY | O_CLOEXEC), err = 0;

	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST)) {
		err = -errno;
		fprintf(stderr, "insmods: %s: %s\n", file, strerror(errno));
	}
	if (fd >= 0)
		close(fd);
	return err;
}

static int load_all(int base, const char *name)
{
	char files[4096], *save = NULL, *at = find(name);
	size_t len = at ? strcspn(at, "\n") : 0;
	int err = 0;

	if (!at || len >= sizeof(files)) {
		fprintf(stderr, "insmods: no module %s\n", name);
		return -ENOENT;
	}
	memcpy(files, at, len);
	files[len] = '\0';
	for (char *f = strtok_r(files, " ", &save); f && !err; f = strtok_r(NULL, " ", &save))
		err = load(base, f);
	return err;
}

int main(int argc, char **argv)
{
	int fd, base, failed = 0;
	ssize_t n;

	if (argc < 3)
		return 2;
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	base = open(argv[2], O_PATH | O_DIRECTORY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, list, sizeof(list) - 1);
	if (n < 0 || base < 0) {
		fprintf(stderr, "insmods: %s, %s: %s\n", argv[1], argv[2], strerror(errno));
		return 1;
	}
	for (int i = 3; i < argc; i++)
		failed |= load_all(base, argv[i]);
	return failed ? 1 : 0;
}
