/* SPDX-License-Identifier: Apache-2.0 */
/* bailey-keys: a program of libexec, which bailey starts. */
#include <stdio.h>
#include <string.h>

#include "px.h"
#include "secret.h"
#include "serve.h"
#include "ssh-agent.h"

int main(int argc, char **argv)
{
	keys_erase();
	if (argc == 2 && strcmp(argv[1], "serve") == 0)
		return keys_serve();
	if (argc > 2 && strcmp(argv[1], "srt-proxy") == 0)
		return keys_srt_proxy(argv + 2);
	if (argc == 2 && strcmp(argv[1], "ssh-agent") == 0)
		return keys_ssh_agent();
	if (argc > 2 && strcmp(argv[1], "secret") == 0)
		return secret_verb(argv + 2, false);
	if (argc > 2 && strcmp(argv[1], "secret-later") == 0)
		return secret_verb(argv + 2, true);
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return printf("bailey-keys " BAILEY_VERSION "\n") < 0 || fflush(stdout) != 0;
	(void)fprintf(stderr, "bailey-keys is started by bailey\n");
	return 2;
}
