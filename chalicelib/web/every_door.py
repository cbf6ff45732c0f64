"""Every door there is, for those who describe or check them all. Importing this loads all files that hold one."""

from chalicelib.web.doors import doors_at
from chalicelib.web.routes import FILE_OF

DOORS = tuple(door for path in FILE_OF for door in doors_at(path).values())
