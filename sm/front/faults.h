/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The numbers by which SMAPIv1 knows errors.  SR-API 1.0 has exit codes of its
 * own, which follow from these numbers and the operation.
 */
#ifndef SM_FRONT_FAULTS_H
#define SM_FRONT_FAULTS_H

#include <stddef.h>

#include "sm/request.h"

enum {
#define FAULT(code, name, text) F_##name = code,
#include "sm/front/faults.def"
#undef FAULT
};

struct fault {
	int code;
	const char *text;
};

/* The whole table, sorted by code. */
extern const struct fault faults[];
extern const size_t n_faults;

/* The text of a fault, or NULL. */
const char *fault_text(int code);

/*
 * The fault of an error: its own, or for a bare errno what the failure of this
 * operation is called.  Always one that fault_text() knows.
 */
int fault_of(enum op op, int err);

/* The exit code of SR-API 1.0 for an error. */
int fault_exit(enum op op, int err);

#endif
