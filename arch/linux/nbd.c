/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "arch/blk.h"
#include "arch/linux/nbd_impl.h"
#include "arch/nbd.h"
#include "lib/arena.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/kconfig.h"
#include "lib/num.h"

#define PATIENCE	60	/* seconds; a disconnect waits for the requests under way */

/* --- generic netlink ------------------------------------------------------ */

/* One message, ours or the kernel's. */
struct message {
	union {
		struct nlmsghdr h;
		char bytes[4096];
	};
};

static void *tail(struct message *m)
{
	return m->bytes + NLMSG_ALIGN(m->h.nlmsg_len);
}

static void start(struct message *m, uint16_t family, uint8_t command)
{
	struct genlmsghdr *g = NLMSG_DATA(&m->h);

	memset(m, 0, sizeof(*m));
	m->h.nlmsg_len = NLMSG_LENGTH(sizeof(*g));
	m->h.nlmsg_type = family;
	m->h.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	g->cmd = command;
	g->version = 1;
}

/* Messages of ours have a few hundred bytes at most: there is always room. */
static struct nlattr *add(struct message *m, uint16_t type, const void *p, size_t n)
{
	struct nlattr *a = tail(m);

	a->nla_type = type;
	a->nla_len = (uint16_t)(NLA_HDRLEN + n);
	if (n)
		memcpy((char *)a + NLA_HDRLEN, p, n);
	m->h.nlmsg_len = NLMSG_ALIGN(m->h.nlmsg_len) + NLA_ALIGN(a->nla_len);
	return a;
}

/* What was added since is within. */
static void close_nest(struct message *m, struct nlattr *a)
{
	a->nla_len = (uint16_t)((char *)tail(m) - (char *)a);
}

static void add_u32(struct message *m, uint16_t type, uint32_t v)
{
	add(m, type, &v, sizeof(v));
}

static void add_u64(struct message *m, uint16_t type, uint64_t v)
{
	add(m, type, &v, sizeof(v));
}

/* The attribute of an answer, with at least so many bytes; NULL when it is not there. */
static const void *find(const struct message *m, uint16_t type, size_t least)
{
	size_t at = NLMSG_LENGTH(sizeof(struct genlmsghdr)), end = m->h.nlmsg_len;

	while (at + NLA_HDRLEN <= end) {
		const struct nlattr *a = (const struct nlattr *)(m->bytes + at);

		if (a->nla_len < NLA_HDRLEN || a->nla_len > end - at)
			break;
		if ((a->nla_type & NLA_TYPE_MASK) == type && a->nla_len >= NLA_HDRLEN + least)
			return m->bytes + at + NLA_HDRLEN;
		at += NLA_ALIGN(a->nla_len);
	}
	return NULL;
}

static int open_netlink(void)
{
	struct sockaddr_nl me = { .nl_family = AF_NETLINK };
	struct timeval t = { .tv_sec = PATIENCE };
	_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);

	if (fd < 0 || bind(fd, (struct sockaddr *)&me, sizeof(me)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)))
		return -errno;
	return take_fd(&fd);
}

/* Send m, and leave in it what the kernel answers before it says that all is done. */
static int call(int fd, struct message *m)
{
	struct message in;

	if (send(fd, m, m->h.nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		ssize_t n = recv(fd, &in, sizeof(in), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if ((size_t)n < NLMSG_HDRLEN || in.h.nlmsg_len > (size_t)n)
			return -EPROTO;
		if (in.h.nlmsg_type == NLMSG_ERROR)
			return (size_t)n < NLMSG_LENGTH(sizeof(int)) ? -EPROTO : *(int *)NLMSG_DATA(&in.h);
		memcpy(m, &in, (size_t)n);
	}
}

static int family(int fd, uint16_t *id)
{
	struct message m;
	const uint16_t *v;
	int err;

	start(&m, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	add(&m, CTRL_ATTR_FAMILY_NAME, NBD_GENL_FAMILY_NAME, sizeof(NBD_GENL_FAMILY_NAME));
	err = call(fd, &m);
	if (err)
		return err;
	v = find(&m, CTRL_ATTR_FAMILY_ID, sizeof(*v));
	if (!v)
		return -EPROTO;
	*id = *v;
	return 0;
}

/* --- commands --------------------------------------------------------------- */

/* A socket for the kernel and a message for the family. */
static int begin(struct message *m, uint8_t command)
{
	_close_ int fd = open_netlink();
	uint16_t id = 0;
	int err = fd < 0 ? fd : family(fd, &id);

	if (err)
		return err;
	start(m, id, command);
	return take_fd(&fd);
}

static void add_sockets(struct message *m, const int *fds, size_t n)
{
	struct nlattr *all = add(m, NBD_ATTR_SOCKETS | NLA_F_NESTED, NULL, 0);

	for (size_t i = 0; i < n; i++) {
		struct nlattr *one = add(m, NBD_SOCK_ITEM | NLA_F_NESTED, NULL, 0);

		add_u32(m, NBD_SOCK_FD, (uint32_t)fds[i]);
		close_nest(m, one);
	}
	close_nest(m, all);
}

/* The kernel wants to hear the same name again with each change. */
static void add_name(struct message *m, const struct nbd_setup *s)
{
	char name[NBD_LABEL_MAX + 1];

	if (!s->name)
		return;
	snprintf(name, sizeof(name), "%s", s->name);
	add(m, NBD_ATTR_BACKEND_IDENTIFIER, name, strlen(name) + 1);
}

static void add_timeouts(struct message *m, const struct nbd_setup *s)
{
	add_u64(m, NBD_ATTR_TIMEOUT, s->timeout);
	add_u64(m, NBD_ATTR_DEAD_CONN_TIMEOUT, s->dead_timeout);
}

int nbd_connect(const struct nbd_setup *s, const int *fds, size_t n_fds)
{
	struct message m;
	const uint32_t *n;
	_close_ int fd = -1;
	int err;

	if (!n_fds || n_fds > NBD_SOCKETS || !s->timeout)
		return -EINVAL;
	fd = begin(&m, NBD_CMD_CONNECT);
	if (fd < 0)
		return fd;
	add_u64(&m, NBD_ATTR_SIZE_BYTES, s->size);
	add_u64(&m, NBD_ATTR_BLOCK_SIZE_BYTES, s->block);
	add_u64(&m, NBD_ATTR_SERVER_FLAGS, s->flags);
	add_timeouts(&m, s);
	add_name(&m, s);
	add_sockets(&m, fds, n_fds);
	err = call(fd, &m);			/* commit */
	if (err)
		return err;
	n = find(&m, NBD_ATTR_INDEX, sizeof(*n));
	return n && *n <= INT32_MAX ? (int)*n : -EPROTO;
}

int nbd_reconnect(int n, const struct nbd_setup *s, const int *fds, size_t n_fds)
{
	struct message m;
	_close_ int fd = -1;

	if (!n_fds || n_fds > NBD_SOCKETS)
		return -EINVAL;
	fd = begin(&m, NBD_CMD_RECONFIGURE);
	if (fd < 0)
		return fd;
	add_u32(&m, NBD_ATTR_INDEX, (uint32_t)n);
	add_timeouts(&m, s);
	add_name(&m, s);
	add_sockets(&m, fds, n_fds);
	return call(fd, &m);
}

int nbd_open_node(int n, dev_t dev, int mode)
{
	char path[32];
	int fd, err;

	snprintf(path, sizeof(path), "/dev/nbd%d", n);
	err = blk_node(path, S_IFBLK, dev);
	if (err)
		return err;
	fd = open(path, mode | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int open_node(int n)
{
	struct nbd_now now;
	int err = nbd_info(n, &now);

	return err ? err : nbd_open_node(n, now.dev, O_RDONLY);
}

int nbd_look(int n)
{
	_close_ int fd = open_node(n);

	return fd < 0 ? fd : 0;
}

static int resize(int n, const struct nbd_setup *s)
{
	struct message m;
	_close_ int fd = begin(&m, NBD_CMD_RECONFIGURE);

	if (fd < 0)
		return fd;
	add_u32(&m, NBD_ATTR_INDEX, (uint32_t)n);
	add_u64(&m, NBD_ATTR_SIZE_BYTES, s->size);
	add_name(&m, s);
	return call(fd, &m);
}

int nbd_resize(int n, const struct nbd_setup *s)
{
	int err = resize(n, s);

	return err == -ENOENT && IS_ENABLED(CONFIG_NBD_IOCTL) ? nbd_ioctl_resize(n, s) : err;
}

int nbd_forget(int n)
{
	_close_ int dev = open_node(n);

	return dev < 0 ? dev : blk_forget_partitions(dev);
}

int nbd_disconnect(int n)
{
	struct nbd_now now;
	struct message m;
	_close_ int fd = -1;
	int err = nbd_info(n, &now);

	if (err)
		return err == -ENXIO ? 0 : err;
	fd = begin(&m, NBD_CMD_DISCONNECT);
	if (fd == -ENOENT && IS_ENABLED(CONFIG_NBD_IOCTL))
		return nbd_ioctl_disconnect(n, now.dev);
	if (fd < 0)
		return fd;
	add_u32(&m, NBD_ATTR_INDEX, (uint32_t)n);
	err = call(fd, &m);			/* commit */
	/* Somebody else was faster. */
	return err && nbd_info(n, &now) == -ENXIO ? 0 : err;
}

/* --- sysfs ------------------------------------------------------------------ */

/* A line of /sys/block/nbdN/NAME without its end. */
int nbd_attribute(int n, const char *name, char *text, size_t room)
{
	struct arena a = { 0 };
	struct view v;
	char path[64];
	int err;

	snprintf(path, sizeof(path), "/sys/block/nbd%d/%s", n, name);
	err = file_read_small(AT_FDCWD, path, &a, 4096, &v);
	if (!err)
		snprintf(text, room, "%.*s", (int)strcspn(v.p, "\n"), (const char *)v.p);
	arena_free(&a);
	return err;
}

int nbd_info(int n, struct nbd_now *now)
{
	char text[32];
	const char *p = text;
	uint64_t sectors;
	/* Only a device that is connected has this one. */
	int err = nbd_attribute(n, "pid", text, sizeof(text));

	*now = (struct nbd_now){ 0 };
	if (!err)
		err = nbd_attribute(n, "ro", text, sizeof(text));
	now->read_only = text[0] == '1';
	if (!err)
		err = nbd_attribute(n, "size", text, sizeof(text));
	if (!err && !num_take(&p, &sectors))
		err = -EPROTO;
	if (!err)
		err = nbd_attribute(n, "dev", text, sizeof(text));
	if (!err && !blk_parse_dev(text, &now->dev))
		err = -EPROTO;
	if (err)
		return err == -ENOENT || err == -ENODEV ? -ENXIO : err;
	now->size = sectors * 512;
	if (nbd_attribute(n, "backend", now->name, sizeof(now->name)))
		now->name[0] = '\0';
	return 0;
}

bool nbd_is(int n, const char *name, pid_t server)
{
	char text[NBD_LABEL_MAX + 1];
	const char *p = text;
	uint64_t pid;

	/* Who connected it, or stays in the kernel for it. */
	if (nbd_attribute(n, "pid", text, sizeof(text)) || !num_take(&p, &pid))
		return false;
	if (!nbd_attribute(n, "backend", text, sizeof(text)))
		return !strcmp(text, name);
	return getsid((pid_t)pid) == getsid(server);
}
