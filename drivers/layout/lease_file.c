/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/clock.h"
#include "arch/fs.h"
#include "drivers/layout/dir.h"
#include "drivers/layout/lease_file.h"
#include "drivers/lease.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/crc32.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/io.h"
#include "lib/kconfig.h"

#define END		".xenlk"
#define NEW		"new."
#define HEX		16
#define OLD_NEW		300	/* seconds after which nobody writes to a new one any more */

/* --- names ----------------------------------------------------------------------- */

int lease_file_stem(struct lease_stem *stem, const char *name)
{
	size_t n = strlen(name);
	struct uuid u;
	int len;

	if (IS_ENABLED(CONFIG_NFS_GUARD))
		stem->watched = NULL;
	if (n > strlen(END) && !strcmp(name + n - strlen(END), END))
		n -= strlen(END);
	if (n > UUID_LEN && name[UUID_LEN] == '.' && !uuid_parse_n(&u, name, UUID_LEN))
		len = snprintf(stem->s, sizeof(stem->s), ".%s" END ".", u.s);
	else
		len = snprintf(stem->s, sizeof(stem->s), ".%.*s" END ".", (int)n, name);
	return len < (int)sizeof(stem->s) ? 0 : -ENAMETOOLONG;
}

/* 16 digits in lower case, and nothing behind them. */
static bool take_hex(const char *s, uint64_t *n)
{
	*n = 0;
	for (int i = 0; i < HEX; i++) {
		const char *at = s[i] ? strchr("0123456789abcdef", s[i]) : NULL;

		if (!at)
			return false;
		*n = *n << 4 | (uint64_t)(at - "0123456789abcdef");
	}
	return !s[HEX] && *n && *n < INT64_MAX;
}

bool lease_file_is(const char *name, struct uuid *vdi, uint64_t *generation)
{
	return name[0] == '.' && strlen(name) == 1 + UUID_LEN + strlen(END) + 1 + HEX &&
	       !uuid_parse_n(vdi, name + 1, UUID_LEN) &&
	       !strncmp(name + 1, vdi->s, UUID_LEN) &&		/* in lower case, as we write it */
	       !strncmp(name + 1 + UUID_LEN, END ".", strlen(END) + 1) &&
	       take_hex(name + 1 + UUID_LEN + strlen(END) + 1, generation);
}

static void record_name(char *to, const struct lease_stem *stem, uint64_t generation)
{
	snprintf(to, LEASE_NAME, "%s%016llx", stem->s, (unsigned long long)generation);
}

/* What a lock is noted by that is of no disk: lock-util has such. */
static void name_lock(struct uuid *u, const struct lease_stem *stem)
{
	uint8_t b[16] = { 0 };
	be32 sum = be32_put(crc32_zlib(0, stem->s, strlen(stem->s)));

	memcpy(b, &sum, sizeof(sum));
	uuid_from_bytes(u, b);
}

/* --- the directory ------------------------------------------------------------------ */

#define MOST	LEASE_FILE_MOST

/* The highest generations, the very highest first.  What is read is what is there now, on NFS too. */
static int find_all(int dir, const struct lease_stem *stem, uint64_t *v, size_t *found)
{
	_closedir_ DIR *d = dir_entries(dir);
	size_t len = strlen(stem->s), n = 0;
	struct dir_seen seen = dir_begin(stem->watched);
	struct dirent *e;

	*found = 0;
	if (!d)
		return -errno;
	while ((e = dir_next(d, &seen))) {
		uint64_t g;
		size_t at;

		if (strncmp(e->d_name, stem->s, len) || !take_hex(e->d_name + len, &g))
			continue;
		for (at = n; at && v[at - 1] < g; at--)
			if (at < MOST)
				v[at] = v[at - 1];
		if (at < MOST)
			v[at] = g;
		n += n < MOST;
	}
	*found = n;
	return -errno;
}

/* Remove the generations below, and what deaths have left; now is by the server's clock. */
static void tidy(int dir, const struct lease_stem *stem, uint64_t below, int64_t now)
{
	_closedir_ DIR *d = dir_entries(dir);
	size_t n = strlen(stem->s);
	struct dir_seen seen = dir_begin(stem->watched);
	struct dirent *e;
	struct stat st;

	while (d && (e = dir_next(d, &seen))) {
		const char *rest = e->d_name + n;
		uint64_t g;

		if (strncmp(e->d_name, stem->s, n))
			continue;
		if ((take_hex(rest, &g) && g < below) ||
		    (!strncmp(rest, NEW, strlen(NEW)) &&
		     !fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) && st.st_mtime + OLD_NEW < now))
			unlinkat(dir, e->d_name, 0);
	}
}

/* --- files --------------------------------------------------------------------------- */

/* A new file, and what the server's clock says to that. */
static int make_new(int dir, const struct lease_stem *stem, char *name, int *fd, int64_t *now)
{
	static const uint8_t bytes[LEASE_BYTES];
	struct stat st;
	uint64_t r;
	int err;

	random_bytes(&r, sizeof(r));
	snprintf(name, LEASE_NAME, "%s" NEW "%016llx", stem->s, (unsigned long long)r);
	*fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (*fd < 0)
		return -errno;
	err = write_all(*fd, bytes, LEASE_BYTES);
	if (!err && (fsync(*fd) || fstat(*fd, &st)))
		err = -errno;
	if (err) {
		unlinkat(dir, name, 0);
		close(take_fd(fd));
		return err;
	}
	*now = st.st_mtime;
	return 0;
}

static int read_record(int dir, const char *name, uint64_t generation, struct lease *l, int64_t *mtime)
{
	_close_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	uint8_t bytes[LEASE_BYTES];
	struct stat st;
	int err;

	if (fd < 0)
		return errno == ELOOP ? -E_DAMAGED : -errno;
	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -E_DAMAGED;
	*mtime = st.st_mtime;
	err = pread_all(fd, bytes, sizeof(bytes), 0);
	if (!err)
		err = lease_decode(bytes, sizeof(bytes), l);
	if (!err && l->generation != generation)
		err = -E_DAMAGED;
	return err == -E_SHORT || err == -ENOENT ? -E_DAMAGED : err;
}

/* What counts, and who wants to follow it. */
struct view_of_all {
	struct lease counts;		/* generation 0: never locked */
	int64_t mtime;
	bool damaged;
	uint64_t top;			/* the highest generation of all */
	struct lease wanted[MOST];	/* above the one that counts */
	uint64_t as_of;			/* all was read after that */
	size_t n;
};

/* These generations are there, the highest first. */
static int look_at(int dir, const struct lease_stem *stem, const uint64_t *g, size_t n, struct view_of_all *v)
{
	int err = 0;

	v->top = n ? g[0] : 0;
	for (size_t i = 0; i < n && !err; i++) {
		struct lease l = { 0 };
		int64_t mtime = 0;
		char name[LEASE_NAME];

		record_name(name, stem, g[i]);
		err = read_record(dir, name, g[i], &l, &mtime);
		if (!err && l.state == LEASE_WANTED) {
			v->wanted[v->n++] = l;
			continue;
		}
		v->damaged = err == -E_DAMAGED;
		v->counts = v->damaged ? (struct lease){ .state = LEASE_HELD, .generation = g[i] } : l;
		v->mtime = mtime;
		return err;
	}
	/* So many contenders that we have not seen what counts: not that nothing does. */
	v->damaged = v->n == MOST;
	return v->damaged ? -E_DAMAGED : err;
}

static int look_once(int dir, const struct lease_stem *stem, struct view_of_all *v)
{
	uint64_t g[MOST], as_of = clock_now_mono();
	size_t n;
	int err = find_all(dir, stem, g, &n);

	*v = (struct view_of_all){ .as_of = as_of };
	return err ? err : look_at(dir, stem, g, n, v);
}

/* The same, but not just while one follows another or is being written again. */
static int look(int dir, const struct lease_stem *stem, struct view_of_all *v)
{
	int err = 0;

	for (unsigned int i = 0; i < 16; i++) {
		if (i)
			clock_sleep(NS_PER_MS * i);
		err = look_once(dir, stem, v);
		if (err != -ENOENT && err != -ESTALE && err != -E_DAMAGED)
			return err;
	}
	return err == -E_DAMAGED ? 0 : -EAGAIN;
}

/* The last generation cannot be followed. */
static void refuse_last(struct view_of_all *v)
{
	if (v->top < LEASE_LAST || v->damaged)
		return;
	v->damaged = true;
	v->counts = (struct lease){ .state = LEASE_HELD, .generation = v->counts.generation };
}

/* What is to be followed. */
static int look_first(int dir, const struct lease_stem *stem, struct view_of_all *v)
{
	int err = look(dir, stem, v);

	if (!err)
		refuse_last(v);
	return err;
}

int lease_file_pick(int dir, const struct uuid *vdi, const uint64_t *g, size_t n, struct lease *now)
{
	struct view_of_all v = { 0 };
	struct lease_stem stem;
	int err;

	snprintf(stem.s, sizeof(stem.s), ".%s" END ".", vdi->s);
	err = look_at(dir, &stem, g, n, &v);
	if (!err)
		refuse_last(&v);
	*now = v.counts;
	now->vdi = *vdi;
	return v.damaged ? -E_DAMAGED : err;
}

/* By the server's clock; one that was set back since does not say it. */
static int64_t age_of(int64_t server, int64_t mtime)
{
	return server >= mtime ? server - mtime : -1;
}

int lease_file_read(int dir, const struct lease_stem *stem, struct lease *now, int64_t *age)
{
	char probe[LEASE_NAME];
	struct view_of_all v;
	_close_ int fd = -1;
	int64_t server;
	int err = look_first(dir, stem, &v);

	*now = v.counts;
	if (age)
		*age = -1;
	if (err)
		return err;
	if (v.damaged)
		return -E_DAMAGED;
	if (!age || now->state == LEASE_FREE || !lease_patience(now))
		return 0;
	/* Where nothing can be written nobody can say how old it is. */
	if (!make_new(dir, stem, probe, &fd, &server)) {
		unlinkat(dir, probe, 0);
		*age = age_of(server, v.mtime);
	}
	return 0;
}

/* Give the new record the name of its generation: 0, or -EAGAIN when that is taken. */
static int claim(int dir, const char *new, int fd, const char *name)
{
	struct fs_id ours, there;
	struct stat st;
	int err = linkat(dir, new, dir, name, 0) ? -errno : 0;

	if (fstat(fd, &st))
		return -errno;
	if (st.st_nlink == 2)		/* whatever the answer was that reached us */
		return 0;
	if (err)
		return err == -EEXIST || err == -ENOENT ? -EAGAIN : err;
	/* Somebody took the other name for a dead one's and removed it. */
	ours = (struct fs_id){ st.st_dev, st.st_ino };
	err = fs_id(dir, name, &there);
	return err ? err : fs_id_equal(&ours, &there) ? 0 : -EAGAIN;
}

/* Where programs of 2007 look. */
static void show(int dir, const char *new, const char *name, const struct lease *l)
{
	if (!name || l->state == LEASE_FREE || renameat(dir, new, dir, name))
		unlinkat(dir, new, 0);
	if (name && l->state == LEASE_FREE)
		unlinkat(dir, name, 0);
}

/* Still only wanted, and by the same?  Asked after the proof: he may have been done before he died. */
static bool is_still(int dir, const char *name, const struct lease *l)
{
	struct lease now;
	int64_t mtime;

	return !read_record(dir, name, l->generation, &now, &mtime) && lease_same(&now, l);
}

/*
 * Nobody else may want it.  Who has died over that is taken away, and all is
 * looked at again.  Had he only slept, for more than a term and the grace, he
 * will not believe that he has it.
 */
static int may_follow(struct ctx *ctx, int dir, const struct lease_stem *stem,
		      const struct view_of_all *v, const struct lease *was)
{
	char name[LEASE_NAME];

	for (size_t i = 0; i < v->n; i++) {
		struct lease l = v->wanted[i];
		struct lease_known k;
		int err;

		if (!l.vdi.s[0])
			name_lock(&l.vdi, stem);
		err = lease_check(ctx, &l, v->as_of, &k);
		if (err)
			return err;
		record_name(name, stem, v->wanted[i].generation);
		if (k.verdict == LEASE_IS_DEAD && is_still(dir, name, &v->wanted[i]))
			unlinkat(dir, name, 0);
	}
	/* A damaged one has no stamp to know it by. */
	return !v->n && v->counts.generation == was->generation && v->counts.stamp == was->stamp ?
		0 : -EAGAIN;
}

/* Step 2: is all as it was, and ours above it? */
static bool is_undisturbed(int dir, const struct lease_stem *stem, const struct view_of_all *before,
			   uint64_t ours)
{
	struct view_of_all v;

	return !look(dir, stem, &v) && v.n == 1 && v.wanted[0].generation == ours && v.top == ours &&
	       v.damaged == before->damaged && v.counts.generation == before->counts.generation &&
	       v.counts.stamp == before->counts.stamp;
}

static int write_record(int fd, const struct lease *l)
{
	uint8_t bytes[LEASE_BYTES];
	int err;

	lease_encode(l, bytes);
	err = pwrite_all(fd, bytes, sizeof(bytes), 0);
	return !err && fsync(fd) ? -errno : err;
}

/* Others may have taken us for dead. */
static bool is_late(uint64_t start)
{
	return lease_is_late(start, clock_now_boot());
}

int lease_file_swap(struct ctx *ctx, int dir, const struct lease_stem *stem, const char *name,
		    const struct lease *was, struct lease *now)
{
	uint64_t start = clock_now_boot();
	char new[LEASE_NAME], record[LEASE_NAME];
	struct view_of_all before;
	struct lease wanted;
	_close_ int fd = -1;
	int64_t server;
	int err = make_new(dir, stem, new, &fd, &server);

	if (err)
		return err;
	err = look_first(dir, stem, &before);
	if (!err)
		err = may_follow(ctx, dir, stem, &before, was);
	/* Who breaks what is damaged begins anew where there is no next one. */
	if (!err && before.top >= LEASE_LAST) {
		tidy(dir, stem, UINT64_MAX, server);
		err = -EAGAIN;
	}
	now->generation = before.top + 1;
	random_bytes(&now->stamp, sizeof(now->stamp));
	wanted = *now;
	wanted.state = LEASE_WANTED;
	record_name(record, stem, now->generation);
	if (!err)
		err = write_record(fd, &wanted);
	if (!err)
		err = claim(dir, new, fd, record);
	if (err) {
		unlinkat(dir, new, 0);
		return err;
	}
	err = fs_sync_dir(dir);
	if (!err && (!is_undisturbed(dir, stem, &before, now->generation) || is_late(start)))
		err = -EAGAIN;
	if (!err)
		err = write_record(fd, now);		/* commit */
	if (!err && is_late(start))
		err = -EAGAIN;
	if (err) {
		unlinkat(dir, record, 0);
		unlinkat(dir, new, 0);
		return err;
	}
	show(dir, new, name, now);
	tidy(dir, stem, now->generation, server);
	return 0;
}

/* Write it, then read: who wanted it before that may have found us dead, or see that we are not. */
int lease_file_renew(struct ctx *ctx, int dir, const struct lease_stem *stem, struct lease *held)
{
	char name[LEASE_NAME];
	struct view_of_all v;
	_close_ int fd = -1;
	int err;

	record_name(name, stem, held->generation);
	fd = openat(dir, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);	/* a FIFO: ENXIO */
	if (fd < 0)
		return errno == ENOENT || errno == ESTALE ? -E_NOT_LOCKED : -errno;
	random_bytes(&held->stamp, sizeof(held->stamp));
	err = write_record(fd, held);
	if (!err)
		err = look(dir, stem, &v);
	if (!err && v.counts.generation != held->generation)
		err = -E_NOT_LOCKED;
	if (!err)
		err = may_follow(ctx, dir, stem, &v, held);
	return err == -ESTALE ? -E_NOT_LOCKED : err;
}

int lease_file_forget(int dir, const struct lease_stem *stem)
{
	tidy(dir, stem, UINT64_MAX, INT64_MAX - OLD_NEW);
	return fs_sync_dir(dir);
}
