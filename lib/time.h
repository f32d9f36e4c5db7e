/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Points in time as text and as images keep them.  Seconds since 1970, UTC,
 * without leap seconds; nothing here looks at a clock (arch/clock.h does).
 */
#ifndef LIB_TIME_H
#define LIB_TIME_H

#include <stdint.h>

#define TIME_TEXT_MAX 24

/* "2026-11-23T04:00:00Z".  Before the year 0 and after 9999 that year's end is shown. */
void time_text(char out[TIME_TEXT_MAX], int64_t t);
/* "20261123T04:00:00Z", as XML-RPC and xapi write it. */
void time_xapi(char out[TIME_TEXT_MAX], int64_t t);
/* Either form, with or without Z.  -E_TEXT for anything else, and for no such day. */
int time_parse(int64_t *t, const char *s);

/* A VHD counts from 2000-01-01, in 32 bits: what is beyond becomes the nearest. */
uint32_t time_to_vhd(int64_t t);
int64_t time_from_vhd(uint32_t stamp);

#endif
