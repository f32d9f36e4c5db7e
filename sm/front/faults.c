/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/bytes.h"
#include "lib/err.h"
#include "sm/front/faults.h"

const struct fault faults[] = {
#define FAULT(code, name, text) { code, text },
#include "sm/front/faults.def"
#undef FAULT
};

const size_t n_faults = ARRAY_SIZE(faults);

const char *fault_text(int code)
{
	size_t from = 0, to = n_faults;

	while (from < to) {
		size_t mid = (from + to) / 2;

		if (faults[mid].code == code)
			return faults[mid].text;
		if (faults[mid].code < code)
			from = mid + 1;
		else
			to = mid;
	}
	return NULL;
}

/* What a failure that has no number of its own is called, by the verb that met it. */
static int fault_of_verb(enum op op)
{
	switch (op) {
	case OP_SR_SCAN:
		return F_SRScan;
	case OP_VDI_CREATE:
		return F_VDICreate;
	case OP_VDI_DELETE:
		return F_VDIDelete;
	case OP_VDI_ATTACH:
	case OP_VDI_DETACH:
	case OP_VDI_ACTIVATE:
	case OP_VDI_DEACTIVATE:
		return F_VDIUnavailable;
	case OP_VDI_RESIZE:
		return F_VDIResize;
	case OP_VDI_SNAPSHOT:
		return F_VDISnapshot;
	case OP_VDI_CLONE:
		return F_VDIClone;
#if IS_ENABLED(CONFIG_CBT)
	case OP_VDI_ENABLE_CBT:
		return F_CBTActivateFailed;
	case OP_VDI_DISABLE_CBT:
		return F_CBTDeactivateFailed;
	case OP_VDI_DATA_DESTROY:
		return F_VDIDelete;
	case OP_VDI_LIST_CHANGED_BLOCKS:
		return F_CBTChangedBlocksError;
#endif
	default:
		return F_SMGeneral;
	}
}

int fault_of(enum op op, int err)
{
	int code = err_smapi(err);

	if (code)
		return fault_text(code) ? code : F_SMGeneral;
	switch (-err_kind(err)) {
	case ENOSPC:
	case EDQUOT:
		return F_SRNoSpace;
	case EROFS:
		return F_SharedFileSystemNoWrite;
	case EOPNOTSUPP:
	case ENOSYS:
		return F_Unimplemented;
	case EBUSY:
		if (op == OP_SR_DETACH || op == OP_SR_DESTROY)
			return F_SRInUse;
		if (op == OP_VDI_DETACH || op == OP_VDI_DEACTIVATE || op == OP_VDI_DELETE)
			return F_VDIInUse;
		break;
	}
	return fault_of_verb(op);
}

/* --- SR-API 1.0 ------------------------------------------------------------ */

/* These exist in that API only; the other codes are Linux's. */
enum { NO_SR = 100, NO_VDI = 101, SR_BUSY = 102, VDI_BUSY = 103 };

/*
 * From fault to exit code.  The first row that fits wins, so a row for one
 * operation stands before the one for all.
 */
static const struct {
	short from, to;		/* faults */
	short op;		/* OP_NONE = any */
	short code;
} exits[] = {
	{ F_SRInUse,		F_SRInUse,		OP_SR_DETACH,	SR_BUSY },
	{ F_SRInUse,		F_SRInUse,		OP_SR_DESTROY,	SR_BUSY },
	{ F_LockErr,		F_LockErr,		OP_VDI_LOCK,	VDI_BUSY },
	{ F_ConfigLocationMissing, F_ConfigLocationMissing, OP_SR_ATTACH, NO_SR },
	{ F_InvalidArg,		F_BadCharacter,		OP_NONE, EINVAL },
	{ F_SRInUse,		F_SRInUse,		OP_NONE, EBUSY },
	{ F_InvalidDev,		F_InvalidDev,		OP_NONE, ENODEV },
	{ F_InvalidSecret,	F_InvalidSecret,	OP_NONE, NO_VDI },
	{ F_VDIInUse,		F_VDIInUse,		OP_NONE, VDI_BUSY },
	{ F_LockErr,		F_LockErr,		OP_NONE, ENOLCK },
	{ F_Unimplemented,	F_Unimplemented,	OP_NONE, EPERM },
	{ F_SRNotEmpty,		F_SRNotEmpty,		OP_NONE, SR_BUSY },
	{ F_SRScan,		F_SRScan,		OP_NONE, NO_SR },
	{ F_SRExists,		F_SRExists,		OP_NONE, EBUSY },
	{ F_VDIExists,		F_VDIExists,		OP_NONE, VDI_BUSY },
	{ F_SRNoSpace,		F_SRNoSpace,		OP_NONE, ENOSPC },
	{ F_VDIUnavailable,	F_VDIUnavailable,	OP_NONE, NO_VDI },
	{ F_SRUnavailable,	F_SRUnavailable,	OP_NONE, NO_SR },
	{ F_SRUnknownType,	F_SRUnknownType,	OP_NONE, EINVAL },
	{ F_LVMMaster,		F_LVMMaster,		OP_NONE, EPERM },
	{ 64,			64,			OP_NONE, NO_VDI },
	{ 65,			66,			OP_NONE, EINVAL },
	{ F_VDISize,		F_VDISize,		OP_NONE, EINVAL },
	{ F_ConfigLUNMissing,	F_ConfigLUNMissing,	OP_NONE, EINVAL },
	{ F_ConfigLUNIDMissing,	F_ConfigLUNIDMissing,	OP_NONE, EINVAL },
	{ F_ConfigDeviceMissing, F_ConfigDeviceMissing,	OP_NONE, ENODEV },
	{ F_ConfigDeviceInvalid, F_ConfigDeviceInvalid,	OP_NONE, EINVAL },
	{ F_VolNotFound,	F_VolNotFound,		OP_NONE, NO_SR },
	{ F_ConfigLocationMissing, F_ConfigTargetIQNMissing, OP_NONE, EINVAL },
	{ F_ConfigLUNSerialMissing, F_ConfigLUNSerialMissing, OP_NONE, EINVAL },
	{ F_ConfigServerPathMissing, F_ConfigServerPathBad, OP_NONE, EINVAL },
	{ F_ConfigSCSIid,	F_ConfigSCSIid,		OP_NONE, EINVAL },
	{ F_SnapshotChainTooLong, F_SnapshotChainTooLong, OP_NONE, EINVAL },
	{ F_ConfigParamsMissing, F_ConfigParamsMissing,	OP_NONE, EINVAL },
	{ F_ISCSIPort,		F_BadRequest,		OP_NONE, EINVAL },
	{ F_VDIMissing,		F_VDIMissing,		OP_NONE, NO_VDI },
	{ F_LVMProvisionAttach,	F_LVMProvisionAttach,	OP_NONE, ENOSPC },
	{ F_ISODconfMissingLocation, F_ISODconfMissingLocation, OP_NONE, EINVAL },
	{ F_ISOLocationStringError, F_ISOInvalidXeMountOptions, OP_NONE, EINVAL },
	{ F_IllegalXMLChar,	F_IllegalXMLChar,	OP_NONE, EINVAL },
};

int fault_exit(enum op op, int err)
{
	int fault = fault_of(op, err);

	for (size_t i = 0; i < ARRAY_SIZE(exits); i++)
		if (fault >= exits[i].from && fault <= exits[i].to &&
		    (exits[i].op == OP_NONE || exits[i].op == (short)op))
			return exits[i].code;
	return EIO;
}
