/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "lib/dns.h"

#define NAME_MOST	255		/* bytes of a name as it is sent */
#define ALIASES_MOST	8		/* one behind the other */
#define CLASS_IN	1

#define IS_ANSWER	0x8000u
#define OPCODE		0x7800u
#define CUT_OFF		0x0200u
#define RECURSE		0x0100u
#define RCODE		0x000fu
#define NO_SUCH_NAME	3u

struct header {
	be16 id, flags, questions, answers, authorities, more;
};
static_assert(sizeof(struct header) == 12, "the header of a message");

struct tail {
	be16 type, class;
};

struct record {
	be16 type, class;
	be32 seconds;
	be16 length;
};
static_assert(sizeof(struct record) == 10, "what follows a record's name");

struct name {
	size_t n;
	uint8_t b[NAME_MOST];		/* as it is sent, without jumps, in small letters */
};

static uint8_t small(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 'a' - 'A') : c;
}

/* --- questions ------------------------------------------------------------------ */

static size_t put_name(uint8_t *out, const char *text)
{
	size_t n = 0;

	for (;;) {
		size_t label = strcspn(text, ".");

		if (!label || label > 63 || n + 1 + label + 1 > NAME_MOST)
			return 0;
		out[n] = (uint8_t)label;
		memcpy(out + n + 1, text, label);
		n += 1 + label;
		text += label;
		if (!*text || !*++text)		/* one dot may be the last */
			break;
	}
	out[n] = 0;
	return n + 1;
}

size_t dns_ask(uint8_t out[DNS_ASK], uint16_t id, const char *name, unsigned type)
{
	struct header h = { .id = be16_put(id), .flags = be16_put(RECURSE), .questions = be16_put(1) };
	struct tail t = { be16_put((uint16_t)type), be16_put(CLASS_IN) };
	size_t n = put_name(out + sizeof(h), name);

	if (!n)
		return 0;
	memcpy(out, &h, sizeof(h));
	memcpy(out + sizeof(h) + n, &t, sizeof(t));
	return sizeof(h) + n + sizeof(t);
}

/* --- answers -------------------------------------------------------------------- */

/* The name at *at, which is moved behind it.  Each jump leads further back, so they end. */
static bool take_name(struct view m, size_t *at, struct name *name)
{
	const uint8_t *p = m.p;
	size_t i = *at, first = i;
	bool jumped = false;

	for (name->n = 0; i < m.n;) {
		size_t c = p[i];

		if (c >= 0xc0) {
			if (m.n - i < 2)
				return false;
			c = (c & 0x3f) << 8 | p[i + 1];
			if (c >= first)
				return false;
			*at = jumped ? *at : i + 2;
			jumped = true;
			i = first = c;
			continue;
		}
		if (c > 63 || c + 1 > m.n - i || c + 1 > NAME_MOST - name->n)
			return false;
		for (size_t k = 0; k <= c; k++)
			name->b[name->n++] = small(p[i + k]);
		i += c + 1;
		if (!c) {
			*at = jumped ? *at : i;
			return true;
		}
	}
	return false;
}

static bool take(struct view m, size_t *at, void *to, size_t n)
{
	if (!range_ok(*at, n, m.n))
		return false;
	memcpy(to, (const char *)m.p + *at, n);
	*at += n;
	return true;
}

static bool same(const struct name *a, const struct name *b)
{
	return a->n == b->n && !memcmp(a->b, b->b, a->n);
}

/* The question that was asked, and in the message the same: its name and type. */
static bool is_to(struct view ask, struct view m, size_t *at, struct name *name, struct tail *t)
{
	size_t asked_at = sizeof(struct header);
	struct name asked;
	struct tail tail;

	return take_name(ask, &asked_at, &asked) && take(ask, &asked_at, &tail, sizeof(tail)) &&
	       take_name(m, at, name) && take(m, at, t, sizeof(*t)) && same(&asked, name) &&
	       !memcmp(&tail, t, sizeof(tail));
}

struct search {
	struct view m;
	size_t at;			/* of the first record */
	unsigned records;
	bool cut;			/* the last one may be half a record */
	struct name *name;
	struct dns_addr *v;
	size_t n, room;
};

/*
 * Of one type the records of a name: addresses are kept, an alias becomes the
 * name.  How many there were, or -EPROTO.
 */
static int find(struct search *s, unsigned type)
{
	size_t at = s->at, size = type == DNS_A ? 4 : 16;
	int found = 0;

	for (unsigned i = 0; i < s->records; i++) {
		struct name owner;
		struct record r;
		size_t end;

		if (!take_name(s->m, &at, &owner) || !take(s->m, &at, &r, sizeof(r)) ||
		    !range_ok(at, be16_get(r.length), s->m.n))
			return s->cut ? found : -EPROTO;
		end = at + be16_get(r.length);
		if (be16_get(r.type) == type && be16_get(r.class) == CLASS_IN && same(&owner, s->name)) {
			if (type == DNS_CNAME)
				return take_name(s->m, &at, s->name) && at == end ? 1 : -EPROTO;
			if (end - at != size)
				return -EPROTO;
			found++;
			if (s->n < s->room) {
				struct dns_addr *a = &s->v[s->n++];

				a->n = (uint8_t)size;
				take(s->m, &at, a->b, size);
			}
		}
		at = end;
	}
	return found;
}

int dns_answer(struct view ask, struct view message, struct dns_addr *v, size_t room)
{
	struct header asked, h;
	struct name name;
	struct tail t;
	struct search s = { .m = message, .name = &name, .v = v, .room = room };
	size_t at = 0;
	int found = 1;

	if (!take(ask, &at, &asked, sizeof(asked)) || !take(message, &s.at, &h, sizeof(h)) ||
	    memcmp(&h.id, &asked.id, sizeof(h.id)) ||
	    (be16_get(h.flags) & (IS_ANSWER | OPCODE)) != IS_ANSWER ||
	    be16_get(h.questions) != 1 || !is_to(ask, message, &s.at, &name, &t))
		return -EPROTO;
	if ((be16_get(h.flags) & RCODE) == NO_SUCH_NAME)
		return -ENOENT;
	if (be16_get(h.flags) & RCODE)
		return -EAGAIN;
	s.records = be16_get(h.answers);
	s.cut = be16_get(h.flags) & CUT_OFF;
	for (unsigned i = 0; i < ALIASES_MOST && found > 0; i++)
		found = find(&s, DNS_CNAME);
	if (found >= 0)
		found = find(&s, be16_get(t.type));
	return found < 0 ? found : !s.n && s.cut ? -EMSGSIZE : (int)s.n;
}
