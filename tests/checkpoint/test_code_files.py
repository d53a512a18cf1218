"""The code files that a directory names, with all that they import, and what is missing of them."""

from pathlib import Path
from typing import Any

import pytest

from harness.checkpoint.code_files import code_files
from tests.checkpoint.directories import CODE, with_code, write


def test_all_code_of_a_whole_directory_is_found_and_nothing_is_missing(tmp_path: Path) -> None:
    found = code_files(with_code(tmp_path))

    assert (found.named, found.missing, found.problems) == (tuple(sorted(CODE)), (), ())


@pytest.mark.parametrize("absent", sorted(CODE))
def test_each_absent_file_is_missing_with_who_needs_it(tmp_path: Path, absent: str) -> None:
    with_code(tmp_path)
    (tmp_path / absent).unlink()
    found = code_files(tmp_path)

    assert absent in found.named
    assert found.missing == (absent,)
    assert len(found.problems) == 1
    assert f"{absent}: is missing, and " in str(found.problems[0])


def test_an_import_is_followed_through_files(tmp_path: Path) -> None:
    write(tmp_path, "config.json", {"auto_map": {"AutoModel": "a.A"}})
    write(tmp_path, "a.py", "from .b import B\n")
    write(tmp_path, "b.py", "def later():\n    try:\n        from .parts.c import C\n    except ImportError: pass\n")
    write(tmp_path, "parts/c.py", "from . import d\nfrom ..e import E\nfrom .box import Box\nimport f\n")
    write(tmp_path, "parts/box/__init__.py", "")
    found = code_files(tmp_path)

    assert found.named == ("a.py", "b.py", "e.py", "parts/box/__init__.py", "parts/c.py", "parts/d.py")
    assert found.missing == ("e.py", "parts/d.py")
    assert [line for line in found.problems if "e.py: is missing, and parts/c.py needs it" in str(line)]


def test_code_in_a_repository_is_no_file_of_the_directory(tmp_path: Path) -> None:
    write(tmp_path, "config.json", {"auto_map": {"AutoModel": "somebody/repo--a.A", "AutoConfig": "b.B"}})
    found = code_files(tmp_path)

    assert (found.named, found.elsewhere) == (("b.py",), ("somebody/repo--a.A",))


def test_circular_imports_end(tmp_path: Path) -> None:
    write(tmp_path, "config.json", {"auto_map": {"AutoModel": "a.A"}})
    write(tmp_path, "a.py", "from .b import B\nfrom .a import A\n")
    write(tmp_path, "b.py", "from .a import A\n")

    assert code_files(tmp_path).named == ("a.py", "b.py")


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("config.json", {"auto_map": {"AutoModel": "a.A"}}, ("a.py",)),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["a.A", None]}}, ("a.py",)),
        ("tokenizer_config.json", {"auto_map": ["a.A", "b.B"]}, ("a.py", "b.py")),
        ("preprocessor_config.json", {"auto_map": {"AutoProcessor": "a.A"}}, ("a.py",)),
        ("processor_config.json", {"auto_map": {"AutoProcessor": "a.A"}}, ("a.py",)),
        ("processor_config.json", {"image_processor": {"auto_map": {"AutoImageProcessor": "a.A"}}}, ("a.py",)),
        ("config.json", {"auto_map": {"AutoModel": "somebody/repo--a.A"}}, ()),
        ("config.json", {"auto_map": None}, ()),
        ("config.json", {"text_config": {"auto_map": {"AutoModel": "a.A"}}}, ()),
        ("generation_config.json", {"auto_map": {"AutoModel": "a.A"}}, ()),
    ],
)
def test_a_configuration_names_files(tmp_path: Path, name: str, content: Any, named: tuple[str, ...]) -> None:
    write(tmp_path, name, content)
    found = code_files(tmp_path)

    assert found.named == found.missing == named


@pytest.mark.parametrize(
    ("auto_map", "said"),
    [
        (3, "config.json: has auto_map 3, which is no map to classes"),
        ("a.A", "config.json: has auto_map 'a.A', which is no map to classes"),
        ({"AutoModel": 3}, "config.json: names 3 in auto_map, which is no module.Class"),
        ({"AutoModel": ["A"]}, "config.json: names 'A' in auto_map, which is no module.Class"),
        ({"AutoModel": "../a.A"}, "config.json: names '../a.A' in auto_map"),
        ({"AutoModel": "/etc/a.A"}, "config.json: names '/etc/a.A' in auto_map"),
        ({"AutoModel": "a.b.A"}, "config.json: names 'a.b.A' in auto_map"),
        ({"AutoModel": {"a": "b"}}, "config.json: names {'a': 'b'} in auto_map"),
        ({"AutoModel": "x" * 500}, f"config.json: names '{'x' * 56}... in auto_map"),
    ],
)
def test_an_auto_map_that_names_no_class_is_a_line(tmp_path: Path, auto_map: Any, said: str) -> None:
    write(tmp_path, "config.json", {"auto_map": auto_map})
    found = code_files(tmp_path)

    assert found.named == ()
    assert len(found.problems) == 1
    assert said in str(found.problems[0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(:\n", "a.py: is no Python that can be read: invalid syntax in line 1"),
        ("x = '\0'\n", "a.py: is no Python that can be read: "),
        ("(" * 5000, "a.py: is no Python that can be read: "),
        ("from ..b import B\n", "a.py: imports from outside the directory by a relative name"),
    ],
)
def test_code_that_cannot_be_followed_is_a_line(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path, "config.json", {"auto_map": {"AutoModel": "a.A"}})
    write(tmp_path, "a.py", text)
    found = code_files(tmp_path)

    assert (found.named, found.missing) == (("a.py",), ())
    assert len(found.problems) == 1
    assert said in str(found.problems[0])
    assert "\n" not in str(found.problems[0])


def test_bytes_that_are_no_text_are_a_line(tmp_path: Path) -> None:
    write(tmp_path, "config.json", {"auto_map": {"AutoModel": "a.A"}})
    (tmp_path / "a.py").write_bytes(b"\xff\xfe\x00")

    assert "a.py: is no Python that can be read" in str(code_files(tmp_path).problems[0])


def test_an_odd_escape_in_somebodys_string_is_no_warning_of_ours(tmp_path: Path) -> None:
    write(tmp_path, "config.json", {"auto_map": {"AutoModel": "a.A"}})
    write(tmp_path, "a.py", "from .b import B\nx = '\\d'\n")

    assert code_files(tmp_path).named == ("a.py", "b.py")
