"""What is on disk: damaged, foreign and newer checkpoints are refused in words of their own; two stay, then none."""

from __future__ import annotations

import json
import threading
from contextlib import suppress

import numpy as np
import pytest

import sparkgd
from sparkgd.checkpoints import keeper as keeper_module
from sparkgd.checkpoints.file import ENVELOPE, FORMAT_VERSION, Content, packed, unpacked
from sparkgd.checkpoints.identity import Identity, data_identity
from sparkgd.data.statistics import Group, statistics_of
from sparkgd.exceptions import (
    CheckpointError,
    CheckpointFormatError,
    DamagedCheckpointError,
    ForeignDataError,
    ForeignParamsError,
)
from sparkgd.losses import LogisticLoss
from sparkgd.training.history import Kept
from sparkgd.training.plan import PlanState
from tests.support.blocks import random_block
from tests.support.checkpoints import Bench, DriverLostError, LocalDirectory

CONTENT = Content({"round": 3, "data": {"rows": 5}}, b'{"value": 1}', bytes(range(256)))
DATA = {"number of features": 4, "number of rows": 100}
PARAMS = [{"estimator": "Fit", "regParam": "0.1"}]


def kept(value: float = 0.0) -> list[Kept]:
    return [Kept(PlanState((np.full(3, value),)), (), ("all rows",))]


def after(bench: Bench, rounds: int, resume: str = "auto") -> None:
    """A fit that is lost after so many rounds."""
    with suppress(DriverLostError), bench.keeping(resume) as keeper:
        keeper.begun(1)
        for number in range(rounds):
            keeper.after(lambda value=float(number + 1): kept(value), 1.5 * (number + 1))
        raise DriverLostError


def found(bench: Bench, resume: str = "auto") -> float | None:
    """What a fit goes on from; it is lost at once."""
    value = None
    with suppress(DriverLostError), bench.keeping(resume) as keeper:
        resumed = keeper.begun(1)
        value = None if resumed is None else float(resumed[0].state.found[0][0])
        raise DriverLostError
    return value


def bench_of(where, data=DATA, params=PARAMS, interval=10) -> Bench:
    return Bench(where, Identity(data, params), interval)


def test_a_file_comes_back():
    assert unpacked(packed(CONTENT)) == CONTENT


@pytest.mark.parametrize("length", [0, 1, 7, 8, 20, ENVELOPE.size - 1, ENVELOPE.size, 60, len(packed(CONTENT)) - 1])
def test_a_truncated_file_is_told_as_such(length):
    with pytest.raises(DamagedCheckpointError, match="truncated"):
        unpacked(packed(CONTENT)[:length])


def test_a_flipped_bit_anywhere_is_noticed():
    data = packed(CONTENT)
    for place in range(len(data)):
        for bit in (1, 128):
            flipped = bytearray(data)
            flipped[place] ^= bit
            with pytest.raises((DamagedCheckpointError, CheckpointFormatError)) as caught:
                unpacked(bytes(flipped))
            if place >= 16:
                assert "checksum" in str(caught.value)


def test_more_bytes_than_were_written_are_noticed():
    with pytest.raises(DamagedCheckpointError, match="checksum"):
        unpacked(packed(CONTENT) + b"\0")


def test_a_newer_format_and_other_files_are_told_as_such():
    with pytest.raises(CheckpointFormatError, match=f"has format {FORMAT_VERSION + 1} of a newer sparkgd"):
        unpacked(packed(CONTENT, FORMAT_VERSION + 1))
    for other in (b"PAR1 and so on", b"\x80\x04\x95 a pickle", json.dumps({}).encode() * 100):
        with pytest.raises(CheckpointFormatError, match="no checkpoint of sparkgd"):
            unpacked(other)


def test_the_last_two_stay_and_nothing_when_all_is_well(tmp_path):
    bench = bench_of(tmp_path, interval=10)
    after(bench, 9)
    assert bench.files() == []
    after(bench, 47)
    assert [path.name for path in bench.files()] == ["round-000000030.checkpoint", "round-000000040.checkpoint"]
    with bench.keeping():
        pass
    assert list(tmp_path.iterdir()) == []


def test_rounds_are_counted_over_all_processes(tmp_path):
    bench = bench_of(tmp_path, interval=10)
    after(bench, 17)
    after(bench, 17)
    assert [path.name for path in bench.files()] == ["round-000000010.checkpoint", "round-000000020.checkpoint"]
    with bench.keeping() as keeper:
        assert keeper.seconds == 15.0


DAMAGE = {
    "truncated": (lambda data: data[: len(data) // 2], "truncated"),
    "empty": (lambda data: b"", "truncated"),
    "flipped": (lambda data: data[:-3] + bytes([data[-3] ^ 4]) + data[-2:], "checksum"),
    "newer": (lambda data: packed(unpacked(data), FORMAT_VERSION + 1), "newer sparkgd"),
    "foreign": (
        lambda data: b"something else altogether, of some length, that nobody expects here",
        "it is no checkpoint",
    ),
}

every_damage = pytest.mark.parametrize("kind", DAMAGE)


@every_damage
def test_a_damaged_newest_one_is_passed_over_and_told(tmp_path, kind):
    bench = bench_of(tmp_path)
    after(bench, 25)
    damage, word = DAMAGE[kind]
    newest = bench.files()[-1]
    newest.write_bytes(damage(newest.read_bytes()))
    assert found(bench) == 10.0
    (told,) = bench.told
    assert word in told
    assert newest.name in told
    after(bench, 10)  # the next one takes its place
    assert found(bench) == 10.0
    assert len(bench.told) == 2
    assert [path.name for path in bench.files()] == ["round-000000010.checkpoint", "round-000000020.checkpoint"]


@every_damage
def test_where_none_is_good_the_error_says_why_of_each(tmp_path, kind):
    bench = bench_of(tmp_path)
    after(bench, 25)
    damage, word = DAMAGE[kind]
    for path in bench.files():
        path.write_bytes(damage(path.read_bytes()))
    for resume in ("auto", "force"):
        with pytest.raises(CheckpointError) as caught, bench.keeping(resume):
            pass
        assert str(caught.value).count(word) == 2
        assert type(caught.value) is not CheckpointError
    bench.files()[0].write_bytes(packed(CONTENT)[:20])
    with pytest.raises(CheckpointError, match=r"round-000000020.*; round-000000010.*truncated"):
        found(bench)
    assert found(bench, "never") is None
    after(bench, 12, "never")
    assert [path.name for path in bench.files()] == ["round-000000010.checkpoint"]
    assert found(bench) == 10.0


def test_never_starts_anew_and_its_checkpoints_are_the_newest(tmp_path):
    bench = bench_of(tmp_path)
    after(bench, 40)
    assert found(bench, "never") is None
    assert found(bench) == 40.0, "nothing is deleted before there is another"
    after(bench, 12, "never")
    assert found(bench) == 10.0
    assert len(bench.files()) == 1


def test_other_params_are_refused_by_name(tmp_path):
    after(bench_of(tmp_path), 10)
    other = bench_of(tmp_path, params=[PARAMS[0] | {"regParam": "0.2", "tol": "1e-09"}])
    with pytest.raises(ForeignParamsError) as caught:
        found(other)
    told = str(caught.value)
    assert "regParam (0.1 there, 0.2 here), tol (none there, 1e-09 here)" in told
    assert all(word in told for word in ("resume='never'", "resume='force'", "another checkpointDir", str(tmp_path)))
    assert found(other, "never") is None
    assert found(other, "force") == 10.0
    assert found(bench_of(tmp_path)) == 10.0, "the other fit's are still there"


def test_other_data_are_refused_by_what_differs(tmp_path):
    after(bench_of(tmp_path), 10)
    other = bench_of(tmp_path, DATA | {"number of rows": 99})
    with pytest.raises(ForeignDataError, match=r"of other data: number of rows \(100 there, 99 here\)\."):
        found(other)
    assert found(other, "force") == 10.0
    both = bench_of(tmp_path, DATA | {"number of rows": 99}, [{"estimator": "Other"}])
    with pytest.raises(ForeignDataError, match=r"other data: number of rows .*; and other params: estimator"):
        found(both)


def test_force_needs_the_same_columns_and_as_many_models(tmp_path):
    after(bench_of(tmp_path), 10)
    with pytest.raises(ForeignDataError, match="of 4 features, the data of 5"):
        found(bench_of(tmp_path, DATA | {"number of features": 5}), "force")
    with pytest.raises(ForeignParamsError, match="of 1 models, and this fit is of 2"):
        found(bench_of(tmp_path, params=PARAMS * 2), "force")


def test_what_was_gone_on_from_by_force_is_deleted_too(tmp_path):
    after(bench_of(tmp_path), 10)
    with bench_of(tmp_path, DATA | {"number of rows": 99}).keeping("force"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_another_version_of_the_library_is_refused_unless_forced(tmp_path, monkeypatch):
    bench = bench_of(tmp_path)
    monkeypatch.setattr(sparkgd, "__version__", "0.0.1")
    after(bench, 10)
    monkeypatch.undo()
    with pytest.raises(CheckpointFormatError, match=r"is of sparkgd 0\.0\.1, and this is .*resume='force'"):
        found(bench)
    assert found(bench, "force") == 10.0


def test_fits_side_by_side_in_one_directory_do_not_mix(tmp_path):
    first, second = bench_of(tmp_path, interval=1), bench_of(tmp_path, params=[{"regParam": "0.2"}], interval=1)
    with first.keeping() as mine, second.keeping() as theirs:
        mine.after(lambda: kept(1.0), 0.0)
        theirs.after(lambda: kept(2.0), 0.0)
        with pytest.raises(CheckpointError, match="the same fit is under way"), first.keeping():
            pass
        assert len(first.files()) == 2
    assert list(tmp_path.iterdir()) == []
    assert not keeper_module._active


def test_many_threads_may_keep_fits_in_one_directory(tmp_path):
    failures = []

    def run(number):
        bench = bench_of(tmp_path, params=[{"regParam": str(number)}], interval=1)
        try:
            for _ in range(5):
                with bench.keeping() as keeper:
                    assert keeper.begun(1) is None
                    for _ in range(5):
                        keeper.after(lambda: kept(number), 0.0)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_fit(tmp_path, monkeypatch):
    bench = bench_of(tmp_path, interval=1)

    def full(self, name, data):
        raise CheckpointError("no space left")

    with bench.keeping() as keeper:
        monkeypatch.setattr(LocalDirectory, "write", full)
        keeper.after(kept, 0.0)
        monkeypatch.undo()
        keeper.after(kept, 0.0)
        keeper.after(lambda: [object()], 0.0)
    assert ["after round 1, and training goes on: no space left" in bench.told[0], len(bench.told)] == [True, 2]
    assert "no state that can be kept" in bench.told[1]


def test_other_files_in_the_directory_are_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "round-000000001.checkpoint").write_bytes(b"not of a fit's directory")
    bench = bench_of(tmp_path)
    after(bench, 10)
    with bench.keeping():
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "notes.txt"]


def test_a_checkpoint_of_anything_else_is_refused(tmp_path):
    bench = bench_of(tmp_path)
    after(bench, 10)
    path = bench.files()[0]
    header = unpacked(path.read_bytes()).header
    for value in (b"7", b"[[1]]", b"[1]", b"null", b""):
        path.write_bytes(packed(Content(header, b'{"classes":[],"value":' + value + b"}", b"")))
        with pytest.raises(CheckpointFormatError):
            found(bench)


def identity_of(block, **more):
    return data_identity(statistics_of(block, **more), ["0:60:abc"])


def test_the_identity_of_data_tells_what_differs():
    block = random_block(LogisticLoss(), seed=1)
    mine = Identity(identity_of(block), [])
    assert mine.other_data(json.loads(json.dumps(mine.data))) is None
    assert mine.digest == Identity(identity_of(block), []).digest
    moved = random_block(LogisticLoss(), seed=1)
    moved.features.values[np.argmax(moved.weight), 2] += 1e-3
    told = mine.other_data(identity_of(moved))
    assert "means of features" in told
    assert "labels" not in told
    assert "rows of fold" in Identity(identity_of(block, by_label=True), []).other_data({})
    assert "order of rows" in mine.other_data(mine.data | {"order of rows": "other"})
    assert Group() not in mine.data
