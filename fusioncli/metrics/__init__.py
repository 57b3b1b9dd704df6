"""Floor 3: quality indices, one per file, accumulated in float64 while a scene streams by.

Start with `contract.py` (what every index promises), `cut.py` (how a scene may be cut) and `suites.py` (the
named sets that papers print). The indices know nothing of protocols: whoever calls them degrades, filters and
upsamples first.
"""
