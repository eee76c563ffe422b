"""A rerun skips what is done and nothing else: any change of code, option, setting or input is seen."""

import gzip
import os

import msgspec
import pytest

from mrjerb.inputs.reading import read
from mrjerb.inputs.resolving import resolve
from mrjerb.inputs.splitting import splits
from mrjerb.outputs.manifest import asked, code_digest, in_order, manifest_of, read_manifest, reusable, same, taken_over
from mrjerb.outputs.parts import open_part
from mrjerb.outputs.publish import Staging
from mrjerb.plan import PartFile, Settings


def run(folder, *, code="c1", options=None, form="text_value", only=None):
    """A job without reduce that writes its records as they are: what the runner does with --skip-done. How many splits
    were mapped."""
    settings = Settings(output=str(folder / "out"), output_format=form)
    files = resolve([str(folder / "in")], format=None, record=None)
    wanted = asked("copy", code, options or {"n": 1}, settings, files, form)
    before = read_manifest(settings.output)
    if same(before, wanted):
        return 0
    reuse = reusable(before, wanted)
    todo = files if reuse is None else [file for file in files if file.path in reuse.todo]
    cut = splits(todo, 10, workers=1)
    staging = Staging.create(settings.output, "r", overwrite=True)
    done = taken_over(staging, reuse) if reuse else {}
    made = []
    for number, split in enumerate(cut):
        writer = open_part(staging.folder, f"t{number}", format=form, compression="gzip")
        for block in read(split):
            for record in block.records:
                writer.write(None, record)
        made.append(PartFile(*writer.close(), (number, split.start)))
    parts, inputs = in_order(wanted, done, made, cut)
    staging.publish(manifest_of("r", "2024-05-01T00:00:00Z", wanted, staging.numbered(parts), {}, inputs))
    return len(cut)


def content(folder):
    return b"".join(gzip.decompress(path.read_bytes()) for path in sorted((folder / "out").glob("part-*")))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    for name in "acb":
        (tmp_path / "in" / name).write_text("".join(f"{name} {number}\n" for number in range(10)))
    return tmp_path


def expected(folder):
    return b"".join(path.read_bytes() for path in sorted((folder / "in").iterdir()))


def test_a_rerun_does_what_is_new(folder):
    """Inputs that came, changed or went: only those are mapped, and the output is as if all of it had been."""
    assert run(folder) == 12
    assert run(folder) == 0
    (folder / "in" / "bb").write_text("new\n")
    assert run(folder) == 1
    assert content(folder) == expected(folder)
    (folder / "in" / "c").write_text("changed\n")
    (folder / "in" / "a").unlink()
    assert run(folder) == 1
    assert content(folder) == expected(folder)
    os.utime(folder / "in" / "bb", ns=(1, 1))
    assert run(folder) == 1
    assert run(folder) == 0
    assert content(folder) == expected(folder)


def test_what_makes_all_of_it_new(folder):
    """Other code, options or a format: nothing is taken over. An output that was touched is no output of ours."""
    assert run(folder) == 12
    assert run(folder, code="c2") == 12
    assert run(folder, code="c2", options={"n": 2}) == 12
    assert run(folder, code="c2", options={"n": 2}, form="json_value") == 12
    assert run(folder) == 12
    part = folder / "out" / "part-00003.gz"
    part.write_bytes(part.read_bytes() + b"x")
    assert run(folder) == 12
    (folder / "out" / "_manifest.json").write_text("{")
    assert run(folder) == 12
    part.unlink()
    assert run(folder) == 12
    assert content(folder) == expected(folder)


def test_parts_are_linked_and_the_old_output_stays_until_the_end(folder):
    """Taking over copies no bytes, and a run that fails then leaves the old output whole."""
    run(folder)
    before = content(folder)
    (folder / "in" / "d").write_text("d\n")
    wanted = asked(
        "copy",
        "c1",
        {"n": 1},
        Settings(output="x"),
        resolve([str(folder / "in")], format=None, record=None),
        "text_value",
    )
    wanted = msgspec.structs.replace(wanted, settings=read_manifest(str(folder / "out")).asked.settings)
    staging = Staging.create(str(folder / "out"), "r2", overwrite=True)
    done = taken_over(staging, reusable(read_manifest(str(folder / "out")), wanted))
    assert sorted(done) == [str(folder / "in" / name) for name in "abc"]
    first = done[str(folder / "in" / "a")][0]
    assert (folder / staging.folder / first.name).stat().st_nlink == 2
    staging.discard()
    assert content(folder) == before


def test_outputs_of_a_reduce_are_taken_over_whole_or_not(folder):
    """Where something was shuffled, a part is of all inputs."""
    files = resolve([str(folder / "in")], format=None, record=None)
    wanted = asked("count", "c", {}, Settings(output="x"), files, "json")
    manifest = manifest_of("r", "t", wanted, [PartFile("part-00000", 1, 2, (0, 0))], {"n": 3})
    assert same(manifest, wanted)
    assert same(msgspec.json.decode(msgspec.json.encode(manifest), type=type(manifest)), wanted)
    assert reusable(manifest, wanted) is None
    assert not same(manifest, msgspec.structs.replace(wanted, inputs=wanted.inputs[1:]))


def test_inputs_without_a_version_are_never_the_same(folder):
    """What can't be told to be unchanged is read again: a scan of a log, a page of a web server."""
    files = [
        msgspec.structs.replace(file, version="") for file in resolve([str(folder / "in")], format=None, record=None)
    ]
    wanted = asked("count", "c", {}, Settings(output="x"), files, "json")
    manifest = manifest_of("r", "t", wanted, [PartFile("p", 1, 2, (0, 0))], {}, [files[0].path])
    assert not same(manifest, wanted)
    assert reusable(manifest, wanted) is None


def test_the_digest_of_code(tmp_path):
    """It changes with a file's content and name, and not with the order or the time."""
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text("1")
    two.write_text("2")
    first = code_digest([one, two])
    os.utime(one, ns=(1, 1))
    assert code_digest([two, one]) == first
    two.write_text("3")
    assert code_digest([one, two]) != first
