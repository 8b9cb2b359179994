"""The figures this project promises, measured: ``python -m benchmarks``; see ``RESULTS.md``.

A contender (ours, a control, a peer) is a module of ``clients`` or ``peers`` that runs in a process of its own and
talks to the simulated LM's server, which runs in another one.
"""
