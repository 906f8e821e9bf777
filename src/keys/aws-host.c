/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which names are AWS's own services. Below the same domains stand names behind which its customers' programs read what is sent: machines (compute), load balancers (elb), functions
 * and gateways (execute-api, lambda-url, appsync-api, vpce …). So what is known to be AWS's is listed, and the rest is not.
 */
#include <string.h>

#include "inject-own.h"

#define LABELS 12u

/* The last labels of names that AWS gives. @own: some are of its services */
static const struct domain {
	const char *name;
	bool own;
} domains[] = {
	{ ".amazonaws.com", true }, { ".amazonaws.com.cn", true },
	{ ".api.aws", true },       { ".api.amazonwebservices.com.cn", true },
	{ ".on.aws", false }, /* functions, applications */
};

/* Services whose names have something in front: an account, a bucket, a part of the service. Only AWS's own programs answer there. */
static const char *const prefixed[] = {
	"s3",
	"s3-accesspoint",
	"s3-accesspoint-fips",
	"s3-control",
	"s3-control-fips",
	"s3-fips",
	"s3-object-lambda",
	"s3-outposts",
	"connect",
	"control-kinesis",
	"data-kinesis",
	"ddb",
	"dynamodb",
	"ecr",
	"iot",
	"iotsitewise",
	"kinesisvideo",
	"lex",
	"marketplace",
	"mediaconvert",
	"sagemaker",
	"timestream",
};

struct name {
	struct http_slice v[LABELS];
	size_t n;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

/* "eu-west-1", "us-gov-east-1": two to four letters, words, a number. */
static bool is_region(struct http_slice s)
{
	size_t i, dashes = 0, first = 0;

	for (i = 0; i < s.len && !is_digit(s.p[i]); i++) {
		if (s.p[i] == '-' && dashes++ == 0)
			first = i;
		else if (s.p[i] != '-' && !is_lower(s.p[i]))
			return false;
	}
	if (first < 2 || first > 4 || dashes < 2 || dashes > 3 || i == s.len || s.p[i - 1] != '-')
		return false;
	for (; i < s.len && is_digit(s.p[i]); i++)
		;
	return i == s.len;
}

static bool split(const char *host, size_t n, struct name *ret)
{
	size_t i, from = 0;

	ret->n = 0;
	for (i = 0; i <= n; i++) {
		if (i < n && host[i] != '.')
			continue;
		if (ret->n == LABELS || i == from)
			return false;
		ret->v[ret->n++] = (struct http_slice){ host + from, i - from };
		from = i + 1;
	}
	return true;
}

static bool is_prefixed(struct http_slice s)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(prefixed); i++) {
		if (slice_is(s, prefixed[i]))
			return true;
	}
	/* of one zone: "s3express-use1-az4" */
	return slice_begins(s, "s3express-");
}

/* BUCKET.s3, .s3-REGION, .s3-accelerate, each below amazonaws.com itself. */
static bool is_global_s3(struct http_slice s)
{
	static const char lead[] = "s3-";
	const size_t n = sizeof(lead) - 1;

	return slice_is(s, "s3") || slice_is(s, "s3-accelerate") ||
	       (slice_begins(s, lead) && is_region((struct http_slice){ s.p + n, s.len - n }));
}

static bool is_service(const struct name *name)
{
	size_t n = name->n;
	struct http_slice last = name->v[n - 1];

	if (n == 1)
		return true; /* sts.amazonaws.com */
	if (!is_region(last) && !slice_is(last, "global")) {
		if (slice_is(last, "dualstack") && n > 2)
			last = name->v[n - 2];
		return is_global_s3(last);
	}
	if (n == 2)
		return true; /* sts.eu-west-1.amazonaws.com */
	n--;
	if (slice_is(name->v[n - 1], "dualstack"))
		n--;
	return n > 0 && is_prefixed(name->v[n - 1]);
}

bool aws_host_is_service(const char *host)
{
	size_t n = strlen(host), k, i;
	struct name name;

	for (i = 0; i < ARRAY_SIZE(domains); i++) {
		k = strlen(domains[i].name);
		if (n > k && strcmp(host + n - k, domains[i].name) == 0)
			return domains[i].own && split(host, n - k, &name) && is_service(&name);
	}
	return true;
}

bool aws_host_is_trusted(const struct inject_secret *s, const char *host)
{
	size_t i;

	for (i = 0; i < s->hosts.n; i++) {
		if (strcmp(s->hosts.v[i], host) == 0)
			return true;
	}
	return aws_host_is_service(host);
}
