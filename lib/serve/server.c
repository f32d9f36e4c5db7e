/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/arena.h"
#include "lib/cleanup.h"
#include "lib/kconfig.h"
#include "lib/serve/claims.h"
#include "lib/serve/disk.h"
#include "lib/serve/server.h"
#include "lib/serve/session.h"

#define STACK		((size_t)64 << 10)
#define PATIENCE	10	/* seconds for clients to take their last answers */
#define OF_ONE		16u	/* threads of one connection, at most */
#define LONE		16u	/* requests, each of which came when nothing was under way */
#define LOOK_EVERY	8u	/* of those, whether another one waits meanwhile */

struct client {
	struct session session;
	struct server *s;
	bool hello;
	unsigned int threads;	/* of its own; the last one to leave closes it */
	unsigned int readers;	/* of those: who reads, and who waits for that */
	unsigned int lone;	/* requests in turn that came alone */
	struct client *next;
};

struct server {
	struct disk *disk;
	struct nbd_export e;
	struct claims claims;
	pthread_mutex_t lock;	/* of what follows, and of the clients' counts */
	pthread_cond_t left;	/* a client is gone */
	struct client *clients;
	size_t n_clients;
	int left_fd;		/* is told when there are none any more; -1: nobody */
	unsigned int threads;
	bool stopping;
};

static void *work(void *arg);

/* One more thread for a client; the lock is held. */
static int spawn(struct client *c)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err = pthread_attr_init(&attr);

	if (err)
		return -err;
	pthread_attr_setstacksize(&attr, STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = pthread_create(&thread, &attr, work, c);
	pthread_attr_destroy(&attr);
	if (err)
		return -err;
	c->threads++;
	c->s->threads++;
	return 0;
}

static void remove_client(struct client *c)
{
	struct server *s = c->s;

	for (struct client **p = &s->clients; *p; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			break;
		}
	s->n_clients--;
	if (!s->n_clients && s->left_fd >= 0)
		eventfd_write(s->left_fd, 1);
	pthread_mutex_destroy(&c->session.in);
	pthread_mutex_destroy(&c->session.out);
	close(c->session.fd);
	free(c);
}

static void leave(struct client *c)
{
	struct server *s = c->s;

	pthread_mutex_lock(&s->lock);
	s->threads--;
	if (!--c->threads)
		remove_client(c);
	pthread_cond_broadcast(&s->left);
	pthread_mutex_unlock(&s->lock);
}

/*
 * Does this client send one request at a time?  Then to let the next thread read is a
 * switch back and forth for nothing, and so it is not done, unless the request may wait
 * for what others need not.  In is held, and the lock.
 */
static bool is_lone(struct client *c, const struct task *t)
{
	bool alone = session_is_alone(&c->session) && session_is_short(t) &&
		!claims_any(&c->s->claims) && !(IS_ENABLED(CONFIG_LVM_THIN_GROW) && disk_may_wait(c->s->disk));

	c->lone = alone ? c->lone + 1 : 0;
	if (c->lone > LONE && !(c->lone % LOOK_EVERY) && session_has_more(&c->session))
		c->lone = 0;
	return c->lone > LONE;
}

/*
 * Read one request in its turn; false when there are no more.  *kept, at first
 * false: nobody else reads until the next one is read.
 */
static bool take_turn(struct client *c, struct task *t, bool *kept)
{
	struct session *n = &c->session;
	struct server *s = c->s;
	bool ok;

	pthread_mutex_lock(&s->lock);
	c->readers++;
	pthread_mutex_unlock(&s->lock);

	if (!*kept)
		pthread_mutex_lock(&n->in);
	ok = !__atomic_load_n(&n->over, __ATOMIC_ACQUIRE) && session_next(n, t);
	if (!ok)
		__atomic_store_n(&n->over, true, __ATOMIC_RELEASE);

	/* Somebody should be reading while this thread works; without, we go on one by one. */
	pthread_mutex_lock(&s->lock);
	*kept = ok && is_lone(c, t);
	c->readers--;
	if (ok && !c->readers && !*kept && c->threads < OF_ONE && s->threads < SERVER_THREADS && !s->stopping)
		spawn(c);
	pthread_mutex_unlock(&s->lock);
	if (!*kept)
		pthread_mutex_unlock(&n->in);
	return ok;
}

static void *work(void *arg)
{
	struct client *c = arg;
	struct task t = { 0 };
	bool kept = false;
	void *buf;

	if (posix_memalign(&buf, 4096, SERVER_CHUNK)) {
		leave(c);
		return NULL;
	}
	t.buf = buf;
	if (c->hello) {
		/* The first thread is alone until this is done. */
		c->hello = false;
		c->session.over = session_hello(&c->session) != 1;
	}
	while (take_turn(c, &t, &kept))
		if (!session_do(&c->session, &t)) {
			/* What came before the end can still be read, and is as late. */
			__atomic_store_n(&c->session.over, true, __ATOMIC_RELEASE);
			shutdown(c->session.fd, SHUT_RDWR);
		}
	free(buf);
	leave(c);
	return NULL;
}

uint16_t server_flags(bool writable)
{
	return NBD_HAS_FLAGS | NBD_CAN_FLUSH | NBD_CAN_FUA | NBD_CAN_DF | NBD_MULTI_CONN |
		(writable ? NBD_CAN_TRIM | NBD_CAN_ZERO : NBD_READ_ONLY);
}

void server_start(struct server **out, struct disk *d, const char *name)
{
	struct server *s = must_alloc(sizeof(*s));
	uint32_t unit = disk_unit(d);

	*s = (struct server){
		.disk = d, .left_fd = -1,
		.e = {
			.name = name, .description = name, .size = disk_size(d),
			.min_block = 1, .best_block = unit > 4096 ? unit : 4096,
			.max_block = SERVER_REQUEST,
			.flags = server_flags(disk_is_writable(d)) |
				 (disk_is_writable(d) ? NBD_CAN_FAST : 0),
		},
	};
	pthread_mutex_init(&s->claims.lock, NULL);
	pthread_cond_init(&s->claims.gone, NULL);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->left, NULL);
	*out = s;
}

int server_add(struct server *s, int fd, bool hello)
{
	_close_ int own = fd;
	struct client *c = NULL;
	int err = -EBUSY;

	pthread_mutex_lock(&s->lock);
	if (s->n_clients < SERVER_CLIENTS && s->threads < SERVER_THREADS && !s->stopping) {
		c = must_alloc(sizeof(*c));
		*c = (struct client){ .s = s, .hello = hello, .next = s->clients };
		c->session = (struct session){
			.disk = s->disk, .claims = &s->claims, .e = &s->e, .fd = take_fd(&own),
		};
		pthread_mutex_init(&c->session.in, NULL);
		pthread_mutex_init(&c->session.out, NULL);
		s->clients = c;
		s->n_clients++;
		err = spawn(c);
		if (err)
			remove_client(c);
	}
	pthread_mutex_unlock(&s->lock);
	return err;
}

size_t server_clients(struct server *s)
{
	size_t n;

	pthread_mutex_lock(&s->lock);
	n = s->n_clients;
	pthread_mutex_unlock(&s->lock);
	return n;
}

void server_tell_left(struct server *s, int fd)
{
	s->left_fd = fd;
}

void server_resized(struct server *s)
{
	__atomic_store_n(&s->e.size, disk_size(s->disk), __ATOMIC_RELAXED);
}

static void shut(struct server *s, int how)
{
	for (struct client *c = s->clients; c; c = c->next)
		shutdown(c->session.fd, how);
}

void server_stop(struct server *s)
{
	struct timespec until;

	if (!s)
		return;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	/* What was read is still answered: only the other direction ends here ... */
	shut(s, SHUT_RD);
	while (s->threads && !pthread_cond_timedwait(&s->left, &s->lock, &until))
		;
	/* ... unless a client does not take the answers. */
	shut(s, SHUT_RDWR);
	while (s->threads)
		pthread_cond_wait(&s->left, &s->lock);
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_destroy(&s->claims.lock);
	pthread_cond_destroy(&s->claims.gone);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->left);
	free(s);
}
