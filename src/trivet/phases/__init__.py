"""What the stages of the pipeline do: one module for each, over published tables and configs of any app."""
