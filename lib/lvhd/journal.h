/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is being done to the disks of an SR, so that whoever comes next can
 * finish or undo it: LVs of one extent with the tag "journaler".
 *
 * The value is in the name, "inflate_<uuid>_8388608".  Where the device's name
 * would get longer than 127 characters it is "clone_<uuid>_1", and the first
 * sector holds "<length> <value>", filled up with blanks.
 */
#ifndef LIB_LVHD_JOURNAL_H
#define LIB_LVHD_JOURNAL_H

#include "lib/lvhd/lvhd.h"

struct lvhd_journal {
	struct lvm_lv *lv;
	enum lvhd_journal_type type;
	bool resize;			/* none of those: libvhd's, jvhd_<uuid> */
	struct uuid id;
	const char *value;
	int err;			/* its value cannot be read: 0, -E_LVHD_JOURNAL or an I/O error */
	/* The parts of a value: */
	struct uuid base, clone;	/* LVHD_CLONE; base also of LVHD_LEAF: the parent */
	uint64_t bytes;			/* LVHD_INFLATE, LVHD_ZERO */
};

/* All there are, in the order in which they are to be dealt with. */
int lvhd_journals(struct lvhd *h, struct lvhd_journal **v, size_t *n);
/* Does one speak of this disk?  Nothing is read but names. */
const struct lvm_lv *lvhd_journal_of(const struct lvhd *h, const struct uuid *u);
/* A new one, written; there with the next commit. */
int lvhd_journal_add(struct lvhd *h, enum lvhd_journal_type type, const struct uuid *id,
		     const char *value);
/* Gone with the next commit. */
int lvhd_journal_drop(struct lvhd *h, enum lvhd_journal_type type, const struct uuid *id);

/* The text of a value's sector, and the reverse: -E_LVHD_JOURNAL. */
void lvhd_journal_encode(const char *value, char sector[512]);
int lvhd_journal_decode(struct arena *a, const char sector[512], const char **value);

#endif
