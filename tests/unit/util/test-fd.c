/* SPDX-License-Identifier: Apache-2.0 */
#include "tap.h"
#include "util/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>

static int pair[2];

static void open_pair(void)
{
	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
}

static int open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	REQUIRE(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static bool same_file(int a, int b)
{
	char pa[64], pb[64], la[256] = "", lb[256] = "";

	snprintf(pa, sizeof(pa), "/proc/self/fd/%d", a);
	snprintf(pb, sizeof(pb), "/proc/self/fd/%d", b);
	return readlink(pa, la, sizeof(la) - 1) > 0 && readlink(pb, lb, sizeof(lb) - 1) > 0 &&
	       strcmp(la, lb) == 0;
}

TEST(data_without_fds)
{
	char got[16] = "";
	int fds[8], i;

	open_pair();
	CHECK(fd_send(pair[0], "hello", 5, NULL, 0, 0) == 0);
	CHECK(fd_recv(pair[1], got, sizeof(got), fds, 0) == 5);
	CHECK_STR(got, "hello");
	for (i = 0; i < 8; i++)
		CHECK(fds[i] == -1);
}

TEST(fds_arrive_in_order_and_close_on_exec)
{
	int out[8], in[8], n, i, before;
	char c;

	open_pair();
	for (i = 0; i < 8; i++) {
		char name[8];

		snprintf(name, sizeof(name), "m%d", i);
		out[i] = memfd_create(name, 0);
		REQUIRE(out[i] >= 0);
	}
	before = open_fds();
	for (n = 1; n <= 8; n++) {
		CHECK(fd_send(pair[0], "x", 1, out, (size_t)n, 0) == 0);
		CHECK(fd_recv(pair[1], &c, 1, in, 0) == 1);
		for (i = 0; i < 8; i++) {
			if (i >= n) {
				CHECK(in[i] == -1);
				continue;
			}
			CHECK(same_file(in[i], out[i]));
			CHECK(fcntl(in[i], F_GETFD) == FD_CLOEXEC);
			close(in[i]);
		}
	}
	CHECK(open_fds() == before);
}

TEST(more_than_eight_fds_are_not_sent)
{
	int nine[9] = { 0 };

	open_pair();
	CHECK(fd_send(pair[0], "x", 1, nine, 9, 0) == -EINVAL);
}

/* What fd_send() would not do, a hostile peer does. */
static void send_raw(const void *p, size_t n, int n_fds)
{
	_Alignas(struct cmsghdr) char ctrl[CMSG_SPACE(32 * sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctrl };
	struct cmsghdr *cm;
	int i;

	mh.msg_controllen = CMSG_SPACE((size_t)n_fds * sizeof(int));
	cm = CMSG_FIRSTHDR(&mh);
	REQUIRE(cm);
	*cm = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS,
				.cmsg_len = CMSG_LEN((size_t)n_fds * sizeof(int)) };
	for (i = 0; i < n_fds; i++)
		memcpy(CMSG_DATA(cm) + (size_t)i * sizeof(int), &(int){ 1 }, sizeof(int));
	REQUIRE(sendmsg(pair[0], &mh, 0) == (ssize_t)n);
}

TEST(cut_fds_are_refused_and_closed)
{
	int in[8], before;
	char c;

	open_pair();
	before = open_fds();
	send_raw("x", 1, 20);
	CHECK(fd_recv(pair[1], &c, 1, in, 0) == -EBADMSG);
	CHECK(open_fds() == before);
	CHECK(fd_send(pair[0], "y", 1, NULL, 0, 0) == 0); /* the next datagram is whole again */
	CHECK(fd_recv(pair[1], &c, 1, in, 0) == 1 && c == 'y');
}

TEST(cut_data_is_refused_and_its_fds_closed)
{
	int in[8], before;
	char got[4];

	open_pair();
	before = open_fds();
	CHECK(fd_send(pair[0], "12345", 5, &(int){ 1 }, 1, 0) == 0);
	CHECK(fd_recv(pair[1], got, sizeof(got), in, 0) == -EBADMSG);
	CHECK(open_fds() == before);
}

TEST(fds_that_were_closed_are_not_handed_out)
{
	int in[8], i;
	char c;

	open_pair();
	CHECK(fd_send(pair[0], "12", 2, (int[]){ 1, 1 }, 2, 0) == 0);
	CHECK(fd_recv(pair[1], &c, 1, in, 0) == -EBADMSG);
	for (i = 0; i < 8; i++)
		CHECK(in[i] == -1);
}

TEST(closed_peer_and_empty_socket)
{
	int in[8];
	char c;

	open_pair();
	CHECK(fd_recv(pair[1], &c, 1, in, MSG_DONTWAIT) == -EAGAIN);
	close(pair[0]);
	CHECK(fd_recv(pair[1], &c, 1, in, 0) == 0);
	CHECK(fd_send(pair[1], "x", 1, NULL, 0, 0) == -EPIPE); /* and no SIGPIPE */
	CHECK(fd_recv(-1, &c, 1, in, 0) == -EBADF);
	CHECK(in[0] == -1);
}

TEST(a_bad_fd_is_not_sent)
{
	open_pair();
	CHECK(fd_send(pair[0], "x", 1, &(int){ 9999 }, 1, 0) == -EBADF);
}

TEST(write_all_and_read_all_over_short_writes)
{
	static char data[300000];
	struct buf b = BUF_INIT(1 << 20);
	int p[2], status;
	pid_t pid;

	memset(data, 'd', sizeof(data));
	REQUIRE(pipe(p) == 0);
	pid = fork();
	if (pid == 0) {
		close(p[0]);
		_exit(fd_write_all(p[1], data, sizeof(data)) == 0 ? 0 : 1);
	}
	close(p[1]);
	CHECK(fd_read_all(p[0], &b) == 0);
	CHECK(b.len == sizeof(data));
	CHECK(b.data && memcmp(b.data, data, sizeof(data)) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	buf_done(&b);
}

TEST(write_all_and_read_all_report_errors)
{
	struct buf b = BUF_INIT(100);
	int fd = memfd_create("x", 0), p[2];

	CHECK(fd_write_all(-1, "x", 1) == -EBADF);
	CHECK(fd_write_all(-1, "x", 0) == 0);
	CHECK(fd_read_all(-1, &b) == -EBADF);
	CHECK(fd_write_all(fd, (char[100]){ 0 }, 100) == 0);
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	CHECK(fd_read_all(fd, &b) == -EFBIG); /* the cap counts the NUL */
	buf_done(&b);
	REQUIRE(pipe(p) == 0);
	close(p[0]);
	signal(SIGPIPE, SIG_IGN);
	CHECK(fd_write_all(p[1], "x", 1) == -EPIPE);
}

TEST(as_many_as_the_hard_limit_allows)
{
	struct rlimit l = { .rlim_cur = 20, .rlim_max = 30 };

	CHECK(setrlimit(RLIMIT_NOFILE, &l) == 0);
	CHECK(fd_raise_limit() == 30);
	CHECK(getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur == 30 && l.rlim_max == 30);
}

TEST(write_file_needs_an_existing_file)
{
	char dir[] = "/tmp/test-fd-XXXXXX", got[8] = "";
	int dfd, fd;

	REQUIRE(mkdtemp(dir));
	dfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd_write_file(dfd, "f", "text") == -ENOENT);
	fd = openat(dfd, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0);
	CHECK(fd_write_file(dfd, "f", "text") == 0);
	CHECK(read(fd, got, sizeof(got)) == 4);
	CHECK_STR(got, "text");
	CHECK(fd_write_file(dfd, ".", "text") == -EISDIR);
	unlinkat(dfd, "f", 0);
	rmdir(dir);
}
