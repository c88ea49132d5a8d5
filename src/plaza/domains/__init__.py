"""What the product does: one folder per noun of the documentation; imports point downwards only (ARCHITECTURE.md)."""
