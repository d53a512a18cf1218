"""What is recorded with must run under Python 3.9 with nothing but torch installed."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HARNESS = Path(__file__).parents[2] / "harness"
TRACE = (
    "__init__",
    "atomic",
    "fingerprint",
    "fingerprints",
    "fused_fingerprint",
    "naming",
    "nested",
    "schema",
    "writer",
)
FILES = [*sorted((HARNESS / "recording").glob("*.py")), *(HARNESS / "trace" / f"{name}.py" for name in TRACE)]
OURS = {".".join(path.relative_to(HARNESS.parent).with_suffix("").parts).removesuffix(".__init__") for path in FILES}
ALLOWED = set(sys.stdlib_module_names) | {"torch"}

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module imported when the code runs, those inside functions included, those for type checkers not."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield node.module or ""
        yield from imports(node)


def without_annotations(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that are evaluated under `from __future__ import annotations`."""
    for field, value in ast.iter_fields(tree):
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.AST) and field not in ("annotation", "returns"):
                yield node
                yield from without_annotations(node)


def newer_than_3_9(tree: ast.AST) -> Iterator[str]:
    """Calls and expressions that parse under 3.9 and fail when they run."""
    for node in without_annotations(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            given = {keyword.arg for keyword in node.keywords}
            if (name == "zip" and "strict" in given) or (name == "dataclass" and given & {"slots", "kw_only"}):
                yield ast.unparse(node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            operands = {ast.unparse(node.left), ast.unparse(node.right)}
            if operands & {"None", "int", "float", "str", "bool", "list", "tuple", "dict", "torch.Tensor"}:
                yield ast.unparse(node)


@each_file
def test_it_parses_under_python_3_9(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))

    assert list(newer_than_3_9(tree)) == []


@each_file
def test_annotations_are_not_evaluated(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    future = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]

    assert future or not [node for node in ast.walk(tree) if isinstance(node, (ast.AnnAssign, ast.FunctionDef))]


@each_file
def test_it_imports_the_standard_library_torch_and_its_like(path: Path) -> None:
    found = set(imports(ast.parse(path.read_text(encoding="utf-8"))))

    allowed = ALLOWED | ({"triton"} if path.stem == "fused_fingerprint" else set())  # imported where it is there
    assert {name for name in found if name.split(".")[0] not in allowed and name not in OURS} == set()


@pytest.mark.parametrize(
    "code",
    ["zip(a, b, strict=True)", "isinstance(x, int | None)", "X = str | list", "@dataclass(slots=True)\nclass A: ..."],
)
def test_the_test_knows_what_is_too_new(code: str) -> None:
    assert list(newer_than_3_9(ast.parse(code)))


@pytest.mark.parametrize("code", ["def f(a: int | None) -> str | None: ...", "x: int | None = 1 | 2", "zip(a, b)"])
def test_the_test_lets_annotations_be(code: str) -> None:
    assert list(newer_than_3_9(ast.parse(code))) == []


def test_the_test_sees_imports_in_functions_and_not_those_for_type_checkers() -> None:
    code = "if TYPE_CHECKING:\n  import a\ndef f():\n  import b.c\n  from d import e\n"

    assert list(imports(ast.parse(code))) == ["b.c", "d"]
