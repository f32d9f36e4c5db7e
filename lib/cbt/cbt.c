/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>
#include <string.h>

#include "lib/arena.h"
#include "lib/cbt/cbt.h"
#include "lib/err.h"
#include "lib/io.h"

struct head {
	uint8_t parent[16], child[16];
	le32 consistent, padding;
	le64 size;
};
static_assert(sizeof(struct head) == CBT_HEAD, "the head of a log");

static uint64_t blocks(uint64_t size)
{
	return size / CBT_BLOCK + !!(size % CBT_BLOCK);
}

size_t cbt_bytes(uint64_t size)
{
	return (size_t)((blocks(size) + 7) / 8);
}

bool cbt_size_ok(uint64_t size)
{
	return size && cbt_bytes(size) <= CBT_LOG_MAX - CBT_HEAD;
}

static void uuid_of(struct uuid *u, const uint8_t b[16])
{
	if (is_zero(b, 16))
		u->s[0] = '\0';
	else
		uuid_from_bytes(u, b);
}

/* Only what somebody has written on purpose counts as consistent. */
int cbt_decode(struct cbt *c, const void *buf, size_t len)
{
	const struct head *h = buf;
	uint64_t size;

	if (len < sizeof(*h))
		return -E_SHORT;
	size = le64_get(h->size);
	if (!cbt_size_ok(size))
		return -E_CBT_LOG;
	*c = (struct cbt){
		.consistent = le32_get(h->consistent) == 1, .size = size, .n = cbt_bytes(size),
	};
	uuid_of(&c->parent, h->parent);
	uuid_of(&c->child, h->child);
	return 0;
}

void cbt_encode(const struct cbt *c, uint8_t head[CBT_HEAD])
{
	struct head h = {
		.consistent = le32_put(c->consistent), .size = le64_put(c->size),
	};

	uuid_bytes(&c->parent, h.parent);
	uuid_bytes(&c->child, h.child);
	memcpy(head, &h, sizeof(h));
}

/* --- the log ------------------------------------------------------------------ */

int cbt_read_head(struct io *io, struct cbt *c)
{
	uint8_t head[CBT_HEAD];
	int err = io_read(io, 0, head, sizeof(head));

	return err ? err : cbt_decode(c, head, sizeof(head));
}

int cbt_read(struct io *io, struct arena *a, struct cbt *c)
{
	int err = cbt_read_head(io, c);

	if (err)
		return err;
	if (io->size < CBT_HEAD + c->n)
		return -E_SHORT;
	c->bits = arena_alloc(a, c->n);
	return io_read(io, CBT_HEAD, c->bits, c->n);
}

int cbt_write_head(struct io *io, const struct cbt *c)
{
	uint8_t head[CBT_HEAD];
	int err;

	cbt_encode(c, head);
	err = io_write(io, 0, head, sizeof(head));
	return err ? err : io_flush(io);
}

int cbt_write_bits(struct io *io, const struct cbt *c, const uint8_t *touched)
{
	int err = 0;

	for (size_t at = 0; at < c->n && !err; ) {
		size_t end = at;

		while (end < c->n && (!touched || touched[end / CBT_CHUNK]))
			end += CBT_CHUNK;
		if (end > at)
			err = io_write(io, CBT_HEAD + at, c->bits + at, (end < c->n ? end : c->n) - at);
		at = end + CBT_CHUNK;
	}
	return err ? err : io_flush(io);
}

int cbt_create(struct io *io, const struct cbt *c)
{
	static const uint8_t no_bits[CBT_CHUNK];
	int err = 0;

	for (size_t at = 0; at < c->n && !err; at += CBT_CHUNK)
		err = io_write(io, CBT_HEAD + at, no_bits, c->n - at < CBT_CHUNK ? c->n - at : CBT_CHUNK);
	if (!err)
		err = io_flush(io);
	return err ? err : cbt_write_head(io, c);		/* commit */
}

/* A death before the head is written leaves a longer file, whose end means nothing. */
int cbt_grow(struct io *io, struct cbt *c, uint64_t size)
{
	static const uint8_t no_bits[CBT_CHUNK];
	size_t n = cbt_bytes(size);
	int err = 0;

	if (size < c->size || !cbt_size_ok(size))
		return -E_CBT_LOG;
	for (size_t at = c->n; at < n && !err; at += CBT_CHUNK)
		err = io_write(io, CBT_HEAD + at, no_bits, n - at < CBT_CHUNK ? n - at : CBT_CHUNK);
	if (!err)
		err = io_flush(io);
	if (err)
		return err;
	c->size = size;
	c->n = n;
	return cbt_write_head(io, c);				/* commit */
}

/* --- bits ------------------------------------------------------------------------ */

/*
 * In order with the write that follows: whoever copies the bits after that has
 * returned finds them.
 */
void cbt_mark(uint8_t *bits, uint8_t *touched, uint64_t at, uint64_t len)
{
	if (!len)
		return;
	for (uint64_t b = at / CBT_BLOCK; b <= (at + len - 1) / CBT_BLOCK; b++) {
		uint8_t *byte = bits + b / 8, bit = (uint8_t)(1 << b % 8);

		if (__atomic_load_n(byte, __ATOMIC_ACQUIRE) & bit)
			continue;
		/* First: who finds the bit and goes on relies on both. */
		if (touched)
			__atomic_store_n(touched + b / 8 / CBT_CHUNK, 1, __ATOMIC_SEQ_CST);
		__atomic_fetch_or(byte, bit, __ATOMIC_SEQ_CST);
	}
}

void cbt_mark_all(struct cbt *c)
{
	cbt_mark(c->bits, NULL, 0, c->size);
}

int cbt_merge(struct cbt *into, const struct cbt *from)
{
	if (from->n > into->n)
		return -E_CBT_LOG;
	for (size_t i = 0; i < from->n; i++)
		into->bits[i] |= from->bits[i];
	return 0;
}

uint64_t cbt_count(const struct cbt *c)
{
	uint64_t at = 0, len, sum = 0;

	for (; cbt_next(c, &at, &len); at += len)
		sum += blocks(len);
	return sum;
}

int cbt_add(struct arena *a, struct cbt *sum, const struct cbt *next)
{
	struct cbt now = { .size = next->size, .n = next->n };

	if (next->size < sum->size)
		return -E_CBT_LOG;
	now.bits = arena_alloc(a, now.n);
	if (sum->n)
		memcpy(now.bits, sum->bits, sum->n);
	*sum = now;
	return cbt_merge(sum, next);
}

static uint8_t reversed(uint8_t b)
{
	uint8_t r = 0;

	for (int i = 0; i < 8; i++)
		r |= (uint8_t)((b >> i & 1) << (7 - i));
	return r;
}

char *cbt_publish(struct arena *a, const struct cbt *sum)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *text = arena_alloc(a, (sum->n + 2) / 3 * 4 + 1), *p = text;

	for (size_t i = 0; i < sum->n; i += 3) {
		size_t n = sum->n - i < 3 ? sum->n - i : 3;
		uint32_t three = 0;

		for (size_t k = 0; k < 3; k++)
			three = three << 8 | (k < n ? reversed(sum->bits[i + k]) : 0);
		for (size_t k = 0; k < 4; k++)
			*p++ = k <= n ? digits[three >> (18 - 6 * k) & 63] : '=';
	}
	*p = '\0';
	return text;
}

static bool is_marked(const struct cbt *c, uint64_t block)
{
	return c->bits[block / 8] >> block % 8 & 1;
}

bool cbt_next(const struct cbt *c, uint64_t *at, uint64_t *len)
{
	uint64_t b = blocks(*at), n = blocks(c->size), end;

	while (b < n && !is_marked(c, b))
		b++;
	for (end = b; end < n && is_marked(c, end); )
		end++;
	if (b >= n)
		return false;
	*at = b * CBT_BLOCK;
	*len = (end * CBT_BLOCK < c->size ? end * CBT_BLOCK : c->size) - *at;
	return true;
}
