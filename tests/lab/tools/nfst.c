/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nfst SR VDI: an NFS 3 server that is not what it seems, at ports 111, 2049 and
 * 20048 of this host.  Each path that is mounted is the directory of that SR, with
 * a disk, its record and its lock in it, and with a fault by the path's name:
 *
 *	/good		none
 *	/endless	a directory that has always one more name
 *	/loop		its names begin again behind the tenth
 *	/again		its names begin again, but not their numbers
 *	/restless	one that has changed each time that somebody looks, has always one more
 *			name, and knows no place again that it gave a number
 *	/disks		always one more disk
 *	/srs		always one more SR
 *	/slash		a name that is a path
 *	/long		a name of 300 bytes
 *	/names		names of every byte that can be in one, and of 255 bytes
 *	/sizes		files of another size each time that somebody asks
 *	/records	records and locks of other words and sizes each time
 *	/huge		records and locks of a terabyte
 *	/types		what was a file is a directory the next time
 *
 * Nothing can be written.  Prints "ready" when it listens.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/lease.h"
#include "lib/rpc/rpc.h"
#include "tests/lab/tools/listen.h"

enum { ROOT = 1, SM, MARKER, RECORDS, RECORD, DISK, LOCK, OTHER };	/* files */
enum { OK = 0, NOENT = 2, NOTDIR = 20, ROFS = 30, NOTSUPP = 10004 };

static const char *const modes[] = {
	"good", "endless", "loop", "slash", "long", "names", "sizes", "records", "huge", "types",
	"again", "restless", "disks", "srs",
};

static const char *sr, *vdi;

struct file {
	const char *mode;
	uint32_t n_mode, id;
};

static bool is(const struct file *f, const char *mode)
{
	return !strcmp(f->mode, mode);
}

/* Another answer each time. */
static uint32_t turn(void)
{
	static uint32_t turns;

	return turns++;
}

/* --- what is there --------------------------------------------------------------- */

static const char *fixed(uint32_t dir, uint32_t i, uint32_t *id)
{
	static char name[3][128];

	if (dir == SM || dir == RECORDS) {
		*id = dir == RECORDS ? RECORD : i ? RECORDS : MARKER;
		return dir == RECORDS ? (i ? NULL : vdi) : i > 1 ? NULL : i ? "vdi" : "sr";
	}
	snprintf(name[0], sizeof(name[0]), ".sm");
	snprintf(name[1], sizeof(name[1]), "%s.raw", vdi);
	snprintf(name[2], sizeof(name[2]), ".%s.xenlk.0000000000000001", vdi);
	*id = i == 0 ? SM : i == 1 ? DISK : LOCK;
	return i < 3 ? name[i] : NULL;
}

/* The i-th name of a directory, or NULL. */
static const char *name_at(const struct file *dir, uint32_t i, uint32_t *id)
{
	static char name[512];
	const char *f = fixed(dir->id, i, id);
	uint32_t k = i - 3;

	if (f || dir->id != ROOT)
		return f;
	*id = OTHER;
	if (is(dir, "endless") || is(dir, "restless"))
		snprintf(name, sizeof(name), "%u", i);
	else if (is(dir, "disks") || is(dir, "srs"))
		snprintf(name, sizeof(name), "%08x-0c3d-4a6f-8e55-1d0a9c7e4f21%s", i, is(dir, "srs") ? "" : ".raw");
	else if (is(dir, "loop") || is(dir, "again"))
		snprintf(name, sizeof(name), "%u", k % 7);
	else if (is(dir, "slash") && !k)
		strcpy(name, "../../../etc/passwd");
	else if (is(dir, "long") && !k)
		snprintf(name, sizeof(name), "%0300u", k);
	else if (is(dir, "names") && k < 255)
		snprintf(name, sizeof(name), k + 1 == '/' ? "%s" : "%s.raw%c", vdi, (int)k + 1);
	else if (is(dir, "names") && k == 255)
		snprintf(name, sizeof(name), "%0255u", k);
	else if (is(dir, "names") && k < 260)
		strcpy(name, k == 256 ? "-rf" : k == 257 ? "\x1b]0;x\a" : k == 258 ? "\xc0\xaf" : "a\nb: c");
	else
		return NULL;
	return name;
}

/* The bytes of a small file. */
static size_t content(const struct file *f, uint8_t *to, size_t room)
{
	struct lease l = { .state = LEASE_HELD, .kind = LEASE_MARK, .generation = 1, .stamp = 7, .owner = "somebody" };
	uint32_t n = is(f, "records") ? turn() : 0;

	if (f->id == LOCK) {
		l.stamp += n;
		lease_encode(&l, to);
		if (n % 3 == 1)
			to[100] ^= 1;
		return n % 3 == 2 ? 511 : LEASE_BYTES;
	}
	if (f->id == MARKER)
		return (size_t)snprintf((char *)to, room, "uuid=%s\ntype=nfs\nname=n\ndescription=\n", sr);
	if (f->id == RECORD)
		return (size_t)snprintf((char *)to, room, "name=%*s\\033]0;x\ntype=user\n", (int)(n * 13 % 300), "disk");
	memset(to, 0, room);
	return room;
}

static uint64_t size_of(const struct file *f)
{
	uint8_t bytes[1024];

	if (is(f, "huge") && (f->id == RECORD || f->id == LOCK))
		return (uint64_t)1 << 40;
	if (is(f, "sizes") && f->id == DISK)
		return ((uint64_t)1 << 20) * (turn() % 5) + turn() % 3;
	return f->id == DISK ? 1 << 20 : f->id == OTHER ? 0 : content(f, bytes, sizeof(bytes));
}

static bool is_dir(const struct file *f)
{
	return f->id == ROOT || f->id == SM || f->id == RECORDS ||
	       (is(f, "types") && f->id != MARKER && turn() % 2);
}

/* What is a lie has changed each time, so that nothing of it is kept. */
static bool changes(const struct file *f)
{
	return (f->id > SM && f->id != RECORDS) || (f->id == ROOT && is(f, "restless"));
}

/* --- as XDR ------------------------------------------------------------------------ */

static void put_attr(struct buf *b, const struct file *f)
{
	bool dir = is_dir(f);
	uint64_t size = dir ? 4096 : size_of(f);

	xdr_put_u32(b, dir ? 2 : 1);
	xdr_put_u32(b, dir ? 0755 : 0644);
	xdr_put_u32(b, 1);
	xdr_put_u64(b, 0);		/* uid, gid */
	xdr_put_u64(b, size);
	xdr_put_u64(b, size);
	xdr_put_u64(b, 0);
	xdr_put_u64(b, f->n_mode + 1);	/* a file system each */
	xdr_put_u64(b, f->id);
	for (int i = 0; i < 3; i++) {
		xdr_put_u32(b, 1700000000 + (changes(f) ? turn() : 0));
		xdr_put_u32(b, 0);
	}
}

static void put_maybe_attr(struct buf *b, const struct file *f)
{
	xdr_put_u32(b, 1);
	put_attr(b, f);
}

static void put_handle(struct buf *b, const struct file *f)
{
	const uint32_t h[2] = { f->n_mode, f->id };

	xdr_put_opaque(b, h, sizeof(h));
}

static struct file take_handle(struct xdr *x)
{
	struct view v = xdr_opaque(x, 64);
	uint32_t h[2] = { 0, ROOT };

	if (v.n == sizeof(h))
		memcpy(h, v.p, sizeof(h));
	h[0] %= sizeof(modes) / sizeof(modes[0]);
	return (struct file){ modes[h[0]], h[0], h[1] };
}

/* --- the calls ------------------------------------------------------------------------ */

static void lookup(struct buf *b, struct file f, struct xdr *x)
{
	struct view name = xdr_opaque(x, 1024);
	struct file at = f;
	const char *s;

	for (uint32_t i = 0; i < 300 && (s = name_at(&f, i, &at.id)); i++) {
		if (strlen(s) != name.n || memcmp(s, name.p, name.n))
			continue;
		xdr_put_u32(b, OK);
		put_handle(b, &at);
		put_maybe_attr(b, &at);
		put_maybe_attr(b, &f);
		return;
	}
	xdr_put_u32(b, NOENT);
	put_maybe_attr(b, &f);
}

static void read_file(struct buf *b, struct file f, struct xdr *x)
{
	static uint8_t bytes[1 << 16];
	uint64_t at = xdr_u64(x);
	uint32_t count = xdr_u32(x);
	bool small = f.id != DISK && f.id != OTHER && !is(&f, "huge");
	size_t room = count < sizeof(bytes) ? count : sizeof(bytes), n = content(&f, bytes, sizeof(bytes));

	if (!small)
		n = room;
	else
		n = at < n ? n - (size_t)at : 0;
	n = n < room ? n : room;
	xdr_put_u32(b, OK);
	put_maybe_attr(b, &f);
	xdr_put_u32(b, (uint32_t)n);
	xdr_put_u32(b, small);
	xdr_put_opaque(b, bytes + (small ? at : 0), n);
}

static void read_dir(struct buf *b, struct file f, struct xdr *x)
{
	uint64_t at = xdr_u64(x), turns = 0;
	const char *s = NULL;
	size_t start = b->n;
	uint32_t i, id;

	xdr_u64(x);
	xdr_put_u32(b, OK);
	put_maybe_attr(b, &f);
	xdr_put_u64(b, 0);
	if (is(&f, "restless"))
		turns = (uint64_t)(turn() + 1) << 32;
	for (i = (uint32_t)at; b->n - start < 3000 && (s = name_at(&f, i, &id)); i++) {
		bool again = is(&f, "loop") && f.id == ROOT && i > 9;

		xdr_put_u32(b, 1);
		xdr_put_u64(b, id == OTHER ? 100 + i : id);
		xdr_put_opaque(b, s, strlen(s));
		xdr_put_u64(b, turns | (again ? 4 : i + 1));
		if (again)
			break;
	}
	xdr_put_u32(b, 0);
	xdr_put_u32(b, !s);
}

static void put_numbers(struct buf *b, const struct file *f, const uint32_t *v, size_t n)
{
	xdr_put_u32(b, OK);
	put_maybe_attr(b, f);
	for (size_t i = 0; i < n; i++)
		xdr_put_u32(b, v[i]);
}

static void nfs(struct buf *b, uint32_t call, struct xdr *x)
{
	static const uint32_t room[13] = { 0, 1 << 30, 0, 1 << 30, 0, 1 << 30, 0, 1000, 0, 1000, 0, 1000, 0 };
	static const uint32_t info[12] = { 65536, 65536, 512, 65536, 65536, 512, 4096, 0x7fffffff, 0xffffffff, 0, 1, 0x1b };
	static const uint32_t conf[6] = { 32, 255, 1, 1, 0, 1 };
	struct file f;
	uint32_t want;

	if (!call)
		return;
	f = take_handle(x);
	switch (call) {
	case 1:
		xdr_put_u32(b, OK);
		put_attr(b, &f);
		break;
	case 3: lookup(b, f, x); break;
	case 4:
		want = xdr_u32(x);
		put_numbers(b, &f, &want, 1);
		break;
	case 6: read_file(b, f, x); break;
	case 16: read_dir(b, f, x); break;
	case 17:
		xdr_put_u32(b, NOTSUPP);
		xdr_put_u32(b, 0);
		break;
	case 18: put_numbers(b, &f, room, 13); break;
	case 19: put_numbers(b, &f, info, 12); break;
	case 20: put_numbers(b, &f, conf, 6); break;
	default:
		xdr_put_u32(b, ROFS);
		xdr_put_u64(b, 0);
	}
}

static void mount(struct buf *b, uint32_t call, struct xdr *x)
{
	struct view path = call == 1 ? xdr_opaque(x, 1024) : (struct view){ 0 };
	struct file f = { .id = ROOT };

	if (call != 1)
		return;
	for (uint32_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (path.n == strlen(modes[i]) + 1 && !memcmp((const char *)path.p + 1, modes[i], path.n - 1))
			f.n_mode = i;
	xdr_put_u32(b, OK);
	put_handle(b, &f);
	xdr_put_u32(b, 1);
	xdr_put_u32(b, 1);		/* AUTH_SYS */
}

static void answer(struct buf *b, const struct rpc_in *in)
{
	struct xdr x = { (const uint8_t *)in->record.p, in->record.n, false };
	uint32_t xid = xdr_u32(&x), program, call;

	xdr_u64(&x);
	program = xdr_u32(&x);
	xdr_u32(&x);
	call = xdr_u32(&x);
	for (int i = 0; i < 2; i++) {
		xdr_u32(&x);
		xdr_opaque(&x, 400);
	}
	buf_reset(b);
	xdr_put_u64(b, xid);		/* with the mark */
	xdr_put_u32(b, 1);
	xdr_put_u64(b, 0);
	xdr_put_u64(b, 0);
	if (program == NFS_PROGRAM)
		nfs(b, call, &x);
	else if (program == MOUNT_PROGRAM)
		mount(b, call, &x);
	else if (call == 3)
		xdr_put_u32(b, xdr_u32(&x) == NFS_PROGRAM ? 2049 : 20048);
	rpc_end(b);
}

/* --- connections ------------------------------------------------------------------------ */

static bool receive(int c, struct rpc_in *in)
{
	char piece[4096];
	int want;

	while ((want = rpc_want(in)) > 0) {
		ssize_t n = read(c, piece, want < (int)sizeof(piece) ? (size_t)want : sizeof(piece));

		if (n <= 0 || rpc_take(in, piece, (size_t)n))
			return false;
	}
	return !want;
}

static void converse(int c)
{
	_buf_free_ struct buf b = { 0 };

	for (;;) {
		struct rpc_in in = { .left = 0 };

		if (!receive(c, &in))
			_exit(0);
		answer(&b, &in);
		rpc_in_free(&in);
		for (size_t at = 0; at < b.n; ) {
			ssize_t n = write(c, b.p + at, b.n - at);

			if (n <= 0)
				_exit(0);
			at += (size_t)n;
		}
	}
}

static void serve(int s)
{
	for (;;) {
		int c = accept(s, NULL, NULL);

		if (c >= 0 && !fork())
			converse(c);
		close(c);
	}
}

int main(int argc, char **argv)
{
	int s[3] = { listen_at(111), listen_at(20048), listen_at(2049) };

	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (argc != 3)
		return 2;
	sr = argv[1];
	vdi = argv[2];
	puts("ready");
	fflush(stdout);
	if (!fork())
		serve(s[0]);
	if (!fork())
		serve(s[1]);
	serve(s[2]);
}
