"""Heavy libraries are imported by those who use them, and only once they do."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from decisioning.learning.later import Later

HEAVY = ("lightgbm", "optuna", "pandas", "pyarrow", "scipy", "sklearn")


def test_a_process_that_neither_trains_nor_scores_imports_none_of_them():
    program = f"""
import sys, django
django.setup()
import decisioning.tasks, decisioning.config.urls, decisioning.config.wsgi
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_module_is_there_with_the_first_thing_that_is_asked_of_it():
    json = Later("json")
    with ThreadPoolExecutor(4) as pool:
        texts = set(pool.map(lambda number: json.dumps({"a": 1}), range(50)))
    assert texts == {'{"a": 1}'}


def test_what_makes_a_module_whole_is_imported_before_it():
    impute = Later("sklearn.impute", first="sklearn.experimental.enable_iterative_imputer")
    assert impute.IterativeImputer.__name__ == "IterativeImputer"


def test_what_is_not_there_is_an_error_that_names_it():
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = Later("json").no_such_thing
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        _ = Later("no_such_module").anything
