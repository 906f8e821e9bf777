/* SPDX-License-Identifier: Apache-2.0 */
/* Id maps that the launcher writes as root (docs/adr/0002, 0012). */
#ifndef BAILEY_JAIL_MAPS_H
#define BAILEY_JAIL_MAPS_H

#include "jail.h"

/* What a map is for. */
enum maps_use {
	MAPS_PROCESS, /* the sandbox itself */
	MAPS_MOUNTS, /* of the host's directories: 0 inside is 0 on the disk, whatever number the command has */
	MAPS_VOLUMES, /* of volumes: n inside is JAIL_VOLUME_IDS + n on the disk, for every sandbox */
};

/**
 * maps_write() - the maps of the user namespace of @pid.
 * Return: 0 or negative errno with @e.
 */
int maps_write(pid_t pid, const struct jail_identity *id, enum maps_use use, struct err *e);

/**
 * maps_open() - the user namespace by which mounts are mapped: that of @init; where the command is not 0 there, another, which maps 0 of the
 * disk to it. Return: fd or negative errno with @e.
 */
int maps_open(pid_t init, const struct jail_identity *id, struct err *e);

/** maps_open_volumes() - the same for volumes. */
int maps_open_volumes(pid_t init, const struct jail_identity *id, struct err *e);

#endif
