# Everything runs in .venv, which each target makes for itself.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# Of `make install`, `upgrade` and `uninstall`: Debian's own Python, since the unit hides /root and /home.
SYSTEM_PYTHON ?= /usr/bin/python3
OPT           := /opt/collector
ETC           := /etc/collector
UNITS         := /usr/local/lib
COMPLETE_BASH := /usr/local/share/bash-completion/completions/collector
COMPLETE_ZSH  := /usr/local/share/zsh/site-functions/_collector
COMPLETE_FISH := /usr/local/share/fish/vendor_completions.d/collector.fish

# Where it is set each start of the service would compile all of it anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint check format bench bench-limits install upgrade uninstall boot-test clean

demo: $(VENV)/installed
	$(BIN)/collector demo

test: $(VENV)/dev
	$(BIN)/pytest

lint: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

check: lint test

format: $(VENV)/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# BENCH=--peers, --quick, or "--only one-16,idle", for instance; --help tells what there is.
bench: $(VENV)/dev
	$(BIN)/python -m bench.speed $(BENCH)

# BENCH="--kill three --only fixed-x", for instance; --help tells what there is.
bench-limits: $(VENV)/dev
	$(BIN)/python -m bench.limits --jobs 4 $(BENCH)
	$(BIN)/python -m bench.free

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "collector needs Python 3.11 or newer; name one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/installed

install: upgrade
	@install -d -m 0755 $(ETC)
	@test -e $(ETC)/collector.toml || { \
	    sed 's|^root .*|root           = "/var/lib/collector"|' src/collector/cli/collector.toml > $(ETC)/collector.toml && \
	    chown root:collector $(ETC)/collector.toml && chmod 0640 $(ETC)/collector.toml && \
	    echo "wrote $(ETC)/collector.toml: say there what to ask for"; }
	@echo "installed; next: collector check, then systemctl enable --now collector"

# Configuration and data are left as they are; a service that runs is started anew.
upgrade:
	@test "$$(id -u)" = 0 || { echo "this writes to /opt, /etc and /usr/local: sudo make $(MAKECMDGOALS)" >&2; exit 1; }
	@$(SYSTEM_PYTHON) -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "collector needs $(SYSTEM_PYTHON) 3.11 or newer with venv: apt install python3-venv" >&2; exit 1; }
	test -x $(OPT)/bin/python || $(SYSTEM_PYTHON) -m venv $(OPT)
	$(OPT)/bin/pip install --quiet --disable-pip-version-check --root-user-action ignore .
	ln -sfn $(OPT)/bin/collector /usr/local/bin/collector
	install -d $(dir $(COMPLETE_BASH) $(COMPLETE_ZSH) $(COMPLETE_FISH))
	$(OPT)/bin/collector completion bash > $(COMPLETE_BASH)
	$(OPT)/bin/collector completion zsh > $(COMPLETE_ZSH)
	$(OPT)/bin/collector completion fish > $(COMPLETE_FISH)
	install -D -m 0644 -t $(UNITS)/systemd/system systemd/collector.service systemd/collector-drop@.service systemd/collector-drop@.timer
	install -D -m 0644 systemd/collector.sysusers.conf $(UNITS)/sysusers.d/collector.conf
	install -D -m 0644 systemd/collector.tmpfiles.conf $(UNITS)/tmpfiles.d/collector.conf
	systemd-sysusers $(UNITS)/sysusers.d/collector.conf
	systemd-tmpfiles --create $(UNITS)/tmpfiles.d/collector.conf
	test ! -d /run/systemd/system || { systemctl daemon-reload && systemctl try-restart collector; }

uninstall:
	@test "$$(id -u)" = 0 || { echo "this writes to /opt and /usr/local: sudo make $(MAKECMDGOALS)" >&2; exit 1; }
	test ! -d /run/systemd/system || systemctl disable --now collector || true
	test ! -d /run/systemd/system || systemctl stop 'collector-drop@*' || true
	rm -rf $(OPT)
	rm -f $(COMPLETE_BASH) $(COMPLETE_ZSH) $(COMPLETE_FISH)
	rm -f /etc/systemd/system/timers.target.wants/collector-drop@*.timer
	rm -f /usr/local/bin/collector $(UNITS)/systemd/system/collector.service $(UNITS)/systemd/system/collector-drop@.*
	rm -f $(UNITS)/sysusers.d/collector.conf $(UNITS)/tmpfiles.d/collector.conf
	test ! -d /run/systemd/system || systemctl daemon-reload
	@echo "left as they are: /var/lib/collector, $(ETC), and the user and groups collector and collector-drop"

# The units under a real systemd, in a copy of this machine that is thrown away; as root.
boot-test:
	systemd/boot-test

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
