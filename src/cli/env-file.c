/* SPDX-License-Identifier: Apache-2.0 */
/* --env-file: NAME=VALUE lines, as docker reads them; what that would take silently (spaces in names, CR) is refused here. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sandbox.h"
#include "settings.h"

static int bad(const char *path, unsigned int line, struct err *e, const char *what)
{
	return err_set(e, ERR_USAGE, -EINVAL, "%s:%u: %s", path, line, what);
}

/* One line without its end; @n bytes. Return: 1 when it is a variable, 0 when it is nothing, negative errno with @e. */
static int check(const char *path, unsigned int number, const char *s, size_t n, struct err *e)
{
	const char *eq = memchr(s, '=', n);
	size_t len = eq ? (size_t)(eq - s) : n, i;

	if (memchr(s, '\0', n))
		return bad(path, number, e, "the line has a NUL");
	if (n && s[n - 1] == '\r')
		return bad(path, number, e, "the line ends with CR LF; only LF is taken");
	if (n == 0 || s[0] == '#')
		return 0;
	if (n > LIMIT_POLICY_STRING)
		return bad(path, number, e, "the line is longer than 32767 bytes");
	for (i = 0; i < len && (unsigned char)s[i] > ' ' && s[i] != 0x7f; i++)
		;
	if (i < len || len == 0 || len > 255)
		return bad(
			path, number, e,
			"expected NAME=VALUE, NAME or # comment: a name has no spaces and at most 255 bytes");
	return 1;
}

int env_file(struct sandbox *s, const struct opt_value *v, struct opt_list *out, struct err *e)
{
	struct buf b = BUF_INIT(LIMIT_POLICY_FILE + 1);
	char cwd[LIMIT_PATH], path[LIMIT_PATH];
	const char *p, *end, *next;
	unsigned int number = 1;
	struct opt_value var = *v;
	char *line;
	const char *base =
		s->base ? s->base : getcwd(cwd, sizeof(cwd)); /* exec has options alone */
	int r = base ? path_normalize(v->value, base, s->home, path, e) :
		       err_sys(e, -errno, "current directory");

	if (r == 0)
		r = settings_read(AT_FDCWD, path, path, SETTINGS_ANY, &b, e);
	if (r == 0)
		r = err_set(e, ERR_USAGE, -ENOENT, "'%s': no such file", path);
	if (r > 0 && b.len >= 3 && memcmp(b.data, "\xef\xbb\xbf", 3) == 0)
		r = bad(path, 1, e, "the file begins with a byte order mark");
	for (p = b.data, end = p + b.len; r >= 0 && p && p < end; p = next + 1, number++) {
		next = memchr(p, '\n', (size_t)(end - p));
		if (!next)
			next = end;
		r = check(path, number, p, (size_t)(next - p), e);
		if (r <= 0)
			continue;
		line = arena_alloc(&s->arena, (size_t)(next - p) + 1);
		if (!line) {
			r = sandbox_oom(e);
			break;
		}
		memcpy(line, p, (size_t)(next - p));
		var.value = line;
		r = opt_list_add(out, &var) < 0 ? sandbox_oom(e) : 0;
	}
	buf_done(&b);
	return r < 0 ? err_wrap(e, r, "--env-file") : 0;
}

void env_put(char **env, size_t *n, const char *word)
{
	size_t i;

	for (i = 0; i < *n && strncmp(env[i], word, strcspn(word, "=") + 1) != 0; i++)
		;
	env[i] = (char *)(uintptr_t)word;
	*n += i == *n;
}
