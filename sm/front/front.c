/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>

#include "sm/front.h"

const struct front *front_for(int argc, char **argv)
{
	const struct front *best = NULL;

	for_each_registered(fronts, p)
		if ((!best || (*p)->rank < best->rank) && (*p)->claims(argc, argv))
			best = *p;
	return best;
}
