/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines: path, cwd, home. What a path becomes is said a second time, by a list of its components; so is what covers(), depth() and compare() say
 * of two that are plain.
 */
#include <errno.h>

#include "fuzz.h"

struct parts {
	const char *part[8 * LIMIT_PATH];
	size_t n, bytes; /* with a slash before each */
};

/* Appends what @path names. @path: its slashes become ends. Return: whether it never was longer than a path may be. */
static bool add(struct parts *ps, char *path)
{
	bool more = true;
	size_t n;

	for (; more; path += n + 1) {
		n = strcspn(path, "/");
		more = path[n] == '/';
		path[n] = '\0';
		if (strcmp(path, "..") == 0) {
			if (ps->n)
				ps->bytes -= 1 + strlen(ps->part[--ps->n]);
		} else if (n && strcmp(path, ".") != 0) {
			ps->part[ps->n++] = path;
			ps->bytes += 1 + n;
			if (ps->bytes >= LIMIT_PATH)
				return false;
		}
	}
	return true;
}

/* The answer for @path, cut into pieces. Return: 0 or negative errno. */
static int reference(char *path, char *cwd, char *home, struct parts *ps)
{
	bool tilde = path[0] == '~' && strchr("/", path[1]), fits = true;
	char *base = tilde ? home : cwd;

	ps->n = ps->bytes = 0;
	if (!path[0] || (tilde && !home))
		return -EINVAL;
	if (path[0] != '/' && base)
		fits = add(ps, base);
	return fits && add(ps, path + tilde) ? 0 : -ENAMETOOLONG;
}

static void check_same(const char *out, const struct parts *ps)
{
	char want[LIMIT_PATH] = "/";
	size_t i, n = 0;

	for (i = 0; i < ps->n; i++)
		n += (size_t)snprintf(want + n, sizeof(want) - n, "/%s", ps->part[i]);
	FUZZ_REQUIRE(strcmp(out, want) == 0);
	FUZZ_REQUIRE(path_depth(out) == ps->n);
}

/* Component by component: a parent comes first, siblings by their bytes. */
static int order(const struct parts *a, const struct parts *b)
{
	size_t i;
	int r;

	for (i = 0; i < a->n && i < b->n; i++) {
		r = strcmp(a->part[i], b->part[i]);
		if (r)
			return r;
	}
	return a->n < b->n ? -1 : a->n > b->n;
}

static int sign(int r)
{
	return r < 0 ? -1 : r > 0;
}

static void check_two(const char *a, const struct parts *pa, const char *b, const struct parts *pb)
{
	size_t i, same = 0;

	for (i = 0; i < pa->n && i < pb->n && strcmp(pa->part[i], pb->part[i]) == 0; i++)
		same++;
	FUZZ_REQUIRE(path_covers(a, b) == (same == pa->n));
	FUZZ_REQUIRE(path_covers(b, a) == (same == pb->n));
	FUZZ_REQUIRE(sign(path_compare(a, b)) == sign(order(pa, pb)));
	FUZZ_REQUIRE(sign(path_compare(b, a)) == -sign(order(pa, pb)));
	FUZZ_REQUIRE(path_compare(a, a) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[3 * LIMIT_PATH], cwd[2 * LIMIT_PATH], home[2 * LIMIT_PATH];
	static char copy[2 * LIMIT_PATH];
	char out[LIMIT_PATH], dir[LIMIT_PATH];
	static struct parts one, two;
	struct err e = ERR_INIT;
	int r;

	if (size > 8UL * LIMIT_PATH)
		return 0;
	path[0] = '\0';
	memcpy(cwd, "/", 2);
	memcpy(home, "/", 2);
	(void)fuzz_line(&data, &size, path, sizeof(path)); /* what is missing stays empty */
	(void)fuzz_line(&data, &size, cwd + 1, sizeof(cwd) - 1);
	(void)fuzz_line(&data, &size, home + 1, sizeof(home) - 1);
	memcpy(copy, cwd, strlen(cwd) + 1);
	memset(out, 'x', sizeof(out));
	r = path_normalize(path, cwd, home[1] ? home : NULL, out, &e);
	FUZZ_REQUIRE(r == reference(path, cwd, home[1] ? home : NULL, &one));
	if (r < 0) {
		FUZZ_REQUIRE(e.msg[0] && e.code == ERR_USAGE && e.sys == -r);
		return 0;
	}
	check_same(out, &one);
	r = path_normalize(copy, "/nowhere", NULL, dir, &e);
	FUZZ_REQUIRE(r == reference(copy, NULL, NULL, &two));
	if (r < 0)
		return 0;
	check_same(dir, &two);
	check_two(out, &one, dir, &two);
	return 0;
}
