/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks by socket: other address families, the host's loopback, unix sockets by path and abstract name. */
#define _GNU_SOURCE
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE (1 << 1)
#endif
#ifndef MSG_FASTOPEN
#define MSG_FASTOPEN 0x20000000
#endif

/* socket FAMILY TYPE PROTOCOL: raw, so that bits above 31 reach the filter. */
static int p_socket(int argc, char **argv)
{
	long fd = syscall(SYS_socket, num(argv[0]), num(argv[1]), num(argv[2]));

	(void)argc;
	if (fd < 0)
		return -errno;
	close((int)fd);
	return 0;
}

static int p_socketpair(int argc, char **argv)
{
	int sv[2];

	(void)argc;
	if (syscall(SYS_socketpair, num(argv[0]), num(argv[1]), num(argv[2]), sv) < 0)
		return -errno;
	close(sv[0]);
	close(sv[1]);
	return 0;
}

/* ADDRESS PORT, either family. Returns the length. */
static socklen_t inet_name(const char *addr, const char *port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, addr, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)num(port));
		return sizeof(*in);
	}
	if (inet_pton(AF_INET6, addr, &in6->sin6_addr) != 1) {
		fprintf(stderr, "probe: '%s' is no address\n", addr);
		exit(2);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons((uint16_t)num(port));
	return sizeof(*in6);
}

/* Success only when the listener's greeting arrives: a connection to someone else is none. */
static int expect_byte(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;
	ssize_t n;

	if (poll(&p, 1, 400) <= 0)
		return -ETIMEDOUT;
	n = recv(fd, &c, 1, 0);
	if (n < 0)
		return -errno;
	return n ? 0 : -ECONNRESET;
}

static int p_tcp(int argc, char **argv)
{
	struct sockaddr_storage sa;
	socklen_t len = inet_name(argv[0], argv[1], &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	(void)argc;
	if (fd < 0)
		return -errno;
	r = result(connect(fd, (struct sockaddr *)&sa, len));
	if (r == 0)
		r = expect_byte(fd);
	close(fd);
	return r;
}

/* The first bytes travel with the connection request, without connect(2). */
static int p_tcp_fastopen(int argc, char **argv)
{
	struct sockaddr_storage sa;
	socklen_t len = inet_name(argv[0], argv[1], &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	(void)argc;
	if (fd < 0)
		return -errno;
	r = result(sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&sa, len));
	if (r == 0)
		r = expect_byte(fd);
	close(fd);
	return r;
}

static int p_udp(int argc, char **argv)
{
	struct sockaddr_storage sa;
	socklen_t len = inet_name(argv[0], argv[1], &sa);
	int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r;

	(void)argc;
	if (fd < 0)
		return -errno;
	r = result(sendto(fd, "x", 1, 0, (struct sockaddr *)&sa, len));
	if (r == 0)
		r = expect_byte(fd);
	close(fd);
	return r;
}

/* inet-fd N ADDRESS PORT: an inherited socket belongs to the host's network; a connected one can be turned round. */
static int p_inet_fd(int argc, char **argv)
{
	struct sockaddr_storage sa;
	socklen_t len = inet_name(argv[1], argv[2], &sa);
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	int fd = (int)num(argv[0]);
	int r;

	(void)argc;
	(void)connect(fd, &none, sizeof(none));
	r = result(connect(fd, (struct sockaddr *)&sa, len));
	if (r == 0)
		r = result(send(fd, "x", 1, MSG_NOSIGNAL));
	if (r == 0)
		r = expect_byte(fd);
	return r;
}

static int type_of(const char *s)
{
	return strcmp(s, "dgram") == 0     ? SOCK_DGRAM :
	       strcmp(s, "seqpacket") == 0 ? SOCK_SEQPACKET :
					     SOCK_STREAM;
}

/* A leading @ stands for the NUL of an abstract name. */
static socklen_t unix_name(const char *path, struct sockaddr_un *ret)
{
	size_t n = strlen(path);

	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	if (n >= sizeof(ret->sun_path)) {
		fprintf(stderr, "probe: '%s' is too long for a socket\n", path);
		exit(2);
	}
	memcpy(ret->sun_path, path, n);
	if (path[0] == '@')
		ret->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (path[0] != '@'));
}

static int reach(int fd, int type, const char *path)
{
	struct sockaddr_un un;
	socklen_t len = unix_name(path, &un);

	if (type == SOCK_DGRAM)
		return result(sendto(fd, "x", 1, MSG_NOSIGNAL, (struct sockaddr *)&un, len));
	if (connect(fd, (struct sockaddr *)&un, len) < 0)
		return -errno;
	return expect_byte(fd);
}

static int reach_new(int type, const char *path)
{
	int r;
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	r = reach(fd, type, path);
	close(fd);
	return r;
}

/* unix TYPE PATH */
static int p_unix(int argc, char **argv)
{
	(void)argc;
	return reach_new(type_of(argv[0]), argv[1]);
}

/* A long path: from its own directory. */
static int p_unix_cd(int argc, char **argv)
{
	(void)argc;
	if (chdir(argv[1]) < 0)
		return -errno;
	return reach_new(type_of(argv[0]), argv[2]);
}

/* unix-pair-send PATH: a socketpair makes sockets without socket(2). */
static int p_unix_pair_send(int argc, char **argv)
{
	int sv[2];

	(void)argc;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	return reach(sv[0], SOCK_DGRAM, argv[0]);
}

/* unix-raw socket|pair FAMILY TYPE PATH: odd numbers for the same kind of socket, in all their 64 bits; one datagram to PATH. */
static int p_unix_raw(int argc, char **argv)
{
	int sv[2] = { -1, -1 };
	long r;

	(void)argc;
	if (argv[0][0] == 's')
		r = sv[0] = (int)syscall(SYS_socket, num(argv[1]), num(argv[2]), 0L);
	else
		r = syscall(SYS_socketpair, num(argv[1]), num(argv[2]), 0L, sv);
	if (r < 0)
		return -errno;
	return reach(sv[0], SOCK_DGRAM, argv[3]);
}

/* unix-chmod TYPE DIR NAME: makes the directory unlistable before the first socket; the name is known. */
static int p_unix_chmod(int argc, char **argv)
{
	char path[512];
	int r;

	(void)argc;
	if (chmod(argv[1], 0111) < 0)
		return -errno;
	snprintf(path, sizeof(path), "%s/%s", argv[1], argv[2]);
	r = reach_new(type_of(argv[0]), path);
	(void)chmod(argv[1], 0755);
	return r;
}

/* unix-opath TYPE PATH: pins the inode before the first socket is made, then connects to the descriptor's name. */
static int p_unix_opath(int argc, char **argv)
{
	char name[40];
	int fd = open(argv[1], O_PATH | O_CLOEXEC);

	(void)argc;
	if (fd < 0)
		return -errno;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return reach_new(type_of(argv[0]), name);
}

/* unix-relink TYPE PATH NEW: pins, makes the first socket, then gives the pinned inode a second name. */
static int p_unix_relink(int argc, char **argv)
{
	char name[40];
	int r;
	int pin = open(argv[1], O_PATH | O_CLOEXEC);
	int fd;

	(void)argc;
	if (pin < 0)
		return -errno;
	fd = socket(AF_UNIX, type_of(argv[0]) | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", pin);
	if (linkat(AT_FDCWD, name, AT_FDCWD, argv[2], AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	r = reach(fd, type_of(argv[0]), argv[2]);
	(void)unlink(argv[2]);
	return r;
}

/* unix-link TYPE PATH NEW: a second name before the first socket. */
static int p_unix_link(int argc, char **argv)
{
	int r;

	(void)argc;
	if (link(argv[1], argv[2]) < 0)
		return -errno;
	r = reach_new(type_of(argv[0]), argv[2]);
	(void)unlink(argv[2]);
	return r;
}

/* unix-move TYPE DIR NEW NAME: the first socket, then the directory moves away under its mask; moved back at the end. */
static int p_unix_move(int argc, char **argv)
{
	char path[512];
	int r;
	int fd = socket(AF_UNIX, type_of(argv[0]) | SOCK_CLOEXEC, 0);

	(void)argc;
	if (fd < 0)
		return -errno;
	if (rename(argv[1], argv[2]) < 0)
		return -errno;
	snprintf(path, sizeof(path), "%s/%s", argv[2], argv[3]);
	r = reach(fd, type_of(argv[0]), path);
	(void)rename(argv[2], argv[1]);
	return r;
}

/* unix-move-mask TYPE PATH NEW: the first socket, then the masked name itself moves away. */
static int p_unix_move_mask(int argc, char **argv)
{
	int r;
	int fd = socket(AF_UNIX, type_of(argv[0]) | SOCK_CLOEXEC, 0);

	(void)argc;
	if (fd < 0)
		return -errno;
	if (rename(argv[1], argv[2]) < 0)
		return -errno;
	r = reach(fd, type_of(argv[0]), argv[2]);
	(void)rename(argv[2], argv[1]);
	return r;
}

struct swap {
	const char *a, *b;
	volatile int stop;
};

static void *swap_main(void *arg)
{
	struct swap *s = arg;

	while (!s->stop)
		(void)syscall(SYS_renameat2, AT_FDCWD, s->a, AT_FDCWD, s->b, RENAME_EXCHANGE);
	return NULL;
}

/* unix-race TYPE DIR-A DIR-B NAME: swaps two directories while the first socket is made, then tries both names. */
static int p_unix_race(int argc, char **argv)
{
	struct swap s = { .a = argv[1], .b = argv[2] };
	char path[512];
	pthread_t t;
	int fd;
	int r;

	(void)argc;
	if (pthread_create(&t, NULL, swap_main, &s))
		return -EAGAIN;
	fd = socket(AF_UNIX, type_of(argv[0]) | SOCK_CLOEXEC, 0);
	s.stop = 1;
	pthread_join(t, NULL);
	if (fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "%s/%s", argv[1], argv[3]);
	r = reach(fd, type_of(argv[0]), path);
	if (r == 0)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", argv[2], argv[3]);
	r = reach(fd, type_of(argv[0]), path);
	close(fd);
	return r;
}

/* unix-fd N TYPE PATH: an inherited socket needs no socket(2). */
static int p_unix_fd(int argc, char **argv)
{
	(void)argc;
	return reach((int)num(argv[0]), type_of(argv[1]), argv[2]);
}

/* unix-late TYPE PATH READY GO look|blind: says READY, waits for GO, then tries for a while. `look` asks for the name first. */
static int p_unix_late(int argc, char **argv)
{
	struct stat st;
	int r = -ETIMEDOUT;
	int fd;

	(void)argc;
	if (argv[4][0] == 'l')
		(void)stat(argv[1], &st);
	fd = open(argv[2], O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	close(fd);
	for (int i = 0; i < 500 && access(argv[3], F_OK) < 0; i++)
		nap(10);
	if (access(argv[3], F_OK) < 0)
		return -EIO;
	for (int i = 0; i < 5; i++) {
		r = reach_new(type_of(argv[0]), argv[1]);
		if (r == 0)
			break;
		nap(20);
	}
	return r;
}

static int exchange(int server, int type)
{
	char c;
	int fd = server;

	if (type != SOCK_DGRAM) {
		fd = accept(server, NULL, NULL);
		if (fd < 0)
			return -errno;
	}
	return recv(fd, &c, 1, 0) == 1 ? 0 : -errno;
}

/* Two processes of the sandbox talk: this must work. */
static int talk(int family, int type, struct sockaddr *sa, socklen_t len)
{
	int r;
	pid_t pid;
	int server = socket(family, type | SOCK_CLOEXEC, 0);

	if (server < 0 || bind(server, sa, len) < 0)
		return -errno;
	if (type != SOCK_DGRAM && listen(server, 1) < 0)
		return -errno;
	if (family != AF_UNIX && getsockname(server, sa, &len) < 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		int fd = socket(family, type | SOCK_CLOEXEC, 0);

		if (fd < 0 || connect(fd, sa, len) < 0 || send(fd, "x", 1, MSG_NOSIGNAL) < 0)
			_exit(errno);
		_exit(0);
	}
	alarm(5);
	r = exchange(server, type);
	close(server);
	return r;
}

/* talk-unix TYPE PATH */
static int p_talk_unix(int argc, char **argv)
{
	struct sockaddr_un un;
	socklen_t len = unix_name(argv[1], &un);
	int r;

	(void)argc;
	r = talk(AF_UNIX, type_of(argv[0]), (struct sockaddr *)&un, len);
	if (argv[1][0] == '/')
		(void)unlink(argv[1]);
	return r;
}

/* talk-inet TYPE ADDRESS */
static int p_talk_inet(int argc, char **argv)
{
	struct sockaddr_storage sa;
	socklen_t len = inet_name(argv[1], "0", &sa);

	(void)argc;
	return talk(sa.ss_family, type_of(argv[0]), (struct sockaddr *)&sa, len);
}

const struct probe net_probes[] = {
	{ "socket", 3, p_socket },
	{ "socketpair", 3, p_socketpair },
	{ "tcp", 2, p_tcp },
	{ "tcp-fastopen", 2, p_tcp_fastopen },
	{ "udp", 2, p_udp },
	{ "inet-fd", 3, p_inet_fd },
	{ "unix", 2, p_unix },
	{ "unix-cd", 3, p_unix_cd },
	{ "unix-pair-send", 1, p_unix_pair_send },
	{ "unix-raw", 4, p_unix_raw },
	{ "unix-chmod", 3, p_unix_chmod },
	{ "unix-opath", 2, p_unix_opath },
	{ "unix-relink", 3, p_unix_relink },
	{ "unix-link", 3, p_unix_link },
	{ "unix-move", 4, p_unix_move },
	{ "unix-move-mask", 3, p_unix_move_mask },
	{ "unix-race", 4, p_unix_race },
	{ "unix-fd", 3, p_unix_fd },
	{ "unix-late", 5, p_unix_late },
	{ "talk-unix", 2, p_talk_unix },
	{ "talk-inet", 2, p_talk_inet },
	{ NULL, 0, NULL },
};
