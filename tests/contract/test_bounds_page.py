"""The table of bytes and clocks in docs/limits.md is that of the settings.

`python -m tests.contract.test_bounds_page` writes the file's section anew.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from plaza.entry.bounds import BOUNDS, options, table
from plaza.entry.proxies import Proxies
from plaza.realtime import Options
from plaza.realtime.http_errors import ALL
from plaza.settings import Settings, load

FILE = Path(__file__).parents[2] / "docs" / "limits.md"
BEGINS, ENDS = "<!-- bounds: made by tests/contract/test_bounds_page.py -->\n", "<!-- end of bounds -->\n"


def test_the_file_says_what_the_settings_say() -> None:
    assert FILE.read_text("utf-8").split(BEGINS)[1].split(ENDS)[0] == f"\n{table()}\n"


def test_each_setting_reaches_the_server_that_counts() -> None:
    for bound in BOUNDS:
        default = getattr(Settings(), bound.setting)
        settings = load({}, {f"PLAZA_{bound.setting.upper()}": str(int(default * 2 or 4_711))})
        changed = options(settings, Proxies([]), lambda _address: None)
        assert getattr(changed, bound.setting) == getattr(settings, bound.setting) != default


def test_defaults_are_the_same_with_and_without_settings() -> None:
    bare = Options()
    for bound in BOUNDS:
        assert getattr(bare, bound.setting) == getattr(Settings(), bound.setting)


def test_every_reason_stands_in_the_table() -> None:
    text = table()
    answered = {error.reason for error in ALL} - {"request.malformed", "message.timeout", "response.unread"}
    assert all(f"`{reason}`" in text for reason in answered)


def test_settings_out_of_their_bounds_are_named() -> None:
    kinds = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    for bound in BOUNDS:
        assert "Meta(" in repr(kinds[bound.setting])


if __name__ == "__main__":
    before, rest = FILE.read_text("utf-8").split(BEGINS)
    FILE.write_text(f"{before}{BEGINS}\n{table()}\n{ENDS}{rest.split(ENDS)[1]}", "utf-8")
