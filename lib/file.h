/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Small files of our own, and names that came from outside.
 *
 * Nothing here follows a name out of the directory it was given: check names
 * with name_is_safe() where they enter, and work through the *at calls after.
 */
#ifndef LIB_FILE_H
#define LIB_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/bytes.h"

struct arena;

/*
 * The file has the old content or the new, wherever we die: a new file, fsync,
 * rename over the old one, fsync of the directory.  Mode is exact, whatever the
 * umask.  dir is an open directory, never AT_FDCWD.  One writer at a time: the
 * new file is called ".NAME.new", and one left behind by a death is replaced.
 */
int file_replace(int dir, const char *name, const void *data, size_t len, mode_t mode);
/* The same for what ends with the boot, below /run: whole for who reads it, and not flushed. */
int file_show(int dir, const char *name, const void *data, size_t len, mode_t mode);

/*
 * The first half of that: a new file with all its bytes on the disk, in place of
 * one of that name which a death left.  It is the caller's to rename.
 */
int file_write_new(int dir, const char *name, const void *data, size_t len, mode_t mode);

/*
 * The whole of a regular file, of /proc and /sys too, with a NUL behind it that
 * is not counted in n.  -EFBIG when it holds more than max bytes, -ELOOP for a
 * link in a directory (a path, by AT_FDCWD, may be one).
 */
int file_read_small(int dir, const char *name, struct arena *a, size_t max, struct view *out);

/*
 * A directory and all above it.  What is missing is created with this mode
 * (less the umask); what exists is left as it is.  The last component must be a
 * directory itself and no link to one: -ENOTDIR, -ELOOP.
 */
int mkdir_p(const char *path, mode_t mode);

/* Gone, or never there: 0. */
int unlink_quiet(int dir, const char *name);
int rmdir_quiet(int dir, const char *name);

/*
 * One component: no slash, no control character, not empty, not "." or "..",
 * and at most 255 bytes.
 */
bool name_is_safe(const char *s);
/* Begins with a slash, has no ".." component, and is shorter than PATH_MAX. */
bool path_is_absolute_clean(const char *path);

#endif
