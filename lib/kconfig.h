/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * IS_ENABLED(CONFIG_X) is 1 where X was configured and 0 where it was not or
 * does not exist; it works in C, where every branch is then compiled, and in
 * #if:
 *
 *	if (IS_ENABLED(CONFIG_FMT_QCOW2))
 *
 * The configuration comes in by this header only.  Who includes it is compiled
 * again when an option changes whose name stands in it or in a header it includes.
 */
#ifndef LIB_KCONFIG_H
#define LIB_KCONFIG_H

#include "autoconf.h"

/* CONFIG_X is 1 or nothing we know: a 1 turns into two arguments, "0, 1". */
#define IS_ENABLED(option)		KCONFIG_VALUE_(option)
#define KCONFIG_VALUE_(value)		KCONFIG_PAIR_(KCONFIG_IS_##value)
#define KCONFIG_PAIR_(...)		KCONFIG_SECOND_(__VA_ARGS__ 1, 0, 0)
#define KCONFIG_SECOND_(a, second, ...)	second
#define KCONFIG_IS_1			0,

#endif
