/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An LVHD SR on one disk in memory, and what is left of it when the power fails. */
#ifndef TESTS_UNIT_LVHD_UTIL_H
#define TESTS_UNIT_LVHD_UTIL_H

#include "lib/arena.h"
#include "lib/image.h"
#include "lib/lvhd/journal.h"
#include "lib/lvhd/lvhd.h"
#include "lib/lvm2/scan.h"
#include "tests/unit/t.h"

#define VG	"VG_XenStorage-5e8a1f3c-0c0d-4b1e-9a77-000000000001"
#define LEAF	"00000000-0000-4000-8000-00000000000a"
#define BASE	"00000000-0000-4000-8000-00000000000b"
#define CLONE	"00000000-0000-4000-8000-00000000000c"
#define DISK	(96 * MiB)
#define VSIZE	(10 * MiB)	/* of a disk: 16 MiB thick, 8 MiB thin */

/* A disk of DISK bytes that shows another one, and keeps what is written to itself. */
struct io *cow(struct io *below);

/* Write through to below, and note it. */
struct io *note(struct io *below);
/*
 * What may be on the disk after each of its writes: with the writes in order,
 * and after a power cut with any of those lost that were not flushed.
 */
typedef void cut_fn(struct io *disk, size_t n, void *arg);
void cut_everywhere(const char *what, struct io *noted, struct io *before, cut_fn *fn, void *arg);

/* The SR as a verb sees it. */
struct sr_view {
	struct arena a;
	struct lvm_dev dev;
	struct lvm_set set;
	struct lvhd h;
};
void view_open(struct sr_view *s, struct io *disk);
void view_close(struct sr_view *s);
void view_commit(struct sr_view *s);

struct uuid id(const char *s);
struct lvm_lv *lv_of(struct sr_view *s, const char *name);

/* A fresh VG with one disk: VHD of VSIZE or raw of 8 MiB, with something in it. */
struct io *new_sr(bool raw);
struct image *open_disk(struct sr_view *s, const char *disk);
/* Sector n of a disk, through its chain: its first byte, or -1. */
int sector_of(struct sr_view *s, const char *disk, uint64_t sector);
void put_sector(struct sr_view *s, const char *disk, uint64_t sector, uint8_t value);
/* Everything as it was put there by new_sr()? */
bool is_whole(struct sr_view *s, const char *disk);
/* Has the image this parent, and what do its footers say? */
bool is_child_of(struct sr_view *s, const char *child, const char *parent);
bool is_hidden(struct sr_view *s, const char *disk);

/* What the driver does at the next verb: all journals; 0 or the first error. */
int recover_all(struct io *disk);

#endif
