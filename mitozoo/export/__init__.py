"""One writer for each output format."""

import sys

import mitozoo

# Python puts a package into its parent under its name, where `mitozoo.export(…)` is looked for.
sys.modules[__name__].__class__ = mitozoo.CallableExport
