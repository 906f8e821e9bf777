/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request as bytes: its signature is read, computed, checked. What is signed by a pair is of that pair and of no other. The rest is a payload
 * of chunks: what passes has as many bytes, in whatever pieces it came.
 */
#include "fuzz.h"
#include "http/http.h"

#include "../src/keys/sigv4.h"

static const struct sigv4_pair mock = { "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
					NULL },
			       real = { "AKIDOTHER", "another/secret+of=some-length", "to/ken==" };

static int stream(const struct sigv4 *s, const struct sigv4_pair *to, const char *p, size_t n,
		  size_t step, struct buf *out)
{
	struct sigv4_stream *t = NULL;
	struct err e = ERR_INIT;
	char seed[SIGV4_HEX + 1];
	size_t at, some;
	int r;

	snprintf(seed, sizeof(seed), "%.*s", (int)s->signature.len, s->signature.p);
	r = sigv4_stream_new(&t, s, &mock, to, seed, seed, &e);
	FUZZ_REQUIRE(r == 0);
	for (at = 0; r == 0 && at < n; at += some) {
		some = n - at < step ? n - at : step;
		r = sigv4_stream_step(t, p + at, some, out, &e);
	}
	FUZZ_REQUIRE(out->len <= at);
	if (r == 0)
		r = sigv4_stream_end(t, &e);
	FUZZ_REQUIRE(r == 0 || e.msg[0]);
	sigv4_stream_free(t);
	return r;
}

static void payload(const struct sigv4 *s, const char *p, size_t n)
{
	struct buf same = BUF_INIT(1u << 20), bytes = BUF_INIT(1u << 20),
		   other = BUF_INIT(1u << 20);
	int r = stream(s, &mock, p, n, 1u << 20, &same);

	FUZZ_REQUIRE(stream(s, &mock, p, n, 1, &bytes) == r && bytes.len == same.len);
	FUZZ_REQUIRE(stream(s, &real, p, n, 13, &other) == r && other.len == same.len);
	/* by the same pair they are the same bytes, but for how sizes and blanks are written */
	FUZZ_REQUIRE(same.len == 0 ||
		     (same.data && bytes.data && memcmp(same.data, bytes.data, same.len) == 0));
	FUZZ_REQUIRE(r != 0 ||
		     (same.len == n && (n == 0 || (same.data && memcmp(same.data, p, n) == 0))));
	buf_done(&same);
	buf_done(&bytes);
	buf_done(&other);
}

static void signed_anew(struct sigv4 *s, const struct sigv4_request *q)
{
	struct sigv4_request again = *q;
	struct sigv4 *read = calloc(1, sizeof(*read));
	struct buf url = BUF_INIT(1u << 18);
	struct err e = ERR_INIT;

	FUZZ_REQUIRE(read);
	if (sigv4_presign(&url, s, q, &real, NULL, &e) == 0) {
		again.target = (struct http_slice){ url.data, url.len };
		/* the token may have been one field too many */
		if (sigv4_parse(read, &again, &e) == 1) {
			FUZZ_REQUIRE(sigv4_verify(read, &again, &real, NULL, &e) == 0);
			FUZZ_REQUIRE(sigv4_verify(read, &again, &mock, NULL, &e) != 0);
		}
	}
	buf_done(&url);
	free(read);
}

static bool slice_differs(struct http_slice s, const char *text)
{
	return s.len != strlen(text) || memcmp(s.p, text, s.len) != 0;
}

static void head_anew(struct sigv4 *s, const struct sigv4_request *q, const char *hash)
{
	struct http_field fields[HTTP_FIELDS];
	struct sigv4_request again = *q;
	struct sigv4 *read = calloc(1, sizeof(*read));
	struct buf auth = BUF_INIT(1u << 16);
	struct err e = ERR_INIT;
	char made[SIGV4_HEX + 1];
	size_t i;

	FUZZ_REQUIRE(read && sigv4_compute(made, s, q, &real, hash, &e) == 0);
	sigv4_authorization(&auth, s, real.id, made);
	memcpy(fields, q->fields, q->n * sizeof(*fields));
	for (i = 0; i < q->n; i++) {
		if (http_is(fields[i].name, "authorization"))
			fields[i].value = (struct http_slice){ auth.data, auth.len };
	}
	again.fields = fields;
	FUZZ_REQUIRE(!auth.failed && sigv4_parse(read, &again, &e) == 1);
	/* one that signs itself is another now */
	for (i = 0; i < s->n_headers && slice_differs(s->headers[i], "authorization"); i++)
		;
	if (i == s->n_headers)
		FUZZ_REQUIRE(sigv4_verify(read, &again, &real, hash, &e) == 0);
	buf_done(&auth);
	free(read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_head h;
	struct sigv4_request q;
	struct sigv4 s;
	struct err e = ERR_INIT;
	char hash[SIGV4_HEX + 1], made[SIGV4_HEX + 1], again[SIGV4_HEX + 1];
	int r;

	if (http_request_parse(&h, (const char *)data, size, &e) != 0)
		return 0;
	q = (struct sigv4_request){ h.method, h.target, h.host, h.fields, h.n };
	r = sigv4_parse(&s, &q, &e);
	FUZZ_REQUIRE(r >= 0 || e.msg[0]);
	if (r != 1)
		return 0;
	FUZZ_REQUIRE(s.scope.len <= 160 && s.date.len == 16 && s.signature.len == SIGV4_HEX);
	FUZZ_REQUIRE(sigv4_hash(data + h.len, size - h.len, hash) == 0);
	r = sigv4_compute(made, &s, &q, &mock, hash, &e);
	if (r == 0) {
		FUZZ_REQUIRE(sigv4_compute(again, &s, &q, &real, hash, &e) == 0 &&
			     strcmp(made, again) != 0);
		r = sigv4_verify(&s, &q, &mock, hash, &e);
		FUZZ_REQUIRE(r == 0 || slice_differs(s.id, mock.id) ||
			     memcmp(made, s.signature.p, SIGV4_HEX) != 0);
		FUZZ_REQUIRE(r != 0 || (sigv4_compute(again, &s, &q, &mock, hash, &e) == 0 &&
					memcmp(again, s.signature.p, SIGV4_HEX) == 0));
		if (!s.presigned)
			head_anew(&s, &q, hash);
	}
	if (s.payload == SIGV4_STREAMING)
		payload(&s, (const char *)data + h.len, size - h.len);
	if (s.presigned && s.hash.p)
		signed_anew(&s, &q);
	return 0;
}
