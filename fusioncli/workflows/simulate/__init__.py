"""`fusion simulate`: training patches with a known truth, from real scenes by Wald's protocol or from drawn ones."""
