/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/udev.h"

/* The upper half of every key; the lower half is the cookie, as the rules see it. */
#define KEY_MAGIC	0x0d4d0000u
/* So many numbers may be taken before it looks like a fault. */
#define TRIES_MOST	64
#define PATIENCE	(30 * NS_PER_S)

/* The C library leaves it to us (semctl(2)). */
union semun {
	int val;
};

bool udev_runs(void)
{
	return !access("/run/udev/control", F_OK);
}

int udev_cookie_make(struct udev_cookie *c)
{
	uint16_t base;
	int sem;

	*c = (struct udev_cookie){ 0 };
	for (int i = 0; i < TRIES_MOST; i++) {
		random_bytes(&base, sizeof(base));
		if (!base)
			continue;
		sem = semget((key_t)(KEY_MAGIC | base), 1, 0600 | IPC_CREAT | IPC_EXCL);
		if (sem < 0 && errno == EEXIST)
			continue;
		if (sem < 0)
			return -errno;
		if (semctl(sem, 0, SETVAL, (union semun){ .val = 1 }) < 0) {
			int err = -errno;

			semctl(sem, 0, IPC_RMID);
			return err;
		}
		*c = (struct udev_cookie){ base, sem };
		return 0;
	}
	return -EBUSY;
}

static int change(const struct udev_cookie *c, short by)
{
	struct sembuf op = { .sem_op = by, .sem_flg = IPC_NOWAIT };

	if (!c->base)
		return 0;
	return semop(c->sem, &op, 1) ? -errno : 0;
}

int udev_cookie_add(struct udev_cookie *c)
{
	return change(c, 1);
}

/* It cannot go below zero, and one removed by force is counted down by nobody. */
void udev_cookie_sub(struct udev_cookie *c)
{
	change(c, -1);
}

/* EIDRM, EINVAL: somebody gave up for us ("dmsetup udevcomplete_all"). */
static int wait_zero(int sem, uint64_t deadline)
{
	struct sembuf op = { .sem_op = 0 };

	for (;;) {
		uint64_t left = clock_left(deadline);
		struct timespec t = { (time_t)(left / NS_PER_S), (long)(left % NS_PER_S) };

		if (!semtimedop(sem, &op, 1, &t) || errno == EIDRM || errno == EINVAL)
			return 0;
		if (errno == EAGAIN)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

int udev_cookie_wait(struct udev_cookie *c, uint64_t deadline)
{
	int err = 0;

	if (c->base) {
		udev_cookie_sub(c);	/* the one it was made with: ours */
		err = wait_zero(c->sem, deadline ? deadline : clock_now_mono() + PATIENCE);
	}
	udev_cookie_drop(c);
	return err;
}

void udev_cookie_drop(struct udev_cookie *c)
{
	int e = errno;

	if (c->base)
		semctl(c->sem, 0, IPC_RMID);	/* gone already: as wanted */
	*c = (struct udev_cookie){ 0 };
	errno = e;
}
