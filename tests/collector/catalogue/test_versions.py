"""Card versions on disk: what was written is what is opened, for good, and nothing else ever is."""

from __future__ import annotations

import json
import logging
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from collector.catalogue.errors import CardDamaged, NoSuchCard
from collector.catalogue.shelf import (
    cards,
    keep_shipped,
    newest_card,
    open_card,
    shipped_files,
    shipped_version,
    user_folder,
)
from collector.catalogue.version import INDEX, files_digest, open_version, provider_text, read_version, write_version
from otel_cost.pricing import RateCard, default_card


def card_of(rate: int, provider: str = "openai") -> dict[str, str]:
    """A card with one model `m` at `rate` pico-USD per input token."""
    model = {
        "id": "m",
        "source": "test",
        "names": ["m"],
        "rows": [["standard", None, None, None, [[-1, {"input_tokens": rate}]]]],
    }
    files = {f"{provider}.json": provider_text({"provider": provider, "fallback_providers": [], "models": [model]})}
    index = {"digest": files_digest(files), "sources": {"dated": "2030-01-01"}, "providers": [provider]}
    return {**files, INDEX: json.dumps(index)}


def rate_of(card: RateCard) -> int:
    return card.model("openai", "m").variants["standard"][0].explicit["input_tokens"]


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2030, 1, day, hour, tzinfo=UTC)


def test_a_folder_that_is_not_there_has_the_shipped_card(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    assert [version.digest for version in cards(folder)] == [default_card().digest]
    assert newest_card(folder).digest == default_card().digest
    assert not folder.exists()


def test_the_shipped_card_is_dated_by_its_sources() -> None:
    assert shipped_version().made_at >= datetime(2026, 11, 22, tzinfo=UTC)


def test_a_version_is_opened_by_its_digest_the_beginning_of_it_or_its_day(tmp_path: Path) -> None:
    first, second = (write_version(tmp_path, card_of(rate), at(rate)) for rate in (1, 3))
    assert [version.digest for version in cards(tmp_path)][-2:] == [first.digest, second.digest]
    assert rate_of(open_card(tmp_path, first.digest)) == 1
    assert rate_of(open_card(tmp_path, second.digest[:5])) == 3
    assert [rate_of(open_card(tmp_path, date(2030, 1, day))) for day in (1, 2, 3, 4)] == [1, 1, 3, 3]
    assert open_card(tmp_path, date(2029, 12, 31)).digest == default_card().digest
    assert newest_card(tmp_path).digest == second.digest


def test_a_card_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    first = write_version(tmp_path, card_of(1), at(1))
    with pytest.raises(NoSuchCard, match=f"'abcdef' is the digest of no card version.*{first.digest} .2030-01-01"):
        open_card(tmp_path, "abcdef")
    with pytest.raises(NoSuchCard, match="no card version is as old as 2020-01-01"):
        open_card(tmp_path, date(2020, 1, 1))


def test_too_little_of_a_digest_is_refused(tmp_path: Path) -> None:
    first = write_version(tmp_path, card_of(1), at(1))
    with pytest.raises(NoSuchCard):
        open_card(tmp_path, first.digest[:3])


def test_the_same_card_of_the_same_moment_is_kept_once_and_never_rewritten(tmp_path: Path) -> None:
    path = write_version(tmp_path, card_of(1), at(1)).path
    assert path is not None
    before = (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino)
    assert write_version(tmp_path, card_of(1), at(1)).path == path
    assert (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_of_two_shipped_cards_of_one_day_the_one_of_this_program_is_used(tmp_path: Path) -> None:
    """An upgrade that only corrects prices takes effect, whatever the digests are."""
    for rate in range(1, 6):
        write_version(tmp_path, card_of(rate), shipped_version().made_at)
    assert newest_card(tmp_path).digest == default_card().digest


def test_an_open_card_needs_its_file_no_more(tmp_path: Path) -> None:
    path = write_version(tmp_path, card_of(7), at(1)).path
    assert path is not None
    card = open_version(path)
    path.unlink()
    assert rate_of(card) == 7


def test_what_was_written_is_what_is_read(tmp_path: Path) -> None:
    path = write_version(tmp_path, shipped_files(), at(1)).path
    assert path is not None
    assert read_version(path) == shipped_files()
    assert path.stat().st_size < 400_000


@pytest.mark.parametrize("damage", ["empty", "cut", "bit", "rate", "provider", "index"])
def test_a_damaged_version_is_never_priced_with(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    """The version before it is taken, and the log says which file it was."""
    write_version(tmp_path, card_of(1), at(1))
    path = write_version(tmp_path, card_of(2), at(2)).path
    assert path is not None
    content = bytearray(path.read_bytes())
    files = card_of(2)
    if damage == "empty":
        content.clear()
    elif damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "bit":
        content[60] ^= 1
    else:
        changed = {
            "rate": {**card_of(9), INDEX: files[INDEX]},
            "provider": {INDEX: files[INDEX]},
            "index": {**files, INDEX: "{}"},
        }[damage]
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in changed.items():
                archive.writestr(name, text)
        content = bytearray(path.read_bytes())
    path.write_bytes(content)
    with pytest.raises(CardDamaged, match=path.name):
        open_version(path)
    with caplog.at_level(logging.ERROR):
        assert rate_of(newest_card(tmp_path)) == 1
    assert path.name in caplog.text
    with pytest.raises(CardDamaged):
        open_card(tmp_path, cards(tmp_path)[-1].digest)


def test_with_every_version_damaged_the_shipped_card_prices(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keep_shipped(tmp_path)
    write_version(tmp_path, card_of(2), at(2))
    for path in tmp_path.glob("*.zip"):
        path.write_bytes(b"")
    with caplog.at_level(logging.ERROR):
        assert newest_card(tmp_path).digest == default_card().digest
    assert len(caplog.records) == 1


def test_the_shipped_card_is_kept_once_so_that_an_upgrade_does_not_lose_it(tmp_path: Path) -> None:
    keep_shipped(tmp_path)
    keep_shipped(tmp_path)
    (version,) = cards(tmp_path)
    assert version.path is not None
    kept = open_version(version.path)
    assert kept.digest == default_card().digest
    assert [row.key for row in kept.rows()] == [row.key for row in default_card().reopened().rows()]


def test_files_of_others_are_no_versions(tmp_path: Path) -> None:
    for name in ("readme.txt", "x.zip", "20300101T000000Z-xyz.zip", ".20300101T000000Z-000000000000.zip.1.tmp"):
        (tmp_path / name).write_bytes(b"")
    assert [version.path for version in cards(tmp_path)] == [None]


def test_without_a_ledger_versions_are_in_the_users_data_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert user_folder() == tmp_path / "otel-cost" / "prices"
