/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the dir layout share: dir.c and dir_check.c. */
#ifndef DRIVERS_LAYOUT_DIR_H
#define DRIVERS_LAYOUT_DIR_H

#include <dirent.h>
#include <stdbool.h>

struct sr;
struct uuid;
struct vdi;
struct vdis;

#define SECTOR_SIZE	512

/* A directory below the SR's; owned by the caller. */
int dir_sub(struct sr *sr, const char *name, int *fd);
/* The entries of an open directory, without moving that descriptor; NULL with errno. */
DIR *dir_entries(int dir);

int dir_list(struct sr *sr, struct vdis *l);
int dir_find(struct sr *sr, const struct uuid *uuid, struct vdi *vdi);
int dir_check(struct sr *sr, bool repair, struct vdis *found);

#endif
