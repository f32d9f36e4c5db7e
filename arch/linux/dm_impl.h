/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of device-mapper share, and their unit tests. */
#ifndef ARCH_LINUX_DM_IMPL_H
#define ARCH_LINUX_DM_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "arch/dm.h"
#include "lib/bytes.h"

/* The kernel writes a device in one word of its own. */
uint64_t dm_dev_put(dev_t dev);
dev_t dm_dev_get(uint64_t word);

/* --- payloads: none of these trusts an offset that points outside ------------ */

/* Append the table as DM_TABLE_LOAD wants it; b->n is a multiple of 8. */
int dm_table_encode(struct buf *b, const struct dm_table *t);
/* n targets as DM_TABLE_STATUS gives them. */
int dm_table_decode(struct arena *a, struct view in, uint32_t n, struct dm_table *t);
/* Names, with uuids where the kernel gives them (*has_uuids, from 4.46 on). */
int dm_list_decode(struct arena *a, struct view in, uint32_t minor, struct dm_entry **v,
		   size_t *n, bool *has_uuids);
int dm_deps_decode(struct arena *a, struct view in, dev_t **devs, size_t *n);

/* --- nodes and links ----------------------------------------------------------- */

/* Does /dev/mapper/NAME lead to this device? */
bool dm_node_is(const char *name, dev_t dev);
/*
 * /dev/mapper/NAME: a node, or with link one to ../dm-N, which udev, unlike a
 * node, will replace when it comes to it after all.  -EEXIST when something
 * is there that is neither.
 */
int dm_node_make(const char *name, dev_t dev, bool link);
/* With stale_only, only a link that leads nowhere: all else is udev's. */
int dm_node_drop(const char *name, bool stale_only);

/* ROOT/dev/GROUP/VOLUME; the same rules.  May the link have this name? */
bool dm_link_ok(const char *group, const char *volume);
bool dm_link_is(const char *root, const char *group, const char *volume, dev_t dev);
int dm_link_make(const char *root, const char *group, const char *volume, const char *name);
int dm_link_drop(const char *root, const char *group, const char *volume, bool stale_only);

#endif
