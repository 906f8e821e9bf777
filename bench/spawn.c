/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times commands from posix_spawn to the end of waitpid, in turns: A B C A B C ...
 *
 *   spawn ROUNDS WARMUP PAUSE_US UID GID ::: DIR COMMAND [ARG...] [::: DIR COMMAND [ARG...]]...
 *
 * COMMAND is an absolute path, with the word 3<FILE before it when FILE shall be open on fd 3. It starts in DIR, with stdin, stdout and stderr on /dev/null. UID -1 keeps the caller's ids.
 * Prints one line per command: its times in nanoseconds, in the order of the rounds. Any exit code but 0 ends the run.
 * A program of its own, so that no interpreter is in the figures; posix_spawn is a vfork, so its own size is not either.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_COMMANDS 16

struct command {
	char **argv;
	posix_spawn_file_actions_t fa;
	long long *ns;
	char **end; /* behind its last word */
};

static void die(const char *what, int err)
{
	fprintf(stderr, "spawn: %s: %s\n", what, strerror(err));
	exit(1);
}

static long number(const char *s)
{
	char *end = NULL;
	long n = 0;

	errno = 0;
	n = strtol(s, &end, 10);
	if (errno || end == s || *end)
		die(s, EINVAL);
	return n;
}

static long long now(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) < 0)
		die("clock_gettime", errno);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long long run_once(struct command *c)
{
	long long start = now();
	int status = 0;
	pid_t pid = -1;
	int r = posix_spawn(&pid, c->argv[0], &c->fa, NULL, c->argv, environ);

	if (r)
		die(c->argv[0], r);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			die("waitpid", errno);
	}
	start = now() - start;
	if (status) {
		fprintf(stderr, "spawn: %s: wait status 0x%x\n", c->argv[0], (unsigned int)status);
		exit(1);
	}
	return start;
}

static void command_init(struct command *c, char **argv, long rounds)
{
	int r = 0;

	const char *file = NULL;

	c->argv = argv + 1;
	if (strncmp(c->argv[0], "3<", 2) == 0)
		file = *c->argv++ + 2;
	c->ns = calloc((size_t)rounds, sizeof(*c->ns));
	if (!c->ns)
		die("calloc", ENOMEM);
	r = posix_spawn_file_actions_init(&c->fa);
	for (int fd = 0; fd < 3 && !r; fd++)
		r = posix_spawn_file_actions_addopen(&c->fa, fd, "/dev/null", O_RDWR, 0);
	if (file && !r)
		r = posix_spawn_file_actions_addopen(&c->fa, 3, file, O_RDONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_addchdir_np(&c->fa, argv[0]);
	if (r)
		die("posix_spawn_file_actions", r);
}

static int commands_read(struct command *cmds, char **argv, long rounds)
{
	int n = 0;

	while (*argv) {
		char **first = argv + 1;

		if (strcmp(*argv, ":::") != 0)
			die(*argv, EINVAL);
		for (argv = first; *argv && strcmp(*argv, ":::") != 0;)
			argv++;
		if (argv - first < 2 || n == MAX_COMMANDS)
			die("each ::: needs DIR and COMMAND, at most 16 times", EINVAL);
		command_init(&cmds[n], first, rounds);
		cmds[n++].end = argv;
	}
	/* Each list ends where the next ":::" stood; only now, because that is how they were found. */
	for (int i = 0; i < n; i++)
		cmds[i].end[0] = NULL;
	return n;
}

int main(int argc, char **argv)
{
	static struct command cmds[MAX_COMMANDS];
	long rounds = 0, warmup = 0, pause_us = 0, uid = 0, gid = 0;
	int n = 0;

	if (argc < 9)
		die("usage: spawn ROUNDS WARMUP PAUSE_US UID GID ::: DIR COMMAND [ARG...]...",
		    EINVAL);
	rounds = number(argv[1]);
	warmup = number(argv[2]);
	pause_us = number(argv[3]);
	uid = number(argv[4]);
	gid = number(argv[5]);
	if (rounds < 1 || rounds > 1000000 || warmup < 0 || pause_us < 0)
		die("ROUNDS, WARMUP or PAUSE_US", ERANGE);
	n = commands_read(cmds, argv + 6, rounds);
	if (n == 0)
		die("no command", EINVAL);
	if (uid >= 0 &&
	    (setgroups(0, NULL) < 0 || setresgid((gid_t)gid, (gid_t)gid, (gid_t)gid) < 0 ||
	     setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid) < 0))
		die("setting the ids", errno);

	for (long round = -warmup; round < rounds; round++) {
		for (int i = 0; i < n; i++) {
			long long ns = run_once(&cmds[i]);

			if (round >= 0)
				cmds[i].ns[round] = ns;
			if (pause_us)
				usleep((useconds_t)pause_us);
		}
	}
	for (int i = 0; i < n; i++) {
		for (long round = 0; round < rounds; round++)
			printf("%lld%c", cmds[i].ns[round], round + 1 < rounds ? ' ' : '\n');
	}
	return 0;
}
