"""Detection benchmark: losses and faults found, and false alarms, on simulated and real records."""
