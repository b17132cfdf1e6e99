"""Files written whole or not at all, JSON, and hashes."""

import hashlib
import json
import os

import pytest

from guided_face_edit.editor_core import files


def test_written_files_follow_the_umask(tmp_path):
    (tmp_path / "plain").write_text("")
    files.write_text(tmp_path / "a.txt", "x\n")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_link_keeps_pointing_at_what_was_written(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    files.write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "real.txt").read_text() == "new" and (tmp_path / "link.txt").is_symlink()


def test_impossible_destinations_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        files.write_text(tmp_path / "missing" / "a.txt", "x")
    with pytest.raises(FileExistsError, match="not a regular file"):
        files.write_text(tmp_path, "x")


def test_json_is_standard(tmp_path):
    files.write_json(tmp_path / "a.json", {"a": [1, 2.5]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": [1, 2.5]}
    with pytest.raises(ValueError):
        files.write_json(tmp_path / "a.json", float("nan"))
    assert os.listdir(tmp_path) == ["a.json"]


def test_sha256_reads_the_whole_file(tmp_path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "a").write_bytes(content)
    assert files.sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_a_folder_is_there_whole_or_not_at_all(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        with files.atomic_folder(tmp_path / name) as part:
            (part / "a.txt").write_text("x")
            assert not (tmp_path / name / "a.txt").exists()
        assert (tmp_path / name / "a.txt").read_text() == "x"
    with pytest.raises(ZeroDivisionError), files.atomic_folder(tmp_path / "half") as part:
        (part / "a.txt").write_text("x")
        raise ZeroDivisionError
    assert sorted(os.listdir(tmp_path)) == ["empty", "new"]
    with pytest.raises(FileExistsError, match="new is there already: name another"):
        files.check_new_folder(tmp_path / "new")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        files.check_new_folder(tmp_path / "missing" / "a")
