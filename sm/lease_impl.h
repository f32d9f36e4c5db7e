/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of lease.h share: one lock as it is now, and another record in its place. */
#ifndef SM_LEASE_IMPL_H
#define SM_LEASE_IMPL_H

#include "drivers/layout.h"
#include "drivers/lease.h"
#include "sm/lease.h"

/* A lock, and what is known of its holder. */
struct seen {
	struct lease lease;
	enum lease_verdict verdict;
	bool damaged;
	bool here;		/* this host wrote it, in this boot */
	char why[LEASE_WHY];
};

static inline const struct lease_ops *leases(const struct run *r)
{
	return r->sr.type->layout->leases;
}

/* What is written of r->vdi; its age, where that is asked for, is found out by writing. */
int seen_read(struct run *r, struct seen *s, int64_t *age);
/* verdict, here and why of a record that could be read. */
int seen_judge(struct sr *sr, struct seen *s, int64_t age);
/* Both. */
int seen_look(struct run *r, struct seen *s);
/* An attachment to this host. */
bool seen_is_ours(const struct seen *s);
bool seen_is_taken(const struct seen *s);
/* Attached, read, or at work on, by another host; or by nobody knows whom. */
bool seen_is_elsewhere(const struct seen *s);
/* err, and the sentence that says who has it. */
int seen_refuse(struct run *r, int err, const struct seen *s);

/* All locks of the SR. */
int lease_list_of(struct sr *sr, struct lease_list *l);
/* 1: the next of them that is elsewhere, from *i on, and the disk that it is about; 0: none. */
int seen_next_elsewhere(struct sr *sr, const struct lease_list *l, size_t *i, struct seen *s);

/* A record by this process for r->vdi. */
int lease_fill_in(struct run *r, struct lease *l, enum lease_kind kind, const char *owner, uint32_t term);
/* Free it, with the words of who held it last. */
void lease_make_free(struct lease *l);
/*
 * Put a record in the place of the one that is there, if may() says so of it:
 * 1 to go on, 0 when there is nothing to do, or an error.
 */
int lease_replace(struct run *r, struct lease *new,
		  int (*may)(struct run *r, const struct seen *s, struct lease *new));

/* With CONFIG_SHARED_SR: the lock that this host has as a reader of r->vdi. */
int lease_start_reading(struct run *r);
int lease_stop_reading(struct run *r);
/* Refuses when another host reads the disk. */
int lease_must_be_unread(struct run *r);

#endif
