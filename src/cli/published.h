/* SPDX-License-Identifier: Apache-2.0 */
/* Ports of a sandbox that programs of the host can connect to: `--publish`, and `bailey port --publish` of one that lives (docs/adr/0041). */
#ifndef BAILEY_CLI_PUBLISHED_H
#define BAILEY_CLI_PUBLISHED_H

#include "cli.h"

#define PUBLISHED_FORM "[[IP:]HOST:]PORT"

/* What was written of it. */
enum published_words { PUBLISHED_WRONG, PUBLISHED_INSIDE, PUBLISHED_HOST, PUBLISHED_ADDRESS };

/** published_port() - read a port, 1 to 65535, of @n digits. Return: whether it is one. */
bool published_port(const char *p, size_t n, uint16_t *ret);

/** published_parse() - "80", "0:80": any free port of the host; "8080:80"; "[::1]:8080:80"; each may end in /tcp. @ret: not listening yet; 127.0.0.1 where no address is given. */
enum published_words published_parse(const char *text, struct published *ret);

/** published_listen() - have @p->fd listen, and @p->host be what was chosen. Return: 0 or negative errno with @e, which names both. */
int published_listen(struct published *p, struct err *e);

/** published_line() - append "80/tcp -> 127.0.0.1:8080", a line. */
void published_line(struct buf *b, const struct published *p);

/** published_json() - the same, an object. */
void published_json(struct json *j, const struct published *p);

#endif
