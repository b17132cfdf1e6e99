"""The repository as a package: what it offers, holds and asks for, and what checks it."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

import guided_face_edit
from guided_face_edit import editor_core

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
PACKED = ("editor_core", "nodes", "web", "workflows", "subgraphs", "locales")


def _requirements(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line.partition(" #")[0] for line in lines if line and not line.startswith("#")]


def test_requirements_are_lower_bounds_and_the_project_says_the_same():
    requirements = _requirements("requirements.txt")
    assert all(re.fullmatch(r"[a-z0-9-]+>=[0-9.]+", line) for line in requirements)
    assert PROJECT["project"]["dependencies"] == requirements


def test_requirements_of_developers_are_the_extra_dev():
    own, *others = EXTRAS["dev"]
    extras = re.fullmatch(r"guided-face-edit\[(.*)\]", own)[1].split(",")
    wanted = [*others, *(each for extra in extras for each in EXTRAS[extra])]
    assert sorted(_requirements("requirements-dev.txt")) == sorted(["-r requirements.txt", *wanted])


def test_the_changelog_begins_with_the_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (\S+)", text, re.MULTILINE)[1] == PROJECT["project"]["version"]


def test_every_folder_of_the_editor_is_packed():
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "editor_core").rglob("*.py")}
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    wanted = {".".join(["guided_face_edit", *folder.parts]) for folder in folders}
    assert listed == {*wanted, "guided_face_edit", "guided_face_edit.nodes"}
    assert all((ROOT / folder / "__init__.py").exists() for folder in folders)


def test_the_wheel_holds_the_pack_and_no_tools(tmp_path):
    pytest.importorskip("setuptools", minversion="77")
    for name in PACKED:
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("pyproject.toml", "README.md", "LICENSE", "__init__.py", "tools", "tests"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    build = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("dist/*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    held = {name.removeprefix("guided_face_edit/") for name in names if "dist-info" not in name}
    tracked = {
        path.relative_to(ROOT).as_posix()
        for folder in PACKED
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert held == {*tracked, "__init__.py"}
    entry = next(name for name in names if name.endswith("entry_points.txt"))
    assert b"face-edit = guided_face_edit.editor_core.cli:main" in zipfile.ZipFile(wheel).read(
        entry
    )


@pytest.mark.parametrize("module", [guided_face_edit, editor_core])
def test_the_public_functions_come_when_they_are_asked_for(module):
    assert module.__all__ == ["edit_face", "edit_photos", "load_models", "preset"]
    assert set(module.__all__) <= set(dir(module))
    assert all(getattr(module, name).__name__ == name for name in module.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'edit_cat'"):
        _ = module.edit_cat


def test_the_package_itself_imports_nothing():
    code = "import tools, sys; tools.load_checkout(); print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip() == "False", run.stderr


def test_pre_commit_checks_what_ci_checks():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook["entry"] for repo in config["repos"] for hook in repo["hooks"]]
    checks = (
        (ROOT / ".ci" / "run").read_text(encoding="utf-8").partition("requirements-dev.txt\n")[2]
    )
    assert hooks == [line.partition(" --site-dir")[0] for line in checks.splitlines()]


def test_the_registry_gets_what_the_package_has():
    ignored = {line.strip("/") for line in _requirements(".comfyignore")}
    assert {"tests", "tools", "benchmarks", "docs", "stubs", ".ci", ".github"} <= ignored
    assert not {*PACKED, "__init__.py", "pyproject.toml", "requirements.txt", "LICENSE"} & ignored
