"""What is new in a run's folder since a page last looked, as server-sent events."""

from __future__ import annotations

import codecs
import functools
import json
import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote

from backend.config.toml_file import read_configuration
from backend.errors import UserError
from backend.runs.current import current_run
from backend.runs.failures import find_failure
from backend.runs.folder import RunFolder, RunState, find_run
from backend.runs.states import last_state
from gui.failure_words import told_failure
from gui.run_list import RunList
from gui.texts import Texts, texts_of

CURRENT = "current"
LOG_TAIL_BYTES = 256 * 1024  # a page that comes new to a run gets this much of its log
CHUNK_BYTES = 256 * 1024
PASSING_REQUESTS = ("save", "sample", "stop_after_epoch")
"""What a run can be asked for beside stopping at once."""
OVER = {state.value for state in RunState if state.is_over}


@dataclass(frozen=True)
class Position:
    """How far a page has read a run; the id of each event, which a browser sends back when it reconnects.

    run: name of the run's folder, "" before any. metrics, log: bytes read of metrics.jsonl and train.log.
    """

    run: str = ""
    metrics: int = 0
    log: int = 0

    @classmethod
    def parse(cls, event_id: str) -> Position:
        """The position that an id stands for; the beginning if it is none of ours."""
        run, _, offsets = event_id.partition(":")
        metrics, _, log = offsets.partition(":")
        if not (metrics.isdecimal() and log.isdecimal()):
            return cls()
        return cls(unquote(run), int(metrics), int(log))

    def __str__(self) -> str:
        return f"{quote(self.run, safe='')}:{self.metrics}:{self.log}"


class RunFeed:
    """Follows one run, or whichever run is current, for one page.

    Events, each with JSON data:
      run      {"run": folder name, "kind", "name", "can_sample"}   what follows is of this run, from its beginning;
                                                      {"run": null} if there is none. At the start and when it changes.
      status   {"run", "state", "stop_requested": Unix time or null, "requests": ["save", ...], "held", "exit":
               exit.json or null, "stop": stop.json with "elapsed_s" since its last stage, or null, "failure": see
               `told_failure`, or null, "last_state": {"step", "epoch"} of a training that is over, or null,
               "afterwards": [{"kind", "name"}, ...] of the runs that wait for it, ...status.json}
                                                      at the start and after each change
      metrics  [{"step": ..., ...}, ...]              new lines of metrics.jsonl; NaN and infinity are null
      log      {"offset", "end", "text"}              new text of train.log, `\\r` as it is: bytes offset..end
    """

    def __init__(
        self,
        workspace: Path,
        *,
        run: str = CURRENT,
        last_event_id: str = "",
        texts: Texts | None = None,
        run_list: RunList | None = None,
    ) -> None:
        """texts: of the page's language, in which failures are told; English if None.

        run_list: the one that all pages share, so that together they look for the current run once; None: an own one.
        """
        self.workspace = workspace
        self._run_list = run_list or RunList(workspace, fresh_s=0.0)
        self._texts = texts or texts_of("en")
        self.wanted = run
        self.has_more = False
        """Whether the last call of `news` stopped at CHUNK_BYTES."""
        self._position = Position.parse(last_event_id)
        self._is_announced = bool(self._position.run)
        self._status = ""

    def news(self) -> list[str]:
        """The events since the last call, [] if there are none. Reads at most CHUNK_BYTES of each file."""
        self.has_more = False
        run = find_run(self.workspace, self.wanted) if self.wanted != CURRENT else self._current_run()
        if run is None:
            return self._begin(None) if self._position.run or not self._is_announced else []
        is_new = not self._is_announced or run.name != self._position.run or self._has_shrunk(run)
        events = self._begin(run) if is_new else []
        return [*events, *self._status_news(run), *self._metrics_news(run), *self._log_news(run)]

    def _current_run(self) -> RunFolder | None:
        return current_run(self.workspace, runs=self._run_list.candidates())

    def _begin(self, run: RunFolder | None) -> list[str]:
        self._is_announced = True
        self._status = ""
        if run is None:
            self._position = Position()
            return [self._event("run", _to_json({"run": None}))]
        self._position = Position(run.name, log=_tail_offset(run.log_file))
        job = run.job()
        told = {"run": run.name, "kind": job and job.kind, "name": job and job.name, "can_sample": _can_sample(run)}
        return [self._event("run", _to_json(told))]

    def _has_shrunk(self, run: RunFolder) -> bool:
        return _size(run.metrics_file) < self._position.metrics or _size(run.log_file) < self._position.log

    def _status_news(self, run: RunFolder) -> list[str]:
        status = run.status()
        told = {
            "run": run.name,
            "state": run.state().value,
            "stop_requested": run.requested_at("stop"),
            "requests": [what for what in PASSING_REQUESTS if run.has_request(what)],
            "held": run.place().held,
            "exit": run.exit_record(),
            "stop": run.stop_record(),
            "afterwards": [{"kind": row.kind, "name": row.title} for row in self._run_list.waiting_for(run.name)],
            **(asdict(status) if status else {}),
        }
        text = _to_json(told)
        if text == self._status:
            return []
        self._status = text
        if status:
            told["message"] = self._texts.message(status.message)
            told["troubles"] = [{**each, "message": self._texts.message(each["message"])} for each in status.troubles]
        failure = find_failure(run)
        told["failure"] = told_failure(failure, self._texts) if failure else None
        told["last_state"] = _told_state(run) if told["state"] in OVER else None
        if stop := told["stop"]:
            told["stop"] = {**stop, "elapsed_s": max(0.0, time.time() - float(stop.get(stop.get("stage", ""), 0.0)))}
        return [self._event("status", _to_json(told))]

    def _metrics_news(self, run: RunFolder) -> list[str]:
        data = _read(run.metrics_file, self._position.metrics)
        whole = data[: data.rfind(b"\n") + 1]  # the last line may be half-written
        if not whole:
            return []
        self.has_more |= len(data) == CHUNK_BYTES
        self._position = replace(self._position, metrics=self._position.metrics + len(whole))
        rows = _metrics_json(whole)
        return [self._event("metrics", rows)] if rows else []

    def _log_news(self, run: RunFolder) -> list[str]:
        data = _read(run.log_file, self._position.log)
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        text = decoder.decode(data)
        if not text:
            return []
        self.has_more |= len(data) == CHUNK_BYTES
        offset = self._position.log
        end = offset + len(data) - len(decoder.getstate()[0])  # less the bytes of a half-written character
        self._position = replace(self._position, log=end)
        return [self._event("log", _to_json({"offset": offset, "end": end, "text": text}))]

    def _event(self, kind: str, data: str) -> str:
        return f"event: {kind}\nid: {self._position}\ndata: {data}\n\n"


def _can_sample(run: RunFolder) -> bool:
    """Whether the training has prompts to make samples of."""
    try:
        return read_configuration(run.config_file).sampling.sample_prompts is not None
    except UserError:  # no training, or not written yet
        return False


def _told_state(run: RunFolder) -> dict[str, int | None] | None:
    state = last_state(run)
    return {"step": state.step, "epoch": state.epoch} if state else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _read(path: Path, offset: int) -> bytes:
    if _size(path) <= offset:
        return b""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(CHUNK_BYTES)


def _tail_offset(path: Path) -> int:
    """Where the last LOG_TAIL_BYTES begin, at the start of a line."""
    start = _size(path) - LOG_TAIL_BYTES
    if start <= 0:
        return 0
    return start + _read(path, start).find(b"\n") + 1


@functools.lru_cache(maxsize=32)  # 32 x 256 KiB at most; pages that follow one run, or open together, share them
def _metrics_json(lines: bytes) -> str:
    """Lines of metrics.jsonl as one JSON array, "" if none of them can be read."""
    rows = [row for line in lines.splitlines() if (row := _parse_line(line)) is not None]
    return _to_json(rows) if rows else ""


def _parse_line(line: bytes) -> dict[str, object] | None:
    try:
        row = json.loads(line)
    except ValueError:  # a writer that was killed leaves half a line
        return None
    return row if isinstance(row, dict) else None


def _to_json(data: object) -> str:
    try:
        return json.dumps(data, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_without_nan(data), ensure_ascii=False)


def _without_nan(data: object) -> object:
    """NaN and infinity, which JSON does not know and a browser refuses to parse, as None."""
    if isinstance(data, dict):
        return {key: _without_nan(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_without_nan(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
