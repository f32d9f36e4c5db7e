/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mark of an attached SR that has no mount to show it: /run/sm/sr/<SR>.
 * A mark of an earlier boot does not count.
 */
#ifndef DRIVERS_ATTACHED_H
#define DRIVERS_ATTACHED_H

struct sr;

int attached_set(struct sr *sr);
int attached_clear(struct sr *sr);
/* 1, 0 or an error. */
int attached_is(struct sr *sr);

#endif
