"""How the world gets in: knows the wires, knows no domain."""
