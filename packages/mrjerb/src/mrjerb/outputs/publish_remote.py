"""Outputs on filesystems of fsspec's.

HDFS and the like rename folders: the old output is renamed aside, the staging folder takes its place, the old one is
removed. Between the two renames there is no output; a run that is killed there leaves it as `.NAME.mrjerb-RUN.old`.

Object stores, such as S3, have no folders and no rename. There the old `_SUCCESS` is removed, parts are moved one by
one, parts of the old output that have no successor are removed, and `_SUCCESS` comes last: a reader that waits for it
never takes a mixture for an output.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from mrjerb.errors import EngineError, MrjerbError, OutputError
from mrjerb.inputs.files import filesystem_of, why
from mrjerb.outputs.publish import MANIFEST, SUCCESS, Manifest, Staging, shown

RENAMING: Final = ("hdfs", "webhdfs", "arrow_hdfs", "sftp", "ssh", "smb")
OBJECTS: Final = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "oci")


class RemoteStaging(Staging):
    """A staging folder beside a remote output."""

    def __init__(self, output: str, folder: str, *, overwrite: bool) -> None:
        super().__init__(output, folder, overwrite=overwrite)
        self._files, self._place = filesystem_of(output)
        self._inside = filesystem_of(folder)[1]

    @staticmethod
    def begin(output: str, run: str, *, overwrite: bool, inputs: Sequence[str]) -> "RemoteStaging":
        """See Staging.create."""
        scheme, _, place = output.partition("://")
        host, _, inside = place.rstrip("/").partition("/")  # of hdfs:///counts the host is the cluster's own
        if not inside:
            raise OutputError(f"{output}: name a folder below the bucket or host")
        output = f"{scheme}://{host}/{inside}"
        parent, _, name = output.rpartition("/")
        for one in inputs:
            if one == output or one.startswith(output + "/"):
                raise OutputError(f"{output}: the input {one} lies in it, and would be replaced; give another output")
        with _told(output):
            made = RemoteStaging(output, f"{parent}/.{name}.mrjerb-{run}", overwrite=overwrite)
            made.check()
            made._begin()
        return made

    def _begin(self) -> None:
        """Make the folder, and see that it can be written."""
        self._make(self._inside)
        probe = f"{self._inside}/.probe"
        self._files.pipe_file(probe, b"mrjerb")
        self._files.rm_file(probe)
        self._make(self._inside)  # some take a folder away with its last file

    def _make(self, folder: str) -> None:
        """Make a folder, where there are any. On S3 it would be a bucket that is made."""
        if not set(OBJECTS) & set(_protocols(self._files)):
            self._files.makedirs(folder, exist_ok=True)

    def check(self) -> None:
        """Raises OutputError where something is in the output's place that has to stay."""
        self._files.invalidate_cache()
        if not self._files.exists(self._place):
            return
        if self._files.isfile(self._place):
            raise OutputError(f"{self.output}: is a file, and an output is a folder; give another name")
        if not self.overwrite and self._files.find(self._place):
            raise OutputError(f"{self.output}: is there already; --overwrite replaces it when the run has succeeded")

    def rename(self, before: str, after: str) -> None:
        """See Staging."""
        self._files.mv(f"{self._inside}/{before}", f"{self._inside}/{after}")

    def remove(self, name: str) -> None:
        """See Staging."""
        self._files.rm_file(f"{self._inside}/{name}")

    def take_over(self, output: str, name: str, as_name: str) -> int:
        """See Staging. The store copies it, where it can."""
        with _told(output, EngineError):
            target = f"{self._inside}/{as_name}"
            self._files.copy(f"{filesystem_of(output)[1]}/{name}", target)
            return self._files.size(target)

    def publish(self, manifest: Manifest) -> None:
        """See Staging."""
        with _told(self.output):
            self._files.pipe_file(f"{self._inside}/{MANIFEST}", shown(manifest))
            self.check()
            if set(RENAMING) & set(_protocols(self._files)):
                self._files.pipe_file(f"{self._inside}/{SUCCESS}", b"")
                self._renamed()
            else:
                self._moved()

    def _renamed(self) -> None:
        """One folder takes the other's place."""
        old = f"{self._inside}.old"
        if not self._files.exists(self._place):
            self._files.mv(self._inside, self._place)
            return
        self._files.mv(self._place, old)
        try:
            self._files.mv(self._inside, self._place)
        except BaseException:
            self._files.mv(old, self._place)
            raise
        with suppress(Exception):
            self._files.rm(old, recursive=True)

    def _moved(self) -> None:
        """Each file takes its place, and `_SUCCESS` is the last."""
        old = set(self._files.find(self._place)) if self._files.exists(self._place) else set()
        success = f"{self._place}/{SUCCESS}"
        if success in old:
            self._files.rm_file(success)
        self._make(self._place)
        new = set()
        for path in sorted(self._files.find(self._inside)):
            target = f"{self._place}/{path.rpartition('/')[2]}"
            self._files.mv(path, target)
            new.add(target)
        for path in sorted(old - new - {success}):
            self._files.rm_file(path)
        self._files.pipe_file(success, b"")
        self.discard()

    def discard(self) -> None:
        """See Staging."""
        with suppress(Exception):
            self._files.invalidate_cache()
            self._files.rm(self._inside, recursive=True)


def _protocols(filesystem: Any) -> tuple[str, ...]:
    said = filesystem.protocol
    return (said,) if isinstance(said, str) else tuple(said)


@contextmanager
def _told(url: str, kind: type[MrjerbError] = OutputError) -> Iterator[None]:
    """Turns what a filesystem raises into an error for people. Each has errors of its own library's."""
    try:
        yield
    except MrjerbError as error:
        if isinstance(error, kind):
            raise
        raise kind(str(error)) from None
    except OSError as error:
        raise kind(f"{url}: can't be written: {why(error)}; check the name and the credentials") from None
    except Exception as error:
        raise kind(f"{url}: can't be written: {type(error).__name__}: {error}") from None
