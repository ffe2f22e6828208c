"""Run one benchmark or `all`: `python -m benchmarks NAME [--json]`."""

from __future__ import annotations

import importlib
import json
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from textwrap import fill

NAMES = (
    *("notebook", "encode", "search", "live", "vectors", "start", "memory", "scale"),
    *("map", "methods", "variations", "verdict", "wire"),
)
"""The benchmarks that `all` runs."""

ALONE = ("gpu", "million", "store", "bucket", "parts")
"""Those that run only when they are named."""


def questions() -> str:
    """Return what each benchmark measures, a line each, as the first line of its module says."""
    lines = []
    for name in (*NAMES, *ALONE):
        with Path(__file__).with_name(f"{name}.py").open(encoding="utf-8") as module:
            question = module.readline().strip().strip('"')
        lines.append(fill(f"{name:11}{question}", 76, subsequent_indent=" " * 11))
    return "\n".join(lines)


def missing_packages() -> list[str]:
    """List the project's dependencies that are not installed, in the order of pyproject.toml."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    missing = []
    for requirement in project["dependencies"]:
        name = re.split(r"[^\w.-]", requirement)[0]
        try:
            version(name)
        except PackageNotFoundError:
            missing.append(name)
    return missing


def main() -> None:
    """Check the dependencies, then parse the command line and run the benchmarks."""
    if missing := missing_packages():
        names = " ".join(missing)
        sys.exit(f"not installed here: {names} (no network? `make offline-wheels LACKS='{names}'` on another machine)")
    import click

    from benchmarks.measure import machine, plain
    from core.assets import AssetError
    from tui.documents import flat

    @click.command(epilog=f"\b\n{questions()}")
    @click.argument("name", type=click.Choice([*NAMES, *ALONE, "all"]), metavar="NAME")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    @click.option("--quick", is_flag=True, help="Do less work in fewer rounds, to check that it runs.")
    @click.option("--device", help="Only for gpu: cuda (default), cuda:N, cpu or auto.")
    @click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Only for gpu: folder for gpu.json.")
    def measure(name: str, as_json: bool, quick: bool, device: str | None, out: Path | None) -> None:
        """Measure the explorer and its alternatives; `all` measures everything but `gpu`, `million` and `store`."""
        if name != "gpu" and (device or out):
            raise click.UsageError("--device and --out belong to gpu")
        documents = {}
        for each in NAMES if name == "all" else (name,):
            click.echo(f"measuring {each} ...", err=True)
            options = {"device": device or "cuda", "out": out} if each == "gpu" else {}
            try:
                result = importlib.import_module(f"benchmarks.{each}").run(quick=quick, **options)
            except (AssetError, OSError) as error:
                raise click.ClickException(str(error)) from error
            except ModuleNotFoundError as error:
                advice = "install the extra `bench`: pip install -c constraints.txt -e '.[bench]'"
                raise click.ClickException(f"{error.name} is not installed: {advice}") from error
            documents[each] = plain(result) | {"machine": machine()}
        if name == "gpu":
            from benchmarks import gpu

            click.echo(json.dumps(documents[name], indent=1) if as_json else gpu.table(documents[name]))
            sys.exit(1 if gpu.failed(documents[name]) else 0)
        if as_json:
            click.echo(json.dumps(documents[name] if name != "all" else documents, indent=1))
            return
        for each, document in documents.items():
            click.echo(f"{each}: {document.pop('question')}")
            for key, value in flat(document):
                click.echo(f"  {key}: {f'{value:.6g}' if isinstance(value, float) else value}")

    measure()


if __name__ == "__main__":
    main()
