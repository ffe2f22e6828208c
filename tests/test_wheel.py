"""The wheel holds what it needs and nothing else, and works away from the checkout."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import Files

ROOT = Path(__file__).parents[1]
MADE_OR_HIDDEN = shutil.ignore_patterns(".*", "build", "dist", "cache", "*.egg-info", "__pycache__", "shared")


def pip(*arguments: object, cwd: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy of the project that also has something in its cache."""
    copy = tmp_path_factory.mktemp("project") / "infersent-tui"
    shutil.copytree(ROOT, copy, ignore=MADE_OR_HIDDEN)
    for folder in ("matrix", "vectors"):
        (copy / "cache" / folder).mkdir(parents=True)
        (copy / "cache" / folder / "planted.json").write_text("{}")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist", ".", cwd=copy)
    (built,) = (copy / "dist").glob("infersent_tui-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--no-index", "--target", folder, wheel, cwd=folder)
    return folder


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {Path(name).parts[0] for name in names if ".dist-info/" not in name} == {"core", "tui"}
    assert {
        "core/demo/captions.json",
        "core/demo/foreign.txt",
        "core/demo/README.md",
        "tui/app.tcss",
        "tui/widgets/hit_list.py",
    } <= names
    modules = {str(path.relative_to(ROOT)) for name in ("core", "tui") for path in (ROOT / name).rglob("*.py")}
    assert modules <= names
    assert not [name for name in names if "planted" in name or name.endswith(".pyc")]
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_whatever_the_demo_consists_of_is_in_the_wheel(wheel: Path):
    there = {f"core/demo/{path.name}" for path in (ROOT / "core" / "demo").iterdir() if path.is_file()}
    assert there <= set(zipfile.ZipFile(wheel).namelist())


def test_the_installed_copy_searches_from_another_folder(installed: Path, files: Files, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INFERSENT_TUI_")}
    environment |= {"PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(program: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=elsewhere,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = run("import core, tui; print(core.__file__); print(tui.__file__)").splitlines()
    assert all(Path(path).is_relative_to(installed) for path in where)
    start = "from tui.cli import main; main()"
    query = "a dog runs on the beach"
    document = json.loads(run(start, "search", query, "--json", "-k", "3", *files.flags))
    assert document["query"] == query
    assert len(document["hits"]) == 3
    assert list(elsewhere.iterdir()) == [], "nothing is left in the working folder"


def test_the_installed_copy_keeps_its_cache_with_the_user(installed: Path, tmp_path: Path):
    program = "from core.store.cache import Cache; print(Cache.default_root())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ
        | {"PYTHONPATH": str(installed), "XDG_CACHE_HOME": str(tmp_path / "user"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)


def test_the_installed_copy_has_its_console_script(installed: Path, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, str(installed / "bin" / "infersent-tui"), "--version"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout.startswith("infersent-tui")


@pytest.mark.skipif(not (ROOT / "core" / "demo" / "encoder.pkl").exists(), reason="the demo's encoder is not here")
def test_the_installed_copy_searches_its_own_demo(installed: Path, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "tui", "search", "a dog on the beach", "--json", "--cache-dir", str(tmp_path / "cache")],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    document = json.loads(done.stdout)
    assert document["model"] == "demo encoder"
    assert len(document["hits"]) == 10
