/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/err.h"
#include "lib/time.h"

#define DAY		86400
#define YEAR_0000	(-(int64_t)719528 * DAY)	/* 0000-01-01T00:00:00Z */
#define YEAR_9999	((int64_t)253402300799)		/* 9999-12-31T23:59:59Z */
#define YEAR_2000	((int64_t)946684800)

struct date {
	int year, month, day, hour, minute, second;
};

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100) || year % 400 == 0;
}

static int days_in(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 0000-01-01 to the first of a year from 0 on; the year 0 is a leap year. */
static int64_t days_before(int year)
{
	int y = year - 1;

	return year ? (int64_t)year * 365 + y / 4 - y / 100 + y / 400 + 1 : 0;
}

static struct date date_of(int64_t t)
{
	struct date d = { .month = 1 };
	int64_t s, day;

	if (t < YEAR_0000)
		t = YEAR_0000;
	if (t > YEAR_9999)
		t = YEAR_9999;
	s = t - YEAR_0000;
	day = s / DAY;
	s %= DAY;
	d.hour = (int)(s / 3600);
	d.minute = (int)(s / 60 % 60);
	d.second = (int)(s % 60);
	/* 366 is too much for most years: a guess that is never too late. */
	d.year = (int)(day / 366);
	while (days_before(d.year + 1) <= day)
		d.year++;
	day -= days_before(d.year);
	for (; day >= days_in(d.year, d.month); d.month++)
		day -= days_in(d.year, d.month);
	d.day = (int)day + 1;
	return d;
}

void time_text(char out[TIME_TEXT_MAX], int64_t t)
{
	struct date d = date_of(t);

	snprintf(out, TIME_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02uZ", (unsigned)d.year % 10000,
		 (unsigned)d.month % 100, (unsigned)d.day % 100, (unsigned)d.hour % 100,
		 (unsigned)d.minute % 100, (unsigned)d.second % 100);
}

void time_xapi(char out[TIME_TEXT_MAX], int64_t t)
{
	char text[TIME_TEXT_MAX];

	/* The other form without its two dashes. */
	time_text(text, t);
	snprintf(out, TIME_TEXT_MAX, "%.4s%.2s%s", text, text + 5, text + 8);
}

/* n digits and then the character behind them, unless that is 0; -1 if not so. */
static int number(const char **s, int n, char then)
{
	int v = 0;

	for (; n; n--, ++*s) {
		if (**s < '0' || **s > '9')
			return -1;
		v = v * 10 + (**s - '0');
	}
	if (then && *(*s)++ != then)
		return -1;
	return v;
}

int time_parse(int64_t *t, const char *s)
{
	bool dashes = strnlen(s, 5) == 5 && s[4] == '-';
	struct date d;
	int64_t days;

	/* Each stops at a NUL, so none reads behind the end. */
	if ((d.year = number(&s, 4, dashes ? '-' : 0)) < 0 ||
	    (d.month = number(&s, 2, dashes ? '-' : 0)) < 0 ||
	    (d.day = number(&s, 2, 'T')) < 0 || (d.hour = number(&s, 2, ':')) < 0 ||
	    (d.minute = number(&s, 2, ':')) < 0 || (d.second = number(&s, 2, 0)) < 0)
		return -E_TEXT;
	if (*s == 'Z')
		s++;
	if (*s || d.month < 1 || d.month > 12 || d.day < 1 || d.day > days_in(d.year, d.month) ||
	    d.hour > 23 || d.minute > 59 || d.second > 59)
		return -E_TEXT;
	days = days_before(d.year) + d.day - 1;
	for (int m = 1; m < d.month; m++)
		days += days_in(d.year, m);
	*t = YEAR_0000 + days * DAY + d.hour * 3600L + d.minute * 60L + d.second;
	return 0;
}

uint32_t time_to_vhd(int64_t t)
{
	if (t < YEAR_2000)
		return 0;
	return t - YEAR_2000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(t - YEAR_2000);
}

int64_t time_from_vhd(uint32_t stamp)
{
	return YEAR_2000 + stamp;
}
