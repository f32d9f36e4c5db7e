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
	struct lease_known known;
	bool damaged;
};

static inline const struct lease_ops *leases(const struct run *r)
{
	return r->sr.type->layout->leases;
}

/* What is written of r->vdi. */
int seen_read(struct run *r, struct seen *s);
/* And what is known of its holder. */
int seen_look(struct run *r, struct seen *s);
/* An attachment to this host. */
bool seen_is_ours(const struct seen *s);
bool seen_is_taken(const struct seen *s);
/* Attached, read, or at work on, by another host; or by nobody knows whom. */
bool seen_is_elsewhere(const struct seen *s);
/* Whose it is, to people. */
const char *seen_whose(struct ctx *ctx, const struct seen *s);
/* err, and the sentence that says who has it. */
int seen_refuse(struct run *r, int err, const struct seen *s);

/* All locks of an SR, one after the other. */
struct seen_all {
	struct lease_list l;
	uint64_t as_of;
	size_t i;
};
int seen_all(struct sr *sr, struct seen_all *all);
/* 1: the next of them, damaged or not; 0: no more. */
int seen_next(struct sr *sr, struct seen_all *all, struct seen *s);
/* Likewise of those that are elsewhere. */
int seen_next_elsewhere(struct sr *sr, struct seen_all *all, struct seen *s);
/* The disk that it is about. */
const struct uuid *seen_disk(const struct seen *s);

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

/* With CONFIG_SHARED_SR: the same SR, to be opened in memory that is given back. */
struct run lease_same_sr(const struct run *r, struct ctx *ctx);
/* r about the lock that this host has as a reader of r->vdi. */
int lease_as_reader(const struct run *r, struct run *as);
int lease_start_reading(struct run *r);
int lease_stop_reading(struct run *r);
/* Refuses when another host reads the disk, or may do so by a record that cannot be read. */
int lease_must_be_unread(struct run *r);
/* Likewise of that record alone. */
int lease_refuse_damaged(struct sr *sr, const struct uuid *lock);

#endif
