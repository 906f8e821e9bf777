/* SPDX-License-Identifier: Apache-2.0 */
/* What --explain says about policy files, patterns, and settings that have no effect. */
#include "explain-settings.h"

void explain_settings_json(const struct sandbox *s, struct json *j)
{
	const struct sandbox_ignored *ig;
	const struct opt_source *src;
	const struct sandbox_scan *sc;
	size_t i;

	json_open(j, "files", '[');
	for (src = s->sources; src; src = src->next) {
		json_open(j, NULL, '{');
		json_str(j, "path", src->path);
		json_str(j, "layer", policy_layer_name(src->layer));
		json_str(j, "state", src->state);
		json_open(j, "settings", '[');
		for (i = 0; i < src->file.n; i++) {
			json_open(j, NULL, '{');
			json_str(j, "key", src->file.values[i].opt->key);
			json_int(j, "line", src->file.values[i].line);
			json_close(j, '}');
		}
		json_close(j, ']');
		json_close(j, '}');
	}
	json_close(j, ']');
	json_open(j, "ignored", '[');
	for (ig = s->ignored; ig; ig = ig->next) {
		json_open(j, NULL, '{');
		json_str(j, "key", ig->key);
		json_str(j, "origin", ig->origin);
		json_str(j, "why", ig->why);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_open(j, "patterns", '[');
	for (sc = s->scans; sc; sc = sc->next) {
		json_open(j, NULL, '{');
		json_str(j, "pattern", sc->pattern);
		json_str(j, "origin", sc->origin);
		json_str(j, "below", sc->base);
		json_int(j, "names", (long long)sc->entries);
		json_int(j, "matches", (long long)sc->matches);
		json_int(j, "unlisted", (long long)sc->unlisted);
		json_int(j, "links", (long long)sc->links);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_open(j, "notices", '[');
	for (i = 0; i < s->n_notices; i++)
		json_str(j, NULL, s->notices[i]);
	json_close(j, ']');
}

static void files_text(const struct sandbox *s, struct buf *b)
{
	const struct opt_source *src;
	size_t i;

	buf_puts(b, "\npolicy files\n");
	for (src = s->sources; src; src = src->next) {
		buf_puts(b, "  ");
		buf_quote(b, src->path);
		buf_printf(b, "  (%s)", src->state);
		for (i = 0; i < src->file.n; i++)
			buf_printf(b, "%s%s:%u", i ? ", " : "  ", src->file.values[i].opt->key,
				   src->file.values[i].line);
		buf_puts(b, "\n");
	}
}

void explain_settings_text(const struct sandbox *s, struct buf *b)
{
	const struct sandbox_ignored *ig;
	const struct sandbox_scan *sc;
	size_t i;

	if (s->sources)
		files_text(s, b);
	if (s->ignored)
		buf_puts(b, "\nwithout effect\n");
	for (ig = s->ignored; ig; ig = ig->next) {
		buf_printf(b, "  %-22s ", ig->key);
		buf_quote(b, ig->origin);
		buf_printf(b, "  [%s]\n", ig->why);
	}
	if (s->scans)
		buf_puts(
			b,
			"\npatterns (what is there now; later names are covered when they are seen)\n");
	for (sc = s->scans; sc; sc = sc->next) {
		buf_puts(b, "  ");
		buf_quote(b, sc->pattern);
		buf_printf(b, "  %zu matches of %zu names below ", sc->matches, sc->entries);
		buf_quote(b, sc->base);
		if (sc->unlisted)
			buf_printf(b, "; not looked at: %zu directories that can't be listed",
				   sc->unlisted);
		if (sc->links)
			buf_printf(b, "; left out: %zu symlinks", sc->links);
		buf_puts(b, "  [");
		buf_quote(b, sc->origin);
		buf_puts(b, "]\n");
	}
	if (s->n_notices)
		buf_puts(b, "\nnotices\n");
	for (i = 0; i < s->n_notices; i++) {
		buf_puts(b, "  ");
		buf_quote(b, s->notices[i]);
		buf_puts(b, "\n");
	}
}
