/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/serve/claims.h"

static bool is_free(const struct claim *mine)
{
	for (const struct claim *c = mine->older; c; c = c->older)
		if (c->from < mine->to && mine->from < c->to)
			return false;
	return true;
}

bool claim_make(struct claims *c, struct claim *mine, const void *who, uint64_t *turn)
{
	bool look;

	pthread_mutex_lock(&c->lock);
	mine->older = c->newest;
	__atomic_store_n(&c->newest, mine, __ATOMIC_RELAXED);	/* claims_any() */
	c->turns += c->last != who;
	c->last = who;
	look = *turn != c->turns;
	*turn = c->turns;
	while (!is_free(mine)) {
		look = true;
		pthread_cond_wait(&c->gone, &c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return look;
}

void claim_drop(struct claims *c, struct claim *mine)
{
	struct claim **p = &c->newest;

	pthread_mutex_lock(&c->lock);
	while (*p != mine)
		p = &(*p)->older;
	__atomic_store_n(p, mine->older, __ATOMIC_RELAXED);
	pthread_cond_broadcast(&c->gone);
	pthread_mutex_unlock(&c->lock);
}
