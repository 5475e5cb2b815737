# Formidling. `make` alone prints this help.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo run build test race cover bench bench-large check fmt generate replay-record tidy-check generate-check vet lint layers workflowcheck mutants clean

# The gRPC modules of the Cloud Storage client are not used: half the packages, two thirds of the binary.
export GOFLAGS := -tags=disable_grpc_modules -trimpath
# Static binaries, and the same ones whether a C compiler is there or not.
export CGO_ENABLED := 0
LDFLAGS := -s -w
# What `formidling version` says; without git it says what the compiler wrote down.
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
BIN := $(CURDIR)/bin
GO_FILES := $(shell git ls-files -co --exclude-standard '*.go' '*.sql' 'api/openapi.yaml' go.mod go.sum 2>/dev/null)
APP_FILES := $(filter-out devstack/%,$(GO_FILES))
DEVSTACK_FILES := $(filter devstack/%,$(GO_FILES)) devstack/go.mod devstack/go.sum
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
WORKFLOWCHECK := go.temporal.io/sdk/contrib/tools/workflowcheck@v0.6.0
GOFUMPT := mvdan.cc/gofumpt@v0.12.0
# Servers that the benchmarks compare with: programs of their own, whose modules do not enter ours.
TUSD := github.com/tus/tusd/v2/cmd/tusd@v2.9.1
MINIO := github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c

help: ## print this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

demo: build ## send a real file from one organisation to two others; FILE=path sends yours, KEEP=1 keeps serving
	@$(BIN)/formidling demo $(if $(FILE),--file "$(FILE)") $(if $(KEEP),--keep)

run: build ## serve everything on this machine and keep serving; state stays in var/
	@$(BIN)/formidling run

build: $(BIN)/formidling $(BIN)/devstack $(BIN)/gcsemu ## build everything into bin/; the first time takes some minutes

$(BIN)/formidling: $(APP_FILES)
	go build -ldflags="$(LDFLAGS)$(if $(VERSION), -X main.version=$(VERSION))" -o $@ ./cmd/formidling

$(BIN)/gcsemu: $(filter internal/gcsemu/%,$(APP_FILES)) go.mod
	go build -ldflags="$(LDFLAGS)" -o $@ ./internal/gcsemu/cmd/gcsemu

$(BIN)/devstack: $(DEVSTACK_FILES)
	@echo "building Temporal (once; some minutes)"
	go build -C devstack -ldflags="$(LDFLAGS)" -o $@ .

# Tests that start our programs as processes. The race detector sees nothing of what happens there.
PROCESS_TESTS := ./cmd/formidling ./internal/cli
RACED = $(shell go list ./... | grep -v $(PROCESS_TESTS:./%=-e '/%$$'))

test: build ## run all tests against real servers, with RACE=1 under the race detector; installs PostgreSQL, Node.js and tuspy if it may
	@scripts/ensure-postgres
	@scripts/ensure-node workflows/testdata/judge receipts/testdata/judge cmd/formidling/testdata/tusjs
	@scripts/ensure-tuspy
ifdef RACE
	@scripts/ensure-compiler
	CGO_ENABLED=1 go test -race -timeout 20m $(RACED)
	go test $(PROCESS_TESTS)
else
	go test ./...
endif
	go test -C devstack ./...

race: build ## run the tests under the race detector, without those that start processes
	@scripts/ensure-postgres
	@scripts/ensure-node workflows/testdata/judge receipts/testdata/judge
	@scripts/ensure-compiler
	CGO_ENABLED=1 go test -race -timeout 20m $(RACED)

cover: ## check how much of the pure packages their own tests run
	@scripts/check-coverage ./models=90 ./activities=85

bench: build $(BIN)/tusd $(BIN)/minio ## measure, and print figures beside those of peers in the same run; BENCH="--only upload" chooses
	@scripts/ensure-postgres
	@scripts/ensure-bench-peers
	go run ./bench $(BENCH)

bench-large: build ## measure the memory that an upload of 100 GiB needs; takes a quarter of an hour and more
	go run ./bench --only large --part-deadline 4h $(BENCH)

$(BIN)/tusd:
	GOFLAGS= GOBIN=$(BIN) go install $(TUSD)

$(BIN)/minio:
	@echo "building MinIO, which the benchmarks compare with (once; some minutes)"
	GOFLAGS= GOBIN=$(BIN) go install $(MINIO)

check: tidy-check generate-check vet lint layers workflowcheck cover ## everything that CI runs
	$(MAKE) test RACE=1
	$(MAKE) mutants MUTANTS_FLAGS="-changed -budget 4m -trust"

tidy-check:
	go mod tidy -diff
	cd devstack && go mod tidy -diff

generate: ## write generated code and rendered documents anew
	go generate ./...
	go test ./models ./cmd/formidling ./internal/cli ./internal/layers -run 'Rendered' -update

generate-check:
	@mkdir -p $(BIN)
	@cp api/contract/openapi.gen.go $(BIN)/openapi.gen.go.before
	@cp api/contract/access.gen.go $(BIN)/access.gen.go.before
	@cp client/openapi.gen.go $(BIN)/client.gen.go.before
	go generate ./api/contract ./client
	@diff -q api/contract/openapi.gen.go $(BIN)/openapi.gen.go.before || (echo "api/contract/openapi.gen.go is not what openapi.yaml gives: run make generate"; exit 1)
	@diff -q api/contract/access.gen.go $(BIN)/access.gen.go.before || (echo "api/contract/access.gen.go is not what openapi.yaml gives: run make generate"; exit 1)
	@diff -q client/openapi.gen.go $(BIN)/client.gen.go.before || (echo "client/openapi.gen.go is not what openapi.yaml gives: run make generate"; exit 1)

vet:
	go vet ./...
	go vet -C devstack ./...

lint: $(BIN)/golangci-lint
	$(BIN)/golangci-lint run ./...

$(BIN)/golangci-lint:
	GOFLAGS= GOBIN=$(BIN) go install $(GOLANGCI_LINT)

layers: $(BIN)/golangci-lint ## plant every import that internal/layers forbids, and see the linter name it
	go run ./internal/layers/plant $(BIN)/golangci-lint

mutants: ## plant bugs that tests must notice, and see which test does; MUTANTS=pattern chooses by name
	@scripts/ensure-postgres
	go run ./internal/mutants -name "$(MUTANTS)" $(MUTANTS_FLAGS)

workflowcheck: $(BIN)/workflowcheck
	$(BIN)/workflowcheck ./workflows/

$(BIN)/workflowcheck:
	GOFLAGS= GOBIN=$(BIN) go install $(WORKFLOWCHECK)

fmt: ## format all Go code
	GOFLAGS= go run $(GOFUMPT) -w .
	@test ! -x $(BIN)/golangci-lint || $(BIN)/golangci-lint fmt ./...

replay-record: build ## record the histories of the version in workflows/testdata/VERSION, from the code as it is committed
	go test ./workflows -run 'TestHistories_AreReplayed' -count=1 -record

clean: ## remove what was built
	rm -rf bin
