# Everything a reader, an instructor or a contributor does, by name. `make help` lists it.
#
# Variables: PYTHON (which Python makes .venv; 3.11 or newer), TORCH_INDEX (address of an additional package index, for the
# small CPU build of torch; see README), S (a section or point), PORT (of `make serve`), CHAPTER (a chapter's number), T (a file of tests).

SHELL := /bin/sh
PYTHON ?= python3
TORCH_INDEX ?=
PORT ?= 8000
PY := .venv/bin/python
LLMBOOK := .venv/bin/llmbook
PYTEST := $(PY) -m pytest -q
HOOK := --jaxtyping-packages="llmbook,beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
OF_CHAPTER := $(if $(CHAPTER),--chapter=$(CHAPTER))
SIDE_BY_SIDE = OMP_NUM_THREADS=1 $(PYTEST) $(OF_CHAPTER) -n 2 --dist loadfile --no-loadscope-reorder
TOGETHER := not messages and not probes and not built and not long and not alone
UNITS := $(TOGETHER) and not slow
LINT := $(PY) -m ruff check . && $(PY) -m ruff format --check --quiet . && $(PY) -m codespell_lib && $(PY) -m mypy && .venv/bin/lint-imports
# a locale that is there and writes UTF-8: Python reads a path with Chinese in it from .venv only so
export LC_ALL := $(shell locale -a 2>/dev/null | grep -qix 'c.utf-\?8' && echo C.UTF-8 || echo en_US.UTF-8)
export HF_HUB_OFFLINE := 1
export HF_DATASETS_OFFLINE := 1
export PYTHONHASHSEED := 0

# $(call ready,extra): a whole .venv for this place, these pins and this extra, or one made anew. The one before stands aside as .venv-before
# and comes back if the new one fails, or if making it was killed. The mark is written last: pins and place, and how many files there are.
define ready
@set -e; \
if [ -L .venv ]; then \
  echo ".venv is a link to $$(readlink .venv), whose environment is another checkout's; remove the link, and this one gets its own" >&2; exit 1; \
fi; \
if [ -d .venv-before ] && [ ! -e .venv/.ready ]; then rm -rf .venv; mv .venv-before .venv; fi; \
rm -rf .venv-before; \
files() { ls .venv/bin .venv/lib/*/site-packages 2>/dev/null | wc -l; }; \
version() { "$$1" -c 'import sys; print(*sys.version_info[:2])'; }; \
want="$$(cat pyproject.toml constraints.txt | cksum) $$PWD"; \
have="$$(sed -n 1p .venv/.ready 2>/dev/null || true)"; \
count="$$(sed -n 2p .venv/.ready 2>/dev/null || true)"; \
if [ "$$(files)" -lt "$${count:-0}" ]; then echo "Parts of .venv are gone."; have=; fi; \
asked="$(if $(filter file,$(origin PYTHON)),,$(PYTHON))"; \
if [ -n "$$asked" ] && [ -n "$$have" ] && [ "$$(version "$$asked")" != "$$(version $(PY))" ]; then have=; fi; \
if [ "$$have" != "$$want $(1)" ] && [ "$$have" != "$$want [test]" ]; then \
  command -v "$(PYTHON)" >/dev/null || { echo "No '$(PYTHON)' found; name a Python ≥ 3.11 with PYTHON=…" >&2; exit 1; }; \
  "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
    { echo "$(PYTHON) is $$("$(PYTHON)" -V 2>&1); Python ≥ 3.11 is needed; name one with PYTHON=…" >&2; exit 1; }; \
  if [ "$${have#"$$want"}" = "$$have" ] || ! $(PY) -m pip --version >/dev/null 2>&1; then \
    echo "Setting up .venv …"; \
    trap 'code=$$?; if [ -d .venv-before ]; then rm -rf .venv; mv .venv-before .venv; echo "The new .venv failed; the one before is back." >&2; fi; exit $$code' EXIT; \
    trap 'exit 130' INT TERM HUP; \
    if [ -e .venv ]; then mv .venv .venv-before; fi; \
    "$(PYTHON)" -m venv .venv; \
  fi; \
  $(PY) -m pip install --quiet --disable-pip-version-check --upgrade -c constraints.txt pip; \
  $(PY) -m pip install --quiet --disable-pip-version-check --progress-bar on \
    $(if $(TORCH_INDEX),--extra-index-url "$(TORCH_INDEX)") -c constraints.txt -e ".$(1)"; \
  printf '%s\n%s\n' "$$want $(1)" "$$(files)" > .venv/.ready; \
  rm -rf .venv-before; \
fi
endef

# What tests need of the system: Chromium and bubblewrap. As root on Debian or Ubuntu they are installed; elsewhere their tests are skipped,
# with CI=true they fail.
define tools
@if ! command -v bwrap >/dev/null && [ "$$(uname)" = Linux ]; then \
  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
    echo "Installing the distribution's package bubblewrap for the tests of the judge …"; \
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq bubblewrap >/dev/null; \
  else \
    echo "No bwrap found: the tests of the judge are skipped. Install your distribution's package bubblewrap to run them."; \
  fi; \
fi
@if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null && ! command -v google-chrome >/dev/null; then \
  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
    echo "Installing the distribution's package chromium for the browser tests …"; \
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
  else \
    echo "No Chromium found: the browser tests are skipped. Install your distribution's package chromium to run them."; \
  fi; \
fi
endef

# $(call stage,name,command): runs a stage of the tests and notes its seconds for the table at the end. That no test hangs on the chapter
# asked for (pytest's exit code 5) is no failure.
define stage
@mkdir -p build/tests; began=$$(date +%s); ( $(2) ); code=$$?; test $$code -eq 0 -o "$$code $(CHAPTER)" = "5 $(or $(CHAPTER),-)" || exit $$code; \
  printf '%s\t%s\n' "$(1)" $$(( $$(date +%s) - began )) >> build/tests/stages.txt
endef

.DEFAULT_GOAL := help
.PHONY: help setup setup-test book lab serve unit watch section notebooks site expected runs pictures vendor test test-long check-fast clean

help:  ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup:
	$(call ready,)

setup-test:
	$(call ready,[test])

book: setup  ## set up, execute the chapters, write notebooks and both sites
	@$(LLMBOOK) book

lab: book  ## open copies of the notebooks in JupyterLab (work/, never overwritten)
	@$(LLMBOOK) work
	@$(PY) -m jupyter lab --notebook-dir=work

serve: book  ## serve the site on http://localhost:8000 (or PORT=8001)
	@$(LLMBOOK) serve --port $(PORT)

section: setup  ## run one section or point: make section S=1.2.2
	@test -n "$(S)" || { echo "Which one? For example: make section S=1.2.2" >&2; exit 1; }
	@$(LLMBOOK) section "$(S)"

notebooks: setup  ## check both languages and write the notebooks, executing nothing
	@$(LLMBOOK) split

site: setup  ## build both sites from the kept executions
	@$(LLMBOOK) site

expected: setup  ## renew chapters/expected from an execution and show what changed
	@$(LLMBOOK) expected $(CHAPTER)

runs: setup  ## run all recorded runs again, for hours, and show old results against new (authors)
	@$(LLMBOOK) run --all --again

pictures: setup-test  ## draw the still pictures of the live figures again (authors; needs Chromium)
	@$(PY) site/live_pictures.py

vendor: setup  ## fetch the vendored data, fonts and scripts again and check their hashes (authors; needs npm and apt)
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[vendor]"
	@$(PY) data/vendor.py
	@$(PY) site/vendor.py

unit: setup-test  ## run some tests: make unit T=tests/nn/test_norms.py
	@test -n "$(T)" || { echo "Which? For example: make unit T=tests/nn/test_norms.py" >&2; exit 1; }
	@$(PYTEST) $(HOOK) -m "not messages and not probes" $(T); code=$$?; test $$code -eq 0 -o $$code -eq 5 || exit $$code
	@$(PYTEST) -m "messages or probes" $(T); code=$$?; test $$code -eq 0 -o $$code -eq 5 || exit $$code

watch: setup  ## build a section's page again whenever its file is saved: make watch S=2.1
	@test -n "$(S)" || { echo "Which one? For example: make watch S=2.1" >&2; exit 1; }
	@$(LLMBOOK) watch "$(S)"

check-fast: setup-test  ## lint, types and unit tests
	@rm -rf build/tests
	$(call stage,lint,$(LINT))
	$(call stage,messages,$(PYTEST) $(OF_CHAPTER) --junitxml=build/tests/messages.xml -m messages tests)
	$(call stage,units,$(SIDE_BY_SIDE) $(HOOK) --junitxml=build/tests/units.xml -m "$(UNITS)" tests)

test: setup-test  ## all tests: lint, units, parity, every notebook, the site; CHAPTER=2 keeps to what hangs on that chapter
	@rm -rf build/tests
	$(tools)
	$(call stage,lint,$(LINT))
	$(call stage,messages and probes,OMP_NUM_THREADS=1 $(PYTEST) $(OF_CHAPTER) -n 2 --dist worksteal --junitxml=build/tests/messages.xml -m "messages or probes" tests)
	$(call stage,units and slow,$(SIDE_BY_SIDE) $(HOOK) --junitxml=build/tests/units.xml -m "$(TOGETHER)" tests)
	$(call stage,alone,$(PYTEST) $(OF_CHAPTER) $(HOOK) --junitxml=build/tests/alone.xml -m alone tests)
	@$(LLMBOOK) split
	$(call stage,notebooks,$(PYTEST) --nbval -p llmbook.execution.nbval_keep -n 2 --dist loadscope build/notebooks/zh$(if $(CHAPTER),/$(shell printf %02d $(CHAPTER))-*))
	$(call stage,book,$(LLMBOOK) book --strict)
	$(call stage,site,$(SIDE_BY_SIDE) --junitxml=build/tests/site.xml -m built tests)
	@$(PY) tests/stages.py build/tests

test-long: setup-test  ## mutation testing of the exercises, two hundred submissions; about half an hour
	$(tools)
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test,long]"
	@$(PYTEST) -s -m long tests

clean:  ## remove what was generated; .venv and your work/ stay
	rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
