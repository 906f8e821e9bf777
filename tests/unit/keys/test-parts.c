/* SPDX-License-Identifier: Apache-2.0 */
/* Queues of bytes, and what bailey-keys could do if it was taken over. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "../../../src/keys/confine.h"
#include "../../../src/keys/fifo.h"
#include "../tap.h"

/* A long random life beside a plain copy of what is in it. */
TEST(fifo_is_a_queue_with_a_cap)
{
	static unsigned char ours[4096], theirs[4096];
	struct fifo f = FIFO_INIT(1000);
	size_t n = 0, i, k, put = 0;
	unsigned int seed = 1;

	for (i = 0; i < 100000; i++) {
		seed = seed * 1103515245 + 12345;
		k = (seed >> 16) % 300;
		if (seed & 0x8000) {
			unsigned char *to = ours + n;
			size_t m;

			for (m = 0; m < k; m++)
				to[m] = (unsigned char)(put + m);
			CHECK(fifo_room(&f) == 1000 - n);
			if (fifo_add(&f, to, k)) {
				n += k;
				put += k;
			} else {
				CHECK(n + k > 1000);
			}
		} else {
			k = k < n ? k : n;
			if (k > 0)
				memcpy(theirs, fifo_head(&f), k);
			CHECK(memcmp(ours, theirs, k) == 0);
			fifo_take(&f, k);
			n -= k;
			memmove(ours, ours + k, n);
		}
		CHECK(f.n == n && f.size <= 4096);
		REQUIRE(n == 0 || memcmp(fifo_head(&f), ours, n) == 0);
	}
	CHECK(!fifo_space(&f, 1001));
	fifo_done(&f);
	CHECK(!f.p && f.n == 0);
}

/* Under a sanitizer there is no filter: its own calls would be refused. */
#ifndef __SANITIZE_ADDRESS__

static int pipes[2];

static int open_file(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? errno : close(fd);
}

static int tcp_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? errno : close(fd);
}

static int unix_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? errno : close(fd);
}

static int dial(void)
{
	struct sockaddr a = { .sa_family = AF_UNSPEC };

	return connect(pipes[0], &a, sizeof(a)) < 0 ? errno : 0;
}

static int new_process(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : 0;
}

static int execute(void)
{
	char *argv[] = { (char *)"/bin/true", NULL };

	execv(argv[0], argv);
	return errno;
}

static int send_signal(void)
{
	return kill(getppid(), 0) < 0 ? errno : 0;
}

static int make_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	return p == MAP_FAILED ? errno : munmap(p, 4096);
}

static int look_into(void)
{
	return (int)syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0) < 0 ? errno : 0;
}

static int own_descriptor(void)
{
	return fcntl(pipes[0], F_SETOWN, 1) < 0 ? errno : 0;
}

/* What it needs. */
static int work(void)
{
	char c = 'x';
	char *p = malloc(1 << 20);
	int flags = fcntl(pipes[0], F_GETFL);

	if (!p || flags < 0 || fcntl(pipes[0], F_SETFL, flags | O_NONBLOCK) < 0)
		return 1;
	memset(p, 1, 1 << 20);
	free(p);
	return write(pipes[1], &c, 1) == 1 && read(pipes[0], &c, 1) == 1 ? 0 : 2;
}

TEST(what_could_be_done_if_it_was_taken_over)
{
	static const struct {
		const char *name;
		int (*try)(void);
		int want; /* 0, an errno, or a signal below 0 */
	} rows[] = {
		{ "its work", work, 0 },
		{ "open", open_file, -SIGSYS },
		{ "TCP", tcp_socket, -SIGSYS },
		{ "unix", unix_socket, -SIGSYS },
		{ "connect", dial, -SIGSYS },
		{ "fork", new_process, -SIGSYS },
		{ "exec", execute, -SIGSYS },
		{ "kill", send_signal, -SIGSYS },
		{ "code", make_code, -SIGSYS },
		{ "memory of others", look_into, -SIGSYS },
		{ "F_SETOWN", own_descriptor, EPERM },
	};
	size_t i;

	REQUIRE(pipe2(pipes, O_CLOEXEC) == 0);
	/* without the filter */
	CHECK(open_file() == 0 && tcp_socket() == 0 && unix_socket() == 0 && new_process() == 0 &&
	      send_signal() == 0 && make_code() == 0 && look_into() == 0 && own_descriptor() == 0 &&
	      dial() == ENOTSOCK);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		int status = 0, got;
		pid_t pid = fork();

		REQUIRE(pid >= 0);
		if (pid == 0) {
			struct err e = ERR_INIT;

			_exit(confine_keys((uid_t)-1, (gid_t)-1, &e) < 0 ? 255 : rows[i].try());
		}
		REQUIRE(waitpid(pid, &status, 0) == pid);
		got = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
		if (got != rows[i].want)
			FAIL("%s: %d", rows[i].name, got);
	}
}

#endif
