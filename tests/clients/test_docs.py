"""Every example of docs/clients.md is run by a test."""

from pathlib import Path

from .page import examples

HERE = Path(__file__).parent
TESTS = [*HERE.glob("test_*.py"), HERE.parent / "e2e" / "test_browser_client.py"]


def test_every_example_is_run_by_a_test() -> None:
    written = "".join(path.read_text() for path in TESTS)
    for name in examples():
        language, _, rest = name.partition(" ")
        call = f'run_python("{rest}"' if language == "python" else f'"{name}"'
        assert call in written, f"nobody runs the example {name!r}"
