# servicenow-kafka-bridge. `make` alone lists the targets.

CARGO  ?= cargo
TARGET ?= $(shell uname -m)-unknown-linux-musl
PREFIX ?= /usr/local
BIN    := servicenow-kafka-bridge
OUT    := $(or $(CARGO_TARGET_DIR),target)

# cargo calls the makes of OpenSSL and librdkafka, which must not take over variables of this one.
unexport MAKEFLAGS MFLAGS MAKEOVERRIDES DESTDIR PREFIX TARGET BINARY

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F':.*## ' '/^[a-z -]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the release binary: target/release/servicenow-kafka-bridge
	$(CARGO) build --locked --release --bin $(BIN)

DEMO_PORT ?= 8080
.PHONY: demo
demo: ## Show both directions between a simulated instance and an embedded Kafka; Ctrl-C ends it
	@[ -x $(OUT)/debug/bridge-demo ] || echo "Building the bridge, a simulated instance and an embedded Kafka: about four minutes the first time."
	$(CARGO) build --locked --workspace --bins
	@$(OUT)/debug/bridge-demo --port $(DEMO_PORT) --folder $(OUT)/demo $(OUT)/debug/$(BIN)

# Most tests wait for something: more of them at a time than there are cores.
.PHONY: test
test: ## Run all tests, with a real Kafka 4.1 and a real registry where Java and Maven are found
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-6} $(CARGO) test --locked --quiet --workspace

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
soak: ## Run the long trials: outages of minutes, many seeds (about an hour)
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
	"$$(.ci/tool cargo-audit)" audit --quiet
	"$$(.ci/tool cargo-audit)" audit --quiet --file tests/fuzz/Cargo.lock

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
bench: ## Measure against a bare copy, with a real Kafka 4.1; the static build too, if it is built (docs/performance.md)
	$(CARGO) build --locked --quiet --release --workspace
	$(OUT)/release/bridge-bench $(OUT)/release/$(BIN) $(OUT)/release/servicenow-sim $(addprefix --static ,$(wildcard $(OUT)/$(TARGET)/release/$(BIN)))

.PHONY: screenshots
screenshots: ## Draw docs/screenshots anew (needs chromium and pngquant)
	@for tool in chromium pngquant; do command -v $$tool >/dev/null || { echo "make screenshots: $$tool is missing (Debian: apt install $$tool)" >&2; exit 1; }; done
	mkdir -p docs/screenshots
	SCREENSHOTS=$(CURDIR)/docs/screenshots $(CARGO) test --locked --quiet --workspace --test it page::
	pngquant --force --ext .png --quality 80-100 --strip docs/screenshots/*.png
	@ls -l docs/screenshots

.PHONY: static
static: ## Build and try the static musl binary; TARGET=aarch64-unknown-linux-musl for arm64
	TARGET=$(TARGET) CARGO=$(CARGO) packaging/static
	CARGO=$(CARGO) packaging/check-static $(OUT)/$(TARGET)/release/$(BIN)
	@ls -l $(OUT)/$(TARGET)/release/$(BIN)

.PHONY: handbook
handbook: ## Make one HTML file of the handbook: target/handbook.html
	@mkdir -p $(OUT)
	$(CARGO) run --locked --quiet --package handbook -- . "$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)" > $(OUT)/handbook.html
	@ls -l $(OUT)/handbook.html

.PHONY: reproducible
reproducible: ## Build the static binary in two folders and compare
	TARGET=$(TARGET) CARGO=$(CARGO) packaging/reproducible

.PHONY: install
install: ## Install what is built (static first) below PREFIX and DESTDIR, and tell what to do next; builds nothing
	@PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) BINARY=$(BINARY) TARGET=$(TARGET) packaging/install install

.PHONY: uninstall
uninstall: ## Remove what `make install` installed; configuration and checkpoints stay
	@PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) packaging/install uninstall

.PHONY: deb rpm
deb rpm: ## Build the Debian package, the RPM package: target/package/*.deb, *.rpm (of the static binary)
	TARGET=$(TARGET) CARGO=$(CARGO) packaging/build-package $@

.PHONY: sbom
sbom: ## Write what the binary is made of as CycloneDX: target/package/*.cdx.json
	TARGET=$(TARGET) packaging/sbom

.PHONY: test-packaging
test-packaging: ## Check the packages, and install, upgrade and remove them in roots of their own (needs root, some minutes)
	TARGET=$(TARGET) CARGO=$(CARGO) packaging/test-packages

.PHONY: airgap
airgap: ## Make the signed kit for hosts without a network: target/airgap/*.tar (GPG_KEY=FINGERPRINT; needs root)
	CARGO=$(CARGO) packaging/airgap/build

.PHONY: airgap-verify
airgap-verify: ## Use that kit without a network, from its signatures to the first row and a build (needs root)
	CARGO=$(CARGO) packaging/airgap/verify

.PHONY: test-charts
test-charts: ## Check docker-compose.yml and the Helm chart (needs python3, and helm or Go)
	$(CARGO) build --locked --quiet --workspace --bin $(BIN)
	packaging/test-charts $(OUT)/debug/$(BIN)

.PHONY: clean
clean: ## Remove what was built
	$(CARGO) clean
