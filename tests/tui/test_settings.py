"""Theme, keys and the rest of the look: by options, by the config file, and as chosen last."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from test_app import make_app, ready, settle, type_text

from tui.app import ExplorerApp
from tui.keys import COMMANDS, key_name, keys_of, usable_keys
from tui.screens.explore import ExploreScreen
from tui.settings import Settings, config_path, keep_theme, last_theme, read_settings


@pytest.fixture
def data(tmp_path, monkeypatch):
    """The user's data folder, empty."""
    monkeypatch.setattr("tui.settings.data_folder", lambda: tmp_path / "data")
    return tmp_path / "data"


def explorer(files, settings: Settings) -> ExplorerApp:
    return ExplorerApp(make_app(files)._loader._open_corpus, settings=settings)


def test_a_config_file_sets_what_it_names(tmp_path):
    path = tmp_path / "config.toml"
    assert read_settings(path) == Settings(path=path)
    path.write_text('theme = "nord"\nmouse = false\nlow-bandwidth = true\n[keys]\nrandom = "f5"\nback = "h,u"\n')
    settings = read_settings(path)
    assert (settings.theme, settings.mouse, settings.low_bandwidth) == ("nord", False, True)
    assert settings.keys == {"random": "f5", "back": "h,u"}
    assert settings.problems == ()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('teme = "nord"', "no setting 'teme'; did you mean theme?"),
        ("theme = 3", "theme is 3, and should be a text in quotes"),
        ('theme = "nrod"', "no theme 'nrod'; did you mean nord?"),
        ('mouse = "no"', "mouse is 'no', and should be a true or false"),
        ('[keys]\nrandm = "f5"', "no command 'randm'; did you mean random?"),
        ('[keys]\nzzzzzz = "f5"', "no command 'zzzzzz'; there are back, bookmark"),
        ("[keys]\nrandom = 5", "the key of random should be the name of one"),
        ('theme = "nord', "cannot be read, so nothing of it counts"),
        ("\xff", "cannot be read, so nothing of it counts"),
        pytest.param(f"keys = {'[' * 5000}", "cannot be read, so nothing of it counts", id="nested"),
        pytest.param(f"mouse = 0x{'f' * 5000}", "cannot be read, so nothing of it counts", id="digits"),
    ],
)
def test_what_is_wrong_in_a_config_file_is_said_and_the_rest_counts(tmp_path, content, problem):
    path = tmp_path / "config.toml"
    path.write_text(f"low-bandwidth = true\n{content}\n", encoding="latin-1")
    settings = read_settings(path)
    (found,) = settings.problems
    assert problem in found
    assert settings.path == path
    assert settings.low_bandwidth == ("cannot be read" not in problem)


@pytest.mark.parametrize(
    ("keys", "usable", "problem"),
    [
        ({"random": "?", "help": "f1"}, {"random": "question_mark", "help": "f1"}, None),
        ({"random": "c", "compare": "r"}, {"random": "c", "compare": "r"}, None),
        ({"random": "shift+f5, ctrl+n"}, {"random": "shift+f5,ctrl+n"}, None),
        ({"random": "ä"}, {"random": "ä"}, None),
        ({"random": "shift+a"}, {}, "there is no key 'shift+a'"),
        ({"random": "digit_one"}, {}, "there is no key 'digit_one'"),
        ({"random": "ctrl+i"}, {}, "there is no key 'ctrl+i'"),
        ({"random": "strg+n"}, {}, "random: there is no key 'strg+n'"),
        ({"random": "f5x"}, {}, "there is no key 'f5x'"),
        ({"random": "f5,,"}, {}, "there is no key ''"),
        ({"random": "j"}, {}, "random: j cannot be assigned"),
        ({"quit": "escape", "random": "f5"}, {"random": "f5"}, "quit: escape cannot"),
        ({"random": "c"}, {}, "random: c is also that of compare; random keeps its usual key"),
        ({"random": "c", "compare": "c"}, {"compare": "c"}, "random keeps its usual key"),
        ({"random": "f5", "compare": "f5"}, {"compare": "f5"}, "random: f5 is also that of compare"),
    ],
)
def test_keys_that_do_not_exist_or_have_a_use_are_named_and_not_taken(keys, usable, problem):
    found, problems = usable_keys(keys)
    assert found == usable
    assert [problem in each for each in problems[:1]] == ([] if problem is None else [True])


@pytest.mark.parametrize(("key", "shown"), [("?", "?"), ("!", "!"), ("/", "/"), ("-", "-"), ("f5", "f5"), ("+", "+")])
def test_keys_are_shown_as_a_person_knows_them(key, shown):
    keys, problems = usable_keys({"random": key, "help": "f1", "find": "f2"})
    assert problems == []
    assert keys_of("random", keys) == shown


def test_the_usual_keys_are_those_of_the_bindings():
    bound = [
        *ExplorerApp.BINDINGS,
        *(binding for each in ExploreScreen.mro() for binding in vars(each).get("BINDINGS", ())),
    ]
    named = {binding.id: set(binding.key.split(",")) for binding in bound if getattr(binding, "id", None)}
    assert {command: {key_name(key) for key in keys.split()} for command, (keys, _) in COMMANDS.items()} == named
    assert usable_keys({command: keys.replace(" ", ",") for command, (keys, _) in COMMANDS.items()})[1] == []


async def test_all_mistakes_of_a_config_file_are_in_one_notice(files, data):
    mistakes = tuple(f"mistake {number}" for number in range(6))
    app = explorer(files, Settings(path=Path("/somewhere/config.toml"), problems=mistakes, keys={"random": "j"}))
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        (notice,) = [notice.message for notice in app._notifications if "mistake" in notice.message]
        assert notice.splitlines()[:7] == ["/somewhere/config.toml:", *mistakes]
        assert "j cannot" in notice


async def test_a_command_has_the_key_of_the_config_file_and_help_names_it(files, data):
    app = explorer(files, Settings(keys={"random": "f5", "back": "h,u"}))
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        first = app.explore.search_box.value
        await pilot.press("f5")
        await settle(pilot)
        assert len(app.explore.session.visits) == 2
        await pilot.press("u")
        await settle(pilot)
        assert app.explore.search_box.value == first
        await pilot.press("question_mark")
        text = str(app.screen.page.children[0].content)
        assert "f5          search with a random caption" in text
        assert "h u         return to the previous query" in text
        await pilot.press("escape", "r")
        assert app.explore.search_box.value == "r", "no command any more, so it types"


async def test_hints_name_the_keys_of_the_config_file(files, data):
    keys = {"why": "f6", "random": "f5", "find": "f2", "method": "f3", "bookmark": "f7", "compare": "f8"}
    app = explorer(files, Settings(keys=keys))
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        panel = app.explore.view.verdict_pane
        assert "f6: why" in str(panel.border_title)
        await pilot.press("f6")
        await pilot.pause()
        assert "why" not in str(panel.border_title)
        await pilot.press("B")
        (notice,) = [notice.message for notice in app._notifications if "bookmarks" in notice.message]
        assert "f7 marks" in notice
        await pilot.press("f2")
        await type_text(pilot, "qwertz")
        await pilot.press("enter")
        await settle(pilot)
        assert app.explore.hit_list.notice.endswith("f3: another method · f5: a random caption · f2: another text")
        assert app.explore.search_box.placeholder == "f2 or just type a sentence"
        assert str(app.explore.heading).endswith("f3")


async def test_every_command_has_a_binding_of_its_name(files, data):
    app = explorer(files, Settings())
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await pilot.press("slash", "escape")
        names = {active.binding.id for active in app.screen.active_bindings.values()}
        assert set(COMMANDS) <= names


async def test_the_theme_chosen_is_kept_and_an_option_goes_before_it(files, data):
    app = explorer(files, Settings())
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        assert last_theme() is None
        app.theme = "nord"
        await pilot.pause()
    assert last_theme() == "nord"
    app = explorer(files, Settings())
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        assert app.theme == "nord"
    app = explorer(files, Settings(theme="gruvbox"))
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        assert app.theme == "gruvbox"
    assert last_theme() == "nord"


@pytest.mark.parametrize("theme", ["nord", "textual-light", "ansi-dark", "high-contrast"])
async def test_a_theme_looks_alike_from_the_start_and_when_it_is_chosen(files, data, theme):
    looks = []
    for app in (explorer(files, Settings(theme=theme)), explorer(files, Settings(theme="gruvbox"))):
        async with app.run_test(size=(100, 30)) as pilot:
            await ready(pilot)
            app.theme = theme
            await pilot.pause(0.1)
            colours = [each.rich_style for each in (app.explore.header_line, app.explore.hit_list, app.explore.body)]
            looks.append((colours, sorted(app.classes), [each.enabled for each in app._filters]))
    assert looks[0] == looks[1]


def test_a_theme_that_cannot_be_kept_harms_nothing(data):
    data.write_text("a file")
    keep_theme("nord")
    assert last_theme() is None


async def test_a_seed_draws_the_same_captions_again(files, data):
    drawn = []
    for _ in range(2):
        app = explorer(files, Settings(seed=7))
        async with app.run_test(size=(100, 30)) as pilot:
            await ready(pilot)
            await pilot.press("r")
            await settle(pilot)
            drawn.append([visit.row for visit in app.explore.session.visits])
    assert drawn[0] == drawn[1]


def test_the_command_line_does_not_load_the_screen():
    code = "import sys; import tui.cli; sys.exit('textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_doctor_names_what_is_wrong_in_the_config_file(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = config_path()
    path.parent.mkdir(parents=True)
    path.write_text('teme = "nord"\n[keys]\nrandom = "j"\n')
    command = [sys.executable, "-m", "tui", "doctor", "--json", "--cache-dir", str(tmp_path / "cache")]
    config = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)["config"]
    assert config["path"] == str(path)
    assert ["teme" in config["problems"][0], "random" in config["problems"][1]] == [True, True]
