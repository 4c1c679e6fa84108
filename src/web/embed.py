"""Writes a text file as a C string: embed.py FILE NAME HEADER > FILE.c (used by meson.build)."""
import sys

path, name, header = sys.argv[1:]
print(f'#include "{header}"\n\nconst char {name}[] =')
with open(path, encoding="ascii") as file:
    for line in file:
        escaped = line.rstrip("\n").replace("\\", "\\\\").replace('"', '\\"')
        print(f'    "{escaped}\\n"')
print("    ;")
