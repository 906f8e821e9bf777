/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs.h"

#define EACH_MS 200 /* the kernel tells nobody of a new listener; reading the table takes 20 µs */
#define PORTS_MAX 4096u /* what is more is not told */
#define LISTEN 0x0a     /* TCP_LISTEN of linux/tcp_states */

struct port {
	unsigned char at[16]; /* IPv4: the first four bytes */
	bool v6;
	uint16_t number;
};

struct ports {
	struct port at[PORTS_MAX];
	size_t n;
};

static bool same(const struct port *a, const struct port *b)
{
	return a->v6 == b->v6 && a->number == b->number && memcmp(a->at, b->at, sizeof(a->at)) == 0;
}

static bool has(const struct ports *l, const struct port *p)
{
	size_t i;

	for (i = 0; i < l->n && !same(&l->at[i], p); i++)
		;
	return i < l->n;
}

/* "  N: ADDRESS:PORT REMOTE:PORT STATE …", addresses as 32-bit words of this machine, in hex. Return: whether it listens. */
static bool parse(const char *line, bool v6, struct port *ret)
{
	const char *p = strchr(line, ':');
	unsigned int number, state, word;
	size_t i, words = v6 ? 4 : 1;

	*ret = (struct port){ .v6 = v6 };
	if (!p)
		return false;
	p += strspn(p + 1, " ") + 1;
	for (i = 0; i < words; i++, p += 8) {
		if (sscanf(p, "%8x", &word) != 1)
			return false;
		memcpy(ret->at + 4 * i, &word, 4);
	}
	if (sscanf(p, ":%4x %*[0-9A-F:] %2x", &number, &state) != 2)
		return false;
	ret->number = (uint16_t)number;
	return state == LISTEN;
}

static int look(struct ports *l, struct err *e)
{
	static const char *const tables[] = { "/proc/net/tcp", "/proc/net/tcp6" };
	char line[512];
	struct port p;
	size_t i;

	l->n = 0;
	for (i = 0; i < ARRAY_SIZE(tables); i++) {
		FILE *f = fopen(tables[i], "re");

		if (!f && errno == ENOENT && i == 1)
			continue; /* a kernel without IPv6 */
		if (!f)
			return err_sys(e, -errno, "%s", tables[i]);
		while (fgets(line, sizeof(line), f)) {
			if (parse(line, i == 1, &p) && l->n < PORTS_MAX && !has(l, &p))
				l->at[l->n++] = p;
		}
		(void)fclose(f);
	}
	return 0;
}

static int say(const char *event, const struct port *p, struct err *e)
{
	struct buf b = BUF_INIT(256);
	struct json j = { .out = &b };
	char text[INET6_ADDRSTRLEN];

	(void)inet_ntop(p->v6 ? AF_INET6 : AF_INET, p->at, text, sizeof(text)); /* it fits */
	json_open(&j, NULL, '{');
	json_str(&j, "event", event);
	json_str(&j, "address", text);
	json_int(&j, "port", p->number);
	json_close(&j, '}');
	return fs_say(&b, e);
}

/* argv: ports WORD [follow] */
int fs_ports(char *const *argv, struct err *e)
{
	static struct ports lists[2];
	struct ports *now = &lists[0], *before = &lists[1];
	struct pollfd p = { .fd = 0, .events = POLLIN };
	size_t i;
	int r;

	for (;;) {
		r = look(now, e);
		for (i = 0; r == 0 && i < now->n; i++) {
			if (!has(before, &now->at[i]))
				r = say("open", &now->at[i], e);
		}
		for (i = 0; r == 0 && i < before->n; i++) {
			if (!has(now, &before->at[i]))
				r = say("closed", &before->at[i], e);
		}
		if (r < 0 || !argv[2] || poll(&p, 1, EACH_MS) > 0)
			return r;
		now = now == &lists[0] ? &lists[1] : &lists[0];
		before = now == &lists[0] ? &lists[1] : &lists[0];
	}
}
