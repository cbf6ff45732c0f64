"""Which browser is driven, and what is said where there is none."""

from pathlib import Path

import pytest

from local import chromium, pictures


def test_the_chromium_that_is_named_is_the_one_that_is_taken(tmp_path: Path) -> None:
    mine = tmp_path / "my-chromium"
    mine.touch(mode=0o755)

    assert chromium.find({"CHROMIUM": str(mine)}) == str(mine)


def test_one_that_is_named_but_not_there_is_not_replaced_by_another(tmp_path: Path) -> None:
    assert chromium.find({"CHROMIUM": str(tmp_path / "nothing")}) is None


def test_without_a_chromium_the_pictures_say_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(chromium, "find", lambda: None)

    assert pictures.main() == 1
    assert "apt-get install chromium" in capsys.readouterr().err
