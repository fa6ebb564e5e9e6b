# SPDX-License-Identifier: Apache-2.0
"""ETA's unit with the retrieval of the native module in place of a product and a sort: the same
positions in the same order, so that models and predictions keep their bits."""
from eta_simd.ctr.units import Eta, pack
from eta_simd.torch import EtaRetrieval


class NativeEta(Eta):
    """Eta; `valid` must be a beginning of the window for each candidate, as in CtrModel."""

    def __init__(self, options, random):
        super().__init__(options, random)
        self.retrieval = EtaRetrieval(options.k, threads=options.threads)

    def refresh(self, table):
        # Not the codes of EtaRetrieval.refresh: PyTorch may round a projection to the other side
        # of 0, and what is exported follows from `signs`.
        super().refresh(table)
        self.retrieval.set_codes(pack(self.signs))

    def choose(self, window, candidates, valid):
        return self.retrieval(window, candidates, valid.sum(dim=2))
