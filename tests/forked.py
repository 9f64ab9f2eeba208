"""Runs `vta` in a process of its own that need not import everything anew.

Of a short command nine tenths are imports. A server of the standard library's has them done, and
each command is forked from it, runs the program's own entry, and ends as any process does.
"""

import multiprocessing
import os
import runpy
import sys
import tempfile
from functools import cache
from pathlib import Path

PRELOADED = (
    "numpy", "PIL.Image", "PIL.JpegImagePlugin", "pyarrow.csv", "pyarrow.parquet", "pyarrow.ipc",
    "scipy.optimize", "scipy.linalg", "sklearn.linear_model", "sklearn.cluster", "lightgbm",
    "rich.progress", "numkong", "simplejpeg", "safetensors.numpy",
    "vta_cli.cli", "vta_cli.pipelines.embed", "vta_cli.pipelines.train", "vta_cli.pipelines.score",
    "torch", "torchvision", "timm", "open_clip",
    "vta_cli.commands.score", "vta_cli.commands.train", "vta_cli.commands.embed",
)  # fmt: skip
"""What is not to be had is passed over."""


def can_fork():
    """Tell whether this system has the server."""
    return "forkserver" in multiprocessing.get_all_start_methods()


@cache
def _context():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED])
    return context


def run(args, *, cwd, stdin, env, timeout):
    """Run `vta` with these words; return exit code and the bytes of both outputs.

    Raises
    ------
    TimeoutError
        If the command was still running after `timeout` seconds; it is killed.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("in", "out", "err")]
        for file in files:
            file.write_bytes(b"")
        files[0].write_bytes(stdin or b"")
        process = _context().Process(target=_enter, args=([*args], str(cwd), env, files))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"vta {' '.join(args)}")
        return process.exitcode, files[1].read_bytes(), files[2].read_bytes()


def _enter(args, cwd, env, files):
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for number, file in enumerate(files):
        handle = os.open(file, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_APPEND)
        os.dup2(handle, number)
        os.close(handle)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - lives as long as the process
    sys.path.insert(0, cwd)
    sys.argv = ["vta", *args]
    runpy.run_module("vta_cli", run_name="__main__", alter_sys=True)
