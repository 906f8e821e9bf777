/* SPDX-License-Identifier: Apache-2.0 */
/* Published signatures of AWS: of its guide to S3, of IAM's example, of its test suite. */
#include "../../../src/keys/inject-own.h"
#include "../../../src/keys/sigv4.h"
#include "tap.h"
#include <errno.h>
#include <stdint.h>

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define S3_SCOPE "20130524/us-east-1/s3/aws4_request"

static const struct sigv4_pair example = { "AKIAIOSFODNN7EXAMPLE",
					   "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", NULL };
static const struct sigv4_pair iam = { "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
				       NULL };
static const struct sigv4_pair other = { "AKIAOTHEROTHEROTHER0", "another-secret", NULL };

/* "NAME: VALUE\n"… */
static size_t split(const char *text, struct http_field *f)
{
	size_t n = 0;

	while (*text) {
		const char *colon = strchr(text, ':'), *end = strchr(text, '\n');

		f[n++] = (struct http_field){ { text, (size_t)(colon - text) },
					      { colon + 2, (size_t)(end - colon - 2) } };
		text = end + 1;
	}
	return n;
}

struct signed_request {
	struct sigv4 s;
	struct sigv4_request q;
	struct http_field f[32];
	char authorization[512];
};

/* A request with an Authorization field of that signature. */
static int make(struct signed_request *r, const char *method, const char *target,
		const char *fields, const char *id, const char *scope, const char *headers,
		const char *signature, struct err *e)
{
	snprintf(r->authorization, sizeof(r->authorization),
		 "AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s, Signature=%s", id, scope,
		 headers, signature);
	r->q = (struct sigv4_request){ .method = http_slice(method),
				       .target = http_slice(target),
				       .fields = r->f };
	r->q.n = split(fields, r->f);
	r->f[r->q.n++] =
		(struct http_field){ http_slice("Authorization"), http_slice(r->authorization) };
	return sigv4_parse(&r->s, &r->q, e);
}

static void vector(const char *method, const char *target, const char *fields,
		   const struct sigv4_pair *pair, const char *scope, const char *headers,
		   const char *signature, const char *body_hash)
{
	struct signed_request r = { .authorization = "" };
	struct err e = ERR_INIT;
	char changed[SIGV4_HEX + 1];
	int got = make(&r, method, target, fields, pair->id, scope, headers, signature, &e);

	if (got != 1 || sigv4_verify(&r.s, &r.q, pair, body_hash, &e) != 0)
		FAIL("%s %s: %s", method, target, e.msg);
	CHECK(sigv4_verify(&r.s, &r.q, &other, body_hash, &e) == -EACCES);
	/* anything else is not what was signed */
	snprintf(changed, sizeof(changed), "%s", signature);
	changed[5] = changed[5] == '0' ? '1' : '0';
	REQUIRE(make(&r, method, target, fields, pair->id, scope, headers, changed, &e) == 1);
	CHECK(sigv4_verify(&r.s, &r.q, pair, body_hash, &e) == -EACCES);
	REQUIRE(make(&r, "DELETE", target, fields, pair->id, scope, headers, signature, &e) == 1);
	CHECK(sigv4_verify(&r.s, &r.q, pair, body_hash, &e) == -EACCES);
}

TEST(s3_guide)
{
	vector("GET", "/test.txt",
	       "Host: examplebucket.s3.amazonaws.com\nRange: bytes=0-9\n"
	       "x-amz-content-sha256: " EMPTY "\nx-amz-date: 20130524T000000Z\n",
	       &example, S3_SCOPE, "host;range;x-amz-content-sha256;x-amz-date",
	       "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41", NULL);
	vector("PUT", "/test%24file.text",
	       "Host: examplebucket.s3.amazonaws.com\nDate: Fri, 24 May 2013 00:00:00 GMT\n"
	       "x-amz-date: 20130524T000000Z\nx-amz-storage-class: REDUCED_REDUNDANCY\n"
	       "x-amz-content-sha256: 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072\n",
	       &example, S3_SCOPE, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
	       "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd", NULL);
	/* a "$" that isn't coded is the same path */
	vector("PUT", "/test$file.text",
	       "Host: examplebucket.s3.amazonaws.com\nDate: Fri, 24 May 2013 00:00:00 GMT\n"
	       "x-amz-date: 20130524T000000Z\nx-amz-storage-class:  REDUCED_REDUNDANCY \n"
	       "x-amz-content-sha256: 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072\n",
	       &example, S3_SCOPE, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
	       "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd", NULL);
	vector("GET", "/?lifecycle",
	       "Host: examplebucket.s3.amazonaws.com\nx-amz-date: 20130524T000000Z\n"
	       "x-amz-content-sha256: " EMPTY "\n",
	       &example, S3_SCOPE, "host;x-amz-content-sha256;x-amz-date",
	       "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543", NULL);
	vector("GET", "/?prefix=J&max-keys=2",
	       "Host: examplebucket.s3.amazonaws.com\nx-amz-date: 20130524T000000Z\n"
	       "x-amz-content-sha256: " EMPTY "\n",
	       &example, S3_SCOPE, "host;x-amz-content-sha256;x-amz-date",
	       "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7", NULL);
}

TEST(others)
{
	vector("GET", "/?Action=ListUsers&Version=2010-05-08",
	       "Host: iam.amazonaws.com\nContent-Type: application/x-www-form-urlencoded; charset=utf-8\n"
	       "X-Amz-Date: 20150830T123600Z\n",
	       &iam, "20150830/us-east-1/iam/aws4_request", "content-type;host;x-amz-date",
	       "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7", EMPTY);
	vector("GET", "/", "Host: example.amazonaws.com\nX-Amz-Date: 20150830T123600Z\n", &iam,
	       "20150830/us-east-1/service/aws4_request", "host;x-amz-date",
	       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", EMPTY);
	vector("GET", "/?Param2=value2&Param1=value1",
	       "Host: example.amazonaws.com\nX-Amz-Date: 20150830T123600Z\n", &iam,
	       "20150830/us-east-1/service/aws4_request", "host;x-amz-date",
	       "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500", EMPTY);
	/* paths that mean "/" */
	vector("GET", "/example/..", "Host: example.amazonaws.com\nX-Amz-Date: 20150830T123600Z\n",
	       &iam, "20150830/us-east-1/service/aws4_request", "host;x-amz-date",
	       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", EMPTY);
	vector("GET", "//.//", "Host: example.amazonaws.com\nX-Amz-Date: 20150830T123600Z\n", &iam,
	       "20150830/us-east-1/service/aws4_request", "host;x-amz-date",
	       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", EMPTY);
}

#define URL                                                                                         \
	"/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F"       \
	"20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&" \
	"X-Amz-SignedHeaders=host"
#define URL_SIGNATURE "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"

TEST(presigned)
{
	struct http_field f[] = { { { "Host", 4 }, { "examplebucket.s3.amazonaws.com", 30 } } };
	struct sigv4_request q = { .method = http_slice("GET"),
				   .fields = f,
				   .n = 1,
				   .target = http_slice(URL "&X-Amz-Signature=" URL_SIGNATURE) };
	struct sigv4_pair token = { "AKIAOTHEROTHEROTHER0", "another-secret", "to/ken=" };
	struct buf b = BUF_INIT(4096);
	struct err e = ERR_INIT;
	struct sigv4 s;

	REQUIRE(sigv4_parse(&s, &q, &e) == 1);
	CHECK(s.presigned && s.s3 && s.payload == SIGV4_UNSIGNED);
	CHECK(sigv4_verify(&s, &q, &example, NULL, &e) == 0);
	CHECK(sigv4_verify(&s, &q, &other, NULL, &e) == -EACCES);
	/* by the same pair it is the same URL */
	REQUIRE(sigv4_presign(&b, &s, &q, &example, NULL, &e) == 0);
	CHECK_STR(b.data, URL "&X-Amz-Signature=" URL_SIGNATURE);
	/* by another one it is another, which that pair verifies */
	b.len = 0;
	REQUIRE(sigv4_presign(&b, &s, &q, &token, NULL, &e) == 0);
	CHECK(strstr(b.data, "X-Amz-Credential=AKIAOTHEROTHEROTHER0%2F20130524%2Fus-east-1%2Fs3"));
	CHECK(strstr(b.data, "&X-Amz-Security-Token=to%2Fken%3D&X-Amz-Signature="));
	q.target = http_slice(b.data);
	REQUIRE(sigv4_parse(&s, &q, &e) == 1);
	CHECK(sigv4_verify(&s, &q, &token, NULL, &e) == 0);
	buf_done(&b);
}

#define STREAM_FIELDS(hash, length)                                                           \
	"Host: s3.amazonaws.com\nx-amz-date: 20130524T000000Z\nx-amz-storage-class: "         \
	"REDUCED_REDUNDANCY\nx-amz-content-sha256: " hash "\nContent-Encoding: aws-chunked\n" \
	"x-amz-decoded-content-length: 66560\n" length

static void add_chunk(struct buf *b, size_t n, const char *signature)
{
	size_t i;

	buf_printf(b, "%zx;chunk-signature=%s\r\n", n, signature);
	for (i = 0; i < n; i++)
		buf_puts(b, "a");
	if (n)
		buf_puts(b, "\r\n");
}

/* Through a stream in pieces of @step bytes. */
static int through(const struct sigv4 *s, const struct sigv4_pair *to, const char *seed,
		   const struct buf *in, size_t step, struct buf *out, struct err *e)
{
	struct sigv4_stream *t = NULL;
	size_t at, n;
	int r = sigv4_stream_new(&t, s, &example, to, seed, seed, e);

	for (at = 0; r == 0 && at < in->len; at += n) {
		n = in->len - at < step ? in->len - at : step;
		r = sigv4_stream_step(t, in->data + at, n, out, e);
	}
	if (r == 0)
		r = sigv4_stream_end(t, e);
	sigv4_stream_free(t);
	return r;
}

static const size_t steps[] = { 1, 7, 1000, 65536, 1 << 20 };

#define SEED "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"

TEST(streaming)
{
	struct signed_request r = { .authorization = "" };
	struct buf in = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	size_t i;

	REQUIRE(make(&r, "PUT", "/examplebucket/chunkObject.txt",
		     STREAM_FIELDS("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "Content-Length: 66824\n"),
		     example.id, S3_SCOPE,
		     "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
		     SEED, &e) == 1);
	CHECK(r.s.payload == SIGV4_STREAMING && !r.s.trailer);
	CHECK(sigv4_verify(&r.s, &r.q, &example, NULL, &e) == 0);
	add_chunk(&in, 65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648");
	add_chunk(&in, 1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497");
	add_chunk(&in, 0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9");
	buf_puts(&in, "\r\n");
	CHECK(in.len == 66824);
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		out.len = 0;
		if (through(&r.s, &example, SEED, &in, steps[i], &out, &e) != 0)
			FAIL("%s", e.msg);
		CHECK(out.len == in.len && memcmp(out.data, in.data, in.len) == 0);
		out.len = 0;
		CHECK(through(&r.s, &other, SEED, &in, steps[i], &out, &e) == 0);
		CHECK(out.len == in.len && memcmp(out.data, in.data, in.len) != 0);
	}
	in.data[70000 % in.len] = 'b'; /* of the second chunk */
	out.len = 0;
	CHECK(through(&r.s, &example, SEED, &in, 1000, &out, &e) == -EBADMSG ||
	      through(&r.s, &example, SEED, &in, 1000, &out, &e) == -EACCES);
	buf_done(&in);
	buf_done(&out);
}

#define TRAILER_SEED "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"

TEST(streaming_with_trailer)
{
	struct signed_request r = { .authorization = "" };
	struct buf in = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	size_t i;

	REQUIRE(make(&r, "PUT", "/examplebucket/chunkObject.txt",
		     STREAM_FIELDS("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
				   "x-amz-trailer: x-amz-checksum-crc32c\n"),
		     example.id, S3_SCOPE,
		     "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
		     TRAILER_SEED, &e) == 1);
	CHECK(r.s.payload == SIGV4_STREAMING && r.s.trailer);
	CHECK(sigv4_verify(&r.s, &r.q, &example, NULL, &e) == 0);
	add_chunk(&in, 65536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2");
	add_chunk(&in, 1024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7");
	add_chunk(&in, 0, "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992");
	buf_puts(
		&in,
		"x-amz-checksum-crc32c:sOO8/Q==\r\n"
		"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n");
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		out.len = 0;
		if (through(&r.s, &example, TRAILER_SEED, &in, steps[i], &out, &e) != 0)
			FAIL("%s", e.msg);
		CHECK(out.len == in.len && memcmp(out.data, in.data, in.len) == 0);
		out.len = 0;
		CHECK(through(&r.s, &other, TRAILER_SEED, &in, steps[i], &out, &e) == 0);
		CHECK(out.len == in.len && memcmp(out.data, in.data, in.len) != 0);
	}
	*strstr(in.data + 66000, "sOO8") = 't';
	out.len = 0;
	CHECK(through(&r.s, &example, TRAILER_SEED, &in, 1000, &out, &e) == -EACCES);
	buf_done(&in);
	buf_done(&out);
}

/* What is no such stream. */
TEST(streaming_refused)
{
	static const char *const bad[] = {
		"zz;chunk-signature=" SEED "\r\n",
		"1\r\na\r\n",
		"1;chunk-signature=" SEED ";a=b\r\na\r\n",
		"1;chunk-signature=00\r\na\r\n",
		"1;chunk-signature=" SEED "\na\r\n",
		"200001;chunk-signature=" SEED "\r\n",
		"ffffffffff;chunk-signature=" SEED "\r\n",
		"1;chunk-signature=" SEED "\r\nab",
		"",
	};
	struct signed_request r = { .authorization = "" };
	struct err e = ERR_INIT;
	size_t i;

	REQUIRE(make(&r, "PUT", "/x", STREAM_FIELDS("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", ""),
		     example.id, S3_SCOPE, "host;x-amz-content-sha256;x-amz-date", SEED, &e) == 1);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct buf in = BUF_INIT(4096), out = BUF_INIT(4096);

		buf_puts(&in, bad[i]);
		if (through(&r.s, &other, SEED, &in, 5, &out, &e) != -EBADMSG)
			FAIL("%s", bad[i]);
		CHECK(out.len == 0);
		buf_done(&in);
		buf_done(&out);
	}
}

TEST(what_is_no_signature)
{
	static const struct {
		const char *scope, *headers, *signature, *fields, *what;
	} rows[] = {
#define GOOD "host;x-amz-date", SEED, "Host: a\nX-Amz-Date: 20130524T000000Z\n"
		{ "20130524/us-east-1/s3", GOOD, "Credential" },
		{ "20130524/us-east-1/s3/aws4_request/x", GOOD, "Credential" },
		{ "20130524/US/s3/aws4_request", GOOD, "Credential" },
		{ "2013052/us-east-1/s3/aws4_request", GOOD, "Credential" },
		{ S3_SCOPE, "x-amz-date", SEED, "Host: a\nX-Amz-Date: 20130524T000000Z\n", "host" },
		{ S3_SCOPE, "x-amz-date;host", SEED, "Host: a\nX-Amz-Date: 20130524T000000Z\n",
		  "order" },
		{ S3_SCOPE, "host;host", SEED, "Host: a\nX-Amz-Date: 20130524T000000Z\n", "order" },
		{ S3_SCOPE, "host;", SEED, "Host: a\nX-Amz-Date: 20130524T000000Z\n", "semicolon" },
		{ S3_SCOPE, "Host", SEED, "Host: a\nX-Amz-Date: 20130524T000000Z\n", "be read" },
		{ S3_SCOPE, "host", "00", "Host: a\nX-Amz-Date: 20130524T000000Z\n",
		  "hexadecimal" },
		{ S3_SCOPE, "host", SEED, "Host: a\n", "X-Amz-Date" },
		{ S3_SCOPE, "host", SEED, "Host: a\nX-Amz-Date: 20130525T000000Z\n", "date" },
		{ S3_SCOPE, "host", SEED, "Host: a\nX-Amz-Date: 20130524T0000000\n", "date" },
		{ S3_SCOPE, "host", SEED,
		  "Host: a\nX-Amz-Date: 20130524T000000Z\nX-Amz-Date: 20130524T000000Z\n",
		  "X-Amz-Date" },
		{ S3_SCOPE, "host", SEED,
		  "Host: a\nX-Amz-Date: 20130524T000000Z\nX-Amz-Content-Sha256: no\n", "payload" },
		{ S3_SCOPE, "host", SEED,
		  "Host: a\nX-Amz-Date: 20130524T000000Z\nX-Amz-Content-Sha256: STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD\n",
		  "payload" },
		{ S3_SCOPE, "host", SEED,
		  "Host: a\nX-Amz-Date: 20130524T000000Z\nAuthorization: x\n", "two" },
	};
	struct signed_request r = { .authorization = "" };
	struct err e = ERR_INIT;
	size_t i;

	CHECK(make(&r, "GET", "/", "Host: a\nX-Amz-Date: 20130524T000000Z\n", example.id, S3_SCOPE,
		   "host;x-amz-date", SEED, &e) == 1);
	CHECK(make(&r, "GET", "/?X-Amz-Signature=x", "Host: a\nX-Amz-Date: 20130524T000000Z\n",
		   example.id, S3_SCOPE, "host;x-amz-date", SEED, &e) == -EBADMSG);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		e = (struct err)ERR_INIT;
		if (make(&r, "GET", "/", rows[i].fields, example.id, rows[i].scope, rows[i].headers,
			 rows[i].signature, &e) != -EBADMSG ||
		    !strstr(e.msg, rows[i].what))
			FAIL("row %zu: %s", i, e.msg);
	}
	/* signed, and not there */
	REQUIRE(make(&r, "GET", "/", "Host: a\nX-Amz-Date: 20130524T000000Z\n", example.id,
		     S3_SCOPE, "host;range", SEED, &e) == 1);
	CHECK(sigv4_verify(&r.s, &r.q, &example, EMPTY, &e) == -EBADMSG);
}

/* Where a session's token may go without being asked for by name. */
TEST(names_of_services)
{
	static const char *const own[] = {
		"sts.amazonaws.com",
		"s3.amazonaws.com",
		"s3-us-west-2.amazonaws.com",
		"sts.eu-west-1.amazonaws.com",
		"bedrock-runtime.us-gov-west-1.amazonaws.com",
		"bucket.s3.amazonaws.com",
		"a.b.c.s3.eu-west-1.amazonaws.com",
		"bucket.s3-eu-west-1.amazonaws.com",
		"bucket.s3.dualstack.eu-west-1.amazonaws.com",
		"s3.dualstack.eu-west-1.amazonaws.com",
		"bucket.s3-accelerate.amazonaws.com",
		"bucket.s3-accelerate.dualstack.amazonaws.com",
		"123456789012.s3-control.eu-west-1.amazonaws.com",
		"b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com",
		"123456789012.ddb.eu-west-1.amazonaws.com",
		"runtime.sagemaker.eu-west-1.amazonaws.com",
		"api.ecr.eu-west-1.amazonaws.com",
		"sts.cn-north-1.amazonaws.com.cn",
		"sts.eu-west-1.api.aws",
		"route53.global.api.aws",
		"minio.example.org",
		"web.test",
	};
	static const char *const others[] = {
		"a1b2.execute-api.eu-west-1.amazonaws.com",
		"a1b2.execute-api.eu-west-1.api.aws",
		"a1b2-vpce-1.execute-api.eu-west-1.amazonaws.com",
		"a1b2.lambda-url.eu-west-1.on.aws",
		"bucket.s3-website-us-east-1.amazonaws.com",
		"bucket.s3-website.eu-west-1.amazonaws.com",
		"ec2-1-2-3-4.compute-1.amazonaws.com",
		"ec2-1-2-3-4.eu-west-1.compute.amazonaws.com",
		"lb-1.eu-west-1.elb.amazonaws.com",
		"lb-1.elb.eu-west-1.amazonaws.com",
		"x.appsync-api.eu-west-1.amazonaws.com",
		"x.vfs.cloud9.eu-west-1.amazonaws.com",
		"vpce-1.vpce-svc-2.eu-west-1.vpce.amazonaws.com",
		"x.s3.elb.eu-west-1.amazonaws.com",
		"s3.x.amazonaws.com",
		"x.dualstack.amazonaws.com",
		"x.on.aws",
		"sts.west.amazonaws.com",
		"sts.eu-west-.amazonaws.com",
		"sts.eu-west-1x.amazonaws.com",
		"a.b.c.d.e.f.g.h.i.j.k.s3.eu-west-1.amazonaws.com",
	};
	static const struct inject_secret by_name = {
		.hosts = { { "a1b2.lambda-url.eu-west-1.on.aws", "*.amazonaws.com" }, 2 }
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(own); i++) {
		if (!aws_host_is_service(own[i]))
			FAIL("%s", own[i]);
	}
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		if (aws_host_is_service(others[i]))
			FAIL("%s", others[i]);
	}
	CHECK(aws_host_is_trusted(&by_name, others[3]) &&
	      !aws_host_is_trusted(&by_name, others[0]) && aws_host_is_trusted(&by_name, own[0]));
}
