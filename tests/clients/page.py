"""The page docs/clients.md comes in; its examples come out, ready to run against a server."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
BLOCK = re.compile(r"^```(\w+) ([\w ]+)\n(.*?)^```", re.M | re.S)
SERVER, KEY = "https://decide.example", "WRITE_KEY"


def examples() -> dict[str, str]:
    """Every example of the page by its language and name, such as "python segment"."""
    found = {f"{language} {name}": text for language, name, text in BLOCK.findall(PAGE.read_text())}
    assert found, f"there are no examples in {PAGE}"
    return found


def example(name: str, url: str, key: str) -> str:
    """One example, with a real server and key in place of those that the page names."""
    text = examples()[name]
    assert SERVER in text and KEY in text, f"the example {name!r} names no server or no key"
    return text.replace(SERVER, url).replace(KEY, key)


def run_python(name: str, url: str, key: str, folder: Path) -> None:
    """An example as a program of its own, which must end well and have nothing to complain of."""
    program = folder / "example.py"
    program.write_text(example(f"python {name}", url, key))
    done = subprocess.run([sys.executable, program], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
