/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/bytes.h"
#include "lib/err.h"
#include "sm/front/faults.h"
#include "tests/unit/t.h"

TEST(faults_are_all_there_and_sorted)
{
	EQ(n_faults, 173);
	for (size_t i = 1; i < n_faults; i++)
		OK(faults[i - 1].code < faults[i].code);
	for (size_t i = 0; i < n_faults; i++) {
		OK(fault_text(faults[i].code) == faults[i].text);
		OK(faults[i].text[0]);
	}
	OK(!fault_text(0) && !fault_text(3) && !fault_text(1199) && !fault_text(99999));
	OK(!strcmp(fault_text(1), "Invalid argument"));
	OK(!strcmp(fault_text(44), "There is insufficient space"));
	OK(!strcmp(fault_text(1200), "SM has thrown a generic python exception"));
}

TEST(faults_know_every_error_of_ours)
{
	for (int e = E_BASE + 1; e < E_END; e++)
		OK(!err_smapi(-e) || fault_text(err_smapi(-e)));
	for (int op = OP_NONE; op < OP_MAX; op++) {
		for (int e = E_BASE + 1; e < E_END; e++)
			OK(fault_text(fault_of((enum op)op, -e)));
		for (int e = 1; e < 134; e++)
			OK(fault_text(fault_of((enum op)op, -e)));
	}
}

TEST(faults_of_a_bare_errno_follow_from_the_operation)
{
	EQ(fault_of(OP_SR_SCAN, -EIO), 40);
	EQ(fault_of(OP_VDI_CREATE, -EIO), 78);
	EQ(fault_of(OP_VDI_DELETE, -EIO), 80);
	EQ(fault_of(OP_VDI_ATTACH, -EIO), 46);
	EQ(fault_of(OP_VDI_RESIZE, -EIO), 110);
	EQ(fault_of(OP_VDI_SNAPSHOT, -EIO), 82);
	EQ(fault_of(OP_VDI_CLONE, -EIO), 81);
	EQ(fault_of(OP_SR_ATTACH, -EIO), 202);
	EQ(fault_of(OP_VDI_CREATE, -ENOSPC), 44);
	EQ(fault_of(OP_SR_DETACH, -EBUSY), 16);
}

TEST(faults_become_exit_codes_of_2007)
{
	static const struct { enum op op; int err, code; } want[] = {
		{ OP_SR_CREATE, -E_SR_EXISTS, 16 },
		{ OP_SR_DETACH, -E_SR_IN_USE, 102 },
		{ OP_SR_DESTROY, -E_SR_NOT_EMPTY, 102 },
		{ OP_SR_ATTACH, -E_SR_MISSING, 100 },
		{ OP_SR_ATTACH, -E_DCONF_LOCATION, 100 },
		{ OP_SR_CREATE, -E_DCONF_LOCATION, 22 },
		{ OP_SR_CREATE, -E_DCONF_BAD, 22 },
		{ OP_SR_CREATE, -E_SR_TYPE, 22 },
		{ OP_SR_CREATE, -E_DEVICE_MISSING, 19 },
		{ OP_VDI_CREATE, -E_VDI_EXISTS, 103 },
		{ OP_VDI_CREATE, -E_VDI_SIZE, 22 },
		{ OP_VDI_CREATE, -E_UUID, 22 },
		{ OP_VDI_CREATE, -E_SR_NO_SPACE, 28 },
		{ OP_VDI_CREATE, -ENOSPC, 28 },
		{ OP_VDI_DELETE, -E_VDI_IN_USE, 103 },
		{ OP_VDI_ATTACH, -E_VDI_MISSING, 101 },
		{ OP_VDI_CLONE, -E_UNSUPPORTED, 1 },
		{ OP_VDI_LOCK, -E_UNSUPPORTED, 1 },
		{ OP_VDI_LOCK, -E_LOCKED, 103 },
		{ OP_VDI_UNLOCK, -E_NOT_LOCKED, 37 },
		{ OP_VDI_CREATE, -EIO, 5 },
		{ OP_SR_CREATE, -E_SR_READ_ONLY, 5 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		EQ(fault_exit(want[i].op, want[i].err), want[i].code);
}
