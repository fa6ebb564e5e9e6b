# SPDX-License-Identifier: Apache-2.0
"""The files of a MovieLens folder, in the forms in which GroupLens publishes them:

  ratings.csv, movies.csv   small, 20M, 25M, 32M
  ratings.dat, movies.dat   1M, 10M; fields parted by "::"
  u.data, u.item            100K; fields parted by tabs and by "|", a flag per genre

Each may be gzip, with .gz after its name. bundle_tool reads the first two, unpacked, so that other
folders are rewritten for it, line by line: its messages name lines of the original.
"""
import shutil

from eta_simd import reading
from eta_simd.command import BadInput
from eta_simd.data import times

FORMS = (("ratings.csv", "movies.csv"), ("ratings.dat", "movies.dat"), ("u.data", "u.item"))
GENRES = ("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime",
          "Documentary", "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance",
          "Sci-Fi", "Thriller", "War", "Western")  # of the flags in u.item, in their order
SEPARATORS = {".csv": b",", ".dat": b"::", ".data": b"\t"}


def find(folder):
    """The paths of ratings and movies in a folder."""
    for names in FORMS:
        paths = [next((path for path in (folder / name, folder / f"{name}.gz") if path.exists()),
                      folder / name) for name in names]
        if paths[0].exists():
            for path in paths:
                reading.check_file(path)
            return paths
    forms = ", ".join(form for form, _ in FORMS)
    raise BadInput(f"{folder}: not a MovieLens folder (expected {forms} or one of them with .gz in "
                   "it)")


def plain_name(path):
    """The name of a file without .gz."""
    return path.name.removesuffix(".gz")


def is_gzip(path):
    with reading.opened(path) as (stream, file):
        return stream is not file


def ratings_line(fields):
    """A line of ratings.dat from the fields of u.data."""
    return b"::".join(fields)


def movies_line(fields):
    """A line of movies.dat from the fields of u.item, without the title, which nobody reads."""
    flags = fields[-len(GENRES):]
    if set(flags) - {b"0", b"1"} or b"1" not in flags:
        raise ValueError("malformed genres (expected 19 flags, each 0 or 1 and one of them 1)")
    return fields[0] + b"::-::" + b"|".join(
        name.encode() for name, flag in zip(GENRES, flags) if flag == b"1")


def rewrite(source, target, separator, count, line_of):
    """Writes `target` from the lines of `source`, which have `count` fields."""
    with reading.opened(source) as (lines, _), open(target, "wb") as out:
        for number, line in enumerate(lines, start=1):
            fields = line.rstrip(b"\r\n").split(separator)
            try:
                if len(fields) != count:
                    raise ValueError(f"wrong number of fields (expected {count}, found "
                                     f"{len(fields)})")
                out.write(line_of(fields) + b"\n")
            except ValueError as error:
                raise BadInput(f"{source}:{number}: {error}") from None


def prepare(ratings, movies, scratch):
    """The folder that bundle_tool can read: that of the files, or one made in `scratch`. Its name,
    which becomes the bundle's, is the same."""
    if plain_name(ratings) != "u.data" and not is_gzip(ratings) and not is_gzip(movies):
        return ratings.parent
    folder = scratch / (ratings.absolute().parent.name or "movielens")
    folder.mkdir()
    if plain_name(ratings) == "u.data":
        rewrite(ratings, folder / "ratings.dat", b"\t", 4, ratings_line)
        rewrite(movies, folder / "movies.dat", b"|", 5 + len(GENRES), movies_line)
    else:
        for path in (ratings, movies):
            with reading.opened(path) as (stream, _), open(folder / plain_name(path), "wb") as out:
                shutil.copyfileobj(stream, out)
    return folder


def name_originals(message, folder, ratings, movies):
    """`message` of bundle_tool with the files that the user knows."""
    for original in (ratings, movies):
        kind = "ratings" if original == ratings else "movies"
        suffix = ".csv" if ".csv" in original.suffixes else ".dat"
        message = message.replace(str(folder / f"{kind}{suffix}"), str(original))
    return message


def check_times(ratings, found):
    """Raises BadInput if one of the times `found` in the file `ratings` cannot be right."""
    wrong = found[~times.are_right(found)]
    if len(wrong) == 0:
        return
    value = int(wrong[0])
    separator = next(s for suffix, s in SEPARATORS.items() if suffix in ratings.suffixes)
    with reading.opened(ratings) as (lines, _):
        line = next((number for number, line in enumerate(lines, start=1)
                     if line.split(separator)[-1].strip() == str(value).encode()), "?")
    raise BadInput(f"{ratings}:{line}: {times.fault('timestamp', value)}")
