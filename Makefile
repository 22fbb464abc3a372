# Two commands do everything: `make demo` shows the main job, `make check` tests it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO ?= go
# Storage of the embedded registry that is no directory, which not everybody wants to carry:
# make build TAGS=s3,azure,gcs
TAGS ?=
# Time and revision of the last commit, so that equal sources give an equal image.
EPOCH    := $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
REVISION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
PROGRAMS := ./cmd/dray ./cmd/drayd
TARGETS  := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
MKIMAGE  := $(GO) run ./packaging/mkimage -tag latest -revision "$(REVISION)" -epoch "$(EPOCH)"

# Tools that are not in go.mod, and nothing else needs: their versions are here alone.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
CRANE       := github.com/google/go-containerregistry/cmd/crane@v0.22.1
REGCTL      := github.com/regclient/regclient/cmd/regctl@v0.11.7
REGSYNC     := github.com/regclient/regclient/cmd/regsync@v0.11.7
TOOLS       := $(CURDIR)/.tools

# What is not tested with the race detector is built as the programs are, so that it is compiled once.
PLAIN := CGO_ENABLED=0 GOFLAGS="$(GOFLAGS) -trimpath" $(GO)

# Tests of one goroutine, or of sizes that the race detector makes hours of: small or left out with
# it, and whole without.
WHOLE := -run '^(TestAMillionTags|TestALayerOfMoreThan|TestTwoHundredRepositories|TestTheReleaseImage)' ./internal/migrate ./internal/apply ./packaging/mkimage

.PHONY: help
help: ## say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# Stripped and without this machine's paths, as in the image, so that what is compiled is shared. The
# version is what Go stamps: that of the module, or of the commit.
.PHONY: build
build: go-version ## bin/dray, and bin/drayd for its serve and worker
	$(PLAIN) build -ldflags "-s -w" -tags "$(TAGS)" -o bin/ $(PROGRAMS)

.PHONY: demo
demo: build ## the main job on real input: import, re-tag, import again, refuse
	@rm -rf dist/demo
	@$(MKIMAGE) -o dist/demo -bin bin
	@demo/run.sh bin/dray dist/demo

.PHONY: image
image: go-version ## dray's release image as an OCI layout, dist/image
	@rm -rf dist/image
	@$(MKIMAGE) -o dist/image -tags "$(TAGS)"

.PHONY: man
man: build ## the manual pages, dist/man
	@rm -rf dist/man && mkdir -p dist/man && bin/dray man --dir dist/man && ls dist/man

.PHONY: smoke
smoke: build ## import, tag and copy at a registry of yours: make smoke REGISTRY=HOST[/PREFIX]
	@demo/smoke.sh bin/dray "$(REGISTRY)"

.PHONY: check
check: go-version packages format vet lint whole test ## everything that has to pass; make judges clients finds what it skips

.PHONY: test
# Four packages at once: many wait more than they work. The longest first, so that no core is idle
# at the end.
test: go-version ## the tests, with the race detector
	@if command -v $${CC:-cc} >/dev/null; then race=-race; else race=; echo "make: no C compiler: testing without the race detector"; fi; \
	$(GO) test $$race -p 4 -timeout 15m ./internal/remote ./internal/apply ./cmd/internal/cli ./cmd/internal/job ./cmd/internal/server ./internal/migrate ./...

.PHONY: whole
whole: go-version ## the largest tests, at their full size
	$(PLAIN) test -timeout 15m $(WHOLE)

.PHONY: test-fast
test-fast: go-version ## short tests of what changed since the last commit and of what imports it, without the race detector
	@p=$$(.ci/changed $(SINCE)); if [ -z "$$p" ]; then echo "make: nothing changed"; else $(PLAIN) test -short -p 4 -timeout 5m $$p; fi

.PHONY: soak
soak: go-version ## whole sizes under the race detector, and processes killed, paused and restarted N times: make soak N=300
	DRAY_SOAK=$(or $(N),300) $(GO) test -timeout 2h -v -run '^(TestNoAcceptedJobIsLost|TestAServerThatIsKilled)' ./cmd/internal/job ./cmd/internal/server
	DRAY_WHOLE=1 $(GO) test -race -timeout 2h ./internal/...

.PHONY: fuzz
fuzz: go-version ## every fuzz target for 20 s
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep ^Fuzz || true); do \
		echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime 20s $$p; done; done

.PHONY: format
format:
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not formatted:"; echo "$$out"; exit 1; fi

.PHONY: vet
vet: go-version
	$(PLAIN) vet ./...

.PHONY: lint
lint: ## staticcheck, where make judges put it
	@if [ -x $(TOOLS)/staticcheck ]; then $(TOOLS)/staticcheck ./...; else echo "make: staticcheck is not installed: skipped (make judges)"; fi

.PHONY: cross
cross: go-version ## both programs for every platform
	@for t in $(TARGETS); do echo "build $$t"; GOOS=$${t%/*} GOARCH=$${t#*/} $(PLAIN) build -ldflags "-s -w" -o /dev/null $(PROGRAMS); done

.PHONY: packages
packages: ## what Debian has for the tests that is small: a compiler, registries, a database, judges of images
	@demo/packages.sh gcc libc6-dev docker-registry skopeo umoci mmdebstrap postgresql

.PHONY: judges
judges: go-version packages ## what judges the code: staticcheck, into .tools
	GOBIN=$(TOOLS) $(GO) install $(STATICCHECK)

.PHONY: clients
clients: ## the real clients that servers are tested with: az, node
	@demo/packages.sh azure-cli nodejs

.PHONY: go-version
go-version:
	@v=$$(GOTOOLCHAIN=local $(GO) env GOVERSION 2>/dev/null || echo none); n=$${v#go}; \
	case $$v in none) echo "dray needs Go 1.26 or newer: there is no go in PATH"; exit 1;; devel*) exit 0;; esac; \
	if [ "$$(printf '%s\n' 1.26 "$$n" | sort -V | head -1)" != 1.26 ]; then echo "dray needs Go 1.26 or newer: this is $$v"; exit 1; fi

.PHONY: bench
bench: build ## dray beside crane, regctl and skopeo: make bench ARGS="-run W4,W8a -n 7"
	$(GO) run ./bench -dray bin/dray $(ARGS)

.PHONY: bench-tools
bench-tools: go-version ## the peers for make bench
	@demo/packages.sh skopeo
	GOBIN=$(CURDIR)/bench/tools $(GO) install $(CRANE)
	GOBIN=$(CURDIR)/bench/tools $(GO) install $(REGCTL)
	GOBIN=$(CURDIR)/bench/tools $(GO) install $(REGSYNC)

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist .tools
