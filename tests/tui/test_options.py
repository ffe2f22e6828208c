"""Options of a run: kept in its trail, taken up again, and written as arguments."""

import os
import subprocess
from dataclasses import fields, replace
from pathlib import Path

import click
import pytest
from conftest import refused

from core.assets import AssetError
from tui.commands.explore import _with_files_of
from tui.flags import asset_options, explorer_options
from tui.options import Options
from tui.trail import Run

MODEL = {"model": Path("/m.pkl"), "vectors": Path("/v.vec")}
FILES = Options(**MODEL, captions=Path("/c.csv"), text_column=("a", "b"), header=False)


def test_a_document_gives_the_options_again():
    assert Options().filled(FILES.document()) == FILES


def test_what_is_given_counts_and_the_rest_is_filled():
    given = Options(captions=Path("/other.txt"), device="cpu").filled(FILES.document())
    assert (given.captions, given.model, given.device) == (Path("/other.txt"), FILES.model, "cpu")


@pytest.mark.parametrize("given", [Options(model=Path("/mine.pkl")), Options(embeddings=Path("/mine.npy"))])
def test_a_model_that_is_given_excludes_the_one_of_the_document(given):
    document = Options(embeddings=Path("/e.npy"), captions=Path("/c.csv"), separator=";").document()
    filled = given.filled(document)
    assert (filled.model, filled.embeddings) == (given.model, given.embeddings)
    assert (filled.captions, filled.separator) == (Path("/c.csv"), ";")


def test_the_size_of_the_vocabulary_is_no_model(tmp_path):
    filled = Options(vocab_size="100").filled(FILES.document())
    assert (filled.model, filled.vectors, filled.vocab_size) == (FILES.model, FILES.vectors, "100")


def test_what_is_no_value_of_an_option_is_left_out():
    broken = {"text_column": 5, "header": "yes", "captions": 3, "model": None, "zzz": 1, "encoding": "cp1252"}
    assert Options().filled(broken) == Options(encoding="cp1252", demo=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model_version", "zz"),
        ("vocab_size", "abc"),
        ("vocab_size", "0"),
        pytest.param("vocab_size", "9" * 5000, id="vocab_size-of 5,000 digits"),
        ("layout", "dance"),
        ("separator", ""),
        ("encoding", "nope"),
        ("encoding", "a\0"),
    ],
)
def test_what_the_command_line_refuses_a_document_does_not_give(name, value, run):
    assert Options().filled({name: value}) == Options(demo=True)
    option = f"--{name.replace('_', '-')}"
    assert refused(run("search", "a", option, value), option)


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        *(("model_version", "2", "2"), ("vocab_size", "all", "all"), ("vocab_size", "007", "007")),
        *(("layout", "table", "table"), ("separator", "\t", "\t"), ("encoding", "utf-16-le", "utf-16-le")),
        *(("header", False, False), ("id_column", "name", "name"), ("captions", "/ä b.txt", Path("/ä b.txt"))),
        *(("text_column", ["caption"], ("caption",)), ("text_column", ("b", "a"), ("b", "a"))),
    ],
)
def test_a_value_of_an_option_is_taken_from_a_document(name, value, found):
    assert Options().filled({name: value}) == replace(Options(demo=True), **{name: found})


@pytest.mark.parametrize("value", ["caption", "", [], {}, {"caption": 1}, None])
def test_text_columns_are_a_list_and_no_text_of_letters(value):
    assert Options().filled({"text_column": value}) == Options(demo=True)


@pytest.mark.parametrize("broken", ["a\0b", "a\ud800", ["a", "b\0"], ["\udfff"], ["a", 5], [["a"]]])
def test_what_no_program_can_be_started_with_a_document_does_not_give(broken):
    names = [each.name for each in fields(Options)]
    filled = Options().filled(dict.fromkeys(names, broken))
    subprocess.run(["true", *filled.arguments()], check=True)
    assert filled == Options(demo=True)


def test_a_file_name_that_is_no_text_is_kept():
    captions = Path(os.fsdecode(b"/a\xff.txt"))
    filled = Options().filled(Options(captions=captions, text_column=("\udcff",)).document())
    assert (filled.captions, filled.text_column) == (captions, ("\udcff",))
    subprocess.run(["true", *filled.arguments()], check=True)


def test_another_file_keeps_the_model_and_forgets_how_captions_were_read():
    opened = FILES.reopened(Path("/other.txt"))
    assert opened == Options(**MODEL, captions=Path("/other.txt"))
    given = Options(embeddings=Path("/e.npy"), vectors=Path("/v.vec"), captions=Path("/c.csv"), theme="nord")
    assert given.reopened(Path("/other.txt")) == Options(captions=Path("/other.txt"), theme="nord")


def test_an_earlier_run_is_opened_by_its_own_model():
    assert FILES.reopened({"captions": "/x.txt"}) == Options(captions=Path("/x.txt"), demo=True)
    assert FILES.reopened({}) == Options(demo=True)


def test_a_resumed_run_of_bundled_captions_has_its_model(tmp_path):
    from core.assets import DEMO_DIR

    about = {"captions": str(DEMO_DIR / "captions.json"), "options": {"model": "/m.pkl", "vectors": "/v.vec"}}
    assert _with_files_of(Run(tmp_path, about, (), 0), Options()) == Options(
        model=Path("/m.pkl"), vectors=Path("/v.vec")
    )
    assert _with_files_of(Run(tmp_path, about | {"options": None}, (), 0), Options()) == Options(demo=True)


@pytest.mark.parametrize("captions", ["/" + "x" * 5000, "/a\0b", "/\ud800", 5, ""])
def test_a_resumed_run_whose_captions_are_no_file_is_an_error(tmp_path, captions):
    with pytest.raises(AssetError, match="is gone"):
        _with_files_of(Run(tmp_path, {"captions": captions}, (), 0), Options())


def test_arguments_give_the_same_options():
    whole = Options(
        *(Path("/d d"), Path("/m.pkl"), Path("/v.vec"), Path("-c.txt"), Path("/e.npy"), "2", "100", "cpu", "float32"),
        *(
            Path("/cache"),
            "table",
            ("a", "b c"),
            "id",
            "image",
            True,
            ";",
            "cp1252",
            Path("random"),
            Path("/w.vec"),
            "last",
            True,
            "nord",
            7,
            True,
            True,
            True,
            Path("/i i"),
        ),
        store="s3://a b/c",
        exact=True,
        nprobes="20",
        refine="10",
    )
    assert [each.name for each in fields(Options) if getattr(whole, each.name) is None] == ["demo"]
    for options in (whole, Options(header=False), Options(demo=True), Options()):
        found = []

        @explorer_options
        @asset_options
        @click.command()
        @click.pass_context
        def command(context: click.Context, found: list = found) -> None:
            found.append(Options.of(context))

        command.main(options.arguments(), standalone_mode=False)
        assert found == [options]
