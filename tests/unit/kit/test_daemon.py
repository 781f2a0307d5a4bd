"""What a daemon does to its own process."""

import resource
import subprocess
import sys

import pytest

PROGRAM = """
import resource
from daemons.kit.daemon import open_more_files
print(open_more_files({most}), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "most", "after"),
    [(64, 512, 256, 256), (64, 512, 4096, 512), (300, 512, 256, 300), (512, 512, 512, 512)],
)
def test_a_daemon_has_as_many_files_open_as_it_needs_and_may(soft: int, hard: int, most: int, after: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(most=most)],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
    )
    assert ran.stdout.split() == [str(after), str(after), str(hard)]
