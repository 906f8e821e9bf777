/* SPDX-License-Identifier: Apache-2.0 */
/* A command on its way to PID 1: a header, then strings, each ended by a NUL: the directory, the user, the words, the variables. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init.h"

#define MAGIC 0x31707362u /* "bsp1": with the version */

struct head {
	uint32_t magic, argc, envc,
		has; /* bits HAS_…; a release without users refuses what has one */
	struct init_tty tty;
};

#define HAS_DIRECTORY 1u
#define HAS_USER 2u

static size_t count(char *const *v)
{
	size_t n = 0;

	while (v && v[n])
		n++;
	return n;
}

int init_pack(const struct init_command *cmd, struct err *e)
{
	_cleanup_close_ int fd = memfd_create("bailey-command", MFD_CLOEXEC);
	struct buf b = BUF_INIT(LIMIT_SPAWN);
	struct head h = { .magic = MAGIC,
			  .argc = (uint32_t)count(cmd->argv),
			  .envc = (uint32_t)count(cmd->envp),
			  .has = (cmd->cwd ? HAS_DIRECTORY : 0) | (cmd->user ? HAS_USER : 0),
			  .tty = cmd->tty };
	size_t i;
	int r = 0;

	if (fd < 0)
		return err_sys(e, -errno, "memory for the command");
	buf_add(&b, &h, sizeof(h));
	if (cmd->cwd)
		buf_add(&b, cmd->cwd, strlen(cmd->cwd) + 1);
	if (cmd->user)
		buf_add(&b, cmd->user, strlen(cmd->user) + 1);
	for (i = 0; i < h.argc; i++)
		buf_add(&b, cmd->argv[i], strlen(cmd->argv[i]) + 1);
	for (i = 0; i < h.envc; i++)
		buf_add(&b, cmd->envp[i], strlen(cmd->envp[i]) + 1);
	if (b.failed)
		r = err_set(e, ERR_USAGE, -E2BIG,
			    "the command's words and variables take more than %u MiB",
			    LIMIT_SPAWN >> 20);
	else
		r = fd_write_all(fd, b.data, b.len);
	if (r < 0 && e->code == ERR_NONE)
		r = err_sys(e, r, "memory for the command");
	buf_done(&b);
	return r < 0 ? r : TAKE_FD(fd);
}

/* The next string of @left bytes at *@p. Return: it, or NULL. */
static char *next(char **p, size_t *left)
{
	char *s = *p, *nul = memchr(s, '\0', *left);

	if (!nul)
		return NULL;
	*left -= (size_t)(nul + 1 - s);
	*p = nul + 1;
	return s;
}

static bool strings(char **v, uint32_t n, char **p, size_t *left)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		v[i] = next(p, left);
		if (!v[i])
			return false;
	}
	v[n] = NULL;
	return true;
}

/* A byte that is neither is no bool, and must not be read as one. */
static bool is_tty(const struct init_tty *tty)
{
	unsigned char foreground;

	memcpy(&foreground, &tty->foreground, 1);
	return (tty->fds == 0 || tty->fds == 7) && foreground <= 1;
}

int init_unpack(int fd, struct init_command *ret, void **memory)
{
	struct head h;
	struct stat st;
	char **words, *p;
	size_t size, left;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(h))
		return -EBADMSG;
	if (st.st_size > (off_t)LIMIT_SPAWN)
		return -E2BIG;
	left = (size_t)st.st_size - sizeof(h);
	if (pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h) || h.magic != MAGIC || h.argc == 0 ||
	    h.argc > left || h.envc > left || h.has > (HAS_DIRECTORY | HAS_USER) || !is_tty(&h.tty))
		return -EBADMSG;
	size = ((size_t)h.argc + h.envc + 2) * sizeof(char *);
	words = malloc(size + left);
	if (!words)
		return -ENOMEM;
	p = (char *)words + size;
	n = pread(fd, p, left, sizeof(h));
	*ret = (struct init_command){ .argv = words, .envp = words + h.argc + 1, .tty = h.tty };
	if (n != (ssize_t)left || ((h.has & HAS_DIRECTORY) && !(ret->cwd = next(&p, &left))) ||
	    ((h.has & HAS_USER) && !(ret->user = next(&p, &left))) ||
	    !strings(words, h.argc, &p, &left) || !strings(words + h.argc + 1, h.envc, &p, &left) ||
	    left != 0) {
		free(words);
		return n < 0 ? -errno : -EBADMSG;
	}
	*memory = words;
	return 0;
}
