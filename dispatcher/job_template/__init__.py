"""Base job templates: what a pool sets for its runs, what deployments and runs may change, and what becomes of it.

Pure: nothing here reads a server, a file, an environment or a clock. docs/templates.md has the rules.
"""

from .faults import InvalidTemplate, InvalidVariables
from .merging import Level, Merged, merge
from .rendering import Rendered, Template, check_template, check_variables, render
from .secrets import Resolver, is_allowed
from .typed import template_of

__all__ = [
    "InvalidTemplate",
    "InvalidVariables",
    "Level",
    "Merged",
    "Rendered",
    "Resolver",
    "Template",
    "check_template",
    "check_variables",
    "is_allowed",
    "merge",
    "render",
    "template_of",
]
