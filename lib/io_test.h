/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Members of struct io for tests: what would be on the disk had the power
 * failed after any write, and what a program does when the n-th call fails.
 *
 *	struct io *log = io_log(disk);		write through to disk, and note it
 *	...
 *	for (size_t n = 0; n <= io_log_len(log); n++) {
 *		struct io *after = io_log_replay(log, n);
 *
 * io_log_replay(log, n) is the disk as it was when the log was started plus
 * the first n events.  io_log_lose(log, n, seed) is the same after a power cut:
 * of the writes since the last flush among those n a seeded choice is lost,
 * and the last one kept may be torn at a sector border.  Seed 0 loses all of
 * them.  The caller closes what either returns.
 */
#ifndef LIB_IO_TEST_H
#define LIB_IO_TEST_H

#include "lib/io.h"

/*
 * Memory that holds only the pages that were written, as a sparse file does;
 * of max bytes from the beginning it is a volume, which does not change its
 * size and is full of old data, each byte of which is fill.
 */
struct io *io_sparse(uint64_t size, uint64_t max, uint8_t fill);
/* A copy, for the price of a list of pages; NULL of anything else. */
struct io *io_sparse_copy(const struct io *io);
/* What is there, up to the next multiple of 4096; and how often anything was changed. */
const void *io_sparse_at(const struct io *io, uint64_t at);
uint64_t io_sparse_changes(const struct io *io);

/* The base must be an io_mem() or an io_sparse(), and outlive the log. */
struct io *io_log(struct io *base);

/*
 * Another file whose events stand in the same list, in their order; the log
 * that it joins is closed last.  io_log_len() counts those of all files, and
 * io_log_sweep() deals with all; the other functions know the first alone.
 */
#define IO_LOG_FILES 4
struct io *io_log_join(struct io *log, struct io *base);

/*
 * Call fn with every state in which a death or a power cut can leave the
 * files, n being how many events had been issued.  A flush is of one file.
 * Of few writes that no flush has covered every choice is lost; of many, all,
 * each alone, each but one, and some choices at random.  The last that arrives
 * may be torn at a sector border.  The files are given as copies that fn may
 * write to.  Says how many states there were.
 */
typedef void io_sweep_fn(struct io **files, size_t n, void *arg);
size_t io_log_sweep(const struct io *log, io_sweep_fn *fn, void *arg);

size_t io_log_len(const struct io *log);	/* events: writes, zeroes, resizes, flushes */
size_t io_log_writes(const struct io *log);	/* of which writes and zeroes */
size_t io_log_flushes(const struct io *log);
size_t io_log_reads(const struct io *log);	/* reads, which are counted but no events */
struct io *io_log_replay(const struct io *log, size_t n);
struct io *io_log_lose(const struct io *log, size_t n, uint64_t seed);

/*
 * Count the calls that would reach base, reads and flushes too, and fail the
 * at-th (counted from 1; 0 for none) with err, a negative number.  A write that
 * fails has written the whole sectors of its first half when tear is set.
 * The base must outlive it and is not closed with it.
 */
struct io *io_fault(struct io *base, size_t at, int err, bool tear);
size_t io_fault_calls(const struct io *fault);

#endif
