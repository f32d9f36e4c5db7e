/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The label: one sector among the first four that makes a device an LVM2
 * physical volume (PV) and says where its areas are.
 *
 *	  0  "LABELONE", the number of this sector, CRC of bytes 20..511
 *	 20  offset of the PV header (32), "LVM2 001"
 *	 32  PV uuid without dashes, size of the device
 *	 72  data areas, then metadata areas: pairs (offset, size), each list
 *	     ended by a pair with offset 0
 *	 ..  extension: version, flags, bootloader areas
 *
 * The size of the device in a label is often stale and must not be trusted.
 */
#ifndef LIB_LVM2_LABEL_H
#define LIB_LVM2_LABEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LVM_SECTOR	512
#define LVM_LABEL_SCAN	2048			/* a label lies in the first four sectors */
#define LVM_LABEL_AREAS	8			/* of each kind; LVM2 itself writes at most two */
#define LVM_LABEL_USED	1			/* extension flag: the PV belongs to a VG */

/* An LVM uuid as the text shows it: 32 characters grouped 6-4-4-4-4-4-6. */
#define LVM_ID_LEN 38

struct lvm_id {
	char s[LVM_ID_LEN + 1];
};

struct lvm_area {
	uint64_t at, size;		/* bytes; a data area of size 0 goes to the end */
};

struct lvm_label {
	struct lvm_id pv;
	uint64_t device_size;		/* bytes */
	uint32_t sector;		/* the label lies here: 0..3 */
	uint32_t ext_version;		/* 0: the PV was made before there were extensions */
	uint32_t ext_flags;
	uint32_t n_data, n_mda, n_boot;
	struct lvm_area data[LVM_LABEL_AREAS];
	struct lvm_area mda[LVM_LABEL_AREAS];
	struct lvm_area boot[LVM_LABEL_AREAS];
};

/*
 * Find the label in the beginning of a device; LVM_LABEL_SCAN bytes are
 * enough.  The first good one counts.  -E_LVM_NO_LABEL when there is none,
 * -E_LVM_LABEL when there is only a damaged one: LVM2 says nothing in that case
 * and takes the device for no PV at all.
 */
int lvm_label_find(struct lvm_label *l, const void *buf, size_t len);
/* One sector; the same errors. */
int lvm_label_decode(struct lvm_label *l, const void *buf, size_t len, uint32_t sector);
/*
 * For a rescue: what a label whose checksum or number is wrong still says, if it
 * makes sense.  Nothing of it may be believed that something else does not confirm.
 */
int lvm_label_guess(struct lvm_label *l, const void *buf, size_t len);
/* -E_LVM_NEWER when the label was written by something newer than we understand. */
int lvm_label_encode(const struct lvm_label *l, uint8_t buf[LVM_SECTOR]);

/* With or without dashes; -E_LVM_ID unless 32 valid characters remain. */
int lvm_id_parse(struct lvm_id *id, const char *s, size_t n);
/* The next LVM_ID_LEN characters if they are one exactly as LVM2 writes it. */
bool lvm_id_copy(struct lvm_id *id, const char *s);
/* A new one from 32 random bytes. */
void lvm_id_make(struct lvm_id *id, const uint8_t random[32]);
/* Without dashes, as the label and device-mapper have it; not terminated. */
void lvm_id_bare(const struct lvm_id *id, char out[32]);

#endif
