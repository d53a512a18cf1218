"""Small packages made by the tests, and a pip that has nothing but them."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.stacks import AskedStack, Layers, Processes


def write_wheel(
    folder: Path, name: str, version: str, files: Mapping[str, bytes], requires: tuple[str, ...] = ()
) -> Path:
    """A wheel that pip installs."""
    about = f"{name.replace('-', '_')}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    content = {
        **files,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {
        path: base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=") for path, data in content.items()
    }
    record = "".join(f"{path},sha256={digest.decode()},{len(content[path])}\n" for path, digest in digests.items())
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in {**content, f"{about}/RECORD": f"{record}{about}/RECORD,,\n".encode()}.items():
            archive.writestr(path, data)
    return wheel


class FakePip(Processes):
    """Installs what it is told to have, in no time, and remembers what it was asked."""

    def __init__(self, *packages: str) -> None:
        super().__init__()
        self.packages = [package.split("==") for package in packages]
        self.asked: list[str] = []

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        options = dict(itertools.pairwise(command))
        self.asked.append("resolve" if "--dry-run" in command else "install")
        if "--dry-run" in command:
            items = [{"metadata": {"name": n, "version": v}, "download_info": {}} for n, v in self.packages]
            Path(options["--report"]).write_text(json.dumps({"install": items}))
        else:
            for name, version in self.packages:
                about = Path(options["--target"]) / f"{name}-{version}.dist-info"
                about.mkdir()
                (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        return subprocess.CompletedProcess(command, 0, "", "")


@dataclass
class Shelf:
    """A folder of packages that pip finds, a cache of layers, and what was said."""

    folder: Path
    cache: Path
    said: list[str]

    def wheel(self, name: str, version: str, requires: tuple[str, ...] = (), **modules: str) -> None:
        files = {f"{module}.py": text.encode() for module, text in modules.items()}
        write_wheel(self.folder, name, version, files, requires)

    @property
    def layers(self) -> Layers:
        return Layers(self.cache, self.said.append)

    def faked(self, *packages: str) -> tuple[Layers, FakePip]:
        """Layers of a pip that installs just these packages."""
        pip = FakePip(*packages)
        return Layers(self.cache, self.said.append, pip), pip


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """No network: a package is in this folder, or installed, or cannot be had."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "shelf"))
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    (tmp_path / "shelf").mkdir()
    return Shelf(tmp_path / "shelf", tmp_path / "cache", [])


def asked(name: str = "old", **versions: str) -> AskedStack:
    return AskedStack(name=name, versions={library.replace("_", "-"): version for library, version in versions.items()})
