"""Any program as an app: a command line with its parameters filled in, and metrics read from what it prints or writes."""

from trivet.command.extraction import Definitions, Extractor
from trivet.command.process import CommandFailed, Limits, run
from trivet.command.template import Template

__all__ = ["CommandFailed", "Definitions", "Extractor", "Limits", "Template", "run"]
