/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /etc/passwd and /etc/group belong to the sandbox, whose root may have written anything there: they are read with a bound, never waited for, and
 * what they say leads to ids of this user namespace at most. The libc's functions would ask services of the sandbox's.
 */
#include "user.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (1u << 20)
#define FIELDS 7

/* All of a file. Return: false when it is no regular file, or too long; there is nothing in it then. */
static bool read_file(const char *path, struct buf *b)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fd_read_all(fd, b) == 0 &&
	       !b->failed && b->data && strlen(b->data) == b->len;
}

/* The next line of *@at, cut into fields at its colons. Return: false at the end. */
static bool next_line(char **at, char *fields[FIELDS])
{
	char *line = *at, *end;
	size_t i;

	if (!line || !*line)
		return false;
	end = strchr(line, '\n');
	*at = end ? end + 1 : line + strlen(line);
	if (end)
		*end = '\0';
	for (i = 0; i < FIELDS; i++) {
		fields[i] = line;
		line += strcspn(line, ":");
		if (*line && i < FIELDS - 1)
			*line++ = '\0';
	}
	return true;
}

static bool is_number(const char *s, unsigned int *ret)
{
	unsigned long n;
	char *end;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	n = strtoul(s, &end, 10);
	if (errno || *end || n >= UINT32_MAX)
		return false;
	*ret = (unsigned int)n;
	return true;
}

static bool keep(char out[USER_TEXT], const char *s)
{
	size_t n = strlen(s);

	if (n >= USER_TEXT)
		return false;
	memcpy(out, s, n + 1);
	return true;
}

/* The line of @word, a name or a number. Return: whether there is one. */
static bool find_user(const char *word, struct init_ids *ret)
{
	struct buf b = BUF_INIT(FILE_MAX);
	unsigned int want = 0, uid, gid;
	bool number = is_number(word, &want), found = false;
	char *at, *f[FIELDS];

	at = read_file("/etc/passwd", &b) ? b.data : NULL;
	while (!found && next_line(&at, f)) {
		if (!is_number(f[2], &uid) || !is_number(f[3], &gid))
			continue;
		if (number ? uid != want : strcmp(f[0], word) != 0)
			continue;
		ret->uid = uid;
		ret->gid = gid;
		found = keep(ret->name, f[0]);
		if (!found || f[5][0] != '/' || !keep(ret->home, f[5]))
			memcpy(ret->home, "/", 2);
	}
	buf_done(&b);
	return found;
}

static bool has_member(char *list, const char *name)
{
	char *save = NULL, *word;

	for (word = strtok_r(list, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		if (strcmp(word, name) == 0)
			return true;
	}
	return false;
}

/* The groups that name @ret->name; with @word the id of that group instead. Return: whether @word was found. */
static bool read_groups(const char *word, struct init_ids *ret)
{
	struct buf b = BUF_INIT(FILE_MAX);
	char *at, *f[FIELDS];
	bool found = false;
	unsigned int gid;

	at = read_file("/etc/group", &b) ? b.data : NULL;
	while (!found && next_line(&at, f)) {
		if (!is_number(f[2], &gid))
			continue;
		if (word) {
			found = strcmp(f[0], word) == 0;
			if (found)
				ret->gid = gid;
		} else if (ret->n_groups < USER_GROUPS && *ret->name &&
			   has_member(f[3], ret->name)) {
			ret->groups[ret->n_groups++] = gid;
		}
	}
	buf_done(&b);
	return found;
}

static int find_group(const char *word, struct init_ids *ret, struct err *e)
{
	unsigned int gid;

	if (is_number(word, &gid))
		ret->gid = gid;
	else if (!read_groups(word, ret))
		return err_set(e, ERR_USAGE, -ENOENT,
			       "--user: there is no group '%.100s' in the sandbox", word);
	return 0;
}

int user_find(const char *word, const struct init_agent *agent, struct init_ids *ret, struct err *e)
{
	const char *colon = word ? strchr(word, ':') : NULL;
	char name[USER_TEXT];
	unsigned int uid = 0;
	size_t n = word ? strcspn(word, ":") : 0;
	int r = 0;

	*ret = (struct init_ids){ .uid = agent->uid, .gid = agent->gid };
	if (!keep(ret->name, agent->name) || !keep(ret->home, agent->home) || n >= sizeof(name))
		return err_set(e, ERR_USAGE, -ENAMETOOLONG, "--user: the name is too long");
	memcpy(name, word ? word : "", n);
	name[n] = '\0';
	if (word && !*name)
		return err_set(e, ERR_USAGE, -EINVAL,
			       "--user '%.100s': expected USER or USER:GROUP", word);
	if (word && strcmp(name, agent->name) != 0 &&
	    !(is_number(name, &uid) && uid == agent->uid) && !find_user(name, ret)) {
		if (!is_number(name, &uid))
			return err_set(e, ERR_USAGE, -ENOENT,
				       "--user: there is no user '%.100s' in the sandbox", name);
		*ret = (struct init_ids){ .uid = uid, .gid = uid, .home = "/" };
	}
	if (colon)
		r = find_group(colon + 1, ret, e);
	else if (agent->rooted)
		(void)read_groups(NULL, ret);
	if (r == 0 && !agent->rooted && (ret->uid != agent->uid || ret->gid != agent->gid))
		r = err_set(
			e, ERR_LAYER, -EPERM,
			"--user '%.100s': this sandbox has one user, '%s', and no root: 'bailey inspect' says why, and what mends it",
			word, agent->name);
	return r;
}
