from .io import FolderType

class SavedResult(dict[str, str]):
    def __init__(self, filename: str, subfolder: str, type: FolderType) -> None: ...

class SavedImages:
    def __init__(self, results: list[SavedResult]) -> None: ...

class PreviewText:
    def __init__(self, value: str) -> None: ...
