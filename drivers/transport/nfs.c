/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A directory of an NFS server: server:serverpath/<SR>, mounted at
 * /run/sr-mount/<SR> of each host that has the SR attached.
 *
 *	serverpath/<SR>/	the SR; with nosubdir=true serverpath itself
 *
 * A mount whose server is gone makes everybody wait who touches it.  So nothing
 * is touched before the server has answered a question on a socket of ours;
 * what may still meet a server that goes in this very moment is done by verbs
 * that are watched (struct watched), or in a child with a deadline.  What is
 * mounted is asked of /proc, which waits for nobody.
 */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/fs.h"
#include "arch/mount.h"
#include "drivers/sr.h"
#include "drivers/transport.h"
#include "drivers/transport/nfs.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/kconfig.h"
#include "lib/log.h"

#define BORROWED	".nfs-"		/* and the number of the process that has it */
#define NO_SQUASH	"export it with no_root_squash"

/* --- which directory ------------------------------------------------------------- */

const char *nfs_serverpath(const struct sr *sr)
{
	const char *s = kv_get(&sr->dconf, "serverpath");
	size_t n = strlen(s);

	while (n > 1 && s[n - 1] == '/')
		n--;
	return arena_strndup(&sr->ctx->arena, s, n);
}

static bool says(const struct sr *sr, const char *key, const char *value)
{
	return kv_is(&sr->dconf, key, value) || kv_is(&sr->sm_config, key, value);
}

bool nfs_is_whole(const struct sr *sr)
{
	return says(sr, "nosubdir", "true") || says(sr, "subdir", "false");
}

static const char *remote_path(const struct sr *sr)
{
	const char *up = nfs_serverpath(sr);

	return nfs_is_whole(sr) ? up :
		arena_printf(&sr->ctx->arena, "%s/%s", up[1] ? up : "", sr->uuid.s);
}

static const char *mount_point(struct sr *sr)
{
	return sm_path(sr->ctx, "/run/sr-mount/%s", sr->uuid.s);
}

static const char *nfs_where(const struct sr *sr)
{
	return nfs_source(sr->ctx, kv_get(&sr->dconf, "server"), nfs_serverpath(sr));
}

/* --- who watches ------------------------------------------------------------------- */

struct remember {
	struct net_addr addr;
	char text[NET_TEXT];
	uint32_t version, port;
};
static_assert(sizeof(struct remember) <= sizeof(((struct watched *)0)->data), "a server fits");

static void watch(struct sr *sr, const struct nfs_server *s)
{
	struct watched *w = sr->ctx->watched;
	struct remember r = { .addr = s->addr, .version = s->version, .port = s->port };

	if (!w)
		return;
	w->transport = NULL;
	memcpy(r.text, s->text, sizeof(r.text));
	memcpy(w->data, &r, sizeof(r));
	__atomic_store_n(&w->transport, &transport_nfs, __ATOMIC_RELEASE);
}

#define LISTED_MOST	10		/* looks, one in two seconds or less */

/*
 * A verb that does little but wait for the names of directories, look after look:
 * neither are there so many of them, nor does a server that is well take as long.
 */
static bool lists_for_ever(struct watched *w)
{
	if (__atomic_load_n(&w->listing, __ATOMIC_RELAXED))
		w->listed++;
	else if (w->listed)
		w->listed--;
	return w->listed > LISTED_MOST;
}

static int nfs_alive(struct ctx *ctx, struct watched *w)
{
	struct nfs_server s = { .name = NULL };
	struct remember r;

	memcpy(&r, w->data, sizeof(r));
	s.addr = r.addr;
	memcpy(s.text, r.text, sizeof(s.text));
	if (IS_ENABLED(CONFIG_NFS_GUARD) && lists_for_ever(w)) {
		hint(ctx, "look at it on the server");
		return fail_say(ctx, -ETIMEDOUT, "server %s: the directory does not come to an end", s.text);
	}
	return nfs_null(ctx, &s, r.port, NFS_PROGRAM, r.version, NULL);
}

/* --- mounts that nobody sees ------------------------------------------------------- */

/* Of a process that died between the mount and its going out of sight. */
static void clear_borrowed(struct ctx *ctx, const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		const char *path;
		long pid;

		if (strncmp(e->d_name, BORROWED, sizeof(BORROWED) - 1))
			continue;
		pid = strtol(e->d_name + sizeof(BORROWED) - 1, NULL, 10);
		if (pid <= 0 || !kill((pid_t)pid, 0) || errno != ESRCH)
			continue;
		path = arena_printf(&ctx->arena, "%s/%s", folder, e->d_name);
		if (mount_is_point(path) == 1 && nfs_umount_lazy(ctx, path))
			fail_clear(ctx);
		rmdir(path);
	}
	if (d)
		closedir(d);
}

static int open_dir(const char *path, int *fd)
{
	*fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *fd < 0 ? -errno : 0;
}

static int say_open(struct sr *sr, int err, const char *what)
{
	if (!IS_ENABLED(CONFIG_NFS_GUARD) || (err != -EACCES && err != -EPERM))
		return fail(sr->ctx, err, "open %s", what);
	hint(sr->ctx, NO_SQUASH);
	return fail_say(sr->ctx, -E_NFS_ACCESS, "open %s: the server does not let root in (is root squashed?)",
			what);
}

/* What the options and the network say of the server in dconf. */
static int reach(struct sr *sr, struct nfs_server *s, struct nfs_options *o)
{
	int err = nfs_options(sr, o);

	if (err)
		return err;
	*s = (struct nfs_server){
		.name = kv_get(&sr->dconf, "server"), .version = o->version[0] == '4' ? 4 : 3,
		.port = o->port, .mount_port = o->mount_port,
	};
	err = nfs_reach(sr->ctx, s);
	if (!err)
		watch(sr, s);
	return err;
}

int nfs_borrow(struct sr *sr, const char *path, int *fd)
{
	const char *folder = sm_path(sr->ctx, "/run/sr-mount");
	const char *target = arena_printf(&sr->ctx->arena, "%s/" BORROWED "%d", folder, (int)getpid());
	struct nfs_options o;
	struct nfs_server s;
	int err = reach(sr, &s, &o), gone;

	if (err)
		return err;
	clear_borrowed(sr->ctx, folder);
	err = mkdir_p(target, 0700);
	if (err)
		return fail(sr->ctx, err, "make %s", target);
	err = nfs_mount(sr, &s, &o, path, target);
	if (!err) {
		err = open_dir(target, fd);
		if (err)
			err = say_open(sr, err, nfs_source(sr->ctx, s.name, path));
		gone = nfs_umount_lazy(sr->ctx, target);
		err = err ? err : gone;
	}
	rmdir(target);
	return err;
}

/* --- writing where the server may not like it ---------------------------------------- */

static int say_write(struct sr *sr, int err, const char *what)
{
	switch (err) {
	case -EROFS:
		hint(sr->ctx, "to attach it for reading only: --dconf options=ro");
		return fail_say(sr->ctx, -E_SR_READ_ONLY, "%s: the server exports it read-only", what);
	case -EACCES:
	case -EPERM:
		hint(sr->ctx, NO_SQUASH);
		return fail_say(sr->ctx, -E_SR_READ_ONLY, "%s: the server does not let root write there "
				"(is root squashed?)", what);
	case -ENOSPC:
	case -EDQUOT:
		return fail(sr->ctx, -E_SR_NO_SPACE, "%s", what);
	default:
		return fail(sr->ctx, -E_NFS_CREATE, "%s (%s)", what, strerror(-err));
	}
}

/* Can files be made?  A server that is full lets them be deleted, and may be attached. */
static int try_to_write(struct sr *sr, int dir)
{
	struct uuid name;
	int fd, err = 0;

	random_uuid(&name);
	fd = openat(dir, name.s, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		err = errno == ENOSPC || errno == EDQUOT ? 0 : -errno;
	else
		close(fd);
	if (fd >= 0 && unlinkat(dir, name.s, 0))
		err = -errno;
	return err ? say_write(sr, err, nfs_where(sr)) : 0;
}

/* --- staging ------------------------------------------------------------------------- */

/* What is mounted for the SR: 1, 0 = nothing, or -E_SR_IN_USE: something that is not NFS. */
static int mounted(struct sr *sr, struct mount_entry *m, struct nfs_server *s)
{
	const char *target = mount_point(sr);
	int err = mount_find(&sr->ctx->arena, target, m);

	if (err)
		return err == -ENOENT ? 0 : fail(sr->ctx, err, "%s", target);
	if (nfs_of_mount(m, s))
		return 1;
	hint(sr->ctx, "umount %s", target);
	return fail_say(sr->ctx, -E_SR_IN_USE, "%s at %s is no mount of NFS", m->type, target);
}

/* One directory below serverpath, for a new SR. */
static int make_directory(struct sr *sr, int up)
{
	bool made = !mkdirat(up, sr->uuid.s, 0700);

	if (!made && errno != EEXIST)
		return say_write(sr, -errno, arena_printf(&sr->ctx->arena, "make %s/%s", nfs_where(sr),
							  sr->uuid.s));
	sr->dir = openat(up, sr->uuid.s, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sr->dir >= 0 && made)
		sr->transport_data = arena_alloc(&sr->ctx->arena, 1);	/* ours to unmake */
	return sr->dir < 0 ? say_write(sr, -errno, sr->uuid.s) : 0;
}

/* Version 3 has one answer for a wrong path and a missing directory below the right one. */
static int is_it_missing(struct sr *sr, int err)
{
	struct fail_words words;
	_close_ int up = -1;
	struct fs_id id;

	fail_keep(sr->ctx, &words);
	fail_clear(sr->ctx);
	if (!nfs_borrow(sr, nfs_serverpath(sr), &up) && fs_id(up, sr->uuid.s, &id) == -ENOENT) {
		hint(sr->ctx, "which are there: sm sr probe --type nfs --dconf server=%s --dconf serverpath=%s",
		     kv_get(&sr->dconf, "server"), nfs_serverpath(sr));
		return fail_say(sr->ctx, -E_SR_MISSING, "%s has no SR %s", nfs_where(sr), sr->uuid.s);
	}
	fail_again(sr->ctx, &words);
	return err;
}

static int nfs_stage(struct sr *sr, bool create)
{
	struct mount_entry m;
	struct nfs_server s;
	_close_ int up = -1;
	int err = create ? mounted(sr, &m, &s) : 0;

	if (err < 0)
		return err;
	if (err) {
		if (IS_ENABLED(CONFIG_NFS_GUARD))
			hint(sr->ctx, "sm sr detach %s", sr->uuid.s);
		return fail(sr->ctx, -E_NFS_ATTACHED, "%s at %s", m.source, m.point);
	}
	if (!create) {
		err = nfs_borrow(sr, remote_path(sr), &sr->dir);
		return (err == -E_NFS_PATH || err == -E_NFS_ACCESS) && !nfs_is_whole(sr) ?
			is_it_missing(sr, err) : err;
	}
	err = nfs_borrow(sr, nfs_serverpath(sr), &up);
	if (!err && nfs_is_whole(sr))
		err = try_to_write(sr, sr->dir = take_fd(&up));
	else if (!err)
		err = make_directory(sr, up);
	return err;
}

/* Only if it is empty; a stranger's files keep their directory. */
static int remove_directory(struct sr *sr)
{
	_close_ int up = -1;
	int err = nfs_is_whole(sr) ? 0 : nfs_borrow(sr, nfs_serverpath(sr), &up);

	if (err || nfs_is_whole(sr))
		return err;
	if (!unlinkat(up, sr->uuid.s, AT_REMOVEDIR) || errno == ENOENT)
		return 0;
	if (errno == ENOTEMPTY || errno == EEXIST) {
		logf_info(sr->ctx, "%s/%s is not empty and stays", nfs_where(sr), sr->uuid.s);
		return 0;
	}
	return fail(sr->ctx, -errno, "remove %s/%s", nfs_where(sr), sr->uuid.s);
}

static void nfs_unstage(struct sr *sr)
{
	struct fail_words words;

	if (!sr->transport_data)
		return;
	fail_keep(sr->ctx, &words);
	remove_directory(sr);			/* what went wrong before is what matters */
	fail_again(sr->ctx, &words);
}

/* --- attached ---------------------------------------------------------------------- */

/* -ESTALE when the server knows the directory no more: the mount can only be made anew. */
static int is_usable(struct sr *sr, const struct nfs_server *s, const char *target)
{
	_close_ int fd = -1;
	struct fs_id id;
	int err = nfs_null(sr->ctx, s, s->port, NFS_PROGRAM, s->version, NULL);

	if (err)
		return err;
	watch(sr, s);
	err = open_dir(target, &fd);
	return err ? err : fs_id_fd(fd, &id);
}

static int mount_it(struct sr *sr, const char *target)
{
	_close_ int dir = -1;
	struct nfs_options o;
	struct nfs_server s;
	int err = reach(sr, &s, &o);

	if (err)
		return err;
	err = mkdir_p(target, 0700);
	if (err)
		return fail(sr->ctx, err, "make %s", target);
	err = nfs_mount(sr, &s, &o, remote_path(sr), target);		/* commit */
	if (!err) {
		err = open_dir(target, &dir);
		if (err)
			err = say_open(sr, err, nfs_source(sr->ctx, s.name, remote_path(sr)));
		else if (!(o.flags & MS_RDONLY))
			err = try_to_write(sr, dir);
		if (dir >= 0)
			close(take_fd(&dir));
		if (err)
			umount_dir(target, true);
	}
	if (err)
		rmdir(target);
	return err;
}

static int nfs_attach(struct sr *sr)
{
	const char *target = mount_point(sr);
	const char *source = nfs_source(sr->ctx, kv_get(&sr->dconf, "server"), remote_path(sr));
	struct mount_entry m;
	struct nfs_server s;
	int err = mounted(sr, &m, &s);

	if (err < 0)
		return err;
	if (err && strcmp(m.source, source)) {
		hint(sr->ctx, "sm sr detach %s", sr->uuid.s);
		return fail_say(sr->ctx, -E_SR_IN_USE, "%s is mounted at %s, not %s", m.source, target,
				source);
	}
	if (err) {
		err = is_usable(sr, &s, target);
		if (IS_ENABLED(CONFIG_NFS_GUARD) && (err == -EACCES || err == -EPERM))
			return say_open(sr, err, source);
		if (err != -ESTALE)
			return err ? fail(sr->ctx, err, "%s", target) : 0;
		logf_info(sr->ctx, "%s was stale, and is mounted anew", target);
		err = nfs_umount_lazy(sr->ctx, target);
		if (err)
			return err;
	}
	return mount_it(sr, target);
}

static int nfs_detach(struct sr *sr)
{
	const char *target = mount_point(sr);
	struct mount_entry m;
	struct nfs_server s;
	int err = mounted(sr, &m, &s);

	if (err < 0)
		return err;
	if (err)
		err = nfs_umount(sr->ctx, target);	/* commit */
	if (err == -EBUSY) {
		hint(sr->ctx, "see who uses it: fuser -m %s", target);
		return fail(sr->ctx, -E_SR_IN_USE, "%s", target);
	}
	if (err)
		return err;
	if (rmdir(target) && errno != ENOENT && errno != ENOTEMPTY && errno != EBUSY)
		return fail(sr->ctx, -errno, "remove %s", target);
	return 0;
}

static int nfs_open(struct sr *sr)
{
	struct mount_entry m;
	struct nfs_server s;
	int err = mounted(sr, &m, &s);

	if (err < 0)
		return err;
	if (!err)
		return -E_SR_DETACHED;
	snprintf(sr->path, sizeof(sr->path), "%s", mount_point(sr));
	err = is_usable(sr, &s, sr->path);
	if (!err)
		err = open_dir(sr->path, &sr->dir);
	if (err == -ESTALE || err == -EACCES || err == -ENOENT) {
		hint(sr->ctx, "is it exported still?  Then: sm sr attach %s", sr->uuid.s);
		return fail_say(sr->ctx, -E_NFS_STALE, "the server does not know %s any more, or not this "
				"host (%s)", m.source, strerror(-err));
	}
	return err && !sr->ctx->why[0] ? fail(sr->ctx, err, "%s", sr->path) : err;
}

const struct transport transport_nfs = {
	.name = "nfs",
	.stage = nfs_stage,
	.unstage = nfs_unstage,
	.attach = nfs_attach,
	.detach = nfs_detach,
	.open = nfs_open,
	.inhabitants = nfs_inhabitants,
	.offers = nfs_offers,
	.discard = remove_directory,
	.alive = nfs_alive,
	.where = nfs_where,
};
