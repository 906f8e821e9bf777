# bailey's front door. Everything is built below build/; meson and ninja do the work.
#   make deps demo      all that a newcomer needs (root, or a user with sudo)
#   make test           what CI runs
.DEFAULT_GOAL := all
.PHONY: all words deps deps-test demo test test-full bench fuzz install uninstall clean

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
PREFIX ?= /usr/local
APT := $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get

# What building needs. Debian 12 names; docs/dependencies.md says why each is here.
BUILD_DEPS := gcc libc6-dev linux-libc-dev musl-tools meson ninja-build pkg-config libseccomp-dev libssl-dev libnghttp2-dev libsqlite3-dev libjansson-dev publicsuffix git
# What demo, tests and checks need beyond that.
DEMO_DEPS := make python3
TEST_DEPS := $(DEMO_DEPS) bubblewrap clang clang-format clang-tidy llvm libclang-rt-14-dev cppcheck shellcheck codespell mypy python3-pytest python3-jsonschema \
	strace gdb nodejs npm cargo g++ procps iproute2 util-linux passwd libcap2-bin attr uidmap sudo systemd e2fsprogs ntfs-3g tmux vim htop less zsh bash-completion mandoc man-db dnsmasq-base \
	curl wget nginx dropbear-bin openssh-client openssl bind9-dnsutils iputils-ping python3-websockets python3-h2 python3-grpcio nghttp2-client
# What only test-full needs: another kernel (tools/vm-run), real programs with their test suites (tests/full); podman, and what the real srt needs, of BENCH_DEPS, too.
FULL_DEPS := chromium qemu-system-x86 qemu-system-common linux-image-cloud-amd64 busybox-static cpio kmod \
	dpkg-dev xz-utils patch perl libpython3.11-testsuite python3-venv rustc librust-tempfile-dev librust-doc-comment-dev sqlite3 inotify-tools golang-go default-jdk-headless
BENCH_DEPS := openssl socat ripgrep bubblewrap firejail crun runc podman iproute2 util-linux squid tinyproxy haproxy mitmproxy

# What is installed in libexec: build/NAME, the program of the room that follows "bailey-".
LIBEXEC := bailey-keys bailey-store
PROGRAMS := build/bailey $(addprefix build/,$(LIBEXEC))

# apt is asked only when something is missing, so that it is no cost on a prepared machine and no network is needed there.
# npm may have come with a newer nodejs, which Debian's npm conflicts with.
define install-packages
	@missing=$$(for p in $(1); do [ $$p = npm ] && command -v npm >/dev/null && continue; dpkg-query -W -f '$${db:Status-Abbrev}' $$p 2>/dev/null | grep -q '^ii' || echo $$p; done); \
	if [ -n "$$missing" ]; then echo "installing:" $$missing; $(APT) update -qq && $(APT) install -y -qq --no-install-recommends $$missing >/dev/null; fi
endef

all: $(PROGRAMS) words

deps:
	$(call install-packages,$(BUILD_DEPS))

deps-test: deps
	$(call install-packages,$(TEST_DEPS))

build/musl/build.ninja: | meson.build
	@meson setup build/musl --cross-file tools/musl.ini -Dstatic_libc=true >/dev/null

build/bailey: build/musl/build.ninja FORCE
	@ninja -C build/musl --quiet src/cli/bailey >/dev/null || ninja -C build/musl src/cli/bailey
	@cmp -s build/musl/src/cli/bailey $@ || { install -m 755 build/musl/src/cli/bailey $@ && echo "built $@"; }

build/libexec/build.ninja: | meson.build
	@meson setup build/libexec >/dev/null

build/bailey-%: build/libexec/build.ninja FORCE
	@ninja -C build/libexec --quiet src/$*/bailey-$* >/dev/null || ninja -C build/libexec src/$*/bailey-$*
	@cmp -s build/libexec/src/$*/bailey-$* $@ || { install -m 755 build/libexec/src/$*/bailey-$* $@ && echo "built $@"; }

FORCE:

demo: deps
	$(call install-packages,$(DEMO_DEPS))
	@$(MAKE) --no-print-directory $(PROGRAMS)
	@BAILEY=$(CURDIR)/build/bailey tools/demo

test: deps-test
	@$(MAKE) --no-print-directory $(PROGRAMS)
	@tools/test quick

test-full: deps-test
	$(call install-packages,$(BENCH_DEPS) $(FULL_DEPS))
	@$(MAKE) --no-print-directory $(PROGRAMS)
	@tools/test full

bench: deps
	$(call install-packages,$(BENCH_DEPS) python3)
	@$(MAKE) --no-print-directory $(PROGRAMS)
	@/usr/bin/python3 bench/start.py && /usr/bin/python3 bench/work.py && /usr/bin/python3 bench/memory.py && /usr/bin/python3 bench/notify.py && /usr/bin/python3 bench/srt.py && /usr/bin/python3 bench/network.py && /usr/bin/python3 bench/inspection.py && /usr/bin/python3 bench/named.py

fuzz: deps-test
	@fuzz/run $${FUZZ_SECONDS:-300}

# What is installed below share stands below build/share in the same places.
SHARE := man/man1/bailey.1 man/man1/bailey-srt.1 man/man5/bailey-policy.5 bash-completion/completions/bailey zsh/site-functions/_bailey
WORDS := $(addprefix build/share/,$(SHARE))

$(WORDS) &: build/bailey tools/gen-words $(wildcard docs/man/*.in)
	@tools/gen-words build/bailey build/share

words: $(WORDS)

install: $(PROGRAMS) $(WORDS)
	install -D -m 755 build/bailey $(DESTDIR)$(PREFIX)/bin/bailey
	@for f in $(LIBEXEC); do install -v -D -m 755 build/$$f $(DESTDIR)$(PREFIX)/libexec/bailey/$$f; done
	@for f in $(SHARE); do install -v -D -m 644 build/share/$$f $(DESTDIR)$(PREFIX)/share/$$f; done

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/bailey $(addprefix $(DESTDIR)$(PREFIX)/libexec/bailey/,$(LIBEXEC)) $(addprefix $(DESTDIR)$(PREFIX)/share/,$(SHARE))

clean:
	rm -rf build
