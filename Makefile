# SPDX-License-Identifier: MIT
# "make demo" and "make test" do all that is needed on a fresh Debian or Ubuntu:
# system packages, the build, and Manim under ~/.meshnode (or $MESHNODE_HOME).
# Everything says what it installs before it does, and is quick the second time.

SHELL := /bin/sh
export PATH := $(PATH):/usr/local/go/bin
export CGO_ENABLED := 0

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
BUILD   := go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)'
RACE    := ./scheduler/... ./p2p/... ./blockstore/... ./node/...
SHARED  ?= ../shared
FUZZTIME ?= 20s

# The tests that an older Manim could fail where a newer one does not.
OF_MANIM := Conformance|Stock|Digests|Configuration|Parts|SelfTest|SceneError|Costs|Watched

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.8.0
RUFF        := ruff==0.17.6

# The Python with Manim that tests, demo and benchmarks use: the one that
# "meshnode setup" makes, unless another is named; and those of older versions, with
# which the engine is tested too.
python_with = $(or $(MESHNODE_HOME),$(HOME)/.meshnode)/environments/manim-$(1)/bin/python
ifeq ($(origin MESHNODE_PYTHON),undefined)
MESHNODE_PYTHON       := $(call python_with,0.22.0)
MESHNODE_PYTHON_OLDER := $(call python_with,0.21.0)
SETUP                 := ./meshnode setup
SETUP_OLDER           := ./meshnode setup --manim 0.21.0
GALLERIES             := 0.22.0 0.21.0 0.20.1 0.19.0
else
SETUP                 := :
endif
export MESHNODE_PYTHON MESHNODE_PYTHON_OLDER

.PHONY: help build setup test demo bench chaos mutate soak swarm sim hostile fuzz conformance plugins lint release-check clean

help:
	@echo 'make demo           three nodes on this computer render examples/mesh.py'
	@echo 'make build          build ./meshnode'
	@echo 'make test           vet, unit tests, race detector, end-to-end tests'
	@echo 'make lint           gofmt, vet, staticcheck, govulncheck, ruff'
	@echo 'make bench          measure against stock Manim, as docs/benchmarks.md tells'
	@echo 'make sim            many simulated meshes (SEEDS=n), and every course of some small ones'
	@echo 'make chaos          many films on real nodes while things go wrong at random (JOBS=n, SEED=n)'
	@echo 'make soak           1,000 jobs, and 40 films, on the same nodes: does anything grow? (JOBS=n, FILMS=n)'
	@echo 'make swarm          many nodes in one process, over libp2p (NODES=n, FRAME=100ms, SLOW=1)'
	@echo 'make mutate         a film after each of many edits, against stock Manim; how much is rendered again'
	@echo 'make hostile        a scene attacks its engine, in each tier of sandbox that holds for you'
	@echo 'make fuzz           each fuzz target for FUZZTIME ($(FUZZTIME); TARGETS=...)'
	@echo 'make conformance    compare with stock Manim over the gallery in $(SHARED) (SCENES=..., KIND=auto or png)'
	@echo 'make plugins        compare decks of manim-slides and speech of manim-voiceover with stock Manim'
	@echo 'make release-check  build for every supported system into dist/'

build:
	@scripts/prepare
	$(BUILD) -o meshnode ./cmd/meshnode

# setup-for-PURPOSE: as build, with what PURPOSE needs, and Manim.
setup-for-%:
	@scripts/prepare $*
	$(BUILD) -o meshnode ./cmd/meshnode
	@$(SETUP)

demo: setup-for-demo
	@go run ./scripts/demo

test: setup-for-test
	@$(SETUP_OLDER)
	go vet ./...
	go test -p 4 -timeout 20m $$(go list ./... | grep -v '/e2e')
ifdef MESHNODE_PYTHON_OLDER
	MESHNODE_PYTHON=$$MESHNODE_PYTHON_OLDER go test -timeout 20m -run '$(OF_MANIM)' ./renderer/manim
endif
	CGO_ENABLED=1 go test -race -short -p 4 -timeout 20m -skip '^Test(Explore|Random|Bugs)$$' $(RACE)  # of one goroutine, and long
	go test -count=1 -timeout 20m ./e2e/...

bench: setup-for-demo
	go run ./bench

chaos: setup-for-test
	go test -count=1 -timeout 0 ./e2e -run 'TestChaos$$' -chaos.jobs $(or $(JOBS),50) -chaos.seed $(or $(SEED),1) -v

mutate: setup-for-test
	go test -count=1 -timeout 0 ./e2e -run 'TestMutate$$' -mutate -v

soak: setup-for-test
	go test -count=1 -timeout 0 ./node -run 'TestSoak$$' -soak $(or $(JOBS),1000) -v
	go test -count=1 -timeout 0 ./e2e -run 'TestSoak$$' -soak $(or $(FILMS),40) -v

swarm:
	go test -count=1 -timeout 30m ./node -run 'TestSwarm$$' -swarm $(or $(NODES),30) -swarm.frame $(or $(FRAME),100ms) -swarm.slow $(or $(SLOW),1) -v

sim:
	go test -count=1 -timeout 60m ./scheduler -run 'TestExplore$$' -full
	go test -count=1 -timeout 0 ./scheduler/sim -run Random -seeds $(or $(SEEDS),10000)

hostile: setup-for-test
	for tier in own bwrap basic; do \
		MESHNODE_TEST_TIER=$$tier go test -count=1 -timeout 30m -v -run 'TestScene(Survey|Attacks)$$' ./renderer/manim || exit 1; \
	done

fuzz: build
	scripts/fuzz $(FUZZTIME) $(TARGETS)

ifneq ($(wildcard $(SHARED)/conform),)
conformance: setup-for-$(if $(SCENES),comparison,conformance)
ifdef GALLERIES
	@set -e; for version in $(GALLERIES); do \
		./meshnode setup --manim $$version; \
		MESHNODE_PYTHON=$(call python_with,$$version) scripts/conformance $(SHARED) $(SCENES); \
	done
else
	scripts/conformance $(SHARED) $(SCENES)
endif
else
conformance:
	@echo 'conformance: skipped, there is no $(SHARED)/conform'
endif

plugins: build
	@scripts/prepare plugins
	python=$$(scripts/plugins) && MESHNODE_PYTHON=$$python go test -count=1 -v ./e2e -run Plugin

lint: .make/ruff/bin/ruff
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
		[ -z "$$unformatted" ] || { echo "gofmt these: $$unformatted"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	@echo 'go run $(GOVULNCHECK) ./...'; out=$$(go run $(GOVULNCHECK) ./... 2>&1) || { echo "$$out"; \
		case "$$out" in *'fetching vulnerabilities'*) echo 'govulncheck: no way to its database from here: nothing was checked';; *) exit 1;; esac; }
	.make/ruff/bin/ruff check
	.make/ruff/bin/ruff format --check

.make/ruff/bin/ruff: Makefile
	python3 -m venv .make/ruff
	.make/ruff/bin/python -m pip install --quiet --disable-pip-version-check $(RUFF)
	@touch $@

release-check:
	@for target in linux/amd64 linux/arm64 darwin/arm64 windows/amd64 freebsd/amd64; do \
		os=$${target%/*} arch=$${target#*/}; suffix=; [ $$os = windows ] && suffix=.exe; \
		echo "$$target"; \
		GOOS=$$os GOARCH=$$arch $(BUILD) -o dist/meshnode-$(VERSION)-$$os-$$arch$$suffix ./cmd/meshnode || exit 1; \
	done

clean:
	rm -rf meshnode dist .make
