"""The output `-`: parts are kept in a temporary folder, and printed one after the other once the run has succeeded."""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import IO

from mrjerb.errors import EngineError, OutputError
from mrjerb.inputs.files import why
from mrjerb.outputs.publish import Manifest, Staging


class Printed(Staging):
    """A staging folder whose parts go to standard output. Nothing of it stays."""

    @staticmethod
    def begin(run: str, tmp: str | None) -> "Printed":
        """Make the folder, in `tmp` or where the system has temporary files. Raises OutputError."""
        try:
            return Printed("-", tempfile.mkdtemp(prefix=f"mrjerb-{run}-", dir=tmp), overwrite=False)
        except OSError as error:
            raise OutputError(f"-: nothing can be kept in {tmp or tempfile.gettempdir()}: {why(error)}") from None

    def publish(self, manifest: Manifest) -> None:
        """Print the parts. A reader that ends early, such as `head`, is no error. Raises EngineError, OutputError."""
        del manifest  # the run's history has it
        sys.stdout.flush()
        out = sys.stdout.buffer
        try:
            for number, part in enumerate(sorted(Path(self.folder).glob("part-*"))):
                if ".parquet" in part.name:
                    raise OutputError("-: Parquet can't be printed; give a folder as the output, or another format")
                with part.open("rb") as file:
                    if number and part.suffix in (".csv", ".tsv"):
                        file.readline()  # the header, which stands before the first part
                    shutil.copyfileobj(file, out, 1 << 20)
            out.flush()
        except BrokenPipeError:
            _silence(out)
        except OSError as error:
            raise EngineError(f"-: can't be printed: {why(error)}") from None
        finally:
            self.discard()


def _silence(out: IO[bytes]) -> None:
    """Python would complain of the pipe again when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, out.fileno())
    os.close(nowhere)
