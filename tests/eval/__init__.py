"""The evaluation: what the real server shows on other people's code with a real model, scored by the sets' own scorer.

python -m tests.eval --sets DIR --model 1.5b 0.5b --core --plain --no-snippets     # runs, then prints the tables
python -m tests.eval --sets DIR --out DIR --table                                  # the tables of an earlier run

Nothing here is a test, and the test run does not start it. `tests/test_eval_adapter.py` tests its parts. The sets and
their scorer are not part of this repository: DIR holds them (or `QWEN_LSP_EVAL_SETS` says where).
"""
