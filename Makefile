# Two commands for newcomers: `make demo` and `make test`. `make check` before each commit.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: help setup demo test check format messages pictures requirements clean

help:
	@echo "make demo [ARGS=--exit]   set all up and see the main job happen, at http://127.0.0.1:8000"
	@echo "make test [ARGS=...]      set all up and run the tests"
	@echo "make check                format, lint, types, imports, templates, migrations, OpenAPI, catalogues"
	@echo "make messages             collect texts into the catalogues (needs gettext)"
	@echo "make pictures             the demo's pages, for docs/pictures (needs Chromium; pngquant makes them smaller)"
	@echo "make requirements         pin the newest fitting versions (needs uv)"

$(VENV)/product.stamp: requirements/product.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/product.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/product.stamp requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	@touch $@

# Catalogues are compiled without gettext's own tools, which a newcomer may not have. So is Python, once: where
# PYTHONDONTWRITEBYTECODE is set, each process would do it anew, and take a third longer to start.
setup: $(VENV)/product.stamp
	@$(BIN)/python frontend/build.py
	@$(BIN)/pybabel --quiet compile --directory src/beforehand/locale --domain django 2>/dev/null || \
		$(BIN)/pybabel compile --directory src/beforehand/locale --domain django
	@$(BIN)/python -m compileall -q src

demo: setup
	@$(BIN)/beforehand demo $(ARGS)

test: setup $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

check: setup $(VENV)/dev.stamp
	$(BIN)/ruff format --check src tests bench
	$(BIN)/ruff check src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djlint --lint --quiet src
	$(BIN)/python -m tests.checks

format: $(VENV)/dev.stamp
	$(BIN)/ruff format src tests bench
	$(BIN)/ruff check --fix --quiet src tests bench
	$(BIN)/djlint --reformat --quiet src || true

messages: $(VENV)/dev.stamp
	cd src/beforehand && DJANGO_SETTINGS_MODULE=beforehand.config.settings ../../$(BIN)/python -m django makemessages \
		--locale nl --locale ar --locale hi --no-wrap --no-location --ignore "static/*"

pictures: setup $(VENV)/dev.stamp
	$(BIN)/python -m tests.pictures

requirements:
	uv pip compile -q --no-header --no-annotate --python-version 3.11 --universal --upgrade requirements/product.in -o requirements/product.txt
	uv pip compile -q --no-header --no-annotate --python-version 3.11 --universal --upgrade requirements/dev.in -c requirements/product.txt -o requirements/dev.txt

clean:
	rm -rf $(VENV) node_modules build dist src/beforehand/kit/web/static/beforehand/built
