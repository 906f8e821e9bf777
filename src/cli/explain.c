/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "explain-settings.h"

static const char *op_note(const struct jail_op *op)
{
	if (op->flags & JAIL_OP_PIN)
		return "writable; can't be renamed";
	if (op->flags & JAIL_OP_SOCKET)
		return "one socket of the host, as it is now";
	if (op->type == JAIL_OP_BIND && (op->flags & JAIL_OP_MAPPED))
		return "a read-only bind (mounts below) with mapped owners; sockets found in it are masked";
	if (op->type == JAIL_OP_BIND)
		return op->flags & JAIL_OP_WRITABLE ? "writable" : "read-only";
	if (op->type == JAIL_OP_MASK && (op->flags & JAIL_OP_NAMED))
		return "unreadable; its name stays visible, because no overlay is there";
	if (op->type == JAIL_OP_MASK)
		return "unreadable";
	if (op->type == JAIL_OP_HOST && (op->flags & JAIL_OP_SHALLOW))
		return "has mounts below: its children are shown one by one; sockets found in it are masked";
	switch (op->type) {
	case JAIL_OP_ROOT:
		return "everything read-only, nosuid, nodev";
	case JAIL_OP_OVERLAY:
		return "read-only; its sockets are dead";
	case JAIL_OP_EMPTY:
		return "read-only; empty, and stays empty";
	case JAIL_OP_UPPER:
		return "shown without the names below that are hidden";
	case JAIL_OP_WHITEOUT:
		return "absent";
	case JAIL_OP_HOST:
		return "stays a read-only bind (mounts below, or a file system that overlays refuse); sockets found in it are masked";
	case JAIL_OP_PROC:
		return "fresh: only the sandbox's processes";
	case JAIL_OP_DEV:
		return "fresh: null zero full random urandom tty pts shm";
	case JAIL_OP_PRIVATE:
		return "empty, writable, gone with the run";
	case JAIL_OP_TEXT:
		return "read-only; shows what bailey wrote";
	case JAIL_OP_SHOWN:
		return "read-only; a file that bailey shows there";
	case JAIL_OP_COPY:
		return "a writable copy: the host's directory stays as it is, its sockets are dead";
	default:
		return "";
	}
}

static const char *ids_mode(const struct jail_identity *id)
{
	switch (id->mode) {
	case JAIL_IDS_CALLER:
		return "caller";
	case JAIL_IDS_BLOCK:
		return "block";
	case JAIL_IDS_SUBIDS:
		return "subids";
	case JAIL_IDS_KEPT:
		return "kept";
	case JAIL_IDS_OWNER:
		break;
	}
	return "owner";
}

/* Parameters that a layer has on this machine. */
static const char *layer_detail(const struct sandbox *s, enum jail_layer l, char *out, size_t size)
{
	out[0] = '\0';
	if (l == JAIL_LAYER_LANDLOCK)
		(void)snprintf(out, size, "ABI %d%s", jail_landlock_abi(),
			       s->nested == JAIL_NESTED_SANDBOX ? "; judges no files" : "");
	return out;
}

static void layers_json(const struct sandbox *s, struct json *j)
{
	char detail[64];
	size_t i;

	json_open(j, "layers", '{');
	for (i = 0; i < JAIL_LAYER_NUM; i++) {
		const struct jail_layer_info *info = jail_layer_info((enum jail_layer)i);

		json_open(j, info->name, '{');
		json_str(j, "state", s->allow_degraded & (1u << i) ? "optional" : "required");
		json_str(j, "what", info->what);
		if (*layer_detail(s, (enum jail_layer)i, detail, sizeof(detail)))
			json_str(j, "detail", detail);
		json_close(j, '}');
	}
	json_close(j, '}');
}

/* Where protected paths were not looked for. */
static void notes_json(const struct sandbox *s, struct json *j)
{
	size_t i;

	json_open(j, "not_protected", '[');
	for (i = 0; i < s->protect.n_notes; i++) {
		json_open(j, NULL, '{');
		json_str(j, "path", s->protect.notes[i].path);
		json_str(j, "why", s->protect.notes[i].why);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_int(j, "not_protected_more", (long)s->protect.n_more);
}

static void notes_text(const struct sandbox *s, struct buf *b)
{
	size_t i;

	buf_puts(b, "\nprotected paths: not looked at, or not given\n");
	for (i = 0; i < s->protect.n_notes; i++) {
		buf_puts(b, "  ");
		buf_quote(b, s->protect.notes[i].path);
		buf_printf(b, "  [%s]\n", s->protect.notes[i].why);
	}
	if (s->protect.n_more)
		buf_printf(b, "  and %zu more\n", s->protect.n_more);
	buf_puts(
		b,
		"  names that do not exist at the start: what the run makes is moved to the quarantine\n");
}

static void explain_json(const struct sandbox *s, char *const *argv, struct buf *b)
{
	struct json j = { .out = b };
	size_t i;

	json_open(&j, NULL, '{');
	json_int(&j, "version", 1);
	json_open(&j, "command", '[');
	for (; *argv; argv++)
		json_str(&j, NULL, *argv);
	json_close(&j, ']');
	json_str(&j, "cwd", s->cwd);
	json_open(&j, "workspaces", '[');
	for (i = 0; i < s->n_workspaces; i++)
		json_str(&j, NULL, s->workspaces[i]);
	json_close(&j, ']');
	json_open(&j, "identity", '{');
	json_str(&j, "mode", ids_mode(&s->id));
	json_int(&j, "uid", s->id.uid);
	json_int(&j, "gid", s->id.gid);
	json_close(&j, '}');
	network_explain(s, &j);
	json_str(&j, "nested", nested_name(s->nested));
	json_int(&j, "timeout_ms", s->timeout_ms);
	limits_explain(s, &j);
	json_open(&j, "policy", '[');
	for (i = 0; i < s->policy.n; i++) {
		const struct policy_rule *r = &s->policy.rules[i];

		json_open(&j, NULL, '{');
		json_str(&j, "rule", policy_kind_name(r->kind));
		json_str(&j, "path", r->path);
		json_str(&j, "layer", policy_layer_name(r->layer));
		json_str(&j, "origin", r->origin);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	explain_settings_json(s, &j);
	json_open(&j, "environment_removed", '[');
	for (i = 0; i < s->n_removed; i++) {
		json_open(&j, NULL, '{');
		json_str(&j, "name", s->removed[i].name);
		json_str(&j, "why", s->removed[i].why);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_open(&j, "plan", '[');
	for (i = 0; i < s->plan.n; i++) {
		const struct jail_op *op = &s->plan.ops[i];

		json_open(&j, NULL, '{');
		json_str(&j, "op", jail_op_type_name(op->type));
		json_str(&j, "path", op->path);
		json_bool(&j, "writable", op->flags & JAIL_OP_WRITABLE);
		json_str(&j, "note", op_note(op));
		json_str(&j, "origin",
			 op->rule ? op->rule->origin : "built-in: frame of every sandbox");
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_open(&j, "absent", '[');
	for (i = 0; i < s->plan.n_absent; i++) {
		json_open(&j, NULL, '{');
		json_str(&j, "path", s->plan.absent[i].path);
		json_str(&j, "origin", s->plan.absent[i].origin);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	notes_json(s, &j);
	layers_json(s, &j);
	json_close(&j, '}');
	buf_puts(b, "\n");
}

static void explain_text(const struct sandbox *s, char *const *argv, struct buf *b)
{
	char detail[64];
	size_t i;

	buf_puts(b, "command  ");
	for (; *argv; argv++) {
		buf_puts(b, " ");
		buf_quote(b, *argv);
	}
	buf_puts(b, "\ndirectory ");
	buf_quote(b, s->cwd);
	buf_printf(b,
		   "\nruns as   uid %u gid %u (%s)\nnetwork   %s\nnested    %s\n\n"
		   "policy (default: everything is readable, nothing writable)\n",
		   (unsigned int)s->id.uid, (unsigned int)s->id.gid, ids_mode(&s->id),
		   network_words(s->net.mode), nested_words(s->nested));
	for (i = 0; i < s->policy.n; i++) {
		const struct policy_rule *r = &s->policy.rules[i];

		buf_printf(b, "  %-11s ", policy_kind_name(r->kind));
		buf_quote(b, r->path);
		buf_puts(b, "  [");
		buf_quote(b, r->origin);
		buf_puts(b, "]\n");
	}
	network_explain_text(s, b);
	explain_settings_text(s, b);
	buf_puts(b, "\nenvironment: removed\n");
	for (i = 0; i < s->n_removed; i++) {
		buf_puts(b, "  ");
		buf_quote(b, s->removed[i].name);
		buf_printf(b, "  [looks like: %s; --pass-env lets it through]\n",
			   s->removed[i].why);
	}
	buf_puts(b, "\nmount plan, in order\n");
	for (i = 0; i < s->plan.n; i++) {
		const struct jail_op *op = &s->plan.ops[i];

		buf_printf(b, "  %-9s ", jail_op_type_name(op->type));
		buf_quote(b, op->path);
		buf_printf(b, "  %s", op_note(op));
		if (op->rule) {
			buf_puts(b, "  [");
			buf_quote(b, op->rule->origin);
			buf_puts(b, "]");
		}
		buf_puts(b, "\n");
	}
	for (i = 0; i < s->plan.n_absent; i++) {
		buf_puts(b, "  absent    ");
		buf_quote(b, s->plan.absent[i].path);
		buf_puts(b, "  what appears there is moved away  [");
		buf_quote(b, s->plan.absent[i].origin);
		buf_puts(b, "]\n");
	}
	limits_explain_text(s, b);
	notes_text(s, b);
	buf_puts(b, "\nlayers (a missing one is a refusal, unless accepted)\n");
	for (i = 0; i < JAIL_LAYER_NUM; i++) {
		const struct jail_layer_info *info = jail_layer_info((enum jail_layer)i);

		buf_printf(b, "  %-9s %s", info->name, info->what);
		if (*layer_detail(s, (enum jail_layer)i, detail, sizeof(detail)))
			buf_printf(b, " (%s)", detail);
		buf_puts(b, s->allow_degraded & (1u << i) ?
				    "  [may be missing: --allow-degraded]\n" :
				    "\n");
	}
}

int explain(const struct sandbox *s, char *const *argv, bool json, struct err *e)
{
	struct buf b = BUF_INIT(LIMIT_OUTPUT);
	int r;

	if (json)
		explain_json(s, argv, &b);
	else
		explain_text(s, argv, &b);
	if (b.failed) {
		buf_done(&b);
		return err_set(e, ERR_SYSTEM, -E2BIG, "the explanation is longer than %u bytes",
			       LIMIT_OUTPUT);
	}
	r = cli_print(&b);
	buf_done(&b);
	return r;
}
