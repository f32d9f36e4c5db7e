/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An io that is written in memory alone: to learn what a change would overwrite
 * or cut off, by making it, before anything is changed.
 *
 * What was written is read back, so whoever changes it goes the same way as he
 * will in earnest.  Meant for changes of a few pieces: each is remembered.
 */
#ifndef LIB_IO_TRIAL_H
#define LIB_IO_TRIAL_H

#include "lib/io.h"

struct arena;

/*
 * Of old bytes only, those that `of` has; before they would go.  A range may be
 * told of more than once.
 */
typedef int (*io_lost)(void *arg, struct io *of, uint64_t at, uint64_t len);

/* `of` is borrowed, and may be one that is only read. */
struct io *io_trial(struct arena *a, struct io *of, io_lost lost, void *arg);

#endif
