/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/crc32.h"
#include "lib/err.h"
#include "lib/lease.h"
#include "lib/utf8.h"

static const char magic[8] = { 'S', 'M', 'L', 'E', 'A', 'S', 'E', '1' };

struct record {
	char magic[8];
	be32 sum;
	uint8_t state, kind, marked, owner_len;
	be64 generation, stamp;
	be32 term, pid;
	be64 started, pid_space, since;
	uint8_t vdi[16], host[16], boot[16];
	char verb[LEASE_VERB - 1];
	char owner[LEASE_OWNER];
	uint8_t of[16];
	uint8_t rest[96];
};
_Static_assert(sizeof(struct record) == LEASE_BYTES, "the table in lease.h");

/* Whoever has the name and the host can tell the disk; no two disks of a host share one. */
void lease_key(const struct uuid *of, const struct uuid *host, enum lease_beside what, struct uuid *key)
{
	uint8_t a[16], b[16];

	uuid_bytes(of, a);
	uuid_bytes(host, b);
	for (size_t i = 0; i < sizeof(a); i++)
		a[i] ^= (uint8_t)(b[(i + 5) % sizeof(b)] ^ (0x5a + what));
	uuid_from_bytes(key, a);
}

static be32 sum_of(const struct record *r)
{
	struct record copy = *r;

	copy.sum = be32_put(0);
	return be32_put(crc32_zlib(0, &copy, sizeof(copy)));
}

static bool is_text(const char *s, size_t len)
{
	if (utf8_good(s, len) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return false;
	return true;
}

bool lease_owner_good(const char *owner)
{
	return strlen(owner) < LEASE_OWNER && is_text(owner, strlen(owner));
}

/* A host's name may be anything; the record is not to be lost for that. */
static void put_text(char *to, const char *from, size_t len)
{
	bool whole = is_text(from, len);

	for (size_t i = 0; i < len; i++)
		to[i] = whole || (from[i] >= 0x20 && from[i] < 0x7f) ? from[i] : '?';
}

void lease_encode(const struct lease *l, void *out)
{
	struct record r = {
		.state = (uint8_t)l->state, .kind = (uint8_t)l->kind, .marked = l->marked,
		.owner_len = (uint8_t)strnlen(l->owner, LEASE_OWNER - 1),
		.generation = be64_put(l->generation), .stamp = be64_put(l->stamp),
		.term = be32_put(l->term), .pid = be32_put((uint32_t)l->pid),
		.started = be64_put(l->started), .pid_space = be64_put(l->pid_space),
		.since = be64_put((uint64_t)l->since),
	};

	memcpy(r.magic, magic, sizeof(magic));
	uuid_bytes(&l->vdi, r.vdi);
	uuid_bytes(&l->host, r.host);
	uuid_bytes(&l->boot, r.boot);
	uuid_bytes(&l->of, r.of);
	put_text(r.verb, l->verb, strnlen(l->verb, sizeof(r.verb)));
	put_text(r.owner, l->owner, r.owner_len);
	r.sum = sum_of(&r);
	memcpy(out, &r, sizeof(r));
}

/* Text that a terminal and a log may see, and nothing behind it. */
static bool take_text(char *to, const char *from, size_t len, size_t room)
{
	if (!is_text(from, len) || !is_zero(from + len, room - len))
		return false;
	memcpy(to, from, len);
	to[len] = '\0';
	return true;
}

static void take_uuid(struct uuid *u, const uint8_t *b)
{
	if (is_zero(b, 16))
		*u = (struct uuid){ "" };
	else
		uuid_from_bytes(u, b);
}

/* A record that speaks of a disk stands where that disk's and its host's belongs. */
static bool is_key(const struct lease *l)
{
	struct uuid reader, copied;

	lease_key(&l->of, &l->host, LEASE_READER, &reader);
	lease_key(&l->of, &l->host, LEASE_COPIED, &copied);
	return uuid_equal(&l->vdi, &reader) || uuid_equal(&l->vdi, &copied);
}

int lease_decode(const void *p, size_t n, struct lease *l)
{
	struct record r;

	*l = (struct lease){ 0 };
	if (n < sizeof(r))
		return -E_SHORT;
	memcpy(&r, p, sizeof(r));
	if (is_zero(&r, sizeof(r)))
		return -ENOENT;
	if (memcmp(r.magic, magic, sizeof(magic)) || be32_get(r.sum) != be32_get(sum_of(&r)))
		return -E_DAMAGED;
	if (r.state > LEASE_HELD || r.kind > LEASE_BOOT || r.marked > 1 ||
	    be32_get(r.term) > LEASE_TERM_MOST || be32_get(r.pid) > INT32_MAX ||
	    be64_get(r.generation) >= INT64_MAX || !is_zero(r.rest, sizeof(r.rest)))
		return -E_DAMAGED;
	if (!take_text(l->verb, r.verb, strnlen(r.verb, sizeof(r.verb)), sizeof(r.verb)) ||
	    !take_text(l->owner, r.owner, r.owner_len, sizeof(r.owner)) ||
	    strlen(l->owner) != r.owner_len)
		return -E_DAMAGED;
	l->state = r.state;
	l->kind = r.kind;
	l->marked = r.marked;
	l->generation = be64_get(r.generation);
	l->stamp = be64_get(r.stamp);
	l->term = be32_get(r.term);
	l->pid = (int32_t)be32_get(r.pid);
	l->started = be64_get(r.started);
	l->pid_space = be64_get(r.pid_space);
	l->since = (int64_t)be64_get(r.since);
	take_uuid(&l->vdi, r.vdi);
	take_uuid(&l->host, r.host);
	take_uuid(&l->boot, r.boot);
	take_uuid(&l->of, r.of);
	return l->of.s[0] && !is_key(l) ? -E_DAMAGED : 0;
}

bool lease_same(const struct lease *a, const struct lease *b)
{
	return a->state == b->state && a->generation == b->generation && a->stamp == b->stamp &&
	       uuid_equal(&a->host, &b->host) && uuid_equal(&a->vdi, &b->vdi);
}

#define NS		((uint64_t)1000000000)
#define LAST_MOMENT	(LEASE_TERM - 5)

uint32_t lease_left(uint64_t renewed, uint64_t now)
{
	uint64_t age = now > renewed ? (now - renewed) / NS : 0;

	return age < LAST_MOMENT ? LAST_MOMENT - (uint32_t)age : 0;
}

bool lease_is_late(uint64_t start, uint64_t now)
{
	return now > start && now - start > LEASE_TERM * NS;
}

uint32_t lease_patience(const struct lease *l)
{
	/* Who wants it decides within a term, whatever the lock will then be. */
	uint32_t term = l->state == LEASE_WANTED ? LEASE_TERM : l->term;

	return term ? term + LEASE_GRACE : 0;
}

/* What this host knows of its own processes and boots. */
static bool host_says_dead(const struct lease *l, const struct lease_look *look, char *why)
{
	bool by_process = l->kind == LEASE_PROCESS || l->state == LEASE_WANTED;

	if (!l->host.s[0] || !uuid_equal(&l->host, &look->host) || (l->kind == LEASE_MARK && !by_process))
		return false;
	if (l->boot.s[0] && look->boot.s[0] && !uuid_equal(&l->boot, &look->boot)) {
		snprintf(why, LEASE_WHY, "this host has been started anew since");
		return true;
	}
	if (!by_process || look->alive || l->pid_space != look->pid_space)
		return false;
	snprintf(why, LEASE_WHY, "process %d of this host has ended", l->pid);
	return true;
}

enum lease_verdict lease_judge(const struct lease *l, const struct lease_look *look,
			       char why[LEASE_WHY])
{
	uint32_t patience = lease_patience(l);
	int64_t quiet = look->watched;

	why[0] = '\0';
	if (l->state == LEASE_FREE)
		return LEASE_IS_FREE;
	if (host_says_dead(l, look, why))
		return LEASE_IS_DEAD;
	if (patience && quiet > (int64_t)patience) {
		snprintf(why, LEASE_WHY, "not renewed for %lld s, with a lease of %u s", (long long)quiet,
			 patience - LEASE_GRACE);
		return LEASE_IS_DEAD;
	}
	if (!patience)
		snprintf(why, LEASE_WHY, "held until it is given back");
	else if (quiet >= 0)
		snprintf(why, LEASE_WHY, "unchanged for %lld s that this host has seen, with a lease of %u s",
			 (long long)quiet, patience - LEASE_GRACE);
	else
		snprintf(why, LEASE_WHY, "has a lease of %u s", patience - LEASE_GRACE);
	return LEASE_LIVES;
}
