/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Data into VHDs, by the product's own functions, while nothing serves them:
 *
 *	vhdt put PATH SECTOR COUNT BYTE		fill sectors with a byte
 *
 * A failure is one line on stderr and status 1.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/vhd/vhd.h"

static int put(const char *path, uint64_t sector, uint64_t count, int byte)
{
	_io_close_ struct io *io = NULL;
	_vhd_close_ struct vhd *v = NULL;
	char b[512];
	int err = io_open(&io, AT_FDCWD, path, IO_RDWR);

	memset(b, byte, sizeof(b));
	if (!err)
		err = vhd_open(&v, io, VHD_RDWR);
	for (uint64_t i = 0; i < count && !err; i++)
		err = vhd_write(v, (sector + i) * 512, b, sizeof(b));
	return err ? err : vhd_finish(v);
}

int main(int argc, char **argv)
{
	int err;

	if (argc != 6 || strcmp(argv[1], "put")) {
		fprintf(stderr, "usage: vhdt put PATH SECTOR COUNT BYTE\n");
		return 2;
	}
	err = put(argv[2], strtoull(argv[3], NULL, 0), strtoull(argv[4], NULL, 0), atoi(argv[5]));
	if (err)
		fprintf(stderr, "vhdt: %s: %s\n", argv[2], err_text(err));
	return err ? 1 : 0;
}
