"""The benchmark: what typing costs and gets, with this server and with a naive one, in the same run.

python -m tests.bench            # the table
python -m tests.bench --json     # the same figures as one object

Nothing here is a test, and the test run does not start it. `tests/test_bench.py` tests its pure parts.
"""
