/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/nbd/hello.h"

#define OPTION_MAGIC	0x49484156454f5054u	/* "IHAVEOPT" */
#define REPLY_MAGIC	0x0003e889045565a9u

enum { FIXED_NEWSTYLE = 1 << 0, NO_ZEROES = 1 << 1 };

enum option {
	EXPORT_NAME = 1, ABORT = 2, LIST = 3, INFO = 6, GO = 7, STRUCTURED_REPLY = 8,
	LIST_META = 9, SET_META = 10,
};

enum answer {
	ACK = 1, SERVER = 2, INFORMATION = 3, META = 4,
	UNSUPPORTED = 0x80000001u, INVALID = 0x80000003u, UNKNOWN = 0x80000006u,
};

enum info { INFO_EXPORT, INFO_NAME, INFO_DESCRIPTION, INFO_BLOCK_SIZE };

struct option_disk {
	be64	magic;
	be32	option;
	be32	len;
};

/* What is left of an option's data. */
struct rest {
	const uint8_t *p;
	size_t n;
};

static void put16(struct buf *out, uint16_t v)
{
	be16 b = be16_put(v);

	buf_add(out, &b, sizeof(b));
}

static void put32(struct buf *out, uint32_t v)
{
	be32 b = be32_put(v);

	buf_add(out, &b, sizeof(b));
}

static void put64(struct buf *out, uint64_t v)
{
	be64 b = be64_put(v);

	buf_add(out, &b, sizeof(b));
}

static bool take16(struct rest *r, uint16_t *v)
{
	if (r->n < 2)
		return false;
	*v = be16_get(*(const be16 *)r->p);
	r->p += 2;
	r->n -= 2;
	return true;
}

static bool take32(struct rest *r, uint32_t *v)
{
	if (r->n < 4)
		return false;
	*v = be32_get(*(const be32 *)r->p);
	r->p += 4;
	r->n -= 4;
	return true;
}

/* A text with its length in front. */
static bool take_text(struct rest *r, struct rest *text)
{
	uint32_t n;

	if (!take32(r, &n) || n > NBD_NAME_MAX || n > r->n)
		return false;
	*text = (struct rest){ r->p, n };
	r->p += n;
	r->n -= n;
	return true;
}

static bool is_text(const struct rest *t, const char *s)
{
	return t->n == strlen(s) && !memcmp(t->p, s, t->n);
}

static bool is_ours(const struct nbd_hello *h, const struct rest *name)
{
	return !name->n || is_text(name, h->e->name);
}

static void answer(struct buf *out, uint32_t option, uint32_t type, uint32_t len)
{
	put64(out, REPLY_MAGIC);
	put32(out, option);
	put32(out, type);
	put32(out, len);
}

void nbd_hello_start(struct nbd_hello *h, const struct nbd_export *e, struct buf *out)
{
	*h = (struct nbd_hello){ .e = e };
	buf_add(out, "NBDMAGIC", 8);
	put64(out, OPTION_MAGIC);
	put16(out, FIXED_NEWSTYLE | NO_ZEROES);
}

static int take_flags(struct nbd_hello *h, const void *in)
{
	uint32_t flags = be32_get(*(const be32 *)in);

	if (flags & ~(uint32_t)(FIXED_NEWSTYLE | NO_ZEROES))
		return -E_NBD;
	h->no_zeroes = flags & NO_ZEROES;
	h->state = NBD_HELLO_OPTIONS;
	return 0;
}

/* --- the options --------------------------------------------------------- */

/* The oldest way to say "go": it has no answer but the export itself. */
static int do_export_name(struct nbd_hello *h, const struct rest *r, struct buf *out)
{
	static const uint8_t zeroes[124];

	if (!is_ours(h, r))
		return -E_NBD;
	put64(out, h->e->size);
	put16(out, h->e->flags);
	if (!h->no_zeroes)
		buf_add(out, zeroes, sizeof(zeroes));
	h->state = NBD_HELLO_DONE;
	return 0;
}

static uint32_t do_list(struct nbd_hello *h, const struct rest *r, struct buf *out)
{
	uint32_t n = (uint32_t)strlen(h->e->name);

	if (r->n)
		return INVALID;
	answer(out, LIST, SERVER, 4 + n);
	put32(out, n);
	buf_add(out, h->e->name, n);
	return ACK;
}

static void tell(struct buf *out, uint32_t option, enum info what, const char *text)
{
	size_t n = strlen(text);

	answer(out, option, INFORMATION, (uint32_t)(2 + n));
	put16(out, what);
	buf_add(out, text, n);
}

static void tell_block_size(struct buf *out, uint32_t option, const struct nbd_export *e)
{
	answer(out, option, INFORMATION, 14);
	put16(out, INFO_BLOCK_SIZE);
	put32(out, e->min_block);
	put32(out, e->best_block);
	put32(out, e->max_block);
}

static uint32_t do_info(struct nbd_hello *h, uint32_t option, struct rest *r, struct buf *out)
{
	struct rest name;
	uint16_t n, what;

	if (!take_text(r, &name) || !take16(r, &n) || r->n != n * 2u)
		return INVALID;
	if (!is_ours(h, &name))
		return UNKNOWN;
	answer(out, option, INFORMATION, 12);
	put16(out, INFO_EXPORT);
	put64(out, h->e->size);
	put16(out, h->e->flags);
	/* Clients that do not ask for it are told as well: it is theirs to know. */
	tell_block_size(out, option, h->e);
	for (; take16(r, &what); ) {
		if (what == INFO_NAME)
			tell(out, option, INFO_NAME, h->e->name);
		else if (what == INFO_DESCRIPTION)
			tell(out, option, INFO_DESCRIPTION, h->e->description);
	}
	if (option == GO)
		h->state = NBD_HELLO_DONE;
	return ACK;
}

static uint32_t do_structured(struct nbd_hello *h, const struct rest *r)
{
	if (r->n)
		return INVALID;
	h->terms.structured = true;
	return ACK;
}

/* Does a query mean base:allocation?  One for a list may name the group alone. */
static bool asks_allocation(const struct rest *q, uint32_t option)
{
	return is_text(q, NBD_ALLOCATION) || (option == LIST_META && is_text(q, "base:"));
}

static uint32_t do_meta(struct nbd_hello *h, uint32_t option, struct rest *r, struct buf *out)
{
	struct rest name, query;
	uint32_t n;
	bool found;

	if (option == SET_META)
		h->terms.allocation = false;
	if (!h->terms.structured || !take_text(r, &name) || !take32(r, &n))
		return INVALID;
	found = option == LIST_META && !n;
	for (; n; n--) {
		if (!take_text(r, &query))
			return INVALID;
		found |= asks_allocation(&query, option);
	}
	if (r->n)
		return INVALID;
	if (!is_ours(h, &name))
		return UNKNOWN;
	if (found) {
		answer(out, option, META, 4 + sizeof(NBD_ALLOCATION) - 1);
		put32(out, NBD_ALLOCATION_ID);
		buf_puts(out, NBD_ALLOCATION);
		h->terms.allocation |= option == SET_META;
	}
	return ACK;
}

static int do_option(struct nbd_hello *h, uint32_t option, struct rest r, struct buf *out)
{
	uint32_t type = UNSUPPORTED;

	switch (option) {
	case EXPORT_NAME:
		return do_export_name(h, &r, out);
	case ABORT:
		h->state = NBD_HELLO_BYE;
		type = ACK;
		break;
	case LIST:
		type = do_list(h, &r, out);
		break;
	case INFO:
	case GO:
		type = do_info(h, option, &r, out);
		break;
	case STRUCTURED_REPLY:
		type = do_structured(h, &r);
		break;
	case LIST_META:
	case SET_META:
		type = do_meta(h, option, &r, out);
		break;
	}
	answer(out, option, type, 0);
	return 0;
}

int nbd_hello_take(struct nbd_hello *h, const void *in, size_t n, size_t *used, struct buf *out)
{
	const struct option_disk *d = in;
	uint32_t len;

	*used = 0;
	if (h->state == NBD_HELLO_FLAGS) {
		if (n < 4)
			return 0;
		*used = 4;
		return take_flags(h, in);
	}
	if (h->state != NBD_HELLO_OPTIONS || n < sizeof(*d))
		return 0;
	len = be32_get(d->len);
	if (be64_get(d->magic) != OPTION_MAGIC || len > NBD_OPTION_MAX ||
	    h->options >= NBD_OPTIONS)
		return -E_NBD;
	if (n - sizeof(*d) < len)
		return 0;
	*used = sizeof(*d) + len;
	h->options++;
	return do_option(h, be32_get(d->option), (struct rest){ (const uint8_t *)(d + 1), len }, out);
}
