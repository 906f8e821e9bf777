/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log-ins that are known: where their tokens come from, and where they are used. Facts of the programs' public sources and of requests that were seen:
 *	claude   Claude Code: platform.claude.com, before that console.anthropic.com; /api/oauth/claude_cli/create_api_key makes a key of a token
 *	codex    github.com/openai/codex, codex-rs/login: auth.openai.com/oauth/token; chatgpt.com/backend-api, api.openai.com
 *	gemini   github.com/google-gemini/gemini-cli, packages/core/src/code_assist: Google's OAuth, cloudcode-pa.googleapis.com
 *	github   docs.github.com, "Authorizing OAuth apps", device flow; what gh and Copilot use
 */
#ifndef BAILEY_KEYS_LOGIN_TABLE_H
#define BAILEY_KEYS_LOGIN_TABLE_H

#include "login.h"

static const struct {
	const char *name;
	struct login_endpoint from[LOGIN_ENDPOINTS]; /* up to one without a host */
	const char *hosts[LOGIN_HOSTS];              /* up to NULL */
} login_table[] = {
	{ "claude",
	  { { "platform.claude.com", "/v1/oauth/token" },
	    { "console.anthropic.com", "/v1/oauth/token" },
	    { "api.anthropic.com", "/v1/oauth/token" },
	    { "api.anthropic.com", "/api/oauth/claude_cli/create_api_key" } },
	  { "mcp-proxy.anthropic.com", "claude.ai" } },
	{ "codex", { { "auth.openai.com", "/oauth/token" } }, { "chatgpt.com", "api.openai.com" } },
	{ "gemini",
	  { { "oauth2.googleapis.com", "/token" }, { "accounts.google.com", "/o/oauth2/token" } },
	  { "cloudcode-pa.googleapis.com", "www.googleapis.com", "openidconnect.googleapis.com",
	    "generativelanguage.googleapis.com" } },
	{ "github",
	  { { "github.com", "/login/oauth/access_token" } },
	  { "api.github.com", "uploads.github.com", "api.githubcopilot.com",
	    "*.githubcopilot.com" } },
};

#endif
