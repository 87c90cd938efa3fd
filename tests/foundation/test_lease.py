"""One writer: F31 two runs at once, F32 a stale writer that wakes up (G15)."""

import os
import signal
import subprocess
import sys
import time

import pytest

from leadhub.foundation.errors import TransientError
from leadhub.foundation.lease import lease

HOLDER = (
    "import sys, time; from pathlib import Path; from leadhub.foundation.lease import lease\n"
    "with lease(Path(sys.argv[1]), 'night'):\n"
    "    print('held', flush=True); time.sleep(60)\n"
)


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_f31_a_second_run_is_told_to_try_again(tmp_path, holder):
    with pytest.raises(TransientError, match="lease_held"), lease(tmp_path, "night"):
        pass
    with lease(tmp_path, "another"):
        pass


def test_f32_a_stopped_holder_keeps_its_lease_and_a_dead_one_has_let_go(tmp_path, holder):
    os.kill(holder.pid, signal.SIGSTOP)
    time.sleep(0.2)
    with pytest.raises(TransientError, match="lease_held"), lease(tmp_path, "night"):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with lease(tmp_path, "night"):
        pass


def test_it_is_let_go_at_the_end_also_of_a_failure(tmp_path):
    with pytest.raises(RuntimeError), lease(tmp_path, "night"):
        raise RuntimeError
    with lease(tmp_path, "night"):
        pass
