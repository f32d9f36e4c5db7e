#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# version.sh SRCTREE VERSION CONFIG [COMMIT]: what "sm --version" prints, as a
# header.  COMMIT is for trees that were packed without their history.
# No date, no host, no path: the same sources give the same program.
commit=$4
if [ -z "$commit" ] && [ -e "$1/.git" ]; then
	commit=$(GIT_OPTIONAL_LOCKS=0 git -C "$1" describe --always --dirty --exclude='*' --abbrev=12 2>/dev/null)
fi
cat <<END
/* Generated; see configs/version.sh. */
#define SMBOX_VERSION "$2"
#define SMBOX_CONFIG  "$3"
#define SMBOX_COMMIT  "${commit:-unknown}"
END
