"""Settings: how the screen looks and which keys it has, by options, the config file, and what was chosen last."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.assets import AssetError
from core.store.disk import ensure_folder
from core.store.plain import read_short
from tui.keys import COMMANDS
from tui.trail import data_folder

if TYPE_CHECKING:
    from textual.widget import Widget

    from tui.pictures import Pictures

HIGH_CONTRAST = "high-contrast"
"""Name of the theme without grey."""

_LONGEST = 16_000  # characters of the config file: of a dotted key, tomllib takes memory by the square of its length


@dataclass(frozen=True, slots=True)
class Settings:
    """What the screen is like."""

    theme: str | None = None
    """Name of the theme; None for the default."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Keys of commands, in Textual's names and separated by commas, by the names in `COMMANDS`."""
    mouse: bool = True
    """Whether the mouse is taken; without it, the terminal selects text as always."""
    low_bandwidth: bool = False
    """Whether less is painted: no animations, no blinking, ten frames a second."""
    ascii: bool = False
    """Whether the map is drawn without braille, for fonts that lack it."""
    pictures: Pictures | None = None
    """The images of the captions; None where no folder of them is named."""
    graphics: type[Widget] | None = None
    """The widget that draws images by the terminal's graphics; None for half blocks."""
    seed: int | None = None
    """Seed of the random captions; None for new ones in each run."""
    path: Path | None = None
    """The config file."""
    problems: tuple[str, ...] = ()
    """What is wrong with it, a sentence each; the rest of it counts."""


def config_path() -> Path:
    """Return the place of the config file, in the user's config folder."""
    import platformdirs

    return platformdirs.user_config_path("infersent-tui") / "config.toml"


def read_settings(path: Path) -> Settings:
    """Read the config file; a missing one sets nothing, and what is wrong in one is a problem."""
    try:
        values = tomllib.loads(read_short(path, most=_LONGEST))
        repr(values)  # which a number of thousands of digits, or a deep table, does not let Python do
    except FileNotFoundError:
        return Settings(path=path)
    except (OSError, ValueError, RecursionError) as error:
        reason = AssetError.from_os_error(path, error).found if isinstance(error, OSError) else error
        return Settings(path=path, problems=(f"it cannot be read, so nothing of it counts: {reason}",))
    types: dict[str, type] = {"theme": str, "mouse": bool, "low-bandwidth": bool, "ascii": bool, "keys": dict}
    good: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in values.items():
        if name not in types:
            problems.append(f"there is no setting {name!r}{_nearest(name, types)}")
        elif type(value) is not types[name]:
            problems.append(f"{name} is {value!r}, and should be a {_KINDS[types[name]]}")
        else:
            good[name.replace("-", "_")] = value
    if "theme" in good and (problem := theme_problem(good["theme"])):
        problems.append(problem)
        del good["theme"]
    good["keys"] = _read_keys(good.get("keys", {}), problems)
    return replace(Settings(**good), path=path, problems=tuple(problems))


_KINDS = {str: "text in quotes", bool: "true or false", dict: "table [keys]"}


def _read_keys(table: Mapping[str, Any], problems: list[str]) -> dict[str, str]:
    """Return the usable keys of a table; describe the others in `problems`."""
    keys: dict[str, str] = {}
    for name, value in table.items():
        if name not in COMMANDS:
            problems.append(f"[keys] has no command {name!r}{_nearest(name, COMMANDS)}")
        elif not isinstance(value, str) or not value.strip():
            problems.append(f'the key of {name} should be the name of one, such as "f5" or "ctrl+n"')
        else:
            keys[name] = value
    return keys


def theme_problem(theme: str) -> str:
    """Describe that there is no such theme; empty if there is."""
    from textual.theme import BUILTIN_THEMES

    names = (*BUILTIN_THEMES, HIGH_CONTRAST)
    return "" if theme in names else f"there is no theme {theme!r}{_nearest(theme, names)}"


def _nearest(name: str, names: Iterable[str]) -> str:
    names = list(names)
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {nearest[0]}?" if nearest else f"; there are {', '.join(sorted(names))}"


def last_theme() -> str | None:
    """Return the theme that was chosen last; None when none was."""
    with suppress(OSError, ValueError):
        return read_short(_theme_file(), most=_LONGEST).strip() or None
    return None


def keep_theme(theme: str) -> None:
    """Keep the name of a theme for the next run; a failure keeps nothing."""
    from core.store.whole import whole_file  # not loaded before the first frame

    with suppress(OSError, AssetError):
        ensure_folder(_theme_file().parent)
        with whole_file(_theme_file()) as work:
            work.write_text(theme + "\n", encoding="utf-8")


def _theme_file() -> Path:
    return data_folder() / "theme.txt"
