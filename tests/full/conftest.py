# SPDX-License-Identifier: Apache-2.0
"""The callers, workspaces and fixtures of ../e2e, and none of its tests."""
import importlib.util
import pathlib
import sys

sys.dont_write_bytecode = True

spec = importlib.util.spec_from_file_location("callers", pathlib.Path(__file__).resolve().parents[1] / "e2e" / "conftest.py")
assert spec and spec.loader
callers = importlib.util.module_from_spec(spec)
sys.modules["callers"] = callers  # so that a test says `from callers import skip`
spec.loader.exec_module(callers)
globals().update({name: value for name, value in vars(callers).items() if not name.startswith("__")})
