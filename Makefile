# Thin: every target is `python3 -m tools.dev TARGET`, which runs without make as well.
PYTHON ?= python3

.PHONY: help demo smoke test e2e check bench learn-report fault fuzz up env down reset doctor lock
help:
	@$(PYTHON) -m tools.dev help

demo smoke test e2e check bench learn-report fault fuzz up env down reset doctor lock:
	@$(PYTHON) -m tools.dev $@ $(ARGS)
