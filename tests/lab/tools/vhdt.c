/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Data into VHDs, by the product's own functions, while nothing serves them:
 *
 *	vhdt put PATH SECTOR COUNT BYTE [STRIDE TIMES]
 *
 * Fill sectors with a byte; and the same so many sectors further on, so often.
 *
 * A failure is one line on stderr and status 1.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/vhd/vhd.h"

static int put(const char *path, const uint64_t n[5])
{
	_io_close_ struct io *io = NULL;
	_vhd_close_ struct vhd *v = NULL;
	char b[64 << 10];
	int err = io_open(&io, AT_FDCWD, path, IO_RDWR);

	memset(b, (int)n[2], sizeof(b));
	if (!err)
		err = vhd_open(&v, io, VHD_RDWR);
	for (uint64_t t = 0; t < n[4] && !err; t++)
		for (uint64_t at = 0, len; at < n[1] * 512 && !err; at += len) {
			len = n[1] * 512 - at < sizeof(b) ? n[1] * 512 - at : sizeof(b);
			err = vhd_write(v, (n[0] + t * n[3]) * 512 + at, b, len);
		}
	return err ? err : vhd_finish(v);
}

int main(int argc, char **argv)
{
	uint64_t n[5] = { 0, 0, 0, 0, 1 };
	int err;

	if ((argc != 6 && argc != 8) || strcmp(argv[1], "put")) {
		fprintf(stderr, "usage: vhdt put PATH SECTOR COUNT BYTE [STRIDE TIMES]\n");
		return 2;
	}
	for (int i = 3; i < argc; i++)
		n[i - 3] = strtoull(argv[i], NULL, 0);
	err = put(argv[2], n);
	if (err)
		fprintf(stderr, "vhdt: %s: %s\n", argv[2], err_text(err));
	return err ? 1 : 0;
}
