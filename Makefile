# make help lists the targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help build demo scenarios compare bench mutants report faults test test-tls lint check zk-up zk-down install uninstall dist clean

# Go's own installer does not put it into PATH.
GO := $(or $(shell command -v go),$(wildcard /usr/local/go/bin/go),go)
VERSION := $(or $(shell git describe --always --dirty --abbrev=12 2>/dev/null),dev)
LDFLAGS := -X taskkeeper/internal/cli.version=$(VERSION)
# scripts/package reads them: no shell is to see what stands in them.
export GO VERSION PREFIX DESTDIR
SHELL_SCRIPTS = $(shell grep -d skip -lE '^\#!.*\bbash' scripts/* .ci/run)

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

build: ## the programs, into bin/
	@mkdir -p bin
	$(GO) build -trimpath -ldflags "$(LDFLAGS)" -o bin/ ./cmd/...

demo: lab zookeeper ## see it work; DEMO=page stays for its page; TLS=1: this, the scenarios and the faults under TLS and a policy
	@bin/lab demo $(if $(TLS),--tls) $(if $(filter page,$(DEMO)),--page)

scenarios: lab zookeeper ## the fault scenarios; their evidence goes to report/evidence/
	@for name in $$(bin/lab scenario --list); do bin/lab scenario $(if $(TLS),--tls,--evidence report/evidence) "$$name" || [[ $$? == 77 ]]; echo; done

compare: lab zookeeper ## one ZooKeeper server against three: latency, tasks a second, failover
	@bin/lab compare --evidence report/evidence

bench: lab zookeeper tls ## speed, recovery and memory beside the bare ZooKeeper calls; ROWS="idle drain" chooses
	@bin/lab bench $(ROWS)

mutants: build zookeeper ## take each rule of the protocol away in turn, and see a test fail; RULES="fence relist" chooses
	@bin/lab mutants $(RULES)

report: scenarios compare ## all of that again, and the report with its tables and figures from it
	@bin/lab report

faults: lab zookeeper ## random faults for DURATION (60s), judged write by write; SEED repeats some, OTHER=COMMIT mixes in its programs
	@bin/lab faults $(if $(TLS),--tls) $(if $(DURATION),--duration $(DURATION)) $(if $(SEED),--seed $(SEED)) $(if $(OTHER),--other "$$(scripts/other $(OTHER))")

test: lab zookeeper tls gcc prometheus chromium ## all tests, against real servers
	@PATH="$$PATH:$$(dirname $(GO))" bin/lab test

test-tls: build zookeeper prometheus chromium ## all of the programs' tests, the scenarios and random faults under TLS and a policy
	TASKKEEPER_TLS=1 $(GO) test -timeout 60m -v ./internal/lab/cmdtest
	@$(MAKE) --no-print-directory scenarios faults TLS=1

lint: ## gofmt, go vet, staticcheck, go mod tidy, govulncheck, bash -n
	@unformatted=$$($(GO)fmt -l .); [[ -z $$unformatted ]] || { echo "not formatted: $$unformatted" >&2; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) mod tidy -diff
	@status=0; found=$$($(GO) tool govulncheck ./... 2>&1) || status=$$?; case $$status in 0) ;; \
		3) echo "$$found" >&2; exit 1 ;; \
		*) echo "govulncheck: the data on known faults cannot be had here, so nothing was checked" >&2 ;; esac
	@for script in $(SHELL_SCRIPTS); do bash -n "$$script"; done

check: lint test ## lint and test

zk-up: ## a ZooKeeper server on 127.0.0.1:2181
	@scripts/zookeeper start --port 2181

zk-down: ## stop it
	@scripts/zookeeper stop --port 2181

install: ## the programs, their man pages, completions, systemd units and alerts; PREFIX=/usr/local DESTDIR=
	@scripts/package install

uninstall: ## remove what make install installs
	@scripts/package uninstall

dist: ## static programs for linux/amd64 and linux/arm64 with all that, and SHA256SUMS, into dist/
	@scripts/package dist

clean: ## remove bin/ and dist/; .zk/ stays, it may hold data
	rm -rf bin dist

.PHONY: lab zookeeper tls gcc prometheus chromium
# What the lab runs, and itself.
lab:
	@echo "building master, worker, client and lab; the first time Go fetches and compiles their libraries, for a minute or two" >&2
	@mkdir -p bin
	@$(GO) build -trimpath -ldflags "$(LDFLAGS)" -o bin/ ./cmd/master ./cmd/worker ./cmd/client ./cmd/lab
zookeeper:
	@scripts/zookeeper install >/dev/null
tls:
	@scripts/zookeeper install --tls >/dev/null
gcc:
	@command -v "$$($(GO) env CC)" >/dev/null || { echo "go test -race needs a C compiler: apt-get install gcc libc6-dev" >&2; exit 1; }
prometheus:
	@command -v promtool >/dev/null && command -v prometheus >/dev/null || { echo "the tests of metrics and alerts need promtool and prometheus: apt-get install prometheus" >&2; exit 1; }
chromium:
	@command -v chromium >/dev/null || { echo "the tests of the page need Chromium: apt-get install chromium" >&2; exit 1; }
