/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What starts sandboxes when the machine does: no process of ours stays for that, since each has a supervisor of its own. systemd runs one command at
 * the start, and ends the supervisors, which are in the unit's cgroup, when the machine goes down.
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

#define LINGER \
	"/var/lib/systemd/linger/" /* logind's record of whose services run without a login */

static const struct opt none[] = { OPT_END };

static const struct opt *options(void)
{
	return none;
}

const struct command_words service_unit_words = {
	.about =
		"Prints a unit of systemd that runs 'bailey start --boot' when the machine starts: for root one of the system (/etc/systemd/system/bailey.service), for others "
		"one of their own (~/.config/systemd/user/bailey.service), which runs without a login only for users that linger.",
	.options = options,
	.examples = { { "bailey service-unit", "then: systemctl enable bailey.service" } },
	.statuses = { { "0", "printed" },
		      { "125", "an ordinary user's would not run: one line says what to do" },
		      { "2", "wrong options" } },
};

static int check_linger(struct err *e)
{
	const struct passwd *pw = getpwuid(geteuid());
	char path[sizeof(LINGER) + 256];

	if (!pw || strchr(pw->pw_name, '/') || strlen(pw->pw_name) > 255)
		return err_set(e, ERR_SYSTEM, -ENOENT,
			       "uid %u has no name, so systemd runs nothing for it without a login",
			       (unsigned int)geteuid());
	(void)snprintf(path, sizeof(path), LINGER "%s", pw->pw_name);
	if (access(path, F_OK) == 0)
		return 0;
	return err_set(
		e, ERR_SYSTEM, -EPERM,
		"systemd runs nothing of yours before you log in, and ends it when you log out; first: loginctl enable-linger %s",
		pw->pw_name);
}

/* A word as systemd.service(5) reads it: '%' and '$' are its own. */
static void quote(struct buf *b, const char *s)
{
	buf_puts(b, "\"");
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_puts(b, "\\");
		else if (*s == '%' || *s == '$')
			buf_add(b, s, 1);
		buf_add(b, s, 1);
	}
	buf_puts(b, "\"");
}

static int print(struct err *e)
{
	const char *state = getenv("XDG_STATE_HOME");
	char self[LIMIT_PATH];
	struct buf b = BUF_INIT(65536);
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int r;

	if (n < 0)
		return err_sys(e, -errno, "/proc/self/exe");
	self[n] = '\0';
	if (strchr(self, '\n') || (state && strchr(state, '\n')))
		return err_set(e, ERR_SYSTEM, -EINVAL,
			       "a path with a line break can't stand in a unit");
	buf_puts(&b, "[Unit]\nDescription=Sandboxes of bailey that are brought up\n"
		     "After=local-fs.target network.target\n\n"
		     "[Service]\nType=oneshot\nRemainAfterExit=yes\nDelegate=yes\n");
	if (state && *state) {
		buf_puts(&b, "Environment=");
		/* no variable is read here, so '$' is itself */
		buf_puts(&b, "\"XDG_STATE_HOME=");
		for (; *state; state++) {
			if (strchr("\"\\", *state))
				buf_puts(&b, "\\");
			else if (*state == '%')
				buf_puts(&b, "%");
			buf_add(&b, state, 1);
		}
		buf_puts(&b, "\"\n");
	}
	buf_puts(&b, "ExecStart=");
	quote(&b, self);
	buf_printf(&b, " start --boot\nTimeoutStopSec=30\n\n[Install]\nWantedBy=%s\n",
		   geteuid() == 0 ? "multi-user.target" : "default.target");
	r = cli_print(&b);
	buf_done(&b);
	return r;
}

int service_unit_main(char **argv)
{
	struct err e = ERR_INIT;
	bool dashes;
	size_t i;
	int r = opt_parse(none, argv, &i, &dashes, &e);

	if (r == 0 && argv[i])
		r = err_set(&e, ERR_USAGE, -E2BIG, "'%.100s': bailey service-unit takes no words",
			    argv[i]);
	if (r == 0 && geteuid() != 0)
		r = check_linger(&e);
	if (r == 0)
		r = print(&e);
	return r < 0 ? cli_fail(&e) : r;
}
