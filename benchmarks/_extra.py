"""One sentence in place of a traceback where the extra `paper` has not been installed."""

import importlib.util
import sys

if missing := [name for name in ("pandas", "matplotlib") if importlib.util.find_spec(name) is None]:
    sys.exit(f'The benchmarks need {" and ".join(missing)}: pip install -e ".[paper]"')
