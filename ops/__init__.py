"""The operator's commands. Not packaged: `python -m ops --help`."""
