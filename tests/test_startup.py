"""`mitozoo --help` answers at once because nothing heavy is imported for it."""

import json
import subprocess
import sys

import pytest

from mitozoo.commands import COMMANDS

HEAVY = {"tensorflow", "keras", "cv2", "matplotlib", "scipy", "h5py", "numpy", "rich"}
SCRIPT = """
import json, sys
from mitozoo.commands import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print("MODULES", json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


def modules_after(*args):
    done = subprocess.run([sys.executable, "-c", SCRIPT, *args], capture_output=True, text=True, check=True)
    help_text, _, names = done.stdout.rpartition("MODULES ")
    return help_text, set(json.loads(names))


def test_help_imports_nothing_heavy():
    text, names = modules_after("--help")
    assert "Count mitotic figures in H&E tissue" in text
    assert names & HEAVY == set()


@pytest.mark.parametrize("command", list(COMMANDS))
def test_help_of_a_command_imports_nothing_heavy(command):
    text, names = modules_after(command, "--help")
    assert text.startswith(f"Usage: mitozoo {command}")
    assert names & HEAVY == set()


def test_the_check_itself():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("import json, sys", "import json, sys, numpy"), "--help"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "numpy" in json.loads(done.stdout.rpartition("MODULES ")[2])


def test_a_search_imports_no_statistics():
    # 35 MB and half a second, for a rank that only evaluation asks for.
    script = "import sys, mitozoo; mitozoo.predict; print('scipy.spatial' in sys.modules, 'scipy.stats' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
