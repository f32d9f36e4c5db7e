/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/err.h"
#include "lib/utf8.h"
#include "lib/vhd/locator.h"

static const char url[] = "file://";

/* Control characters of either range forge lines and terminal commands. */
static bool is_text(uint32_t c)
{
	return c >= 0x20 && !(c >= 0x7f && c < 0xa0) && !(c >= 0xd800 && c < 0xe000);
}

/* The character at s, of at most n bytes; 0 when it is malformed or no text. */
static size_t text_get(const char *s, size_t n, uint32_t *c)
{
	size_t len = utf8_decode(s, n, c);

	return len && is_text(*c) ? len : 0;
}

static uint32_t unit(const uint8_t *p, size_t i, bool big)
{
	p += 2 * i;
	return big ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}

/* n units become a string of at most 3 n bytes and a NUL; padding is dropped. */
static int utf16_get(const uint8_t *p, size_t n, bool big, char *out)
{
	size_t used = 0;

	while (n && !unit(p, n - 1, big))
		n--;
	for (size_t i = 0; i < n; i++) {
		uint32_t c = unit(p, i, big), low;

		if (c >= 0xd800 && c < 0xdc00 && i + 1 < n) {
			low = unit(p, ++i, big);
			if (low < 0xdc00 || low > 0xdfff)
				return -E_VHD_PARENT_NAME;
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		}
		if (!is_text(c))
			return -E_VHD_PARENT_NAME;
		used += utf8_encode(out + used, c);
	}
	out[used] = 0;
	return 0;
}

static bool unit_put(uint8_t *out, size_t room, size_t *n, uint32_t u, bool big)
{
	if (*n + 2 > room)
		return false;
	out[*n] = (uint8_t)(big ? u >> 8 : u);
	out[*n + 1] = (uint8_t)(big ? u : u >> 8);
	*n += 2;
	return true;
}

static int utf16_put(uint8_t *out, size_t room, const char *s, bool big)
{
	size_t left = strlen(s), n = 0;

	while (left) {
		uint32_t c = 0;
		size_t len = text_get(s, left, &c);
		bool fits;

		if (!len)
			return -E_TEXT_UTF8;
		if (c < 0x10000)
			fits = unit_put(out, room, &n, c, big);
		else
			fits = unit_put(out, room, &n, 0xd7c0 + (c >> 10), big) &&
			       unit_put(out, room, &n, 0xdc00 | (c & 0x3ff), big);
		if (!fits)
			return -ENAMETOOLONG;
		s += len;
		left -= len;
	}
	return (int)n;
}

static void replace(char *s, char from, char to)
{
	for (; *s; s++)
		if (*s == from)
			*s = to;
}

static int text_check(const char *s, size_t n)
{
	while (n) {
		uint32_t c;
		size_t len = text_get(s, n, &c);

		if (!len)
			return -E_VHD_PARENT_NAME;
		s += len;
		n -= len;
	}
	return 0;
}

static int macx_path(const char *s, size_t n, char *path)
{
	size_t skip = sizeof(url) - 1;

	while (n && !s[n - 1])
		n--;
	if (n >= skip && !memcmp(s, url, skip)) {
		s += skip;
		n -= skip;
	}
	if (text_check(s, n))
		return -E_VHD_PARENT_NAME;
	memcpy(path, s, n);
	path[n] = 0;
	return 0;
}

static int windows_path(const uint8_t *p, size_t len, char *path)
{
	if (len % 2 || utf16_get(p, len / 2, false, path))
		return -E_VHD_PARENT_NAME;
	replace(path, '\\', '/');
	if ((path[0] == 'C' || path[0] == 'c') && path[1] == ':')
		memmove(path, path + 2, strlen(path + 2) + 1);
	return 0;
}

int vhd_locator_path(uint32_t code, const void *text, size_t len, char path[VHD_PATH_MAX])
{
	int err = -E_VHD_PARENT_NAME;

	if (len > VHD_TEXT_MAX)
		return -E_VHD_PARENT_NAME;
	if (code == VHD_CODE_MACX)
		err = macx_path(text, len, path);
	else if (code == VHD_CODE_W2RU || code == VHD_CODE_W2KU)
		err = windows_path(text, len, path);
	return !err && !vhd_basename(path)[0] ? -E_VHD_PARENT_NAME : err;
}

int vhd_locator_text(uint32_t code, const char *path, uint8_t *text, size_t room)
{
	char copy[1024];
	size_t n = strlen(path), skip = sizeof(url) - 1;

	if (n >= sizeof(copy))
		return -ENAMETOOLONG;
	if (code == VHD_CODE_MACX) {
		if (text_check(path, n))
			return -E_TEXT_UTF8;
		if (skip + n > room)
			return -ENAMETOOLONG;
		memcpy(text, url, skip);
		memcpy(text + skip, path, n);
		return (int)(skip + n);
	}
	memcpy(copy, path, n + 1);
	replace(copy, '/', '\\');
	return utf16_put(text, room, copy, false);
}

int vhd_header_name(const struct vhd_header *h, char name[VHD_NAME_MAX])
{
	return utf16_get((const uint8_t *)h->parent_name, VHD_NAME_UNITS, true, name);
}

int vhd_header_set_name(struct vhd_header *h, const char *name)
{
	uint8_t text[sizeof(h->parent_name)] = { 0 };
	int n = utf16_put(text, sizeof(text), name, true);

	if (n < 0)
		return n;
	memcpy(h->parent_name, text, sizeof(text));
	return 0;
}

const char *vhd_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}
