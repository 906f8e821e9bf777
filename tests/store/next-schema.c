/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a release that doesn't exist: version 4 has notes; version 5 can't be reached while a sandbox is named poison. */
#include "../../src/store/schema.h"

#include "util/util.h"

const char *const schema_steps[] = {
	SCHEMA_1,
	SCHEMA_2,
	SCHEMA_3,
	"CREATE TABLE notes (sandbox TEXT NOT NULL, note TEXT NOT NULL CHECK (note <> 'poison')) STRICT;"
	"INSERT INTO notes SELECT id, 'new' FROM sandboxes;",
	"CREATE TABLE more (x INTEGER) STRICT; INSERT INTO more VALUES (1);"
	"INSERT INTO notes SELECT id, name FROM sandboxes;",
};
const int schema_version = ARRAY_SIZE(schema_steps);
