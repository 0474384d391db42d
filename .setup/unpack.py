"""Writes the members of a zip file that match a path pattern, flat, into a folder.

Usage: unpack.py ARCHIVE FOLDER PATTERN...

Two members of one name are an error: model.zip/config.json and model.zip/1_Pooling/config.json must never
overwrite each other. So is a pattern that matches nothing.
"""

import fnmatch
import pathlib
import shutil
import sys
import zipfile


def main(archive, folder, patterns):
    written = {}
    with zipfile.ZipFile(archive) as members:
        for pattern in patterns:
            # A star stays inside one path segment, as in a shell.
            names = [
                name
                for name in members.namelist()
                if name.count("/") == pattern.count("/") and fnmatch.fnmatchcase(name, pattern)
            ]
            if not names:
                sys.exit(f"unpack: {archive} holds nothing that matches {pattern}")
            for name in names:
                target = pathlib.Path(folder) / pathlib.PurePosixPath(name).name
                if written.setdefault(target, name) != name:
                    sys.exit(f"unpack: {name} and {written[target]} would both be {target.name}")
                with members.open(name) as source, open(target, "wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
