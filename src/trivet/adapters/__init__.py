"""Our own trainer behind what the phases ask for: configurations tried for a check, saved models evaluated for a test."""
