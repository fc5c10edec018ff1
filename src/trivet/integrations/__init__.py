"""Other trainers' hooks that report to trivet: one module for each, which imports its library only when it is imported itself."""
