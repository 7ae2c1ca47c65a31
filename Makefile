# The Trial Notary's commands. Start with `make help`.
# Only `make test` needs more than Go: a C compiler for the race detector, Node.js for the stock verifier, curl for the
# README's tour, systemd-analyze for the unit in the docs, and strace and mkfs.ext4 for disks that fail.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# command=Debian package, for what `make test` runs besides Go.
PACKAGES := git=git gcc=gcc gcc=libc6-dev node=nodejs npm=npm curl=curl systemd-analyze=systemd strace=strace mkfs.ext4=e2fsprogs \
	chromium-headless-shell=chromium-headless-shell

# Every tool is built from a go.mod of its own, so that none of its dependencies reaches ours.
BUF := go tool -modfile=tools/buf/go.mod buf
LINT := go tool -modfile=$(CURDIR)/tools/lint/go.mod golangci-lint
KO := go tool -modfile=$(CURDIR)/tools/ko/go.mod ko
VULN := go tool -modfile=$(CURDIR)/tools/vuln/go.mod govulncheck

# Modules whose go.mod must be tidy. The modules in e2e/tools hold one program each and no code of ours; to tidy
# them would fetch the test dependencies of hundreds of others; nor is tools/ko tidied, for the same reason.
MODULES := . e2e tools tools/buf tools/lint tools/vuln
GENERATED = 'proto/notary/v1/*.go' notary/rpc/openapi

# What `buf breaking` compares with: the newest release, before the first one the main branch.
BREAKING_BASE = $(shell git describe --tags --abbrev=0 --match 'v*' 2>/dev/null || git rev-parse -q --verify main || git rev-parse -q --verify origin/main || git rev-parse -q --verify HEAD)

# Where `make image` writes: a relative path in lower case, for ko takes it for the name of an image.
IMAGE ?= .cache/image

# Where `make vulncheck` reads the Go vulnerability database.
VULNDB ?= https://vuln.go.dev

BENCH ?= .
BENCHTIME ?= 1s
BENCHFLAGS ?=
QUICK ?=
FUZZTIME ?= 10s

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##
.PHONY: test
test: packages ## Test everything: vet, race detector, stock tools end to end
	@$(MAKE) -j2 unit e2etools
	@$(MAKE) e2e

.PHONY: unit
unit: ## Test the main module, with the race detector
	go vet ./...
	go test -race -timeout 15m ./...
	cd tools && go vet ./... && go test ./...

# The tests run programs that Go does not see as what they depend on: a result from the cache would be of older ones.
.PHONY: e2e
e2e: ## Test against stock tools (cosign, sigstore-js, ko), built by e2etools
	cd e2e && PATH="$(CURDIR)/.cache/bin:$$PATH" go test -count=1 -timeout 20m ./...

# `go install tool` builds what the module's `tool` lines name; a second run finds all of it in the build cache.
.PHONY: e2etools
e2etools: e2e/js/node_modules/.package-lock.json rekorserver ## Build and fetch the stock tools of the end-to-end tests
	@for mod in $(filter-out e2e/tools/rekor/,$(wildcard e2e/tools/*/)) tools/ko/; do \
		(cd "$$mod" && GOBIN="$(CURDIR)/.cache/bin" nice go install tool); \
	done

# Rekor's package is called after its storage, posix, and `go install` cannot name a program.
.PHONY: rekorserver
rekorserver:
	@cd e2e/tools/rekor && nice go build -o "$(CURDIR)/.cache/bin/rekor-server" \
		github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix

# npm writes this file last; it is the record of what is installed.
e2e/js/node_modules/.package-lock.json: e2e/js/package-lock.json
	cd e2e/js && npm ci --no-audit --no-fund
	@touch $@

.PHONY: packages
packages: ## Install the Debian packages that the tests need
	@missing=(); \
	for p in $(PACKAGES); do \
		command -v "$${p%%=*}" >/dev/null || missing+=("$${p#*=}"); \
	done; \
	if [ $${#missing[@]} -eq 0 ]; then exit 0; fi; \
	if [ "$$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then \
		echo "make test needs these Debian packages, or what provides the same commands: $${missing[*]}" >&2; exit 1; \
	fi; \
	apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$${missing[@]}"

##
.PHONY: lint
lint: gocheck protocheck tidycheck ## Check layout, style, architecture, API and go.mod

# golangci-lint also runs gofmt, goimports and go vet; depguard in it holds the arrows between the packages.
.PHONY: gocheck
gocheck:
	$(LINT) run ./...
	cd e2e && $(LINT) run ./...
	cd tools && $(LINT) run ./...

.PHONY: tidycheck
tidycheck:
	@for mod in $(MODULES); do \
		echo "go mod tidy -diff ($$mod)"; \
		diff=$$(cd "$$mod" && go mod tidy -diff) || \
			{ head -n 30 <<<"$$diff"; echo "$$mod/go.mod is not tidy: run 'go mod tidy' there" >&2; exit 1; }; \
	done

# The base is unpacked from git, because buf's own git input needs a full clone with a .git folder.
.PHONY: protocheck
protocheck:
	$(BUF) lint
	$(BUF) format --diff --exit-code --path proto/notary
	@base="$(BREAKING_BASE)"; \
	if git cat-file -e "$$base:buf.yaml" 2>/dev/null && git cat-file -e "$$base:proto/notary" 2>/dev/null; then \
		rm -rf .cache/breaking; mkdir -p .cache/breaking; \
		git archive "$$base" -- buf.yaml proto | tar -x -C .cache/breaking; \
		echo "buf breaking --against $$base"; \
		$(BUF) breaking --against .cache/breaking; \
	else \
		echo "buf breaking: no earlier API to compare with"; \
	fi

.PHONY: fmt
fmt: ## Format Go and proto files
	$(LINT) fmt ./...
	cd e2e && $(LINT) fmt ./...
	cd tools && $(LINT) fmt ./...
	$(BUF) format --write --path proto/notary

##
# The protos are built first: with an error in one, the last good code stays in place.
.PHONY: generate
generate: ## Generate Go code and the OpenAPI description from the protos
	$(BUF) build -o /dev/null
	rm -f proto/notary/v1/*.pb.go proto/notary/v1/*.pb.gw.go
	$(BUF) generate

.PHONY: checkgenerate
checkgenerate: generate ## Fail if generated files differ from what is in git
	@if ! git diff --exit-code --stat -p -- $(GENERATED) || \
		[ -n "$$(git ls-files --others --exclude-standard -- $(GENERATED))" ]; then \
		git ls-files --others --exclude-standard -- $(GENERATED); \
		echo "generated files differ from git: run 'make generate' and commit the result" >&2; exit 1; \
	fi

##
.PHONY: image
image: ## Make the container image, amd64 and arm64, as an OCI layout (IMAGE=.cache/image)
	@if [ -e "$(IMAGE)" ] && [ ! -f "$(IMAGE)/oci-layout" ]; then \
		echo "IMAGE=$(IMAGE) exists and is no OCI layout" >&2; exit 1; \
	fi; \
	rm -rf "$(IMAGE)"
	KO_DOCKER_REPO="$${KO_DOCKER_REPO:-notaryd}" $(KO) build --bare --push=false --sbom=none --oci-layout-path="$(IMAGE)" ./cmd/notaryd

.PHONY: sbom
sbom: ## Write the bill of materials of both programs (.cache/sbom.cdx.json, CycloneDX)
	@mkdir -p .cache/sbom
	go build -trimpath -o .cache/sbom/ ./cmd/notary ./cmd/notaryd
	cd tools && go run ./sbom ../.cache/sbom/notary ../.cache/sbom/notaryd >../.cache/sbom.cdx.json.new
	@mv .cache/sbom.cdx.json.new .cache/sbom.cdx.json

# Only what our code calls is reported. Where the database cannot be reached, nothing is said about the dependencies,
# and that is printed.
.PHONY: vulncheck
vulncheck: ## Look the dependencies up in the Go vulnerability database (VULNDB=https://vuln.go.dev)
	@if curl -fsS --max-time 20 -o /dev/null "$(VULNDB)/index/db.json"; then \
		$(VULN) -db "$(VULNDB)" ./...; \
	else \
		echo "vulncheck: NOT CHECKED: the vulnerability database $(VULNDB) cannot be reached from here"; \
	fi

# Everything is built before anything is measured. Flags of the program: `BENCHFLAGS=-help`.
.PHONY: bench
bench: rekorserver ## Measure the server beside Rekor v2, then microbench (QUICK=1 is short and measures only the first)
	go build -o .cache/bin/notaryd ./cmd/notaryd
	cd e2e && go build -o "$(CURDIR)/.cache/bin/bench" ./bench
	.cache/bin/bench -notaryd .cache/bin/notaryd -rekor .cache/bin/rekor-server -dir .cache/bench $(if $(QUICK),-quick) $(BENCHFLAGS)
	@$(if $(QUICK),true,$(MAKE) microbench)

.PHONY: microbench
microbench: ## Run the benchmarks of the packages (BENCH=regexp BENCHTIME=1s)
	go test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem -timeout 60m ./...

# Go's fuzzer may report the end of its own time as a failure ("context deadline exceeded", without an input that
# fails): that alone is none. Without the bound on minimising, inputs of some thousand bytes take all of the time.
.PHONY: fuzz
fuzz: ## Fuzz every parser for a while each (FUZZTIME=10s)
	@mkdir -p .cache; \
	go test -list '^Fuzz' ./... | awk '/^Fuzz/ { f[n++] = $$1 } /^ok/ { for (i = 0; i < n; i++) print $$2, f[i]; n = 0 }' >.cache/fuzz; \
	while read -r pkg name; do \
		echo "== $$pkg $$name"; \
		if ! go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "$$pkg" </dev/null 2>&1 | tee .cache/fuzz.out; then \
			if grep -q 'Failing input' .cache/fuzz.out || ! grep -q 'context deadline exceeded' .cache/fuzz.out; then exit 1; fi; \
			echo "the fuzzer's time ran out while it was stopping: no input failed"; \
		fi; \
	done <.cache/fuzz

.PHONY: clean
clean: ## Remove what was built and cached here
	rm -rf .cache
