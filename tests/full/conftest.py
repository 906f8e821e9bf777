# SPDX-License-Identifier: Apache-2.0
"""The callers, workspaces and fixtures of ../e2e, and none of its tests."""
import importlib.util
import pathlib
import sys

sys.dont_write_bytecode = True

spec = importlib.util.spec_from_file_location("e2e", pathlib.Path(__file__).resolve().parents[1] / "e2e" / "conftest.py")
assert spec and spec.loader
e2e = importlib.util.module_from_spec(spec)
sys.modules["e2e"] = e2e  # so that a test says `from e2e import skip`
spec.loader.exec_module(e2e)
globals().update({name: value for name, value in vars(e2e).items() if not name.startswith("__")})
