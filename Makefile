# One entry for each job; what CI runs is what a person runs. Every target sets up what it needs first.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CACHE := $(or $(PROFILESTREAM_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/profilestream)
SHARED_DATA := $(abspath $(CURDIR)/../shared/data)

export PROFILESTREAM_CACHE := $(CACHE)
export CGO_ENABLED := 1
export CGO_LDFLAGS := -L$(CACHE)/lib
ifndef PROFILESTREAM_DATA
ifneq ($(wildcard $(SHARED_DATA)),)
export PROFILESTREAM_DATA := $(SHARED_DATA)
endif
endif

BINARIES := ingest scorer sink profilectl engine
# Tests that run beside others on a small machine; e2e starts real brokers and engines, so one package at a time.
UNIT := $$(go list ./... | grep -v /e2e)
FUZZTIME ?= 60s
KEEP ?=
ONLY ?=
ROUNDS ?=
SEED ?=
EVENTS ?=

.PHONY: help setup setup-tests setup-tools build demo test unit e2e faults outage eval screenshots bench lint fuzz sbom vuln clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## fetch and build what build and demo need, once
	@.setup/run

setup-tests: setup
	@.setup/run kafka browser

setup-tools: setup
	@.setup/run tools

build: setup ## bin/ingest, bin/scorer, bin/sink, bin/profilectl, bin/engine
	@mkdir -p bin
	go build -o bin/ $(BINARIES:%=./cmd/%)

demo: build ## the whole pipeline on a simulated shop; KEEP=1 stays up and serves the console
	bin/profilectl demo $(if $(KEEP),--keep)

test: unit e2e ## all tests

unit: build ## tests without a broker, with the race detector
	@.setup/run browser
	go test -race -shuffle=on -timeout 15m $(UNIT)

e2e: build setup-tests ## real processes, real Kafka, real ClickHouse engine
	PROFILESTREAM_KAFKA=real go test -count=1 -p 1 -timeout 15m -run /apache ./stream/wire ./stream
	go test -count=1 -p 1 -timeout 60m ./e2e/...

faults: build setup-tests ## the whole fault matrix, about an hour; ONLY=1,5 picks rows, ROUNDS=n soaks, SEED=n
	FAULTS=full ONLY=$(ONLY) ROUNDS=$(ROUNDS) SEED=$(SEED) EVENTS=$(EVENTS) \
	  go test -count=1 -v -timeout $(or $(FAULTS_TIMEOUT),12h) -run 'TestFaults$$|TestEachRowCanFail$$' ./e2e/faults

outage: build setup-tests ## ClickHouse stopped, then the encoder hung, for 5 minutes under load; about 18 minutes; OUTAGE=30s
	OUTAGE=$(or $(OUTAGE),5m) go test -count=1 -v -timeout 2h -run 'TestLongOutage$$' ./e2e/faults

# The same tests in smaller sizes are part of make test.
eval: build setup-tests ## the models in full: lifetimes, fine-tuning, a real shop, a simulated one; about 15 minutes
	go test -count=1 -v -run 'TestCDNOW' ./inference/lifetime
	PROFILESTREAM_FINETUNE=full go test -count=1 -v -timeout 30m -run 'TestDomainsOfRequests|TestReferenceJob|TestFirstSteps' ./inference/finetune
	E2E_EVAL=full E2E_TRAIN_USERS=$(or $(E2E_TRAIN_USERS),3000) E2E_TRAIN_EVENTS=$(or $(E2E_TRAIN_EVENTS),600000) go test -count=1 -v -timeout 60m \
	  -run 'TestRetailModel|TestRetailStrangers|TestWhatTheEncoderAdds|TestScoresOnUnseenUsers|TestPromotionUnderLoad' ./e2e

screenshots: build ## the README's pictures of the console, over the demo's shop
	@.setup/run browser
	.setup/screenshots docs/images

bench: build setup-tests ## benchmarks; figures land in bench/out
	@mkdir -p bench/out
	go run ./bench -out bench/out

lint: setup-tools ## format, vet, staticcheck, layering, compose file
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "gofmt is owed to:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	$(CACHE)/bin/staticcheck ./...
	go test -count=1 -run 'TestLayering|TestCompose' ./e2e ./e2e/deploy

fuzz: setup ## every fuzz target for FUZZTIME each
	@for package in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    echo "$$package $$target"; \
	    go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 50x $$package; \
	  done; \
	done

sbom: ## bin/sbom.cdx.json, a CycloneDX list of all that is shipped
	@.setup/run sbom
	@.setup/run bill bin/sbom.cdx.json

vuln: ## known vulnerabilities in the code that is reached; says so where the database cannot be reached
	@.setup/run vuln
	@if $(CACHE)/bin/govulncheck ./... >bin/vuln.txt 2>&1; then cat bin/vuln.txt; \
	elif grep -q 'fetching vulnerabilities\|vulndb\|dial tcp\|HTTP' bin/vuln.txt; then echo "SKIPPED: the vulnerability database cannot be reached:"; tail -3 bin/vuln.txt; \
	else cat bin/vuln.txt; exit 1; fi

clean: ## remove what make built here; .setup/run clean removes the cache
	rm -rf bin bench/out
