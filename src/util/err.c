/* SPDX-License-Identifier: Apache-2.0 */
#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, enum err_code code, int ret, const char *fmt, ...)
{
	va_list ap;

	if (e) {
		e->sys = ret < 0 ? -ret : 0;
		e->code = code;
		va_start(ap, fmt);
		(void)vsnprintf(e->msg, sizeof(e->msg), fmt,
				ap); /* a long message is cut, never lost */
		va_end(ap);
	}
	return ret;
}

int err_sys(struct err *e, int ret, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	if (e) {
		e->sys = ret < 0 ? -ret : 0;
		e->code = ERR_SYSTEM;
		va_start(ap, fmt);
		(void)vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
		va_end(ap);
		n = strlen(e->msg);
		(void)snprintf(e->msg + n, sizeof(e->msg) - n, ": %s", strerror(e->sys));
	}
	return ret;
}

int err_wrap(struct err *e, int ret, const char *fmt, ...)
{
	char old[sizeof(((struct err *)0)->msg)];
	va_list ap;
	size_t n;

	if (e) {
		memcpy(old, e->msg, sizeof(old));
		va_start(ap, fmt);
		(void)vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
		va_end(ap);
		n = strlen(e->msg);
		(void)snprintf(e->msg + n, sizeof(e->msg) - n, ": %.*s", (int)sizeof(old) - 1, old);
	}
	return ret;
}

int err_exit_code(const struct err *e)
{
	switch (e->code) {
	case ERR_USAGE:
	case ERR_POLICY:
		return 2;
	case ERR_ABSENT:
		return 3;
	case ERR_NOEXEC:
		return 126;
	case ERR_NOTFOUND:
		return 127;
	case ERR_HELP:
		return 0;
	case ERR_NONE: /* a failure that nobody described is one all the same */
	case ERR_LAYER:
	case ERR_SYSTEM:
	case ERR_NUM:
		break;
	}
	return 125;
}
