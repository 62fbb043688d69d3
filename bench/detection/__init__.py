"""How well WVR finds what matters and keeps quiet otherwise, on simulated and real records."""
