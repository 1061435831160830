"""What only the folder can get wrong."""

import os
from pathlib import Path

from models.storage import FolderStorage


def test_a_reading_that_nobody_reads_leaves_no_file_open(tmp_path: Path) -> None:
    """A browser that goes away before the first byte must not cost a file descriptor."""
    store = FolderStorage(tmp_path)
    store.put("catalogue/x.jpg", b"bytes", "image/jpeg")
    before = len(os.listdir("/proc/self/fd"))
    readings = [store.open("catalogue/x.jpg") for _ in range(20)]
    assert len(os.listdir("/proc/self/fd")) == before
    assert [b"".join(reading.chunks) for reading in readings] == [b"bytes"] * 20
