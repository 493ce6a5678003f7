"""What C code writes to the error stream while TensorFlow is imported, with a module that stands in for it."""

import os
import subprocess
import sys

import pytest

from mitozoo.base.quiet import errors_held_back

START = """
import os, sys
sys.path.insert(0, {folder!r})
from mitozoo.base.quiet import quiet_tensorflow_import
quiet_tensorflow_import()
quiet_tensorflow_import()
"""


def after(tmp_path, module, script="import tensorflow; os.write(2, b'later')"):
    """Import a stand-in for TensorFlow with this source; exit code, output and error output."""
    (tmp_path / "tensorflow.py").write_text(module)
    code = START.format(folder=str(tmp_path)) + script
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_a_good_import_says_nothing_and_later_errors_are_seen(tmp_path):
    noise = "import os, sys; os.write(2, b'noise'); print('noise', file=sys.stderr); print('output'); value = 3"
    script = "import tensorflow; print(tensorflow.value); os.write(2, b'later ')\nprint('too', file=sys.stderr)"
    assert after(tmp_path, noise, script) == (0, "output\n3\n", "later too\n")


def test_a_failed_import_says_all(tmp_path):
    code, _, errors = after(tmp_path, "import os; os.write(2, b'the cause, '); raise ImportError('no library')")
    assert code == 1
    assert errors.startswith("the cause, Traceback") and errors.endswith("ImportError: no library\n")


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_an_abort_is_seen(tmp_path):
    code, _, errors = after(tmp_path, "import os; os.abort()")
    assert code < 0 and errors.startswith("Fatal Python error: Aborted") and "tensorflow.py" in errors


def test_other_modules_are_left_alone(tmp_path):
    (tmp_path / "other.py").write_text("import os; os.write(2, b'heard')")
    assert after(tmp_path, "", "import other; assert 'tensorflow' not in sys.modules") == (0, "", "heard")


def test_an_error_stream_that_is_no_file(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with errors_held_back():
        pass


def test_the_stream_is_the_same_afterwards(capfd):
    for _ in range(3):
        with errors_held_back():
            os.write(2, b"held")
    os.write(2, b"back")
    assert capfd.readouterr().err == "back"


def test_tensorflow_itself_says_nothing():
    code = START.format(folder=".") + "import keras; print(keras.ops.ones(1)[0].numpy())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1.0\n", "")
