"""Running a script, and what a script may call: `context_manager`, `string_matching`."""
