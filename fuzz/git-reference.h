/* SPDX-License-Identifier: Apache-2.0 */
/*
 * git's files a second time, each as a whole and slowly, from the words of gitformat-index(5) and git-config(1), and from nothing in
 * src/policy. What they say ends up in a buffer, string by string, so that two readers are compared by comparing bytes.
 */
#ifndef FUZZ_GIT_REFERENCE_H
#define FUZZ_GIT_REFERENCE_H

#include <errno.h>

#include "fuzz.h"

#define REF_SECTION 255 /* the longest that are read */
#define REF_NAME 511
#define REF_CUT 1 /* ends too early */

static inline unsigned long ref_number(const uint8_t *p, size_t bytes)
{
	unsigned long v = 0;

	while (bytes--)
		v = v * 256 + *p++;
	return v;
}

/* Relative, and no component is "", ".", ".." or ".git". */
static inline bool ref_plain(const char *path, size_t n)
{
	static const char *const bad[] = { "//", "/./", "/../", "/.git/" };
	char text[LIMIT_PATH + 2];
	size_t i;

	if (n == 0 || n >= LIMIT_PATH || memchr(path, 0, n))
		return false;
	snprintf(text, sizeof(text), "/%.*s/", (int)n, path);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		if (strstr(text, bad[i]))
			return false;
	}
	return true;
}

/* What is behind the entries: extensions, of which those in small letters must be understood, then the checksum. */
static inline int ref_extensions(const uint8_t *p, size_t n, size_t hash)
{
	while (n >= 8 + hash) {
		unsigned long size = ref_number(p + 4, 4);

		if (strchr("abcdefghijklmnopqrstuvwxyz", *p) && *p && memcmp(p, "sdir", 4) != 0)
			return -EOPNOTSUPP;
		if (size > n - 8)
			return REF_CUT;
		p += 8 + size;
		n -= 8 + size;
	}
	return 0;
}

/* The submodules of an index. Return: 0, REF_CUT, or negative errno. */
static inline int ref_index(const uint8_t *p, size_t n, size_t hash, struct buf *found)
{
	unsigned long version, left;
	char path[2 * LIMIT_PATH] = "";
	size_t len = 0, at;

	if (n < 12)
		return REF_CUT;
	version = ref_number(p + 4, 4);
	if (memcmp(p, "DIRC", 4) != 0)
		return -EBADMSG;
	if (version != 2 && version != 3 && version != 4)
		return -EOPNOTSUPP;
	left = ref_number(p + 8, 4);
	for (p += 12, n -= 12; left > 0; left--) {
		size_t name = 40 + hash + 2, said, drop = 0, padding;
		bool submodule;

		/* the smallest entry has flags and two bytes more: a name and its end, or more flags */
		if (n < name + 2)
			return REF_CUT;
		submodule = p[26] >> 4 == 14;
		said = ref_number(p + name - 2, 2) % 4096;
		if (p[name - 2] & 0x40) {
			if (version == 2)
				return -EBADMSG;
			name += 2;
		}
		if (version == 4) {
			/* "offset encoding" of pack files */
			for (bool more = true, first = true; more; first = false) {
				if (name == n)
					return REF_CUT;
				if (drop > LIMIT_PATH)
					return -EBADMSG;
				drop = first ? p[name] % 128 : (drop + 1) * 128 + p[name] % 128;
				more = p[name++] >= 128;
			}
			if (drop > len)
				return -EBADMSG;
		}
		/* the name: up to a NUL, as long as is said where that is possible */
		for (at = name; version == 4 || said == 4095 ? true : at < name + said; at++) {
			if (at == name + LIMIT_PATH)
				return -EBADMSG;
			if (at >= n)
				return REF_CUT;
			if (p[at] == 0 && (version == 4 || said == 4095))
				break;
		}
		if (version == 4) {
			len -= drop;
			if (len + (at - name) >= LIMIT_PATH)
				return -EBADMSG;
			padding = 1;
		} else {
			if (said == 4095 && at - name < 4095)
				return -EBADMSG;
			len = 0;
			for (padding = 1; (at + padding) % 8 != 0;)
				padding++;
		}
		if (n < at + padding)
			return REF_CUT;
		if (p[at] != 0)
			return -EBADMSG;
		memcpy(path + len, p + name, at - name);
		len += at - name;
		if (submodule && ref_plain(path, len)) {
			path[len] = '\0';
			buf_add(found, path, len + 1);
		}
		p += at + padding;
		n -= at + padding;
	}
	return ref_extensions(p, n, hash);
}

static inline bool ref_is(int ch, const char *set)
{
	return ch > 0 && strchr(set, ch);
}

#define REF_BLANK " \t"
#define REF_SPACE " \t\r"
#define REF_LETTER "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define REF_WORD REF_LETTER "0123456789-"

static inline size_t ref_span(const char *text, size_t at, const char *set)
{
	size_t from = at;

	while (ref_is((unsigned char)text[at], set))
		at++;
	return at - from;
}

static inline void ref_lower(char *out, const char *text, size_t n)
{
	static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t i;

	for (i = 0; i < n; i++) {
		const char *found = strchr(upper, text[i]);

		out[i] = found ? "abcdefghijklmnopqrstuvwxyz"[found - upper] : text[i];
	}
	out[n] = '\0';
}

/*
 * From "=" on: where the value ends is found first, with regard to quotes; blanks at its end are cut off; then it is read. @text ends with NUL, which
 * stands nowhere else. Return: where to go on, or 0.
 */
static inline size_t ref_value(const char *text, size_t all, size_t at, char *value)
{
	size_t end, cut, n = 0, count = 0;
	bool quoted = false;

	for (end = at; text[end] && text[end] != '\n'; end++) {
		if (!quoted && (text[end] == '#' || text[end] == ';'))
			break;
		if (text[end] == '"')
			quoted = !quoted;
		if (text[end] == '\\') {
			if (text[end + 1] && !strchr("\nntb\\\"", text[end + 1]))
				return 0;
			end += text[end + 1] != '\0';
		}
	}
	if (quoted || (end < all && !text[end]))
		return 0;
	for (cut = end; cut > at && strchr(REF_SPACE, text[cut - 1]);)
		cut--;
	for (; at < end; at++) {
		char ch = text[at];

		if (ch == '"') {
			quoted = !quoted;
			continue;
		}
		if (!quoted && count == 0 && strchr(REF_SPACE, ch))
			continue;
		if (ch == '\\') {
			ch = text[++at];
			if (ch == '\n' || !ch)
				continue;
			ch = ch == 'n' ? '\n' : ch == 't' ? '\t' : ch == 'b' ? '\b' : ch;
		}
		if (++count >= LIMIT_PATH)
			return 0;
		if (at < cut)
			value[n++] = ch;
	}
	value[n] = '\0';
	while (end < all && text[end] != '\n')
		end++;
	return end;
}

/* "[…]". Return: where to go on, or 0. */
static inline size_t ref_section(const char *text, size_t at, char *section)
{
	size_t n = ref_span(text, ++at, REF_WORD ".");

	if (n > REF_SECTION)
		return 0;
	ref_lower(section, text + at, n);
	at += n;
	at += ref_span(text, at, REF_SPACE);
	if (text[at] == '"') {
		section[n++] = '.';
		for (at++; text[at] != '"'; at++) {
			if (text[at] == '\\')
				at++;
			if (!text[at] || text[at] == '\n' || n >= REF_SECTION)
				return 0;
			section[n++] = text[at];
		}
		section[n] = '\0';
		at++;
	}
	return n <= REF_SECTION && text[at] == ']' ? at + 1 : 0;
}

/* Names and values of a configuration. Return: 0, or -EBADMSG. */
static inline int ref_config(const char *data, size_t n, struct buf *found)
{
	char section[REF_SECTION + 2] = "", name[REF_SECTION + REF_NAME + 2];
	char *text = calloc(1, n + 1), *value = calloc(1, n + 1);
	size_t i, at = 0, len, k = 0;
	int r = -EBADMSG;

	FUZZ_REQUIRE(text && value);
	for (i = n >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; i < n; i++) {
		if (data[i] != '\r' || i + 1 == n || data[i + 1] != '\n')
			text[k++] = data[i];
	}
	text[k] = '\0';
	while (at < k) {
		int ch = (unsigned char)text[at];

		if (ref_is(ch, " \t\n\r\v\f")) {
			at++;
		} else if (ch == '#' || ch == ';') {
			while (at < k && text[at] != '\n')
				at++;
		} else if (ch == '[') {
			at = ref_section(text, at, section);
			if (!at)
				goto out;
		} else if (ref_is(ch, REF_LETTER)) {
			len = strlen(section);
			memcpy(name, section, len);
			if (len)
				name[len++] = '.';
			i = ref_span(text, at, REF_WORD);
			if (len + i > REF_NAME)
				goto out;
			ref_lower(name + len, text + at, i);
			at += i;
			at += ref_span(text, at, REF_BLANK);
			value[0] = '\0';
			if (text[at] == '=') {
				at = ref_value(text, k, at + 1, value);
				if (!at)
					goto out;
			} else if (text[at] == '#' || text[at] == ';') {
				while (at < k && text[at] != '\n')
					at++;
			} else if (at < k && text[at] != '\n') {
				goto out;
			}
			buf_add(found, name, strlen(name) + 1);
			buf_add(found, value, strlen(value) + 1);
		} else {
			goto out;
		}
	}
	r = 0;
out:
	free(text);
	free(value);
	return r;
}

/* Whether @name is @pattern, in which one "*" stands for anything. */
static inline bool ref_matches(const char *pattern, const char *name)
{
	if (*pattern == '*')
		return ref_matches(pattern + 1, name) || (*name && ref_matches(pattern, name + 1));
	return *pattern == *name && (!*name || ref_matches(pattern + 1, name + 1));
}

#endif
