# SPDX-License-Identifier: MIT
"""Makes the binary files of this project: prepare.py PROJECT ELSEWHERE, both absolute."""

import gzip
import pickle
import shutil
import sqlite3
import sys
import zipfile
from pathlib import Path

import manimpango
import numpy as np
from PIL import Image

project, elsewhere = map(Path, sys.argv[1:])
data = project / "data"
np.save(data / "points.npy", np.array([[-2.0, 1.0, 0.0], [0.0, -1.0, 0.0], [2.0, 1.0, 0.0]]))
np.savez(data / "table.npz", heights=np.array([1.0, 2.0, 1.5]))
np.arange(4, dtype=np.float64).tofile(data / "raw.bin")
(data / "sizes.pkl").write_bytes(pickle.dumps({"radius": 0.7}))
with gzip.open(data / "words.txt.gz", "wt") as file:
    file.write("one two three")
with zipfile.ZipFile(data / "bundle.zip", "w") as bundle:
    bundle.writestr("inside.txt", "4")
with sqlite3.connect(data / "facts.db") as facts:
    facts.execute("create table facts (sides integer)")
    facts.execute("insert into facts values (5)")
(data / "many").mkdir(exist_ok=True)
for i in range(6):
    (data / "many" / f"{i}.csv").write_text(f"{i}," * (i + 1))
for name, color in (
    ("red", (255, 0, 0)),
    ("green", (0, 255, 0)),
    ("blue", (0, 0, 255)),
    ("late", (255, 255, 0)),
    ("drawn", (90, 0, 0)),
):
    Image.new("RGB", (8, 8), color).save(project / "pictures" / f"{name}.png")
(project / "pictures" / ".hidden.png").write_bytes((project / "pictures" / "late.png").read_bytes())
(elsewhere / "outside.json").write_text('{"shift": 1.5}')
shutil.copyfile(project / "pictures" / "blue.png", elsewhere / "outside.png")
shutil.copyfile(project / "pictures" / "drawing.svg", elsewhere / "shared.svg")
fonts = [Path("/usr/share/fonts"), Path(manimpango.__file__).parent]
font = next((f for folder in fonts for f in sorted(folder.rglob("DejaVuSerif-Bold.ttf"))), None)
if font is not None:
    shutil.copyfile(font, project / "film" / "own.ttf")
