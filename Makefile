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
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: help
help: ## say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# Stripped and without this machine's paths, as in the image, so that what is compiled is shared. The
# version is what Go stamps: that of the module, or of the commit.
.PHONY: build
build: go-version ## bin/dray, and bin/drayd for its serve and worker
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -tags "$(TAGS)" -o bin/ $(PROGRAMS)

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
check: go-version packages format vet test cross ## everything that has to pass

.PHONY: test
# The longest first, so that no core is idle at the end.
test: go-version ## the tests, with the race detector
	@if command -v $${CC:-cc} >/dev/null; then race=-race; else race=; echo "make: no C compiler: testing without the race detector"; fi; \
	$(GO) test $$race -timeout 15m . ./internal/remote ./packaging/mkimage ./... && $(GO) test -run '^TestAMillionTags' .

.PHONY: soak
soak: go-version ## the server and its queue with N processes killed, paused and restarted: make soak N=300
	DRAY_SOAK=$(or $(N),300) $(GO) test -timeout 2h -v -run '^(TestNoAcceptedJobIsLost|TestAServerThatIsKilled)' ./cmd/internal/job ./cmd/internal/server

.PHONY: fuzz
fuzz: go-version ## every fuzz target for 20 s
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep ^Fuzz || true); do \
		echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime 20s $$p; done; done

.PHONY: format
format:
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not formatted:"; echo "$$out"; exit 1; fi

.PHONY: vet
vet: go-version
	$(GO) vet ./...
	@if $(GO) run $(STATICCHECK) -version >/dev/null 2>&1; then $(GO) run $(STATICCHECK) ./...; else echo "make: staticcheck can not be had here: skipped"; fi

.PHONY: cross
# With -trimpath, as the image is built, so that the two share what was compiled.
cross: go-version ## builds for every platform
	@for t in $(TARGETS); do echo "build $$t"; CGO_ENABLED=0 GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) build -trimpath -o /dev/null $(PROGRAMS); done

.PHONY: packages
packages: ## what Debian has for the tests: registries, a database, clients and judges
	@demo/packages.sh gcc libc6-dev docker-registry skopeo umoci mmdebstrap postgresql azure-cli nodejs

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
	GOBIN=$(CURDIR)/bench/tools $(GO) install github.com/google/go-containerregistry/cmd/crane@v0.22.1
	GOBIN=$(CURDIR)/bench/tools $(GO) install github.com/regclient/regclient/cmd/regctl@v0.11.7
	GOBIN=$(CURDIR)/bench/tools $(GO) install github.com/regclient/regclient/cmd/regsync@v0.11.7

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist
