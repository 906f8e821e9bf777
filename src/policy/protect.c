/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why these: in each, a command that can write the workspace could leave code that the host runs without being asked, the next time that
 * somebody opens a shell, an editor or an agent there, or types `git status`. What is run only on request and reviewed like other code
 * (CI, package scripts, instructions for agents) is flagged instead.
 */
#include "policy.h"

#define PREFIX "built-in: protected: "
#define ROW(class, place, dir, name, origin, why)                               \
	{                                                                       \
		POLICY_##class, POLICY_IN_##place, (dir), (name), origin, (why) \
	}
#define P(place, name, what, why) ROW(PROTECT, place, false, name, PREFIX what, why)
#define D(place, name, what, why) ROW(PROTECT, place, true, name, PREFIX what, why)
#define F(place, name, what, why) ROW(FLAG, place, false, name, "flag: " what, why)

static const struct policy_protected table[] = {
	P(ANY, ".git", "git pointer",
	  "a .git that is a file or a link says where git finds its configuration"),
	P(ANY, ".envrc", "direnv", "direnv runs it when a shell enters the directory"),
	D(ANY, ".husky", "git hooks", "husky's hooks: git runs them"),
	D(ANY, ".githooks", "git hooks", "the usual value of core.hooksPath: git runs them"),
	P(ANY, ".vscode/tasks.json", "editor tasks", "tasks that may run when the folder opens"),
	P(ANY, ".vscode/launch.json", "editor tasks", "programs that the debugger starts"),
	P(ANY, ".vscode/settings.json", "editor settings",
	  "paths of programs that extensions start"),
	P(ANY, ".vscode/mcp.json", "agent tools", "servers that the editor starts"),
	D(ANY, ".idea/runConfigurations", "editor tasks", "programs that the IDE starts"),
	P(ANY, ".idea/startup.xml", "editor tasks", "tasks that run when the project opens"),
	D(ANY, ".idea/tools", "editor tasks", "external tools of the IDE"),
	P(ANY, ".idea/watcherTasks.xml", "editor tasks", "programs that run when a file changes"),
	P(ANY, ".zed/tasks.json", "editor tasks", "tasks of the editor"),
	P(ANY, ".zed/settings.json", "editor settings", "paths of programs that the editor starts"),
	D(ANY, ".devcontainer", "development container",
	  "commands and mounts of the container, some of them run on the host"),
	P(ANY, ".devcontainer.json", "development container", "the same, in one file"),
	P(ANY, ".claude/settings.json", "agent settings", "hooks and permissions of Claude Code"),
	P(ANY, ".claude/settings.local.json", "agent settings",
	  "hooks and permissions of Claude Code"),
	D(ANY, ".claude/commands", "agent commands", "commands that may run programs"),
	D(ANY, ".claude/agents", "agent commands", "agents with permissions of their own"),
	D(ANY, ".claude/skills", "agent commands", "skills that may bring programs"),
	D(ANY, ".claude/hooks", "agent hooks", "programs that settings.json names"),
	P(ANY, ".cursor/mcp.json", "agent tools", "servers that Cursor starts"),
	P(ANY, ".cursor/hooks.json", "agent hooks", "programs that Cursor runs"),
	P(ANY, ".cursor/cli.json", "agent settings", "permissions of Cursor's agent"),
	P(ANY, ".cursor/environment.json", "agent settings", "commands that Cursor runs"),
	P(ANY, ".gemini/settings.json", "agent settings", "tools and permissions of Gemini CLI"),
	D(ANY, ".gemini/commands", "agent commands", "commands that may run programs"),
	D(ANY, ".gemini/extensions", "agent commands", "extensions that may bring programs"),
	P(ANY, ".codex/config.toml", "agent settings", "tools and permissions of Codex"),
	P(ANY, ".codex/hooks.json", "agent hooks", "programs that Codex runs"),
	P(ANY, ".mcp.json", "agent tools", "servers that agents start"),
	P(ANY, ".bailey.json", "bailey's policy", "the policy of the next run"),

	P(GIT, "config", "git configuration",
	  "core.fsmonitor, filters, aliases, pagers: programs that git runs"),
	P(GIT, "config.worktree", "git configuration", "the same for one worktree"),
	D(GIT, "hooks", "git hooks", "git runs them"),
	P(GIT, "commondir", "git pointer", "says in which directory the configuration is"),
	P(GIT, "info/attributes", "git attributes",
	  "choose which configured filter runs on which file"),

	D(SHARED, "info", "git attributes", "so that no attributes file can be made either"),
	D(SHARED, "modules", "git submodules", "the git directories of its submodules"),

	P(WORKTREE, "commondir", "git pointer", "says in which directory the configuration is"),
	P(WORKTREE, "gitdir", "git pointer", "says where the worktree is"),
	P(WORKTREE, "config.worktree", "git configuration", "programs that git runs"),

	P(CONFIG, "include.path", "git configuration", "a part of the configuration"),
	P(CONFIG, "includeif.*.path", "git configuration", "a part of the configuration"),
	D(CONFIG, "core.hookspath", "git hooks", "git runs them"),

	P(CONFIG, "core.fsmonitor", "git fsmonitor", "git status runs it"),
	P(CONFIG, "filter.*.clean", "git filter", "git status runs it"),
	P(CONFIG, "filter.*.smudge", "git filter", "git checkout runs it"),
	P(CONFIG, "filter.*.process", "git filter", "git status runs it"),

	D(UNSEEN, ".", "unseen directory",
	  "what is in it can't be protected by name, and the command could open it"),

	P(SELF, "bailey", "bailey itself", "the next run would be what the command put there"),

	P(HOME, ".bash_login", "shell start-up", "the shell runs it"),
	P(HOME, ".bash_logout", "shell start-up", "the shell runs it"),
	P(HOME, ".zlogin", "shell start-up", "the shell runs it"),
	P(HOME, ".zlogout", "shell start-up", "the shell runs it"),
	P(HOME, ".cshrc", "shell start-up", "the shell runs it"),
	P(HOME, ".tcshrc", "shell start-up", "the shell runs it"),
	P(HOME, ".login", "shell start-up", "the shell runs it"),
	P(HOME, ".config/fish/config.fish", "shell start-up", "the shell runs it"),
	D(HOME, ".config/fish/conf.d", "shell start-up", "the shell runs it"),
	P(HOME, ".xprofile", "session start-up", "runs at login"),
	P(HOME, ".xsessionrc", "session start-up", "runs at login"),
	P(HOME, ".xinitrc", "session start-up", "runs at login"),
	P(HOME, ".pam_environment", "session start-up", "variables of every program"),
	D(HOME, ".config/environment.d", "session start-up", "variables of every program"),
	D(HOME, ".config/autostart", "session start-up", "runs at login"),
	D(HOME, ".config/systemd/user", "session start-up", "services that run at login"),
	D(HOME, ".config/git", "git configuration", "programs that git runs"),

	P(DOTFILES, ".bashrc", "shell start-up", "the shell runs it"),
	P(DOTFILES, ".bash_profile", "shell start-up", "the shell runs it"),
	P(DOTFILES, ".bash_aliases", "shell start-up", "the shell runs it"),
	P(DOTFILES, ".profile", "shell start-up", "the shell runs it"),
	P(DOTFILES, ".zshenv", "shell start-up", "the shell runs it"),
	P(DOTFILES, ".zprofile", "shell start-up", "the shell runs it"),
	P(DOTFILES, ".zshrc", "shell start-up", "the shell runs it"),
	P(DOTFILES, ".gitconfig", "git configuration", "programs that git runs"),
	P(DOTFILES, ".vimrc", "editor settings", "commands that the editor runs"),
	P(DOTFILES, ".tmux.conf", "terminal settings", "commands that tmux runs"),

	F(ANY, "CLAUDE.md", "agent instructions", "what agents are told to do"),
	F(ANY, "AGENTS.md", "agent instructions", "what agents are told to do"),
	F(ANY, "GEMINI.md", "agent instructions", "what agents are told to do"),
	F(ANY, ".cursorrules", "agent instructions", "what agents are told to do"),
	F(ANY, ".cursor/rules", "agent instructions", "what agents are told to do"),
	F(ANY, ".github/copilot-instructions.md", "agent instructions",
	  "what agents are told to do"),
	F(ANY, ".github/workflows", "CI", "runs with the project's secrets"),
	F(ANY, ".github/actions", "CI", "runs with the project's secrets"),
	F(ANY, ".gitlab-ci.yml", "CI", "runs with the project's secrets"),
	F(ANY, ".circleci", "CI", "runs with the project's secrets"),
	F(ANY, ".travis.yml", "CI", "runs with the project's secrets"),
	F(ANY, "Jenkinsfile", "CI", "runs with the project's secrets"),
	F(ANY, "azure-pipelines.yml", "CI", "runs with the project's secrets"),
	F(ANY, "package.json", "package scripts", "its scripts run at install"),
	F(ANY, ".npmrc", "package scripts", "registries, and the shell that runs scripts"),
	F(ANY, ".yarnrc.yml", "package scripts", "names the program that is yarn"),
	F(ANY, ".pre-commit-config.yaml", "git hooks", "names programs that pre-commit runs"),
	F(ANY, "lefthook.yml", "git hooks", "names programs that lefthook runs"),
	F(ANY, ".gitattributes", "git attributes", "chooses which configured filter runs"),
	F(ANY, ".gitmodules", "git submodules", "where submodules come from"),
	F(GIT, "rebase-merge/git-rebase-todo", "git rebase",
	  "its exec lines run when the rebase goes on"),
};

const struct policy_protected *policy_protected(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(table);
	return table;
}

const struct policy_protected *policy_protected_next(enum policy_place place,
						     const struct policy_protected *row)
{
	for (row = row ? row + 1 : table; row < table + ARRAY_SIZE(table); row++) {
		if (row->class == POLICY_PROTECT && row->place == place)
			return row;
	}
	return NULL;
}

const char *policy_protected_what(const struct policy_protected *row)
{
	return row->class == POLICY_PROTECT ? row->origin + sizeof(PREFIX) - 1 : row->origin + 6;
}

const char *policy_class_name(enum policy_class c)
{
	static const char *const names[POLICY_CLASS_NUM] = { "protect", "flag" };

	return c < POLICY_CLASS_NUM ? names[c] : "?";
}

const char *policy_place_name(enum policy_place p)
{
	static const char *const names[POLICY_PLACE_NUM] = {
		"any writable directory that is searched",
		"a git directory: .git, a submodule's, a bare repository",
		"the shared git directory of a worktree, when it lies outside of what is writable",
		"worktrees/NAME of a git directory",
		"the path that a variable of a protected git configuration has",
		"a directory that the caller can't list or enter, but owns or can enter; a git directory beyond the 256th",
		"the place of the program, when it is writable",
		"the home directory, when it is writable",
		"the home directory, when it is writable, or when a link of that name leads to what is writable",
	};

	return p < POLICY_PLACE_NUM ? names[p] : "?";
}
