"""The commands of the trail: list, show and delete what earlier runs kept."""

from __future__ import annotations

from typing import Any

import click

from core.assets import AssetError
from tui.flags import CONTEXT, as_json, assume_yes, confirm_deletion
from tui.output import tell, tell_json, tell_lines
from tui.trail import Run, default_folder, find_path, find_run, list_runs


@click.group(context_settings=CONTEXT)
def trail() -> None:
    """List, show or delete what earlier runs asked and bookmarked."""


@trail.command("list")
@as_json
def trail_list(as_json: bool) -> None:
    """List the earlier runs, the latest first."""
    folder = default_folder()
    runs = [_summary(run) if isinstance(run, Run) else run for run in list_runs(folder)]  # one in memory at a time
    if as_json:
        tell_json([about for about in runs if not isinstance(about, AssetError)])
    for about in runs:
        if isinstance(about, AssetError):
            tell_lines(str(about), err=True)
        elif not as_json:
            counts = f"{about['queries']:4} queries  {about['bookmarks']:3} bookmarks"
            tell(f"{about['name']}  {counts}  {about['captions']}  “{about['last']}”")
    if not runs and not as_json:
        tell(f"no trails in {folder}: one begins with the second query of a run", err=True)


@trail.command("show")
@click.argument("run", default="last")
@as_json
def trail_show(run: str, as_json: bool) -> None:
    """Print the queries of RUN with their nearest captions, and its bookmarks. RUN is a name or `last`."""
    found = find_run(default_folder(), run)
    if found.broken:
        tell(f"note: {found.broken} broken lines are left out", err=True)
    if as_json:
        tell_json({"name": found.name, "about": found.about, "events": found.events})
        return
    answers = {event["answer"]: event for event in found.those("answer")}
    for visit in found.those("visit"):
        answer = answers.get(visit["visit"], {})
        step, drift = ("" if answer.get(name) is None else f"{answer[name]:.3f}" for name in ("step", "drift"))
        tell(f"{visit['visit']:4}  {visit['how']:8}  {step:>5}  {drift:>5}  {visit['text']}")
        for hit in answer.get("hits", [])[:3]:
            value = hit.get("distance", hit.get("score"))
            tell(f"{'':29}{value:.4f}  {hit['caption']}")
    for text, note in _bookmarks(found).items():
        tell(f"   ★  {text}{f'  [{note}]' if note else ''}")


@trail.command("delete")
@click.argument("runs", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Delete all of them.")
@assume_yes
def trail_delete(runs: tuple[str, ...], every: bool, yes: bool) -> None:
    """Delete the files of RUNS."""
    folder = default_folder()
    if every == bool(runs):
        raise click.UsageError("name the runs to delete, or use --all")
    paths = sorted(folder.glob("*.jsonl")) if every else [find_path(folder, run) for run in runs]
    for path in paths:
        tell(str(path))
    if paths and not yes:
        confirm_deletion(len(paths))
    kept: list[AssetError] = []
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            kept.append(AssetError.from_os_error(path, error))
    tell(f"deleted {len(paths) - len(kept)}")
    if kept:
        raise kept[0]


def _bookmarks(run: Run) -> dict[str, str]:
    """Return the notes of the captions that were marked at the end of a run."""
    notes: dict[str, str] = {}
    for event in run.events:
        if "bookmark" in event:
            notes[event["text"]] = event["note"]
        elif "unbookmark" in event:
            notes.pop(event["text"], None)
    return notes


def _summary(run: Run) -> dict[str, Any]:
    visits = run.those("visit")
    return {
        "name": run.name,
        "captions": run.about.get("captions", ""),
        "model": run.about.get("model", ""),
        "queries": len(visits),
        "bookmarks": len(_bookmarks(run)),
        "first": visits[0]["text"] if visits else "",
        "last": visits[-1]["text"] if visits else "",
        "path": str(run.path),
    }
