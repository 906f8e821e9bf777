/* SPDX-License-Identifier: Apache-2.0 */
/* Reads text tables of tests: line by line, without comments ("#" at the start or after a blank) and empty lines. */
#ifndef TESTS_TABLE_H
#define TESTS_TABLE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

struct table {
	const char *name; /* without directories */
	char *all, *next; /* read at once: a child's exit() would move the offset of an open file */
	char *text;       /* the line */
	int line;
};

static inline void table_die(const struct table *t, const char *what)
{
	printf("Bail out! %s:%d: %s: %s\n", t->name, t->line, what, t->text ? t->text : "");
	exit(1);
}

static inline void table_open(struct table *t, const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	struct buf b = BUF_INIT(1 << 20);
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	*t = (struct table){ .name = slash ? slash + 1 : path };
	if (fd < 0 || fd_read_all(fd, &b) < 0 || !b.data)
		table_die(t, "the table can't be read");
	close(fd);
	t->all = t->next = b.data;
}

/* The next line that says something, trimmed; NULL at the end, and everything is freed. */
static inline char *table_next(struct table *t)
{
	while (*t->next) {
		char *s = t->next, *end = s + strcspn(s, "\n");

		t->line++;
		t->next = end + (*end != '\0');
		*end = '\0';
		t->text = s;
		for (; (s = strchr(s, '#')); s++) {
			if (s == t->text || s[-1] == ' ' || s[-1] == '\t') {
				*s = '\0';
				break;
			}
		}
		s = t->text + strspn(t->text, " \t");
		end = s + strlen(s);
		while (end > s && (end[-1] == ' ' || end[-1] == '\t'))
			*--end = '\0';
		if (*s)
			return t->text = s;
	}
	free(t->all);
	t->all = t->next = t->text = NULL;
	return NULL;
}

static inline int table_word(const struct table *t, const char *word, const char *(*name)(int),
			     int n)
{
	int i;

	for (i = 0; i < n; i++) {
		if (strcmp(name(i), word) == 0)
			return i;
	}
	table_die(t, word);
	return -1;
}

static inline const char *table_kind(int k)
{
	return policy_kind_name((enum policy_kind)k);
}

static inline const char *table_layer(int l)
{
	return policy_layer_name((enum policy_layer)l);
}

static inline const char *table_state(int s)
{
	return policy_state_name((enum policy_state)s);
}

/* Adds the rule "LAYER KIND PATH"; the kind allow-copy is an allow-write of a copy. */
static inline void table_rule(const struct table *t, const char *text, struct policy *p)
{
	char layer[32], kind[32], path[512], origin[64];
	struct err e = ERR_INIT;

	if (sscanf(text, "%31s %31s %511s", layer, kind, path) != 3)
		table_die(t, "expected LAYER KIND PATH");
	snprintf(origin, sizeof(origin), "%s:%d", t->name, t->line);
	if (strcmp(kind, "allow-copy") == 0) {
		if (policy_add_copy(p,
				    (enum policy_layer)table_word(t, layer, table_layer,
								  POLICY_LAYER_NUM),
				    path, origin, &e) < 0)
			table_die(t, e.msg);
		return;
	}
	if (policy_add(p, (enum policy_kind)table_word(t, kind, table_kind, POLICY_KIND_NUM),
		       (enum policy_layer)table_word(t, layer, table_layer, POLICY_LAYER_NUM), path,
		       origin, &e) < 0)
		table_die(t, e.msg);
}

#endif
