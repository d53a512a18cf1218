"""The page on the architecture names what is there, in the layers that the import rules hold."""

from __future__ import annotations

import re

import tomllib

from tests.docs.conftest import ROOT

PAGE = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
LAYERS = re.findall(r"^\| (\d) \|(.*)\|$", PAGE, re.MULTILINE)


def names(text: str) -> set[str]:
    return {name.removesuffix(".py").rstrip("/") for name in re.findall(r"`([\w/]+(?:\.py|/))`", text)}


def test_the_table_is_the_import_rule() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (rule,) = (one for one in config["tool"]["importlinter"]["contracts"] if one["id"] == "layers")
    ruled = [{name.strip() for name in layer.split(":")} for layer in rule["layers"]]

    assert [names(row) for _, row in LAYERS] == ruled
    assert [number for number, _ in LAYERS] == ["5", "4", "3", "2", "1", "0"]


def test_every_name_on_the_page_is_there() -> None:
    for name in re.findall(r"`([\w/]+\.(?:py|json|toml)|[\w/]+/)`", PAGE):
        assert any((base / name).exists() for base in (ROOT, ROOT / "harness", ROOT / "docs")), name
