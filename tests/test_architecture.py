"""The house rules that a script can see: sizes, docstrings, unsafe loads, light imports, mirrored tests."""

import ast
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sleap_nn.config.fields import walk
from sleap_nn.config.training_job_config import TrainingJobConfig

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "sleap_nn").rglob("*.py"))
TESTS_WITHOUT_MODULE = {
    "test_architecture.py",
    "test_documented_options.py",
    "test_factories.py",
    "test_package.py",
    "test_public_names.py",
}
"""Tests of the package as a whole and of what the tests share."""
TEST_FOLDERS_WITHOUT_PACKAGE = ("contracts", "e2e", "golden", "docs")
"""Folders whose tests look at several modules together."""

MAX_MODULE_LINES, P90_MODULE_LINES, MEDIAN_MODULE_LINES = 500, 350, 150
MAX_FUNCTION_LINES, P90_FUNCTION_LINES, MEDIAN_FUNCTION_LINES = 80, 45, 15

PICKLERS = {"pickle", "dill", "cloudpickle", "joblib"}

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in MODULES:
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def functions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def place(path: Path, node: Definition) -> str:
    return f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"


def num_lines(node: Definition) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def p90(values: list[int]) -> float:
    return statistics.quantiles(values, n=10)[-1]


def public_definitions(tree: ast.Module) -> Iterator[Definition]:
    """Yield the public classes and functions of a module, and the public methods of its classes."""
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (
                    member
                    for member in node.body
                    if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) and not member.name.startswith("_")
                )


def test_modules_are_small():
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {str(path): count for path, count in lines.items() if count > MAX_MODULE_LINES} == {}
    assert p90(list(lines.values())) <= P90_MODULE_LINES
    assert statistics.median(lines.values()) <= MEDIAN_MODULE_LINES


def test_functions_are_small():
    lines = {place(path, node): num_lines(node) for path, node in functions()}
    assert {name: count for name, count in lines.items() if count > MAX_FUNCTION_LINES} == {}
    assert p90(list(lines.values())) <= P90_FUNCTION_LINES
    assert statistics.median(lines.values()) <= MEDIAN_FUNCTION_LINES


def test_everything_public_is_documented():
    missing = [str(path.relative_to(ROOT)) for path, tree in trees() if ast.get_docstring(tree) is None]
    missing += [
        place(path, node)
        for path, tree in trees()
        for node in public_definitions(tree)
        if ast.get_docstring(node) is None
    ]
    assert missing == []


def test_nothing_is_loaded_that_can_run_code():
    unsafe = []
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom) and imports_pickle(node):
                unsafe.append(f"{path.relative_to(ROOT)}:{node.lineno} imports pickle")
            elif isinstance(node, ast.Call):
                unsafe += [f"{path.relative_to(ROOT)}:{node.lineno} {problem}" for problem in unsafe_call(node)]
    assert unsafe == []


def imports_pickle(node: ast.Import | ast.ImportFrom) -> bool:
    """Say whether pickled objects could be read; the error that torch raises about them may be caught."""
    if isinstance(node, ast.ImportFrom):
        return node.module in PICKLERS and [alias.name for alias in node.names] != ["UnpicklingError"]
    return any(alias.name in PICKLERS for alias in node.names)


def unsafe_call(node: ast.Call) -> list[str]:
    keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    problems = []
    if keywords.get("allow_pickle", "False") != "False":
        problems.append("allow_pickle")
    if ast.unparse(node.func) == "torch.load" and keywords.get("weights_only") != "True":
        problems.append("torch.load without weights_only=True")
    return problems


@pytest.mark.parametrize(
    ("call", "num_problems"),
    [
        ("torch.load(path, weights_only=True)", 0),
        ("torch.load(path)", 1),
        ("torch.load(path, weights_only=False)", 1),
        ("numpy.load(path)", 0),
        ("numpy.load(path, allow_pickle=True)", 1),
    ],
)
def test_unsafe_calls_are_seen(call, num_problems):
    assert len(unsafe_call(ast.parse(call, mode="eval").body)) == num_problems


def test_every_config_field_has_help():
    silent = [path for path, field in walk(TrainingJobConfig) if len(field.option.help) < 10]
    assert silent == []


def test_tests_mirror_the_package():
    lost = []
    for test in sorted((ROOT / "tests").rglob("test_*.py")):
        path = test.relative_to(ROOT / "tests")
        if path.parts[0] in TEST_FOLDERS_WITHOUT_PACKAGE or path.name in TESTS_WITHOUT_MODULE:
            continue
        module = ROOT / "sleap_nn" / path.parent / path.name.removeprefix("test_")
        if not module.exists() and not module.with_suffix("").is_dir():
            lost.append(str(path))
    assert lost == []


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("sleap_nn", ("torch", "lightning", "omegaconf", "sleap_io")),
        ("sleap_nn.cli", ("torch", "lightning", "omegaconf", "sleap_io")),
        ("sleap_nn.structures", ("lightning", "omegaconf", "sleap_io")),
        ("sleap_nn.compat", ("torch", "lightning", "omegaconf", "sleap_io")),
    ],
)
def test_imports_are_light(module, absent):
    program = f"import sys, {module}; print([name for name in {absent} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert answer.stdout == "[]\n"
