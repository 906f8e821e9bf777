/* SPDX-License-Identifier: Apache-2.0 */
#include "listening.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/util.h"

#define LISTEN 0x0aul        /* the kernel's TCP_LISTEN, in hexadecimal as it stands there */
#define TABLE_MAX (1u << 20) /* bytes of it: some 7000 sockets that listen, which come first */

/* "  0: 0100007F:1F90 00000000:0000 0A …" */
bool listening_in(const char *text, unsigned int port)
{
	const char *line, *p;
	char *end;

	for (line = strchr(text, '\n'); line && line[1]; line = strchr(line + 1, '\n')) {
		p = strchr(line + 1, ':'); /* behind the number of the line */
		p = p ? strchr(p + 1, ':') : NULL;
		if (!p || strtoul(p + 1, &end, 16) != port)
			continue;
		p = strchr(end, ':'); /* of the other end */
		if (p && strtoul(p + 1, &end, 16) == 0 && strtoul(end, NULL, 16) == LISTEN)
			return true;
	}
	return false;
}

static bool is_there(pid_t pid, const char *table, unsigned int port)
{
	struct buf b = BUF_INIT(TABLE_MAX + 1);
	char path[64], part[16384];
	_cleanup_close_ int fd = -1;
	ssize_t n = 1;
	bool yes;

	(void)snprintf(path, sizeof(path), "/proc/%d/net/%s", (int)pid, table);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	/* whoever is inside can make it long: what does not fit is not looked at */
	while (fd >= 0 && n > 0 && b.len + sizeof(part) <= TABLE_MAX) {
		n = read(fd, part, sizeof(part));
		if (n > 0)
			buf_add(&b, part, (size_t)n);
	}
	yes = !b.failed && b.data && listening_in(b.data, port);
	buf_done(&b);
	return yes;
}

bool listening_on(pid_t pid, unsigned int port)
{
	return is_there(pid, "tcp", port) || is_there(pid, "tcp6", port);
}
