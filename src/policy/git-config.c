/* SPDX-License-Identifier: Apache-2.0 */
/* git-config(1), section SYNTAX, and what git's own reader does where that says nothing. */
#include "git.h"

#include <errno.h>
#include <string.h>

void git_config_begin(struct git_config *c, const char *data, size_t n)
{
	*c = (struct git_config){ .at = data, .end = data + n };
	if (n >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0)
		c->at += 3;
}

/* The next character, -1 at the end; a carriage return before a newline is none. */
static int peek(struct git_config *c)
{
	if (c->end - c->at >= 2 && c->at[0] == '\r' && c->at[1] == '\n')
		c->at++;
	return c->at < c->end ? (unsigned char)*c->at : -1;
}

static int lower(int ch)
{
	return ch >= 'A' && ch <= 'Z' ? ch - 'A' + 'a' : ch;
}

static bool is_letter(int ch)
{
	return lower(ch) >= 'a' && lower(ch) <= 'z';
}

static bool is_word(int ch)
{
	return is_letter(ch) || (ch >= '0' && ch <= '9') || ch == '-';
}

static bool is_blank(int ch)
{
	return ch == ' ' || ch == '\t';
}

/* In sections and values a carriage return that no newline follows is a blank, too. */
static bool is_space(int ch)
{
	return is_blank(ch) || ch == '\r';
}

static int put(char *out, size_t *len, size_t size, int ch)
{
	if (*len + 1 >= size || ch == '\0')
		return -EBADMSG;
	out[(*len)++] = (char)ch;
	out[*len] = '\0';
	return 0;
}

static void skip_line(struct git_config *c)
{
	while (c->at < c->end && *c->at != '\n')
		c->at++;
}

/* From "[" to "]". */
static int read_section(struct git_config *c)
{
	size_t len = 0;
	int ch, r;

	c->section[0] = '\0';
	for (c->at++; is_word(ch = peek(c)) || ch == '.'; c->at++) {
		r = put(c->section, &len, sizeof(c->section), lower(ch));
		if (r < 0)
			return r;
	}
	while (is_space(peek(c)))
		c->at++;
	if (peek(c) == '"') {
		r = put(c->section, &len, sizeof(c->section), '.');
		for (c->at++; r == 0 && (ch = peek(c)) != '"'; c->at++) {
			if (ch == '\\') {
				c->at++;
				ch = peek(c);
			}
			if (ch < 0 || ch == '\n')
				return -EBADMSG;
			r = put(c->section, &len, sizeof(c->section), ch);
		}
		if (r < 0)
			return r;
		c->at++;
	}
	if (peek(c) != ']')
		return -EBADMSG;
	c->at++;
	return 0;
}

/* After a backslash. Return: the character, 0 for none, or -EBADMSG. */
static int escaped(int ch)
{
	switch (ch) {
	case '\n':
		return 0;
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 'b':
		return '\b';
	case '\\':
	case '"':
		return ch;
	default:
		return -EBADMSG;
	}
}

/* Blanks count in quotes, and between what counts. One that is no space is kept as it is; git made it a space until 2.45. */
static int read_value(struct git_config *c)
{
	size_t len = 0, keep = 0;
	bool quoted = false;
	int ch, r = 0;

	for (; r == 0 && (ch = peek(c)) >= 0 && ch != '\n'; c->at++) {
		if (!quoted && (ch == '#' || ch == ';')) {
			skip_line(c);
			break;
		}
		if (ch == '"') {
			quoted = !quoted;
			keep = len;
			continue;
		}
		if (ch == '\\') {
			keep = len;
			c->at++;
			ch = peek(c);
			if (ch < 0) /* the end is a newline */
				break;
			ch = escaped(ch);
			if (ch < 0)
				return ch;
			if (ch == 0)
				continue;
			r = put(c->value, &len, sizeof(c->value), ch);
			keep = len;
			continue;
		}
		if (!quoted && is_space(ch) && len == 0)
			continue;
		r = put(c->value, &len, sizeof(c->value), ch);
		if (quoted || !is_space(ch))
			keep = len;
	}
	if (r < 0 || quoted)
		return -EBADMSG;
	c->value[keep] = '\0';
	return 0;
}

static int read_variable(struct git_config *c)
{
	size_t len = strlen(c->section);
	int ch, r;

	memcpy(c->name, c->section, len + 1);
	r = len ? put(c->name, &len, sizeof(c->name), '.') : 0;
	for (; r == 0 && is_word(ch = peek(c)); c->at++)
		r = put(c->name, &len, sizeof(c->name), lower(ch));
	if (r < 0)
		return r;
	while (is_blank(peek(c)))
		c->at++;
	ch = peek(c);
	c->value[0] = '\0';
	if (ch < 0 || ch == '\n')
		return 1;
	if (ch == '#' || ch == ';') {
		skip_line(c);
		return 1;
	}
	if (ch != '=')
		return -EBADMSG;
	c->at++;
	r = read_value(c);
	return r < 0 ? r : 1;
}

int git_config_next(struct git_config *c)
{
	int ch, r;

	for (;;) {
		ch = peek(c);
		if (ch < 0)
			return 0;
		if (is_blank(ch) || ch == '\n' || ch == '\r' || ch == '\v' || ch == '\f') {
			c->at++;
		} else if (ch == '#' || ch == ';') {
			skip_line(c);
		} else if (ch == '[') {
			r = read_section(c);
			if (r < 0)
				return r;
		} else {
			return is_letter(ch) ? read_variable(c) : -EBADMSG;
		}
	}
}

bool git_config_is(const struct git_config *c, const char *pattern)
{
	const char *star = strchr(pattern, '*');
	size_t n = strlen(c->name), before, after;

	if (!star)
		return strcmp(c->name, pattern) == 0;
	before = (size_t)(star - pattern);
	after = strlen(star + 1);
	return n >= before + after && memcmp(c->name, pattern, before) == 0 &&
	       strcmp(c->name + n - after, star + 1) == 0;
}

char *git_pointer(char *text, size_t n)
{
	static const char head[] = "gitdir: ";

	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	if (n <= sizeof(head) - 1 || n >= LIMIT_PATH + sizeof(head) - 1 ||
	    memcmp(text, head, sizeof(head) - 1) != 0 || memchr(text, '\0', n))
		return NULL;
	text[n] = '\0';
	return text + sizeof(head) - 1;
}
