/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nothing is watched for this. The kernel counts in each network namespace what had no route, and datagrams for ports that nobody has, as questions to
 * a name server on the own loopback are. The counters are read through a descriptor that was opened while PID 1 lived, so they outlive it.
 */
#include "no-network.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The next word of *@line, without what ends it; "": there is none. */
static const char *next_word(char **line)
{
	char *word = *line + strspn(*line, " ");

	*line = word + strcspn(word, " ");
	if (**line)
		*(*line)++ = '\0';
	return word;
}

/* Of the two lines "@proto: NAME..." and "@proto: VALUE...". Return: the value of @name, 0 where there is none. */
static unsigned long counter(const char *text, const char *proto, const char *name)
{
	const size_t len = strlen(proto);
	char lines[2][2048] = { "", "" }, *names = lines[0], *values = lines[1];
	const char *word, *value;
	int n = 0;

	for (; n < 2 && *text; text += strcspn(text, "\n"), text += *text == '\n') {
		if (strncmp(text, proto, len) == 0 && text[len] == ':')
			(void)snprintf(lines[n++], sizeof(lines[0]), "%.*s",
				       (int)strcspn(text, "\n"), text);
	}
	do {
		word = next_word(&names);
		value = next_word(&values);
	} while (*word && *value && strcmp(word, name) != 0);
	return *word ? strtoul(value, NULL, 10) : 0;
}

/* What has found no way out until now. */
static unsigned long count(int fd)
{
	char text[8192];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return counter(text, "Ip", "OutNoRoutes") + counter(text, "Udp", "NoPorts");
}

void no_network_ready(struct run *run)
{
	const struct sandbox *s = supervise_sandbox(run);
	char path[48];

	if (s->net.mode != NET_MODE_NONE || s->options->front || run->dry_run)
		return;
	(void)snprintf(path, sizeof(path), "/proc/%d/net/snmp", (int)run->jail.pid);
	run->counters = open(path, O_RDONLY | O_CLOEXEC); /* -1: nothing will be said */
	if (run->counters >= 0)
		run->counted =
			count(run->counters); /* the kernel's own, of a loopback that comes up */
}

unsigned long no_network_count(const struct run *run)
{
	return run->counters < 0 ? 0 : count(run->counters);
}

void no_network_say(struct run *run, int status, void (*say)(const char *line))
{
	const struct sandbox *s = supervise_sandbox(run);
	char line[512];
	bool tried;

	if (run->counters < 0)
		return;
	tried = status > 0 && !run->live && count(run->counters) > run->counted;
	cleanup_close(&run->counters);
	run->counters = -1;
	if (!tried)
		return;
	(void)snprintf(
		line, sizeof(line),
		"notice: the command tried the network, and this run has none (%s): --preset balanced is for package registries and git hosts, --allow-host HOST for one more, "
		"--network deny refuses at once and says what was asked for",
		s->net.mode_origin ? s->net.mode_origin : "the default");
	say(line);
}
