"""Saved files and states on Hugging Face: uploaded as they come, and fetched to resume from."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from huggingface_hub import HfApi, snapshot_download

from backend.errors import UserError

RepositoryKind = Literal["model", "dataset", "space"]


@dataclass(frozen=True)
class Repository:
    """Where files go. folder: inside the repository, "" for its top. The token is that of the environment, HF_TOKEN."""

    name: str
    kind: RepositoryKind = "model"
    folder: str = ""
    public: bool = False


@dataclass
class Uploader:
    """Uploads one after the other, in the order in which they were saved. A failure is told and ends nothing.

    in_background: training goes on meanwhile. states: whether folders of states are uploaded too. tell: gets a line for
    each upload, done or failed.
    """

    repository: Repository
    tell: Callable[[str], None]
    in_background: bool = False
    states: bool = False
    _worker: ThreadPoolExecutor = field(init=False)
    _is_made: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="upload")

    def add(self, path: Path) -> None:
        """Upload a file, or the folder of a state; returns at once in the background, else when it is done."""
        if path.is_dir() and not self.states:
            return
        upload = self._worker.submit(self._upload, path)
        if not self.in_background:
            upload.result()

    def finish(self) -> None:
        """Wait for what is still on its way."""
        self._worker.shutdown(wait=True)

    def _upload(self, path: Path) -> None:
        place = "/".join(filter(None, (self.repository.folder.strip("/"), path.name)))
        try:
            self._make_repository()
            target = {"repo_id": self.repository.name, "repo_type": self.repository.kind, "path_in_repo": place}
            if path.is_dir():
                HfApi().upload_folder(folder_path=path, **target)
            else:
                HfApi().upload_file(path_or_fileobj=path, **target)
        except Exception as error:  # whatever the network, the server or the disk does: the training is worth more
            self.tell(f"warning: {path.name} was not uploaded to {self.repository.name}: {_first_line(error)}")
        else:
            self.tell(f"uploaded {path.name} to {self.repository.name}/{place}")

    def _make_repository(self) -> None:
        if not self._is_made:
            private = not self.repository.public
            HfApi().create_repo(self.repository.name, repo_type=self.repository.kind, private=private, exist_ok=True)
            self._is_made = True


@dataclass(frozen=True)
class RemoteState:
    """A state folder in a repository, as `OWNER/NAME/FOLDER[:REVISION[:KIND]]` names it."""

    repository: str
    folder: str
    revision: str | None = None
    kind: str | None = None

    @classmethod
    def parse(cls, text: str) -> RemoteState:
        """Raises UserError if the text is not of that form."""
        path, _, rest = text.partition(":")
        revision, _, kind = rest.partition(":")
        owner, _, inner = path.partition("/")
        name, _, folder = inner.partition("/")
        if not (owner and name and folder.strip("/")):
            raise UserError(f"resume is {text!r}", hint="wanted OWNER/NAME/FOLDER[:REVISION[:KIND]]", option="resume")
        return cls(f"{owner}/{name}", folder.strip("/"), revision or None, kind or None)


def fetch_state(state: RemoteState, folder: Path) -> Path:
    """The state, downloaded into a folder; returns where it lies. Raises UserError if it cannot be had."""
    try:
        snapshot_download(
            state.repository,
            repo_type=state.kind,
            revision=state.revision,
            allow_patterns=f"{state.folder}/*",
            local_dir=folder,
        )
    except Exception as error:
        raise UserError(
            f"{state.repository}/{state.folder}: cannot be fetched: {_first_line(error)}",
            hint="check the name, the network, and HF_TOKEN for a private repository",
            option="resume",
        ) from error
    return folder / state.folder


def _first_line(error: BaseException) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
