/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/lock.h"
#include "arch/nbd.h"
#include "arch/proc.h"
#include "arch/sock.h"
#include "arch/syslog.h"
#include "drivers/cbt.h"
#include "drivers/control.h"
#include "drivers/datapath/nbd_server.h"
#include "drivers/datapath/nbd_worker.h"
#include "drivers/server.h"
#include "drivers/sr.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/io.h"
#include "lib/kconfig.h"
#include "lib/kv.h"
#include "lib/log.h"
#include "lib/serve/server.h"

#define SOCKETS		2	/* queues of the device */
/*
 * Seconds.  What the dead worker had taken is sent again after the first; for
 * as long as the second the kernel waits for a new one.
 */
#define TIMEOUT		30
/*
 * A write may wait for its room for 50 s (lib/serve/disk_room.c).  The kernel gives up the socket
 * of what it asks again, and with several queues soon both of them: then all would wait for that.
 */
#define TIMEOUT_GROWS	60
#define DEAD_TIMEOUT	300
#define START_PATIENCE	(60 * NS_PER_S)
#define LOOK_EVERY	(NS_PER_S / 2)

struct keeper {
	struct nbd_disk disk;		/* for the workers */
	struct sr *sr;
	const struct vdi *vdi;
	int lock;			/* of the server's note */
	int n;				/* of the device; -1 until it is connected */
	pid_t holder;			/* in the kernel for it, without netlink; or 0 */
	int tell;			/* who waits to hear of it; -1 once that is told */
	int how;			/* CHAIN_BESIDE, or 0 */
};

/* --- the keeper ---------------------------------------------------------------- */

static void close_all(int *fds)
{
	for (int i = 0; i < SOCKETS; i++)
		if (fds[i] >= 0)
			close(take_fd(&fds[i]));
}

static int make_pairs(int *ours, int *kernels)
{
	for (int i = 0; i < SOCKETS; i++)
		ours[i] = kernels[i] = -1;
	for (int i = 0; i < SOCKETS; i++) {
		int ends[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) {
			int err = -errno;

			close_all(ours);
			close_all(kernels);
			return err;
		}
		ours[i] = ends[0];
		kernels[i] = ends[1];
	}
	return 0;
}

/* Sockets are dead for the kernel only once it has looked at them. */
static int reconnect(struct keeper *k, const int *fds)
{
	int err = -ENOSPC;

	for (int i = 0; i < 50 && (err == -ENOSPC || err == -EINVAL); i++) {
		if (i)
			clock_sleep(20 * NS_PER_MS);
		err = nbd_reconnect(k->n, &k->disk.setup, fds, SOCKETS);
	}
	return err;
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/*
 * The first who opens the device makes the kernel look for partitions, which
 * would then be devices of this host, with names that a guest chose in them.
 * So the first are we, and what the kernel sees then are zeroes.  By a child:
 * should the worker die just now, we have to be there.
 */
static int look_first(struct keeper *k)
{
	pid_t child = fork(), first;
	int status, err = 0;

	if (child < 0)
		return -errno;
	if (!child)
		_exit(nbd_look(k->n) ? 1 : 0);
	while ((first = waitpid(-1, &status, 0)) < 0 && errno == EINTR)
		;
	if (first > 0 && first != child) {
		nbd_disconnect(k->n);		/* nobody answers the child otherwise */
		reap(child);
		return -EIO;
	}
	if (first < 0)
		err = -errno;
	else if (!WIFEXITED(status) || WEXITSTATUS(status))
		err = -EIO;
	return err;
}

/* The child is in the kernel before the device works. */
static int await_device(struct keeper *k)
{
	struct nbd_now now;

	for (int i = 0; i < 5000; i++) {
		if (!nbd_info(k->n, &now))
			return 0;
		if (waitpid(k->holder, NULL, WNOHANG) == k->holder)
			return -EIO;
		clock_sleep(NS_PER_MS);
	}
	kill(k->holder, SIGKILL);
	return -ETIMEDOUT;
}

static int connect_held(struct keeper *k, int *fds)
{
	_close_ int dev = -1;

	k->n = nbd_set_up(&k->disk.setup, fds, SOCKETS, &dev);
	if (k->n < 0)
		return k->n;
	k->holder = fork();
	if (k->holder < 0)
		return -errno;
	if (!k->holder) {
		close_all(fds);
		cleanup_close(&k->tell);
		proc_guard();
		_exit(nbd_stay(dev) ? 1 : 0);
	}
	return await_device(k);
}

static int connect_worker(struct keeper *k, int *fds)
{
	int err;

	__atomic_store_n(&k->disk.shared->notes.veiled, 1, __ATOMIC_RELEASE);
	k->n = nbd_connect(&k->disk.setup, fds, SOCKETS);
	err = k->n < 0 ? k->n : 0;
	if (err == -ENOENT && IS_ENABLED(CONFIG_NBD_IOCTL))
		err = connect_held(k, fds);
	if (!err)
		err = look_first(k);
	__atomic_store_n(&k->disk.shared->notes.veiled, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&k->disk.shared->n, k->n, __ATOMIC_RELEASE);
	return err;
}

/* A worker, and its sockets for the kernel. */
static int start_worker(struct keeper *k, pid_t *pid)
{
	int ours[SOCKETS], kernels[SOCKETS];
	int err = make_pairs(ours, kernels);

	if (err)
		return err;
	*pid = fork();
	if (!*pid) {
		close_all(kernels);
		cleanup_close(&k->tell);
		_exit(nbd_work(&k->disk, ours, SOCKETS));
	}
	err = *pid < 0 ? -errno : 0;
	close_all(ours);
	/* The next one looks for itself what the disk is then. */
	chain_drop(&k->disk.chain);
	if (!err)
		err = k->n < 0 ? connect_worker(k, kernels) : reconnect(k, kernels);
	close_all(kernels);		/* a worker that the kernel does not know ends by that */
	return err;
}

/* Is the device still there, and still this one? */
static bool is_there(const struct keeper *k)
{
	return nbd_is(k->n, k->disk.setup.name, 0);
}

/* Nobody can follow: what is asked of the device fails until it is detached. */
static void end_held(const struct keeper *k, int status)
{
	if (WIFSIGNALED(status))
		logf_err(k->sr->ctx, "nbd: VDI %s: the server has died, and without netlink /dev/nbd%d "
			 "cannot get another", k->vdi->uuid.s, k->n);
	reap(k->holder);
}

/*
 * Wait for the worker; is another one needed?  One that ended by itself has seen
 * the kernel close its sockets, and then the device is about to go.
 */
static bool is_wanted(const struct keeper *k, pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (k->holder) {
		end_held(k, status);
		return false;
	}
	for (int i = 0; i < 25 && !status && is_there(k); i++)
		clock_sleep(20 * NS_PER_MS);
	return is_there(k);
}

/*
 * Another host may write the disk.  Until it is detached what is asked of it fails, and
 * we are there for who detaches it.
 */
static void stay_down(struct keeper *k)
{
	if (k->disk.control >= 0)
		close(take_fd(&k->disk.control));
	if (is_there(k))
		nbd_disconnect(k->n);	/* the worker may have died before it did */
	while (is_there(k))
		clock_sleep(LOOK_EVERY);
}

/* As long as the kernel has the device, somebody has to serve it. */
static void keep(struct keeper *k, pid_t pid)
{
	uint64_t since = clock_now_mono(), pause = 0;
	int err;

	while (is_wanted(k, pid)) {
		if (IS_ENABLED(CONFIG_SHARED_SR) && k->disk.shared->given_up) {
			stay_down(k);
			return;
		}
		/* One that did not live long is not followed at once. */
		pause = clock_now_mono() - since > 10 * NS_PER_S ? 0 :
			pause < 10 * NS_PER_S ? pause * 2 + NS_PER_S / 4 : pause;
		clock_sleep(pause);
		since = clock_now_mono();
		logf_err(k->sr->ctx, "nbd: VDI %s: the server has died, here is another", k->vdi->uuid.s);
		err = start_worker(k, &pid);
		if (err)
			logf_err(k->sr->ctx, "nbd: VDI %s: reconnect /dev/nbd%d: %s", k->vdi->uuid.s, k->n,
				 err_text(err));
	}
}

static int announce(struct keeper *k)
{
	struct server_note note = { .writable = k->disk.writable, .backend = "nbd" };

	snprintf(note.device, sizeof(note.device), "/dev/nbd%d", k->n);
	return server_tell(k->sr, k->lock, &note);
}

static _Noreturn void live(struct keeper *k)
{
	struct syslog syslog = SYSLOG_INIT;
	pid_t pid = -1;
	int err;

	log_set_sink(syslog_line, &syslog);
	err = sock_listen(control_path(k->sr, &k->vdi->uuid), &k->disk.control);
	if (err)
		logf_err(k->sr->ctx, "nbd: VDI %s: nothing can be changed under it: listen: %s",
			 k->vdi->uuid.s, err_text(err));
	err = start_worker(k, &pid);
	if (!err)
		err = announce(k);
	if (err && k->n >= 0)
		nbd_disconnect(k->n);
	if (err)
		k->n = err;
	/* The device is there, whether or not somebody still waits to hear of it. */
	if (write_all(k->tell, &k->n, sizeof(k->n))) {
		logf_err(k->sr->ctx, "nbd: VDI %s: nobody waits for /dev/nbd%d", k->vdi->uuid.s, k->n);
		if (IS_ENABLED(CONFIG_LIVE_RAW) && !err && k->how) {
			nbd_disconnect(k->n);
			err = -EPIPE;
		}
	}
	close(take_fd(&k->tell));
	proc_guard();
	if (!err)
		keep(k, pid);
	else if (pid > 0)
		reap(pid);
	if (err && k->holder > 0)
		reap(k->holder);
	/* Whoever of us wrote the disk last. */
	if (IS_ENABLED(CONFIG_CBT))
		nbd_log(&k->disk, true);
	if (k->disk.shared->lost)
		server_tell_lost(k->sr, &k->vdi->uuid, k->lock);
	else
		server_unlock(k->sr, &k->vdi->uuid, &k->lock);
	_exit(0);
}

/* --- who starts it ------------------------------------------------------------- */

static int hear(struct sr *sr, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	if (poll(&p, 1, (int)(START_PATIENCE / NS_PER_MS)) < 1)
		return fail(sr->ctx, -E_DEADLINE, "wait for the server");
	if (read(fd, &n, sizeof(n)) != sizeof(n))
		return fail_say(sr->ctx, -EIO, "the server has died");
	if (n == -ENOENT)
		hint(sr->ctx, "load the module nbd");
	if (n == -EBUSY)
		hint(sr->ctx, "all are in use: load the module nbd with nbds_max=64");
	return n < 0 ? fail(sr->ctx, n, "connect a network block device") : n;
}

/* Nobody has written anything: what was marked as not whole is whole again. */
static int not_started(struct keeper *k, int err, const char *what)
{
	if (IS_ENABLED(CONFIG_CBT))
		nbd_log(&k->disk, true);
	return fail(k->sr->ctx, err, "%s", what);
}

static int detach(struct keeper *k)
{
	const struct chain *c = &k->disk.chain;
	int keep[IMAGE_DEPTH_MAX + 2], ends[2], n;
	_close_ int in = -1;
	_close_ int out = -1;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return not_started(k, -errno, "make a pipe");
	in = ends[0];
	out = ends[1];
	for (n = 0; n < (int)c->n; n++)
		keep[n] = c->level[n].fd;
	keep[n++] = k->lock;
	keep[n++] = out;
	pid = proc_detach(keep, (size_t)n);
	if (pid < 0)
		return not_started(k, pid, "start a server");
	if (!pid) {
		take_fd(&in);		/* closed already; the number may be another's soon */
		k->tell = take_fd(&out);
		live(k);
	}
	close(take_fd(&out));
	return hear(k->sr, in);
}

/* Open everything here, where a person hears what is wrong with it. */
static int prepare(struct keeper *k, bool writable)
{
	struct nbd_disk *d = &k->disk;
	struct image *im = NULL;
	int err = chain_open(k->sr, k->vdi, CHAIN_DIRECT | (writable ? CHAIN_WRITE | CHAIN_GROWS : 0) |
			     (IS_ENABLED(CONFIG_LIVE_RAW) ? k->how : 0), &im);

	if (err)
		return err;
	d->setup.size = im->size;
	err = chain_keep(im, writable, &d->chain);
	image_close(im);
	if (err)
		return fail(k->sr->ctx, err, "keep the images open");
	d->shared = mmap(NULL, sizeof(*d->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			 -1, 0);
	if (d->shared == MAP_FAILED)
		return fail(k->sr->ctx, -errno, "get memory");
	d->shared->n = -1;
	return IS_ENABLED(CONFIG_CBT) && writable ? cbt_begin(k->sr, k->vdi, &d->shared->cbt) : 0;
}

static bool may_wait(const struct sr *sr)
{
	return IS_ENABLED(CONFIG_LVM_THIN_GROW) && kv_is(&sr->dconf, "live_growth", "true");
}

int nbd_server_start(struct sr *sr, const struct vdi *vdi, bool writable, int how)
{
	_unlock_ int lock = -1;
	struct keeper *k = arena_alloc(&sr->ctx->arena, sizeof(*k));
	struct nbd_disk *d = &k->disk;
	int n, err = server_lock(sr, &vdi->uuid, &lock);

	if (err)
		return err;
	*k = (struct keeper){ .sr = sr, .vdi = vdi, .lock = lock, .n = -1, .tell = -1 };
	*d = (struct nbd_disk){
		.sr = sr, .vdi = vdi, .writable = writable, .control = -1,
		.setup = {
			.block = 512, .timeout = may_wait(sr) ? TIMEOUT_GROWS : TIMEOUT, .dead_timeout = DEAD_TIMEOUT,
			.name = vdi->uuid.s, .flags = server_flags(writable),
		},
	};
	if (IS_ENABLED(CONFIG_LIVE_RAW))
		k->how = how;
	err = prepare(k, writable);
	n = err ? err : detach(k);
	chain_drop(&d->chain);
	if (d->shared && d->shared != MAP_FAILED)
		munmap(d->shared, sizeof(*d->shared));
	if (n < 0)
		server_unlock(sr, &vdi->uuid, &lock);
	else
		close(take_fd(&lock));		/* not dropped: the server has it too */
	return n;
}
