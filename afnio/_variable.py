"""The module path under which scripts and old checkpoints know `Variable`."""

from afnio.variable import JAGGED as JAGGED
from afnio.variable import Variable as Variable
from afnio.variable import is_scalar_variable as is_scalar_variable
from afnio.variable import is_variable as is_variable
