# SPDX-License-Identifier: Apache-2.0
"""Makes a long-term unit by its name."""
from typing import Callable

from torch import nn

from eta_simd.ctr.eta_units import EtaAsym, EtaNorm, Exact, Pq4
from eta_simd.ctr.units import (AvgPool, Eta, FullAttention, Mimn, Recent, ReformerLsh, Sdim,
                                SimHard, SimSoft, Twin)


def native_eta():
    """Eta's class that uses the native module, or Eta where that is not there."""
    try:
        from eta_simd.ctr.native_eta import NativeEta
    except ImportError:
        return Eta
    return NativeEta


def make_unit(options, categories, index, random, is_native=False):
    """The unit of options.model, or None for `none`; `index` is SIM soft's table. With `is_native`
    a unit may use the native module; TorchScript cannot compile such a unit."""
    makers: dict[str, Callable[[], nn.Module | None]] = {
        "none": lambda: None,
        "avg_pool": AvgPool,
        "full_attention": lambda: FullAttention(options),
        "sim_hard": lambda: SimHard(options, categories),
        "sim_soft": lambda: SimSoft(options, index),
        "eta": lambda: (native_eta() if is_native else Eta)(options, random),
        "mimn": lambda: Mimn(options),
        "sdim": lambda: Sdim(options, random),
        "reformer_lsh": lambda: ReformerLsh(options, random),
        "twin": lambda: Twin(options),
        "recent": lambda: Recent(options),
        "eta_norm": lambda: EtaNorm(options, random),
        "eta_asym": lambda: EtaAsym(options, random),
        "pq4": lambda: Pq4(options),
        "exact": lambda: Exact(options),
    }
    return makers[options.model]()
