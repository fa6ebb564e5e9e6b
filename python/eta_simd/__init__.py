# SPDX-License-Identifier: Apache-2.0
"""eta-simd in Python: SimHash codes, Hamming and inner-product top-K, and retrieval by any method
of the suite, on NumPy arrays and PyTorch tensors; data bundles and reports; CTR models in PyTorch.

Importing the package itself imports no third-party module; the first use of a name below loads
NumPy and the native module.
"""
import importlib
import pkgutil
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # so that checkers and editors know what __getattr__ below looks up
    from eta_simd.bundles import (Bundle as Bundle, DataError as DataError,
                                  generate_bundle as generate_bundle, read_bundle as read_bundle,
                                  write_bundle as write_bundle)
    from eta_simd.codes import (CodeBlocks as CodeBlocks, Hyperplanes as Hyperplanes,
                                hamming_distances as hamming_distances,
                                hamming_topk as hamming_topk, pack_codes as pack_codes)
    from eta_simd.measures import (attention_mass as attention_mass, recall as recall,
                                   recall_ties as recall_ties)
    from eta_simd.retrieval import (PreparedHistory as PreparedHistory, Retriever as Retriever,
                                    methods as methods)
    from eta_simd.runtime import (build_info as build_info, set_target as set_target,
                                  target as target, targets as targets)
    from eta_simd.scans import (Quantized as Quantized, dot_i8_topk as dot_i8_topk,
                                dot_topk as dot_topk, quantize_i8 as quantize_i8)
    from eta_simd.scoring import CtrModel as CtrModel

_MODULES = {
    "bundles": ("Bundle", "DataError", "generate_bundle", "read_bundle", "write_bundle"),
    "codes": ("CodeBlocks", "Hyperplanes", "hamming_distances", "hamming_topk", "pack_codes"),
    "measures": ("attention_mass", "recall", "recall_ties"),
    "retrieval": ("PreparedHistory", "Retriever", "methods"),
    "runtime": ("build_info", "set_target", "target", "targets"),
    "scans": ("Quantized", "dot_i8_topk", "dot_topk", "quantize_i8"),
    "scoring": ("CtrModel",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_MODULE_OF)

SOURCE_TREE = Path(__file__).resolve().parents[2]
# A build folder has the native module alone, in a folder of the same name: one in sys.path, else
# that of scripts/test.sh.
__path__ = [*pkgutil.extend_path(__path__, __name__),
            str(SOURCE_TREE / "build" / "release" / "python" / __name__)]


def _version() -> str:
    """The version in the project's CMakeLists.txt, the only place that states it; once installed,
    that of the distribution, which was read there."""
    try:
        text = (SOURCE_TREE / "CMakeLists.txt").read_text(encoding="utf-8")
    except OSError:
        text = ""
    found = re.search(r"project\(eta-simd VERSION ([0-9.]+)", text)
    if found is None:
        return importlib.import_module("importlib.metadata").version("eta-simd")
    return found[1]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _MODULE_OF:
        value = getattr(importlib.import_module(f"eta_simd.{_MODULE_OF[name]}"), name)
    else:
        raise AttributeError(f"module 'eta_simd' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
