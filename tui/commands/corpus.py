"""The commands calibrate, regions, embed and export, which process whole files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from core.assets import AssetError
from core.ranking.axes import EXAMPLE, Axes
from tui.documents import corpus_document, regions_document
from tui.exports import check_output, write_corpus
from tui.flags import as_json, asset_options, captions_file, quiet, refuse_store, refusing
from tui.options import Options
from tui.output import tell, tell_json, tell_lines
from tui.pace import print_message, print_notes, run_steps
from tui.report import report as report_text
from tui.text import counted


@click.command()
@captions_file
@as_json
@quiet
@asset_options
@click.pass_context
def calibrate(context: click.Context, file: Path | None, as_json: bool, quiet: bool) -> None:
    """Measure how reliable answers are on these captions, and print the result.

    The queries are whole captions and parts of captions. A query's own caption does not count as a hit. FILE is a file
    of captions, as with --captions.
    """
    opened = run_steps(Options.of(context, file=file).open_corpus("methods"), quiet=quiet)
    run_steps(opened.calibrate(again=True), quiet=quiet)
    print_notes(opened, quiet=quiet)
    if opened.calibration is None:
        opened.setup.encoder_files()  # an error if there is none
        captions, found = opened.setup.assets.captions, f"cannot be measured {opened.why_unmeasured}"
        raise AssetError(captions, found, expected="at least fifty with known words", advice="use more captions")
    if as_json:
        document = {"corpus": corpus_document(opened.captions)} | opened.calibration.document()
        tell_json(document, indent=1)
    else:
        tell_lines(report_text(opened.calibration, opened.name_of))


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The .npy file to write.")
@quiet
@asset_options
@click.pass_context
def embed(context: click.Context, file: Path, output: Path, quiet: bool) -> None:
    """Write the embeddings of the lines of FILE as a float32 array with one row per line, also for blank lines.

    The embeddings are not normalized. FILE can be - for standard input. --dtype sets the number format for encoding
    (default: float32).
    """
    options = Options.of(context)
    if options.dtype in (None, "auto"):
        options = replace(options, dtype="float32")
    setup = options.setup()
    setup.encoder_files()  # an error if there is none

    from core.corpus.text_files import read_lines
    from core.opening import open_text_encoder
    from core.store.whole import new_array, whole_file

    output = check_output(output, endings=(".npy",), used=[file, *setup.assets.files])
    lines = read_lines(file, encoding=options.encoding)
    text_encoder = run_steps(open_text_encoder(setup, options.open_cache()), quiet=quiet)
    shape = (len(lines), text_encoder.sentence_encoder.dim)
    with whole_file(output, advice="check the path and the disk") as work:
        out = new_array(work, shape, "<f4")
        run_steps(text_encoder.embed(lines, out), quiet=quiet)
        out.flush()
    if not quiet:
        tell(f"{output}: {shape[0]:,} x {shape[1]:,} float32", err=True)


@click.command()
@captions_file
@as_json
@quiet
@asset_options
@click.pass_context
def regions(context: click.Context, file: Path | None, as_json: bool, quiet: bool) -> None:
    """Print the regions of the captions: number, size, most telling words, and a caption in its middle.

    They are the parts that k-means finds, as on the map; `search --filter region:1` searches one of them. FILE is a
    file of captions, as with --captions.
    """
    opened = run_steps(Options.of(context, file=file).open_corpus(), quiet=quiet)
    print_notes(opened, quiet=quiet)

    from rich.cells import cell_len

    from core.explorer import Explorer

    found, captions = run_steps(Explorer(opened).mapper.regions(), quiet=quiet), opened.sample.captions
    if opened.sample.rows is not None:
        print_message(f"of a sample of {counted(len(captions), 'caption')}:", quiet=quiet)
    if as_json:
        tell_json(regions_document(captions, found), indent=1)
    else:
        width = max((cell_len(each.name) for each in found.regions), default=0)
        for each in found.regions:
            padding = " " * (width - cell_len(each.name))
            tell(f"{each.number:4}  {each.captions:7,}  {each.name}{padding}  {captions.texts[each.central]}")
    if found.regions:
        print_message(f"{found.held:.0%} of the variance lies between the regions", quiet=quiet)
    if outside := int((found.of == 0).sum()):
        print_message(f"{counted(outside, 'caption')} without a known word in none of them", quiet=quiet)
    context.exit(0 if found.regions else 1)


@click.command()
@captions_file
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The .parquet file to write.")
@click.option("--neighbors", default=10, type=click.IntRange(0), show_default=True, help="Nearest captions of each.")
@click.option("--axes", "axes_text", default="", help=f"Place them between phrases: {EXAMPLE!r}.")
@quiet
@asset_options
@click.pass_context
def export(
    context: click.Context, file: Path | None, output: Path, neighbors: int, axes_text: str, quiet: bool
) -> None:
    """Write the captions with their places on the map's plane, regions and nearest captions, as embedding-atlas reads.

    Columns: row, caption, caption_id, image_id, file_name, projection_x, projection_y, region, region_name, neighbors
    (zero-based rows and cosine distances). A caption without a known word has neither place nor region. FILE is a file
    of captions, as with --captions. The nearest captions take time that grows with the square of their number;
    --neighbors 0 leaves them out.
    """
    options = Options.of(context, file=file)
    refuse_store(options, "export")
    with refusing("--axes"):
        axes = Axes.parse(axes_text) if axes_text.strip() else None
    output = check_output(output, endings=(".parquet",), used=options.find_assets().files)
    opened = run_steps(options.open_corpus(), quiet=quiet)
    print_notes(opened, quiet=quiet)

    from core.explorer import Explorer
    from core.ranking.graph import nearest_of_all
    from core.store.whole import whole_file

    mapper, matrix = Explorer(opened).mapper, opened.sample.matrix
    with refusing("--axes"):
        corpus_map = run_steps(mapper.principal() if axes is None else mapper.between(axes), quiet=quiet)
    regions = run_steps(mapper.regions(), quiet=quiet)
    graph = run_steps(nearest_of_all(matrix, k=neighbors, device=opened.setup.device), quiet=quiet)
    with whole_file(output, advice="check the path and the disk") as work:
        write_corpus(work, opened.captions, corpus_map.points, regions, graph if neighbors else None)
    held = f"the plane holds {corpus_map.plane.held:.1%} of the variance"
    message = f"{output}: {len(matrix):,} captions; {held}"
    print_message(message, quiet=quiet)
    columns = "--text caption --x projection_x --y projection_y" + (" --neighbors neighbors" if neighbors else "")
    print_message(f"to look at it: embedding-atlas {output} {columns}", quiet=quiet)
