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
# Compiled as the programs are, so that what they share is compiled once.
MKIMAGE  := CGO_ENABLED=0 $(GO) run -trimpath ./packaging/mkimage -tag latest -revision "$(REVISION)" -epoch "$(EPOCH)"

# What others make, at these versions: judges and peers that are built, and packages of Debian.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
CRANE       := github.com/google/go-containerregistry/cmd/crane@v0.22.1
REGCTL      := github.com/regclient/regclient/cmd/regctl@v0.11.7
REGSYNC     := github.com/regclient/regclient/cmd/regsync@v0.11.7
PACKAGES    := gcc libc6-dev docker-registry skopeo umoci mmdebstrap postgresql
CLIENTS     := azure-cli nodejs
TOOLS       := $(CURDIR)/.tools

# The race detector needs a C compiler, which packages may have brought. What it costs is one compilation
# of everything: what else is compiled for this machine is compiled so, too. Each process would sleep for
# a second when it ends, and shadows take small pages, which cost more than what is done in them.
RACE = $(shell command -v $${CC:-cc} >/dev/null && echo -race)
export GORACE ?= atexit_sleep_ms=10 no_huge_pages_for_shadow=0
# What is small under the race detector (yard.Small), and runs whole without it.
WHOLE          := TestAMillionTags|TestTwoHundredRepositoriesInSync|TestALayerOfMoreThanTwoGiB|TestTheReleaseImage|TestTheProgramsHaveTypes
WHOLE_PACKAGES := ./packaging/mkimage ./internal/archtest ./internal/apply ./internal/migrate

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
check: go-version packages format vet test whole ## everything that has to pass; builds no foreign tool

.PHONY: test
# The longest first, and more packages at a time than there are cores, since many wait for something.
# make vet looks at more than go test would, and no debugger reads what is linked.
test: go-version ## the tests, with the race detector
	@$(if $(RACE),,echo "make: no C compiler: testing without the race detector")
	$(GO) test $(RACE) -vet=off -ldflags=-w -p 4 -timeout 15m ./cmd/internal/job ./internal/apply ./internal/transfer ./internal/remote ./internal/migrate ./...

.PHONY: whole
# Compiled as the image is. Not from the cache: go build and go list, which they run, are not seen by it.
whole: export CGO_ENABLED := 0
whole: go-version ## what is small under the race detector, whole; the image; all platforms by their types
	$(GO) test -trimpath -vet=off -ldflags=-w -count=1 -run '^($(WHOLE))' $(WHOLE_PACKAGES)

.PHONY: test-fast
test-fast: export CGO_ENABLED := 0
test-fast: go-version ## for the hand: all is built, and what was changed since main is tested, small, without the race detector
	$(GO) build -trimpath ./...
	@p=$$(.ci/changed); if [ -z "$$p" ]; then echo "nothing was changed"; else $(GO) test -trimpath -ldflags=-w -short -p 4 $$p; fi

.PHONY: soak
soak: go-version ## the largest tests whole under the race detector; processes killed, paused and restarted N times: make soak N=300
	DRAY_WHOLE=1 $(GO) test -race -timeout 2h -run '^($(WHOLE))' $(WHOLE_PACKAGES)
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
	$(GO) vet $(RACE) ./...
	@if [ -x $(TOOLS)/staticcheck ]; then echo "staticcheck ./..." && GOFLAGS="$(GOFLAGS) $(RACE)" $(TOOLS)/staticcheck ./...; else echo "make: no staticcheck (make judges): skipped"; fi

.PHONY: cross
# With -trimpath, as the image is built, so that the two share what was compiled.
cross: go-version ## builds for every platform
	@for t in $(TARGETS); do echo "build $$t"; CGO_ENABLED=0 GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) build -trimpath -o /dev/null $(PROGRAMS); done

.PHONY: packages
packages: ## what Debian has for the tests: a compiler, registries, a database
	@demo/packages.sh $(PACKAGES)

.PHONY: judges
judges: go-version ## what judges the code, for make check, into .tools
	GOBIN=$(TOOLS) $(GO) install $(STATICCHECK)

.PHONY: clients
clients: ## the real clients that the tests drive, of Debian: az, node
	@demo/packages.sh $(CLIENTS)

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
