"""Make `.venv` in the checkout and install mitozoo into it, as far as it is missing.

For the scripts beside this file. Written for any Python 3, so that one that is too old gets a clear line instead of a
syntax error.
"""

import hashlib
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
SUPPORTED = ((3, 11), (3, 12), (3, 13))
#: Prints the version of an interpreter that can make a virtual environment.
PROBE = "import sys, venv, ensurepip; print('%d %d' % sys.version_info[:2])"


def say(text):
    """Print a line at once, before what a sub-process prints."""
    print("== " + text)
    sys.stdout.flush()


def give_up(text):
    """End with a line that says what to do."""
    sys.exit("Error: " + text)


def version_of(command, probe=PROBE):
    """Return (major, minor) of an interpreter, or None where it does not run."""
    try:
        output = subprocess.check_output(command + ["-c", probe], stderr=subprocess.DEVNULL)
        return tuple(int(part) for part in output.split())
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None


def interpreter():
    """Return the command of a supported Python: this one, or another on the PATH."""
    candidates = [[sys.executable]]
    for major, minor in reversed(SUPPORTED):
        found = shutil.which(f"python{major}.{minor}")
        candidates += [[found]] if found else []
        candidates += [["py", f"-{major}.{minor}"]] if os.name == "nt" else []
    candidates += [[path] for path in (shutil.which("python3"), shutil.which("python")) if path]
    for command in candidates:
        if version_of(command) in SUPPORTED:
            return command
    raise SystemExit(
        f"Error: mitozoo needs Python 3.11, 3.12 or 3.13 with its venv module. This is Python {sys.version_info[0]}."
        f"{sys.version_info[1]}, and no other was found. Install one (on Debian and Ubuntu with python3-venv), "
        "and run this again."
    )


def venv_python():
    """Return the path of the environment's interpreter."""
    return os.path.join(VENV, "Scripts", "python.exe") if os.name == "nt" else os.path.join(VENV, "bin", "python")


def stamp_path(extra):
    """Return the file that holds the fingerprint of what was installed."""
    return os.path.join(VENV, "mitozoo-installed" + ("-" + extra if extra else ""))


def fingerprint():
    """Return a hash of what decides the installation; the checkout's place is part of it, as it may be moved."""
    digest = hashlib.sha256(ROOT.encode("utf-8"))
    for name in ("setup.cfg", "pyproject.toml"):
        with open(os.path.join(ROOT, name), "rb") as stream:
            digest.update(stream.read())
    return digest.hexdigest()


def read(path):
    """Return a small file's text, or nothing where it does not exist."""
    if not os.path.exists(path):
        return ""
    with open(path) as stream:
        return stream.read().strip()


def make_environment():
    """Make `.venv` unless a working one is there."""
    version = version_of([venv_python()], PROBE.replace(", venv, ensurepip", ""))
    if version in SUPPORTED:
        return
    ours = any(os.path.exists(stamp_path(extra)) for extra in ("", "dev"))
    if version is not None:
        give_up(f"{VENV} is of Python {version[0]}.{version[1]}. Delete it, or move it away, and run this again.")
    if os.path.isdir(VENV) and os.listdir(VENV) and not ours:
        give_up(f"{VENV} is there but has no Python that works. Delete it, or move it away, and run this again.")
    command = interpreter()
    say(f"Making {VENV} with {' '.join(command)}")
    if subprocess.call(command + ["-m", "venv", "--clear", VENV]):
        give_up("The virtual environment could not be made; see above.")


def install(extra=""):
    """Install mitozoo from the checkout, with the extra's packages, unless that was done for this setup.cfg."""
    wanted = fingerprint()
    if read(stamp_path(extra)) == wanted or (not extra and read(stamp_path("dev")) == wanted):
        return
    what = f".[{extra}]" if extra else "."
    say(f"Installing mitozoo and what it needs (pip install -e {what}): some minutes the first time")
    command = [venv_python(), "-m", "pip", "install", "--disable-pip-version-check", "-e", what]
    if not sys.stdout.isatty():
        command.insert(4, "--quiet")
    if subprocess.call(command, cwd=ROOT):
        give_up("The installation failed; see above. Go online and run this again: it goes on where it stopped.")
    with open(stamp_path(extra), "w") as stream:
        stream.write(wanted + "\n")


def ready(extra=""):
    """Make the environment and return the path of its interpreter."""
    make_environment()
    install(extra)
    return venv_python()


def run(command):
    """Say and run a command in the checkout; return its exit code."""
    shown = ["python" if part == venv_python() else part for part in command]
    say(" ".join(f'"{part}"' if " " in part else part for part in shown))
    return subprocess.call(command, cwd=ROOT)
