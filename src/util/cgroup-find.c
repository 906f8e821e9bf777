/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroup-find.h"

#include <errno.h>
#include <string.h>

/* A piece of a text that is not cut. */
struct piece {
	const char *s;
	size_t n;
};

static bool equals(struct piece p, const char *s)
{
	return strlen(s) == p.n && memcmp(p.s, s, p.n) == 0;
}

/* Take what stands before @end, and @end itself, from the front of @from. Return: whether there was one. */
static bool take_to(struct piece *from, char end, struct piece *ret)
{
	const char *at = memchr(from->s, end, from->n);

	if (!at)
		return false;
	*ret = (struct piece){ from->s, (size_t)(at - from->s) };
	from->n -= ret->n + 1;
	from->s = at + 1;
	return true;
}

static struct piece take_line(const char **text)
{
	struct piece line = { *text, strcspn(*text, "\n") };

	*text += line.n + ((*text)[line.n] != '\0');
	return line;
}

/* Whether the comma-separated @list has the word. */
static bool has_word(struct piece list, const char *word)
{
	struct piece w;

	while (take_to(&list, ',', &w)) {
		if (equals(w, word))
			return true;
	}
	return equals(list, word);
}

/* One line "ID:CONTROLLERS:PATH". */
static bool cgroup_line(struct piece line, struct piece *ret_controllers, struct piece *ret_path)
{
	struct piece id;

	if (!take_to(&line, ':', &id) || !take_to(&line, ':', ret_controllers))
		return false;
	*ret_path = line;
	return line.n > 0 && line.s[0] == '/';
}

/* A field of mountinfo, its octal escapes undone. Return: its length, or -ENAMETOOLONG. */
static int unescape(struct piece p, char *out, size_t size)
{
	size_t i, n = 0;

	for (i = 0; i < p.n; n++) {
		unsigned char c = (unsigned char)p.s[i++];

		if (n + 1 >= size)
			return -ENAMETOOLONG;
		if (c == '\\' && i + 3 <= p.n && p.s[i] >= '0' && p.s[i] <= '3') {
			c = (unsigned char)((p.s[i] - '0') * 64 + (p.s[i + 1] - '0') * 8 +
					    (p.s[i + 2] - '0'));
			i += 3;
		}
		out[n] = (char)c;
	}
	out[n] = '\0';
	return (int)n;
}

struct mount {
	struct piece root, point, type, options;
};

/* "ID PARENT DEV ROOT POINT OPTIONS [TAG...] - TYPE SOURCE SUPER_OPTIONS" */
static bool mount_line(struct piece line, struct mount *m)
{
	struct piece skip;
	int i;

	for (i = 0; i < 3; i++) {
		if (!take_to(&line, ' ', &skip))
			return false;
	}
	if (!take_to(&line, ' ', &m->root) || !take_to(&line, ' ', &m->point))
		return false;
	do {
		if (!take_to(&line, ' ', &skip))
			return false;
	} while (!equals(skip, "-"));
	if (!take_to(&line, ' ', &m->type) || !take_to(&line, ' ', &skip))
		return false;
	m->options = line;
	return true;
}

/* The directory of the cgroup @own below the mount @m. Return: 0, -ENOENT when the mount shows another part of the tree. */
static int place_in(const struct mount *m, struct piece own, struct cgroup_place *ret)
{
	char root[LIMIT_PATH];
	int r = unescape(m->root, root, sizeof(root));
	size_t n;

	if (r < 0)
		return r;
	n = strcmp(root, "/") == 0 ? 0 : (size_t)r;
	/* a cgroup outside of the cgroup namespace reads "/.." */
	if (own.n < n || memcmp(own.s, root, n) != 0 || (own.n > n && own.s[n] != '/') ||
	    (own.n >= 3 && memcmp(own.s, "/..", 3) == 0))
		return -ENOENT;
	r = unescape(m->point, ret->path, sizeof(ret->path));
	if (r < 0)
		return r;
	ret->top = (size_t)r;
	own.s += n;
	own.n -= n;
	if (own.n == 1)
		own.n = 0; /* "/" */
	if (ret->top + own.n >= sizeof(ret->path))
		return -ENAMETOOLONG;
	memcpy(ret->path + ret->top, own.s, own.n);
	ret->path[ret->top + own.n] = '\0';
	return 0;
}

int cgroup_find(const char *cgroups, const char *mountinfo, const char *controller,
		struct cgroup_place *ret)
{
	struct piece controllers, path, own = { NULL, 0 }, list = { "", 0 };
	struct mount m;
	int r = -ENOENT;

	/* a controller that is bound to a hierarchy of version 1 is not in version 2 */
	while (*cgroups) {
		if (!cgroup_line(take_line(&cgroups), &controllers, &path))
			continue;
		if (has_word(controllers, controller)) {
			own = path;
			list = controllers;
			break;
		}
		if (controllers.n == 0)
			own = path;
	}
	if (!own.s)
		return -ENOENT;
	ret->v2 = list.n == 0;
	if (list.n >= sizeof(ret->controllers))
		return -ENAMETOOLONG;
	memcpy(ret->controllers, list.s, list.n);
	ret->controllers[list.n] = '\0';
	while (*mountinfo && r == -ENOENT) {
		if (!mount_line(take_line(&mountinfo), &m) ||
		    !equals(m.type, ret->v2 ? "cgroup2" : "cgroup") ||
		    (!ret->v2 && !has_word(m.options, controller)))
			continue;
		r = place_in(&m, own, ret);
	}
	return r;
}
