/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names as the kernel and udev are told them: what is not plain is \xNN. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "arch/dm.h"

/* What udev takes in the name of a link, less the backslash. */
static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("#+-.:=@_", c));
}

int dm_mangle(char *out, size_t n, const char *plain)
{
	static const char hex[] = "0123456789abcdef";
	size_t at = 0;

	/* The kernel would take these two, but they are no names for a node. */
	if (!*plain || !strcmp(plain, ".") || !strcmp(plain, ".."))
		return -EINVAL;
	for (; *plain; plain++) {
		unsigned char c = (unsigned char)*plain;

		if (n - at <= (is_plain(*plain) ? 1 : 4))
			return -ENAMETOOLONG;
		if (is_plain(*plain)) {
			out[at++] = *plain;
			continue;
		}
		out[at++] = '\\';
		out[at++] = 'x';
		out[at++] = hex[c >> 4];
		out[at++] = hex[c & 15];
	}
	out[at] = '\0';
	return 0;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "\x00" stays as it is: a name ends there, and it cannot have come from dm_mangle(). */
void dm_demangle(char *out, size_t n, const char *s)
{
	size_t at = 0;

	while (*s && at + 1 < n) {
		if (s[0] == '\\' && s[1] == 'x' && digit(s[2]) >= 0 && digit(s[3]) >= 0 &&
		    digit(s[2]) + digit(s[3])) {
			out[at++] = (char)(digit(s[2]) << 4 | digit(s[3]));
			s += 4;
		} else {
			out[at++] = *s++;
		}
	}
	out[at] = '\0';
}

int dm_path(char path[DM_PATH_MAX], const char *name)
{
	strcpy(path, "/dev/mapper/");
	return dm_mangle(path + strlen(path), DM_NAME_MAX + 1, name);
}
