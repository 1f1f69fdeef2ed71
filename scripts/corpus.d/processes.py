"""Running other programs, with all that they start."""
import os
import re
import signal
import subprocess


def run(command, timeout=None, cwd=None, env=None):
    """As subprocess.run, but what a command started ends with it when the time is over (status 124)."""
    with subprocess.Popen(list(map(str, command)), start_new_session=True, stdin=subprocess.DEVNULL, cwd=cwd, env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace") as child:
        try:
            out, err = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            out, err = child.communicate()
            return subprocess.CompletedProcess(command, 124, out, err + "\nstopped: it took too long")
        return subprocess.CompletedProcess(command, child.returncode, out, err)


def must(command, **options):
    """The output of a command that has to work."""
    done = run(command, **options)
    if done.returncode:
        raise RuntimeError(f"`{' '.join(map(str, command))}` failed: {one_line(done.stderr)[-300:]}")
    return done.stdout


def one_line(text):
    return re.sub(r"\s+", " ", text).strip()
