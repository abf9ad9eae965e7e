# make help says what there is.

.DEFAULT_GOAL := help
.PHONY: help demo check test interop bench many kills fuzz coverage fault peers micro dist

# dockerd can only be started by root; everyone else's tests go through sudo.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,--config 'target."cfg(unix)".runner="sudo -E"')

# A Debian trixie tree with newer daemons, made by `make interop` where it is missing.
export SEALIFT_TRIXIE ?= /var/lib/sealift-trixie

help: ## say what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## build, then carry an image made on the spot from end to end; no network, no daemon
	cargo build --locked
	tests/demo.sh target/debug/sealift

check: ## formatting, lints, documentation, licences; fuzz targets too
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' cargo doc --locked --no-deps --document-private-items --all-features
	@if cargo deny --version >/dev/null 2>&1; \
	then cargo deny --offline --all-features check bans licenses sources; \
	else echo 'cargo-deny is not installed: licences and duplicates were not checked'; fi

test: ## install what it needs from Debian, then run every test against the real parts
	.ci/setup test
	cargo test --locked --no-fail-fast $(AS_ROOT)

interop: ## the same with newer daemons, from a Debian trixie tree that it makes
	.ci/setup test interop
	.ci/trixie "$$SEALIFT_TRIXIE"
	cargo test --locked --no-fail-fast --features interop $(AS_ROOT)

bench: ## measure sizes, times, deltas and many images beside the usual tools; QUICK=1 for a taste
	.ci/setup test bench
	cargo build --locked --release
	benches/side-by-side.sh target/release/sealift $(if $(QUICK),--quick)
	$(if $(QUICK),,benches/many.sh target/release/sealift)

many: ## of these, 500 small images beside skopeo sync
	.ci/setup test bench
	cargo build --locked --release
	benches/many.sh target/release/sealift

kills: ## kill exports and imports at 200 random moments each, and whatever writes at every step; SEALIFT_KILLS=N
	.ci/setup test
	SEALIFT_KILLS=$${SEALIFT_KILLS:-200} cargo test --locked --no-fail-fast $(AS_ROOT) --test interop --test media kill:: -- --nocapture

fuzz: ## run each fuzz target for a minute; SECONDS_EACH=N, TARGETS='manifest index' for others
	.ci/setup
	.ci/fuzz $(or $(SECONDS_EACH),60) $(TARGETS)

coverage: ## lines that tests reach of what proves and parses; needs `rustup component add llvm-tools`
	.ci/setup test
	.ci/coverage

fault: ## run the fault catalogue; FLIPS=1000000 turns so many bits, other ones each time
	.ci/setup test
	FLIPS=$(FLIPS) cargo test --locked $(if $(FLIPS),--release) $(AS_ROOT) --test fault $(if $(FLIPS),flips::) -- --nocapture

peers: ## the same harm to the archives of docker and skopeo, in a table
	.ci/setup test
	cargo test --locked $(AS_ROOT) --test fault peers:: -- --ignored --nocapture

micro: ## measure engines, chunker and recipes by themselves
	cargo bench --locked --bench micro

dist: ## a release binary as static as this machine can make it, with checksums, in dist/
	.ci/dist
