"""The real editors at work: text is typed, ghost text is seen on the screen, a key takes it, the file is read back.

Only the model is scripted. What the editors are is found by `install.py`; `.ci/editors` puts them there.
"""
