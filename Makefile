# The commands of the course; `make` alone lists them. Each calls `python -m autograder` or `python -m tools`.
PY := .venv/bin/python
.DEFAULT_GOAL := help
.PHONY: batch reset update release submission gradescope help setup grade watch test long new snapshots stubs golden verify bench lint

# `make grade a01` means `make grade A=a01`: a word that has a digit where the names of assignments have one is no target.
digits := 0 1 2 3 4 5 6 7 8 9
word := $(filter $(foreach digit,$(digits),a$(digit)% $(digit)%),$(MAKECMDGOALS))
ifneq ($(and $(word),$(filter-out $(word),$(MAKECMDGOALS))),)
A := $(word)
$(word): ;@:
endif

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

setup: .venv/.done ## .venv with pinned dependencies (every target does this by itself)
.venv/.done: autograder/setup.sh pyproject.toml constraints.txt
	@autograder/setup.sh .venv

grade: .venv/.done ## grade an assignment: A=a01 [ONLY=name] [FROM=folder]; without A, a line about each
	@$(PY) -m autograder grade $(A) $(if $(ONLY),--only '$(ONLY)') $(if $(FROM),--from '$(FROM)') $(ARGS) || [ $$? -eq 1 ]

watch: .venv/.done ## grade on every save: A=a01 [ONLY=name]
	@$(PY) -m autograder watch $(A) $(if $(ONLY),--only '$(ONLY)')

submission: .venv/.done ## the zip to upload: A=a01 [FROM=folder] [TO=file]
	@$(PY) -m autograder submission $(A) $(if $(FROM),--from '$(FROM)') $(if $(TO),--to '$(TO)')

reset: .venv/.done ## the stub of a file again, yours is kept beside it: A=a01 FILE=attention.py
	@$(PY) -m autograder reset $(A) $(FILE)

update: .venv/.done ## bring this release up to date, your files stay: FROM=folder of the newer one
	@$(PY) -m autograder update '$(FROM)'

test: .venv/.done ## the project's own tests, on two cores or JOBS; QUICK=1 for a part
	@$(PY) -m pytest -n $(or $(JOBS),2) --dist loadscope --no-loadscope-reorder -m "not long $(if $(QUICK),and not slow)" $(ARGS)

long: .venv/.done ## what takes long; goes on where it was killed, AGAIN=1 starts anew
	@$(PY) -m pytest -m long --resume $(if $(AGAIN),--again) $(ARGS)

new: .venv/.done ## a small assignment to start from: A=a11 TITLE='A mixture of experts' [MODULE=name]
	@$(PY) -m tools new '$(A)' "$$TITLE" $(if $(MODULE),--module '$(MODULE)')

snapshots: .venv/.done ## renew the reports that the tests compare with: [A=a01]
	@$(PY) -m pytest tools/tests/test_assignments.py -k "reports_are_as_they_were $(if $(A),and $(A))" --snapshot-update $(ARGS)

stubs: .venv/.done ## regenerate the stubs from reference/
	@$(PY) -m tools stubs

golden: .venv/.done ## record golden observations: [A=a01] [ONLY=name]
	@$(PY) -m tools golden $(A) $(if $(ONLY),--only '$(ONLY)')

verify: .venv/.done ## measure the grader: [A=a01] [ARGS=--quick]
	@$(PY) -m tools verify $(A) $(ARGS)

release: .venv/.done ## what students clone, scanned: [TO=folder] [THROUGH=a03]
	@$(PY) -m tools release --to '$(or $(TO),release)' $(if $(THROUGH),--through $(THROUGH))

gradescope: .venv/.done ## the autograder zip, and a dry run of it with the stubs: A=a01 [TO=file]
	@$(PY) -m tools gradescope $(A) --to $(or $(TO),$(A)-autograder.zip) --try

batch: .venv/.done ## grade a class: A=a01 FROM=export [TO=folder] [JOBS=2] [SCHEDULER=tcp://…] [ARGS=--no-names]
	@$(PY) -m tools batch $(A) --from '$(FROM)' --to '$(or $(TO),$(A)-graded)' $(if $(JOBS),--jobs $(JOBS)) $(if $(SCHEDULER),--scheduler $(SCHEDULER)) $(ARGS)

bench: .venv/.done ## speed of the grader as ratios: [NAME=grade]
	@$(PY) -m tools bench $(NAME)

lint: .venv/.done ## style (ruff), types (mypy), and the order of the rooms (import-linter)
	@$(PY) -m ruff check . && $(PY) -m ruff format --check . && $(PY) -m mypy && .venv/bin/lint-imports
