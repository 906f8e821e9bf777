/* SPDX-License-Identifier: Apache-2.0 */
/* The services that need nothing but a value. One table; docs, help and inject.c say what stands here. */
#include <string.h>

#include "record.h"

#define HEADER(name, text) .carrier = SECRET_HEADER, .field = (name), .format = (text)
#define BASIC(user) .carrier = SECRET_BASIC, .field = (user)
#define BEARER HEADER("authorization", "Bearer {}")

const struct secret_service secret_services[] = {
	{
		.name = "anthropic",
		.about = "Anthropic's API",
		.hosts = { "api.anthropic.com" },
		.variables = { "ANTHROPIC_API_KEY" },
		.prefix = "sk-ant-api03-",
		.ways = { { HEADER("x-api-key", "{}") } },
		.n_ways = 1,
	},
	{
		.name = "openai",
		.about = "OpenAI's API, WebSockets of browsers, too",
		.hosts = { "api.openai.com" },
		.variables = { "OPENAI_API_KEY" },
		.prefix = "sk-",
		.ways = { { BEARER } },
		.n_ways = 1,
		.protocols = { "openai-insecure-api-key.", "openai-ephemeral-" },
		.subprotocol = "openai-insecure-api-key.",
	},
	{
		.name = "github",
		.about = "GitHub's API, and git over HTTPS",
		.hosts = { "api.github.com", "github.com", "uploads.github.com" },
		.variables = { "GH_TOKEN", "GITHUB_TOKEN" },
		.prefix = "ghp_",
		/* what stands for a host comes first where a request says nothing: git asks for a password only once it was refused */
		.ways = { { BASIC("x-access-token"), .host = "github.com", .absent = true,
			    .any_user = true },
			  { BEARER, .host = "api.github.com", .absent = true },
			  { BEARER, .host = "uploads.github.com", .absent = true },
			  { BEARER },
			  { HEADER("authorization", "token {}") },
			  { BASIC("x-access-token"), .any_user = true } },
		.n_ways = 6,
	},
	{
		.name = "google",
		.about = "Google's Generative Language API (Gemini)",
		.hosts = { "generativelanguage.googleapis.com" },
		.variables = { "GEMINI_API_KEY", "GOOGLE_API_KEY" },
		.prefix = "AIzaSy",
		.ways = { { HEADER("x-goog-api-key", "{}") },
			  { .carrier = SECRET_QUERY, .field = "key" } },
		.n_ways = 2,
		.headers = { "x-goog-iam-authorization-token", "x-goog-iap-jwt-assertion" },
		.query = { "key", "httpheaders" },
		.batches = true,
		.upload = "upload_id",
	},
	{
		.name = "aws",
		.about = "Amazon Web Services: requests are signed anew (SigV4)",
		.hosts = { "*.amazonaws.com", "*.api.aws" },
		.variables = { "AWS_SECRET_ACCESS_KEY" },
		.prefix = "",
		.ways = { { .carrier = SECRET_AWS, .field = "authorization" } },
		.n_ways = 1,
		.headers = { "x-amz-security-token", "x-amzn-authorization",
			     "x-amz-s3session-token", "x-amz-cf-signature" },
		.query = { "awsaccesskeyid", "webidentitytoken", "samlassertion" },
		.forms = true,
	},
	{
		.name = "groq",
		.about = "Groq's API",
		.hosts = { "api.groq.com" },
		.variables = { "GROQ_API_KEY" },
		.prefix = "gsk_",
		.ways = { { BEARER } },
		.n_ways = 1,
	},
	{
		.name = "mistral",
		.about = "Mistral's API",
		.hosts = { "api.mistral.ai" },
		.variables = { "MISTRAL_API_KEY" },
		.prefix = "",
		.ways = { { BEARER } },
		.n_ways = 1,
	},
	{
		.name = "xai",
		.about = "xAI's API",
		.hosts = { "api.x.ai" },
		.variables = { "XAI_API_KEY" },
		.prefix = "xai-",
		.ways = { { BEARER } },
		.n_ways = 1,
		.protocols = { "xai-client-secret." },
	},
	{
		.name = "openrouter",
		.about = "OpenRouter's API",
		.hosts = { "openrouter.ai" },
		.variables = { "OPENROUTER_API_KEY" },
		.prefix = "sk-or-v1-",
		.ways = { { BEARER } },
		.n_ways = 1,
	},
	{
		.name = "npm",
		.about = "npm's registry: packages that are private, publishing",
		.hosts = { "registry.npmjs.org" },
		.variables = { "NPM_TOKEN", "NODE_AUTH_TOKEN" },
		.prefix = "npm_",
		/* npm sends a token only where its own configuration names one */
		.ways = { { BEARER, .absent = true } },
		.n_ways = 1,
	},
	{
		.name = "pypi",
		.about = "uploads to PyPI",
		.hosts = { "upload.pypi.org" },
		.variables = { "TWINE_PASSWORD", "UV_PUBLISH_TOKEN" },
		.prefix = "pypi-",
		.ways = { { BASIC("__token__") }, { BEARER } },
		.n_ways = 2,
	},
	{ .name = NULL },
};

const struct secret_service *secret_service(const char *name)
{
	const struct secret_service *s;

	for (s = secret_services; s->name; s++) {
		if (strcmp(s->name, name) == 0)
			return s;
	}
	return NULL;
}
