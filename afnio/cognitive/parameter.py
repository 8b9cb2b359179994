"""The module path under which scripts and old checkpoints know `Parameter`."""

from afnio.parameter import Parameter as Parameter
