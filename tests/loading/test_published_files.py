"""The entries of published files are whole, and no two are the same."""

from pathlib import PurePath

from guided_face_edit.editor_core.loading.known_files import FOLDERS, describe_origin
from guided_face_edit.editor_core.loading.published_files import KNOWN_FILES


def test_hashes_are_whole_or_unknown():
    hashes = [file.sha256 for file in KNOWN_FILES if file.sha256]
    assert all(len(bytes.fromhex(digest)) == 32 for digest in hashes)
    assert len(set(hashes)) == len(hashes)


def test_published_files_have_names_of_their_own_and_can_be_fetched():
    names = [name for file in KNOWN_FILES for name in (file.name, *file.aliases)]
    assert len(set(names)) == len(names)
    for file in KNOWN_FILES:
        assert file.kind in FOLDERS or not file.loads, file.name
        assert file.loads or "comfy" not in describe_origin(file.name)
        if file.url:
            assert file.url.startswith("https://")
            assert PurePath(file.url).name in {PurePath(n).name for n in (file.name, *file.aliases)}
