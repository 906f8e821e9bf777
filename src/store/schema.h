/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables, as steps from one version to the next; step N makes version N + 1. A step that was released is never changed: another is
 * added. Tests have a table of their own, with one step more.
 */
#ifndef BAILEY_STORE_SCHEMA_H
#define BAILEY_STORE_SCHEMA_H

#include <stddef.h>

#define SCHEMA_APPLICATION 0x62616c79 /* "baly", application_id */

/* Options, workspaces and network are JSON, which nothing here looks into; times are ns since 1970, intervals ms. */
#define SCHEMA_1                                                              \
	"CREATE TABLE sandboxes ("                                            \
	" id TEXT NOT NULL PRIMARY KEY,"                                      \
	" name TEXT NOT NULL UNIQUE,"                                         \
	" created INTEGER NOT NULL,"                                          \
	" changed INTEGER NOT NULL,"                                          \
	" isolation TEXT NOT NULL CHECK (isolation IN ('process', 'vm')),"    \
	" template TEXT NOT NULL,"                                            \
	" agent TEXT,"                                                        \
	" options TEXT NOT NULL,"                                             \
	" cwd TEXT NOT NULL,"                                                 \
	" workspaces TEXT NOT NULL,"                                          \
	" restart INTEGER NOT NULL CHECK (restart IN (0, 1)),"                \
	" timeout INTEGER,"                                                   \
	" freeze INTEGER,"                                                    \
	" stop INTEGER,"                                                      \
	" network TEXT,"                                                      \
	" generation INTEGER NOT NULL) STRICT;"                               \
	"CREATE TABLE volumes ("                                              \
	" name TEXT NOT NULL PRIMARY KEY,"                                    \
	" created INTEGER NOT NULL,"                                          \
	" size_limit INTEGER) STRICT;"                                        \
	"CREATE TABLE sandbox_volumes ("                                      \
	" sandbox TEXT NOT NULL REFERENCES sandboxes (id) ON DELETE CASCADE," \
	" volume TEXT NOT NULL REFERENCES volumes (name) ON DELETE RESTRICT," \
	" path TEXT NOT NULL,"                                                \
	" PRIMARY KEY (sandbox, path)) STRICT;"                               \
	"CREATE INDEX sandbox_volumes_volume ON sandbox_volumes (volume);"

/* Which block of host ids a sandbox of root's has for itself, from 1 on: no two have the same. */
#define SCHEMA_2                                        \
	"ALTER TABLE sandboxes ADD COLUMN ids INTEGER;" \
	"CREATE UNIQUE INDEX sandboxes_ids ON sandboxes (ids);"

/* What runs in it by itself: JSON as network is. */
#define SCHEMA_3 "ALTER TABLE sandboxes ADD COLUMN services TEXT;"

extern const char *const schema_steps[];
extern const int schema_version; /* number of steps */

#endif
