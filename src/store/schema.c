/* SPDX-License-Identifier: Apache-2.0 */
#include "schema.h"

#include "util/util.h"

const char *const schema_steps[] = { SCHEMA_1, SCHEMA_2, SCHEMA_3 };
const int schema_version = ARRAY_SIZE(schema_steps);
