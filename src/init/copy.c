/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. `bailey cp` must work in every sandbox, also in one without tar, and by the sandbox's rights. So PID 1, which has those, and no program that the
 * sandbox could have put there, makes a copy of itself that packs or unpacks, or does what fs.h has. It is behind all walls, as every command is, and nobody inside can look into it,
 * for it can't be dumped, as PID 1 can't. What it says on 2 is bounded, so that it never waits for a reader.
 */
#include "copy.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/archive.h"
#include "fs.h"
#include "spawn.h"

#define SAID_MAX 20 /* lines about what was left out */

static void say(const char *text)
{
	struct buf b = BUF_INIT(1024);

	buf_printf(&b, "%.500s\n", text);
	if (!b.failed)
		(void)fd_write_all(2, b.data, b.len); /* nobody is left to tell */
	buf_done(&b);
}

static void left_out(void *arg, const char *path, const char *why)
{
	unsigned int *said = arg;
	char line[512];

	if (++*said > SAID_MAX)
		return;
	(void)snprintf(line, sizeof(line), "%s%.300s: %s is left out", INIT_COPY_NOTICE, path, why);
	say(*said < SAID_MAX ? line : INIT_COPY_NOTICE "and more is left out");
}

/* Of "UID:GID". */
static bool read_ids(const char *word, struct archive_ids *ret)
{
	char *end = NULL;

	*ret = (struct archive_ids){ .given = word };
	if (!word)
		return true;
	ret->uid = (uint32_t)strtoul(word, &end, 10);
	if (*end != ':')
		return false;
	ret->gid = (uint32_t)strtoul(end + 1, &end, 10);
	return !*end;
}

static int copy_out(char *const *argv, struct err *e)
{
	unsigned int said = 0;
	struct archive_pack p = { .path = argv[1], .left_out = left_out, .arg = &said };

	if (!argv[2] || !read_ids(argv[3], &p.ids))
		return err_set(e, ERR_SYSTEM, -EBADMSG, "the words of the copy are missing");
	p.follow = strchr(argv[2], INIT_COPY_FOLLOW);
	return archive_pack(&p, 1, e);
}

static int copy_in(char *const *argv, struct err *e)
{
	unsigned int said = 0;
	struct archive_unpack u = {
		.path = argv[1], .hard = true, .left_out = left_out, .arg = &said
	};

	if (!argv[2] || !read_ids(argv[3], &u.ids))
		return err_set(e, ERR_SYSTEM, -EBADMSG, "the words of the copy are missing");
	u.into = strchr(argv[2], INIT_COPY_INTO);
	u.owner = strchr(argv[2], INIT_COPY_OWNER);
	return archive_unpack(&u, 0, e);
}

static int work(char *const *argv, struct err *e)
{
	static const struct {
		const char *word;
		int (*fn)(char *const *argv, struct err *e);
	} all[] = {
		{ INIT_COPY_OUT, copy_out },   { INIT_COPY_IN, copy_in },
		{ INIT_FS_STAT, fs_stat },     { INIT_FS_LIST, fs_list },
		{ INIT_FS_MAKE, fs_make },     { INIT_FS_MOVE, fs_move },
		{ INIT_FS_REMOVE, fs_remove }, { INIT_FS_WATCH, fs_watch },
	};
	size_t i;

	for (i = 0; argv[1] && i < ARRAY_SIZE(all); i++) {
		if (strcmp(argv[0], all[i].word) == 0)
			return all[i].fn(argv, e);
	}
	return err_set(e, ERR_SYSTEM, -EBADMSG, "the words of the copy are none");
}

static void __attribute__((noreturn)) become(const struct init_command *cmd)
{
	struct err e = ERR_INIT;
	sigset_t none;
	int fd;

	(void)setsid(); /* can't fail in a new process */
	for (fd = 0; fd <= 2; fd++) {
		if (dup2(cmd->streams[fd], fd) < 0)
			_exit(125);
	}
	(void)sys_close_range(3, ~0u);
	sigemptyset(&none);
	(void)signal(SIGPIPE, SIG_IGN); /* who reads no more is an error as any other */
	(void)sigprocmask(SIG_SETMASK, &none, NULL); /* can't fail with these arguments */
	if (cmd->ids && spawn_take_ids(cmd->ids) < 0)
		(void)err_set(&e, ERR_SYSTEM, -EPERM, "the user of the copy can't be had");
	else if (cmd->cwd && chdir(cmd->cwd) < 0)
		(void)err_sys(&e, -errno, "%s", cmd->cwd);
	else if (work(cmd->argv, &e) == 0)
		_exit(0);
	say(e.msg);
	_exit(e.sys > 0 && e.sys < 128 ? e.sys : 1);
}

int copy_spawn(const struct init_command *cmd, pid_t *ret_pid, struct err *e)
{
	pid_t pid = fork();

	if (pid < 0)
		return err_sys(e, -errno, "fork");
	if (pid == 0)
		become(cmd);
	*ret_pid = pid;
	return 0;
}
