/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Alone in its file: a new commit changes the generated header and rebuilds only this. */
#include "sm/about.h"
#include "version.h"

const char version_text[] = "smbox " SMBOX_VERSION " (" SMBOX_CONFIG ", " SMBOX_COMMIT ")";
