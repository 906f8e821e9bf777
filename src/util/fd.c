/* SPDX-License-Identifier: Apache-2.0 */
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "sys.h"

int fd_write_all(int fd, const void *p, size_t n)
{
	const char *s = p;

	while (n > 0) {
		ssize_t w = write(fd, s, n);

		if (w < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		s += w;
		n -= (size_t)w;
	}
	return 0;
}

int fd_copy(int from, int to)
{
	char buf[16384];
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = read(from, buf, sizeof(buf))) != 0)
		r = n < 0 ? -errno : fd_write_all(to, buf, (size_t)n);
	return r;
}

int fd_read_all(int fd, struct buf *b)
{
	char tmp[16384];

	for (;;) {
		ssize_t n = read(fd, tmp, sizeof(tmp));

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (n == 0)
			return 0;
		buf_add(b, tmp, (size_t)n);
		if (b->failed)
			return -EFBIG;
	}
}

int fd_write_file(int dfd, const char *path, const char *s)
{
	_cleanup_close_ int fd = openat(dfd, path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, s, strlen(s));
	if (n < 0)
		return -errno;
	return (size_t)n == strlen(s) ? 0 : -EIO;
}

bool fd_is_terminal(int fd)
{
	struct winsize size;

	/* not isatty(): musl's says ENOTTY whatever was the matter */
	return ioctl(fd, TIOCGWINSZ, &size) == 0 || errno == EIO;
}

union ctrl {
	char buf[CMSG_SPACE(8 * sizeof(int))];
	struct cmsghdr align;
};

int fd_send(int sock, const void *p, size_t n, const int *fds, size_t n_fds, int flags)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	union ctrl c;
	struct cmsghdr *cm;
	ssize_t r;

	if (n_fds > 8)
		return -EINVAL;
	if (n_fds > 0) {
		memset(&c, 0, sizeof(c));
		mh.msg_control = c.buf;
		mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		cm = CMSG_FIRSTHDR(&mh);
		if (!cm)
			return -EINVAL; /* can't be: msg_controllen is large enough */
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(cm), fds, n_fds * sizeof(int));
	}
	do {
		r = sendmsg(sock, &mh, flags | MSG_NOSIGNAL);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return (size_t)r == n ? 0 : -EMSGSIZE;
}

ssize_t fd_recv(int sock, void *p, size_t n, int fds[8], int flags)
{
	struct iovec iov = { .iov_base = p, .iov_len = n };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cm;
	union ctrl c;
	ssize_t r;
	size_t got, i;

	for (i = 0; i < 8; i++)
		fds[i] = -1;
	mh.msg_control = c.buf;
	mh.msg_controllen = sizeof(c.buf);
	do {
		r = recvmsg(sock, &mh, flags | MSG_CMSG_CLOEXEC);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	for (cm = CMSG_FIRSTHDR(&mh); cm; cm = CMSG_NXTHDR(&mh, cm)) {
		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		got = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(cm), (got > 8 ? 8 : got) * sizeof(int));
	}
	if (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		for (i = 0; i < 8; i++) {
			cleanup_close(&fds[i]);
			fds[i] = -1;
		}
		return -EBADMSG;
	}
	return r;
}

int fd_close_others(const int *keep, size_t n)
{
	unsigned int from = 3;

	for (;;) {
		unsigned int next = ~0u;
		size_t i;
		int r = 0;

		for (i = 0; i < n; i++) {
			if (keep[i] >= (int)from && (unsigned int)keep[i] < next)
				next = (unsigned int)keep[i];
		}
		if (next > from)
			r = sys_close_range(from, next == ~0u ? next : next - 1);
		if (r < 0 || next == ~0u)
			return r;
		from = next + 1;
	}
}

rlim_t fd_raise_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return RLIM_INFINITY;
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files); /* up to the hard limit can't fail */
	return files.rlim_max;
}
