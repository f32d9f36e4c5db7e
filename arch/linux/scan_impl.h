/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ARCH_LINUX_SCAN_IMPL_H
#define ARCH_LINUX_SCAN_IMPL_H

struct scan;

/* Fill in what follows from the stacking of devices: partitioned, root, guest. */
void scan_conclude(struct scan *s);

#endif
