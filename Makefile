# The index of tasks. `make run` and `make test` do all the set-up they need and are safe to repeat.
.PHONY: run test package torture bench types pictures ui tools run-packages test-packages

# One build for all that is run here: tests and window share one profile, and `--workspace` in every call keeps cargo
# from building the same crates twice with other features.
BUILD := cargo build --workspace --locked
RUN_PACKAGES := build-essential pkg-config libwebkit2gtk-4.1-dev librsvg2-dev
TEST_PACKAGES := webkit2gtk-driver xvfb dbus xclip redis-tools

run: tools run-packages ui ## opens the window on the embedded store
	$(BUILD)
	exec target/debug/temp-messenger

test: tools run-packages test-packages ui ## runs every check
	cargo fmt --all --check
	cd ui && npm run --silent check && npm run --silent test
	$(BUILD) --all-targets
	dbus-run-session -- cargo test --workspace --locked
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny --offline check bans licenses sources; \
	else echo "SKIPPED: cargo-deny is not installed, so licences and sources were not checked"; fi

package: tools run-packages ui ## makes the release and its packages, in target/release/bundle
	npm exec --prefix ui -- tauri build --ci -- --workspace --locked
	ls -l target/release/bundle/*/*.deb target/release/bundle/*/*.rpm

torture: tools run-packages test-packages ui ## runs the long faults
	$(BUILD) --all-targets
	TORTURE_ROUNDS=100 cargo test --workspace --locked --test kill -- --nocapture
	CHAOS_SECONDS=300 cargo test --workspace --locked --test redis_chaos -- --nocapture

bench: tools run-packages test-packages ui ## prints ratios, from a release build
	cargo build --workspace --locked --release
	target/release/bench-store
	target/release/bench-redis
	dbus-run-session -- target/release/bench-window

types: ## writes ui/src/api/types/core.ts anew from the types of crates/core
	UPDATE_TYPES=1 cargo test --workspace --locked --lib types

pictures: tools run-packages test-packages ui ## takes docs/pictures anew from the real window
	$(BUILD) --all-targets
	dbus-run-session -- target/debug/pictures docs/pictures

# The page that the window embeds: made anew when a source of it is newer.
ui: ui/dist/index.html
ui/dist/index.html: ui/node_modules/.package-lock.json ui/index.html ui/vite.config.ts $(shell find ui/src ui/public -type f 2>/dev/null)
	cd ui && npm run --silent build
	@touch $@
ui/node_modules/.package-lock.json: ui/package-lock.json
	cd ui && npm ci --no-audit --no-fund
	@touch $@

# Says in one line what is missing or too old, before anything is downloaded.
tools:
	$(call require,Rust,1.90,$(shell rustc --version 2>/dev/null | cut -d' ' -f2),https://rustup.rs)
	$(call require,Node.js,20.19,$(shell node --version 2>/dev/null | tr -d v),https://nodejs.org)
run-packages:
	$(call install,$(RUN_PACKAGES))
test-packages: run-packages
	$(call install,$(TEST_PACKAGES))

define require
@[ "$$(printf '%s\n' $(2) '$(3)' | sort -V | head -n 1)" = $(2) ] || \
  { echo "$(1) $(2) or later is needed, $(or $(3),none) is here: $(4)" >&2; exit 1; }
endef

SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
define install
@missing=$$(for package in $(1); do \
    [ "$$(dpkg-query --show --showformat='$${db:Status-Status}' $$package 2>/dev/null)" = installed ] || echo $$package; done); \
  [ -z "$$missing" ] || { \
    command -v apt-get >/dev/null || { echo "This is neither Debian nor Ubuntu: install what corresponds to" $$missing >&2; exit 1; }; \
    $(SUDO) apt-get update && $(SUDO) apt-get install --yes --no-install-recommends $$missing; }
endef
