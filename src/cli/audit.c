/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of --audit: each look at a file that the observer hears of, with the verdict of the policy, a JSON line each (docs/adr/0018). It logs, and decides
 * nothing. The file is the caller's, and nothing that the command could write; it is bounded, so that a command can't fill the disk by it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "report.h"
#include "sandbox.h"

/* The file must have a path that no link of a sandbox could turn elsewhere, and be out of reach of this one. */
static int place(const struct sandbox *s, char out[LIMIT_PATH], struct err *e)
{
	const char *word = s->options->audit;
	char cwd[LIMIT_PATH], norm[LIMIT_PATH], real[LIMIT_PATH];
	int r;

	if (!getcwd(cwd, sizeof(cwd)))
		return err_sys(e, -errno, "current directory");
	if (!s->audit_here && word[0] != '/' && word[0] != '~')
		return err_set(
			e, ERR_POLICY, -EINVAL,
			"filesystem.audit '%.200s': in a policy file it must begin with / or ~/",
			word);
	r = sandbox_path(word, cwd, s->home, norm, e);
	if (r < 0)
		return r;
	r = jail_host_resolve(norm, false, real);
	if (r < 0)
		return err_sys(e, r, "--audit '%.200s'", word);
	if (policy_eval(&s->policy, real).state == POLICY_SHOW_RW)
		return err_set(
			e, ERR_POLICY, -EACCES,
			"--audit '%.200s': the command could write it; name a file outside of what is writable",
			word);
	memcpy(out, real, sizeof(real));
	return 0;
}

int audit_file_begin(struct run *run, struct err *e)
{
	struct sandbox *s = supervise_sandbox(run);
	char path[LIMIT_PATH];
	struct stat st;
	int r;

	if (!s->options->audit)
		return 0;
	r = place(s, path, e);
	if (r < 0)
		return r;
	run->audit =
		open(path,
		     O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		     0600);
	if (run->audit < 0 || fstat(run->audit, &st) < 0)
		return err_sys(e, -errno, "--audit '%.200s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_USAGE, -EINVAL, "--audit '%.200s': it is no regular file",
			       path);
	return 0;
}

static void put_time(struct json *j)
{
	struct timespec now;
	struct tm tm;
	char text[40];
	size_t n;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* can't fail for this clock */
	(void)gmtime_r(&now.tv_sec, &tm);
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text + n, sizeof(text) - n, ".%03ldZ", now.tv_nsec / 1000000);
	json_str(j, "time", text);
}

void audit_file_add(struct report *r, int fd, const struct jail_access *a, const char *path,
		    const struct judgement *judged, bool fails)
{
	struct buf b = BUF_INIT(8ul * LIMIT_PATH);
	struct json j = { .out = &b };

	r->looks++;
	r->looks_denied += !judged->allowed && !fails;
	if (r->audit_full)
		return;
	json_open(&j, NULL, '{');
	put_time(&j);
	json_int(&j, "pid", a->pid);
	json_str(&j, "op", a->op);
	json_str(&j, "path", path);
	/* what is not there, and what is in the way, fails outside, too */
	json_str(&j, "decision", judged->allowed ? "allow" : fails ? "none" : "deny");
	json_str(&j, "state", judged->state);
	json_str(&j, "rule", judged->rule ? policy_kind_name(judged->rule->kind) : NULL);
	json_str(&j, "rule_path", judged->rule ? judged->rule->path : NULL);
	json_str(&j, "origin", judged->rule ? judged->rule->origin : NULL);
	json_close(&j, '}');
	buf_puts(&b, "\n");
	r->audit_full = b.failed || r->audit_bytes + b.len > LIMIT_AUDIT_FILE ||
			fd_write_all(fd, b.data, b.len) < 0;
	r->audit_bytes += b.len;
	buf_done(&b);
}

void audit_file_text(const struct report *r, const char *name, struct buf *b)
{
	buf_printf(b, "bailey: audit: %llu looks at files, %llu of them denied: ",
		   (unsigned long long)r->looks, (unsigned long long)r->looks_denied);
	buf_quote(b, name);
	buf_puts(b, r->audit_full ? "; not all of it: the disk or the limit of a log was full\n" :
				    "\n");
}
