/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The images and reports in tests/vectors/lvm, and devices in memory made of them. */
#ifndef TESTS_UNIT_LVM2_VEC_H
#define TESTS_UNIT_LVM2_VEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/io.h"

/* Every scenario, NULL behind the last. */
extern const char *const vec_all[];

/* A file of a scenario, appended to b; false when there is none. */
bool vec_file(const char *scenario, const char *name, struct buf *b);
/* PV number n as a device in memory, or NULL when the scenario has no such PV. */
struct io *vec_pv(const char *scenario, int n);
/* All of them; at most room; returns how many. */
int vec_pvs(const char *scenario, struct io **pv, int room);
void vec_close(struct io **pv, int n);
/* Compare line by line and say where the first difference is. */
bool vec_same(const char *what, const char *got, const char *want);

/* Random numbers that are the same in every run. */
uint64_t vec_rand(uint64_t *state);

#endif
