/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor's side of the gateway (docs/adr/0013): it is started by the first use of the network, and again when it has died; its log is kept
 * under the state directory, in network/ID, with the head of the log in network/heads/ID.
 */
#ifndef BAILEY_CLI_EGRESS_H
#define BAILEY_CLI_EGRESS_H

#include <sys/un.h>

#include "sandbox.h"

struct run;

#define EGRESS_ID 10 /* lowercase hexadecimal digits */

/** egress_host_ports() - which ports of the host are on the loopback of the sandbox, too. @ret: JAIL_HOST_PORTS + 1 places; network order, ended by 0 */
void egress_host_ports(const struct sandbox *s, uint16_t *ret);

/** egress_wanted() - whether the run's network needs a gateway. */
bool egress_wanted(const struct sandbox *s);

/** egress_kind() - what PID 1 is to make of the network. */
enum jail_network egress_kind(const struct sandbox *s);

/** egress_uid(), egress_gid() - as root: the ids of what works for the sandbox outside of it. */
uid_t egress_uid(const struct sandbox *s);
gid_t egress_gid(const struct sandbox *s);

/** egress_env() - the variables that tell programs of the proxies, "NAME=VALUE" each, NULL behind the last. */
extern const char *const egress_env[];

/* What /etc/hosts says inside: the host's entries would hide names from the rules. */
extern const char egress_hosts[];

/** egress_check() - whether the caller's proxies could be used, where there is a network. Return: 0 or -EINVAL with @e. */
int egress_check(const struct sandbox *s, struct err *e);

/** egress_begin() - the sandbox has sent its sockets (jail->net). Return: 0 or negative errno with @e. */
int egress_begin(struct run *run, struct err *e);

/**
 * egress_change() - the rules of the command's layer, and what is handed on, are those of @c from now on, for open connections, too.
 * Return: 0; -ENOTCONN: the run has no gateway; or another negative errno with @e: nothing has changed.
 */
int egress_change(struct run *run, const struct sandbox_network_rules *c, struct err *e);

/** egress_ready() - the sandbox is complete: where rules speak of datagrams to an address, its socket must be there soon. */
void egress_ready(struct run *run);

/** egress_use() - what the run has used of the network so far, as its gateway says; zeros where it has none. */
struct gateway_use egress_use(const struct run *run);

/** egress_logged() - the number of the last line of its log; 0: none. */
uint64_t egress_logged(const struct run *run);

/** egress_publish() - of one that lives: have programs of the host connect to one more port. @ret: with the port that was chosen. Return: 0 or negative errno with @e: nothing has changed. */
int egress_publish(struct run *run, const struct published *want, struct published *ret,
		   struct err *e);

/** egress_unpublish() - to that one no more; connections that are open stay. Return: 0, or -ENOENT with @e. */
int egress_unpublish(struct run *run, const struct published *which, struct err *e);

/** egress_paused() - whether what runs in the sandbox is paused: then who connects to a published port wakes it (life.h). */
void egress_paused(struct run *run, bool paused);

/** egress_close() - there is no network any more: what is sent is refused. */
void egress_close(struct run *run);

/** egress_end() - nothing of the run is left: end the gateway, say what was refused. */
void egress_end(struct run *run, void (*out)(const char *line));

/** egress_forget() - remove the log @id, which nobody writes. @dir, @heads: of egress_dirs() */
void egress_forget(int dir, int heads, const char *id);

/** egress_address() - of the control socket of the run whose directory is @dir. Return: its size. */
int egress_address(int dir, struct sockaddr_un *ret);

/**
 * egress_dirs() - open the directories of the logs.
 * @make: make them when they are not there
 * Return: 0; -ENOENT; or another negative errno with @e.
 */
int egress_dirs(const char *home, bool make, int *ret_dir, int *ret_heads, struct err *e);

#endif
