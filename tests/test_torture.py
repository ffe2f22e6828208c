"""Work that is killed at random moments loses nothing: a short run of `make torture`."""

import subprocess
import sys
from pathlib import Path


def test_nothing_is_lost_by_kills():
    torture = [sys.executable, Path(__file__).with_name("torture.py"), "--kills", "27"]
    done = subprocess.run(torture, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "kills: 27, losses: 0", done.stdout + done.stderr
    assert done.returncode == 0
