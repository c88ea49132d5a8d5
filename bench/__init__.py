"""Benchmarks: Plaza beside what its users would run instead, on one machine, in interleaved rounds.

`python -m bench [scenario ...]`; a scenario is a module with `async def run(options: Options) -> Report`.
"""
