/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SM_ABOUT_H
#define SM_ABOUT_H

/* What --version prints: "smbox 0.1.0 (full, 0123456789ab)". */
extern const char version_text[];

#endif
