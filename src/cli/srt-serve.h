/* SPDX-License-Identifier: Apache-2.0 */
/* What `srt proxy` starts, once its words are checked: a dialer (gateway), and bailey-keys, which reads requests and asks the decider (docs/adr/0035). */
#ifndef BAILEY_CLI_SRT_SERVE_H
#define BAILEY_CLI_SRT_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

struct srt_serve {
	int listener;                /* a socket that was given, or of srt_serve_bind() */
	const char *given;           /* the word that named it; NULL: it was bound */
	int decider_in, decider_out; /* may be one */
	int lifeline, ca;            /* or -1 */
	bool header_set;
	const char *const *strip;
	size_t n_strip;
};

/** srt_serve_bind() - a socket at @host (an address, "localhost", "": all) and @port. Return: it, or negative errno with @e. */
int srt_serve_bind(const char *host, uint16_t port, struct err *e);

/** srt_serve() - serve until it is over. Takes all descriptors. Return: exit status. */
int srt_serve(const struct srt_serve *s);

#endif
