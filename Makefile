# servicenow-kafka-bridge. `make` alone lists the targets.

CARGO  ?= cargo
TARGET ?= $(shell uname -m)-unknown-linux-musl
PREFIX ?= /usr/local
BIN    := servicenow-kafka-bridge
OUT    := $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the release binary: target/release/servicenow-kafka-bridge
	$(CARGO) build --locked --release --bin $(BIN)

.PHONY: demo
demo: ## Show both directions between a simulated instance and an embedded Kafka; Ctrl-C ends it
	$(CARGO) build --locked --quiet --workspace --bins
	$(OUT)/debug/bridge-demo $(OUT)/debug/$(BIN)

# Most tests wait for something: more of them at a time than there are cores.
.PHONY: test
test: ## Run all tests, with a real Kafka 4.1 and a real registry where Java and Maven are found
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-4} $(CARGO) test --locked --quiet --workspace

# --workspace everywhere: without it cargo builds the dependencies again.
.PHONY: check
check: ## Check what is quick: format, lints, the tests without a broker; no Java, no browser
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --quiet --workspace --all-targets -- -D warnings
	$(CARGO) test --locked --quiet --workspace --lib --test instance
	$(CARGO) test --locked --quiet --workspace --test it -- tidy:: corpus::

.PHONY: predecessor
predecessor: ## Start on the files of the release before and go back: BRIDGE_BEFORE=/path/to/its/binary
	$(CARGO) test --locked --quiet --workspace --test it predecessor -- --ignored

.PHONY: soak
soak: ## Run the long trials: outages of minutes, many seeds (about half an hour)
	$(CARGO) test --locked --workspace --test it -- soak:: --ignored --nocapture --test-threads 2

.PHONY: lint
lint: ## Check the format, the lints, the documentation, the dependencies and the shipped files
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --quiet --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --quiet --workspace --no-deps --document-private-items
	"$$(.ci/tool cargo-deny)" --log-level error check bans licenses sources
	$(CARGO) build --locked --quiet --workspace --bin $(BIN)
	.ci/shipped $(OUT)/debug/$(BIN)

.PHONY: audit
audit: ## Look up the dependencies in the list of known vulnerabilities (needs the internet)
	"$$(.ci/tool cargo-deny)" --log-level error check advisories

.PHONY: coverage
coverage: ## Run the tests of the library and of the binary, and tell which share of the lines they reach
	.ci/coverage

# cargo-fuzz and a nightly toolchain; SECONDS_EACH=600 for a thorough run.
SECONDS_EACH ?= 10
.PHONY: fuzz
fuzz: ## Let libFuzzer search the parsers for SECONDS_EACH (10) seconds each (needs a nightly toolchain)
	.ci/fuzz $(SECONDS_EACH)

.PHONY: times
times: ## Run all tests and tell how long each group and the slowest tests took
	.ci/times

.PHONY: bench
bench: ## Measure against a bare copy, with a real Kafka 4.1 (docs/performance.md)
	$(CARGO) build --locked --quiet --release --workspace
	$(OUT)/release/bridge-bench $(OUT)/release/$(BIN) $(OUT)/release/servicenow-sim

.PHONY: screenshots
screenshots: ## Draw docs/screenshots anew (needs chromium and pngquant)
	@for tool in chromium pngquant; do command -v $$tool >/dev/null || { echo "make screenshots: $$tool is missing (Debian: apt install $$tool)" >&2; exit 1; }; done
	mkdir -p docs/screenshots
	SCREENSHOTS=$(CURDIR)/docs/screenshots $(CARGO) test --locked --quiet --workspace --test it page::
	pngquant --force --ext .png --quality 80-100 --strip docs/screenshots/*.png
	@ls -l docs/screenshots

.PHONY: static
static: ## Build the static musl binary, check that it is static and that it runs the demo
	@command -v musl-gcc >/dev/null || { echo "make static: musl-gcc is missing (Debian: apt install musl-tools)" >&2; exit 1; }
	@command -v g++ >/dev/null || { echo "make static: g++ is missing (Debian: apt install g++)" >&2; exit 1; }
	@rustup target list --installed | grep -qx $(TARGET) || rustup target add $(TARGET)
	CC_$(subst -,_,$(TARGET))=musl-gcc CXX_$(subst -,_,$(TARGET))=g++ \
	$(CARGO) build --locked --release --target $(TARGET) --bin $(BIN)
	@! readelf -lW $(OUT)/$(TARGET)/release/$(BIN) | grep -q INTERP || { echo "make static: the binary is not static" >&2; exit 1; }
	$(CARGO) run --locked --quiet -p bridge-demo -- --rows 2000 --until-read $(OUT)/$(TARGET)/release/$(BIN)
	@ls -l $(OUT)/$(TARGET)/release/$(BIN)

.PHONY: install
install: build ## Install the binary, its manual page, completions, an example configuration and the unit below PREFIX (and DESTDIR)
	install -D -m 755 $(OUT)/release/$(BIN) $(DESTDIR)$(PREFIX)/bin/$(BIN)
	install -D -m 644 config.example.yaml $(DESTDIR)/etc/$(BIN)/config.example.yaml
	install -D -m 644 packaging/$(BIN).sysusers $(DESTDIR)/usr/lib/sysusers.d/$(BIN).conf
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -d $(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	$(OUT)/release/$(BIN) man > $(DESTDIR)$(PREFIX)/share/man/man1/$(BIN).1
	$(OUT)/release/$(BIN) completions bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/$(BIN)
	$(OUT)/release/$(BIN) completions zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_$(BIN)
	$(OUT)/release/$(BIN) completions fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/$(BIN).fish
	install -d $(DESTDIR)/usr/lib/systemd/system
	sed 's|/usr/bin/|$(PREFIX)/bin/|' packaging/$(BIN).service > $(DESTDIR)/usr/lib/systemd/system/$(BIN).service

.PHONY: clean
clean: ## Remove what was built
	$(CARGO) clean
