/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/qcow2/check.h"
#include "tests/unit/vhd_util.h"

/* qemu-img check: 0 fine, 2 corrupt, 3 leaks alone. */
TEST(qcow2_check_finds_what_qemu_img_finds)
{
	struct vec x;

	vec_load(&x, "qcow2");
	for (size_t i = 0; i < x.n; i++) {
		const char *name = x.lines[i].name;
		struct qcow2_findings f;
		struct qcow2 *q = NULL;
		struct io *io;

		if (strcmp(x.lines[i].key, "file"))
			continue;
		io = vec_open("qcow2", x.lines[i].value);
		if (io && EQ(qcow2_open(&q, io), 0)) {
			t_eq(name, 0, "check", qcow2_check(q, &f), 0);
			t_eq(name, 0, "what it says", f.low || f.bad ? 2 : f.leaks ? 3 : 0,
			     vec_num(&x, name, "check"));
		}
		qcow2_close(q);
		io_close(io);
	}
	vec_free(&x);
}
