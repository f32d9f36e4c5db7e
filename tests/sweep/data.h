/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the disks of an SR of files hold, read and written without any code of the
 * product: raw files, and VHDs with their parents.
 */
#ifndef DATA_H
#define DATA_H

#include <stddef.h>
#include <stdint.h>

/* Write a sector that begins with this word; a VHD gets a block for it. */
void data_put(const char *dir, const char *uuid, uint64_t sector, const char *word);

/*
 * All sectors of a disk that are not zero, "0:first 8191:last ", or why it cannot be
 * read; "" if it is not there.
 */
void data_show(const char *dir, const char *uuid, char *text, size_t room);

#endif
