"""What stands behind the kernel's ports."""
