/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What lies beside the disks of an SR of files, its lock and its log of changed
 * blocks, read without any code of the product.
 */
#ifndef BESIDE_H
#define BESIDE_H

#include <stdbool.h>
#include <stddef.h>

/* Is it the file of a lock, which has another name each time? */
bool beside_is_lock(const char *path);

/* "held by x for 60 s", "free", or why the record that counts cannot be read. */
void beside_lock(const char *dir, const char *uuid, char *text, size_t room);

/* "whole, 4194304 bytes, from 5e5e…, to nobody, changed 0 7", or "" if it has none. */
void beside_log(const char *dir, const char *uuid, char *text, size_t room);

/* Mark the first and the eighth of its blocks as changed. */
void beside_mark(const char *dir, const char *uuid);

#endif
