/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/lock.h"
#include "drivers/control.h"
#include "drivers/server.h"
#include "drivers/sr.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/io.h"
#include "lib/num.h"

#define NOTE_ROOM	512	/* bytes */
#define LOST		1	/* bytes; no other note is so short */

static const char *note_path(struct sr *sr, const struct uuid *vdi)
{
	return sm_path(sr->ctx, "/run/sm/server/%s", vdi->s);
}

int server_lock(struct sr *sr, const struct uuid *vdi, int *lock)
{
	const char *path = note_path(sr, vdi);
	int err = lock_take(lock, path, false, LOCK_TRY);

	if (err == -ETIMEDOUT)
		return fail_say(sr->ctx, -E_VDI_IN_USE, "another server has VDI %s", vdi->s);
	if (!err && ftruncate(*lock, 0))
		err = -errno;
	if (err)
		lock_drop(lock);
	return err ? fail(sr->ctx, err, "lock %s", path) : 0;
}

int server_tell(struct sr *sr, int lock, const struct server_note *n)
{
	char text[NOTE_ROOM];
	int len = snprintf(text, sizeof(text), "%d\n%s\n%s\n%s\n", (int)getpid(),
			   n->writable ? "rw" : "ro", n->backend, n->device);
	int err = pwrite_all(lock, text, (size_t)len, 0);

	return err ? fail(sr->ctx, err, "note the server") : 0;
}

void server_unlock(struct sr *sr, const struct uuid *vdi, int *lock)
{
	if (*lock >= 0) {
		unlink(control_path(sr, vdi));
		unlink(note_path(sr, vdi));
	}
	lock_drop(lock);
}

void server_tell_lost(struct sr *sr, const struct uuid *vdi, int lock)
{
	unlink(control_path(sr, vdi));
	(void)!ftruncate(lock, LOST);
}

/* A line of the note, cut from its front. */
static char *line(char **text)
{
	char *start = *text, *end = strchr(start, '\n');

	if (!end)
		return NULL;
	*end = '\0';
	*text = end + 1;
	return start;
}

static bool understand(char *text, struct server_note *n)
{
	const char *pid = line(&text), *mode = line(&text), *backend, *device;
	uint64_t v;

	if (!pid || !mode || !(backend = line(&text)) || !(device = line(&text)) ||
	    !num_take(&pid, &v) || v > INT32_MAX)
		return false;
	n->pid = (pid_t)v;
	n->writable = !strcmp(mode, "rw");
	return (size_t)snprintf(n->backend, sizeof(n->backend), "%s", backend) < sizeof(n->backend) &&
	       (size_t)snprintf(n->device, sizeof(n->device), "%s", device) < sizeof(n->device);
}

int server_find(struct sr *sr, const struct uuid *vdi, struct server_note *n)
{
	const char *path = note_path(sr, vdi);
	struct view text;
	pid_t pid;
	int err = lock_holder(path, &pid);

	*n = (struct server_note){ 0 };
	if (!err && !pid)
		return 0;
	if (!err)
		err = file_read_small(AT_FDCWD, path, &sr->ctx->arena, NOTE_ROOM, &text);
	if (err)
		return err == -ENOENT ? 0 : fail(sr->ctx, err, "read %s", path);
	/* It has the lock and has not yet written, which it is about to do. */
	if (!understand(arena_strndup(&sr->ctx->arena, text.p, text.n), n))
		*n = (struct server_note){ .pid = pid };
	return 1;
}

int server_await_end(struct sr *sr, const struct uuid *vdi, uint64_t deadline)
{
	_unlock_ int lock = -1;
	struct stat st;
	int err = lock_take(&lock, note_path(sr, vdi), false, deadline);

	if (err == -ETIMEDOUT)
		return fail_say(sr->ctx, -E_DEADLINE, "the server of VDI %s does not end", vdi->s);
	if (err)
		return fail(sr->ctx, err, "wait for the server of VDI %s", vdi->s);
	err = fstat(lock, &st) || st.st_size != LOST ? 0 : -E_VDI_LOST;
	server_unlock(sr, vdi, &lock);
	if (!err)
		return 0;
	hint(sr->ctx, "see to the storage (why is in the log), and check what is in the disk before it is used");
	return fail(sr->ctx, err, "VDI %s", vdi->s);
}

int server_forget(struct sr *sr, const struct uuid *vdi)
{
	return access(note_path(sr, vdi), F_OK) ? 0 : server_await_end(sr, vdi, LOCK_TRY);
}
