/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Are the reference counts of a QCOW2 image what its tables make them? */
#ifndef LIB_QCOW2_CHECK_H
#define LIB_QCOW2_CHECK_H

#include "lib/qcow2/qcow2.h"

#define QCOW2_CHECK_MAX	((uint64_t)64 << 20)	/* clusters of the file; 128 MiB of memory */

struct qcow2_findings {
	uint64_t clusters;	/* looked at */
	uint64_t low;		/* in use more often than counted: the next write may destroy them */
	uint64_t leaks;		/* counted more often than in use: space is lost, nothing else */
	uint64_t bad;		/* table entries that lead nowhere */
	bool partly;		/* snapshots or bitmaps hold more: leaks were not looked for */
};

/*
 * Nothing is written.  -EFBIG for a file of more clusters than QCOW2_CHECK_MAX;
 * errors are those of reading, what is wrong with the image is in f.
 */
int qcow2_check(struct qcow2 *q, struct qcow2_findings *f);

#endif
