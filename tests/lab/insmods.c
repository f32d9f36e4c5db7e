/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * insmods LIST NAME[:PARAMETER...]...: load kernel modules and what they need,
 * fast.  Example: insmods /lib/lab/modules dm-thin-pool nbd:nbds_max=4
 *
 * modprobe works this out again for every module and costs a quarter of a
 * second each in a guest.  Here LIST, made once on the host, has a line per
 * module: its name, then the files to load in order, relative to the first
 * line of LIST.
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

static int load(int base, const char *file, const char *parameters)
{
	int fd = openat(base, file, O_RDONLY | O_CLOEXEC), err = 0;

	if (fd < 0 || (syscall(SYS_finit_module, fd, parameters, 0) && errno != EEXIST)) {
		err = -errno;
		fprintf(stderr, "insmods: %s: %s\n", file, strerror(errno));
	}
	if (fd >= 0)
		close(fd);
	return err;
}

/* The last file is the module itself, and the parameters are for it. */
static int load_all(int base, char *name)
{
	char files[4096], *parameters = strchrnul(name, ':'), *at, *file, *next, *save = NULL;
	int err = 0;

	if (*parameters)
		*parameters++ = '\0';
	for (char *p = parameters; (p = strchr(p, ':')); )
		*p = ' ';
	at = find(name);
	if (!at) {
		fprintf(stderr, "insmods: no module %s\n", name);
		return -ENOENT;
	}
	snprintf(files, sizeof(files), "%.*s", (int)strcspn(at, "\n"), at);
	for (file = strtok_r(files, " ", &save); file && !err; file = next) {
		next = strtok_r(NULL, " ", &save);
		err = load(base, file, next ? "" : parameters);
	}
	return err;
}

int main(int argc, char **argv)
{
	int fd, base, failed = 0;
	char *eol;
	ssize_t n;

	if (argc < 2)
		return 2;
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, list, sizeof(list) - 1);
	eol = n > 0 ? strchr(list, '\n') : NULL;
	if (!eol) {
		fprintf(stderr, "insmods: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	*eol = '\0';
	base = open(list, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (base < 0) {
		fprintf(stderr, "insmods: %s: %s\n", list, strerror(errno));
		return 1;
	}
	*eol = '\n';
	for (int i = 2; i < argc; i++)
		failed |= load_all(base, argv[i]);
	return failed ? 1 : 0;
}
