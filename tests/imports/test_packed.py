"""Files in zip and gzip, files that are no tables, and what is meant to harm."""

import gzip
import io
import zipfile

import pytest

from tests.imports.opened import limited, opened, refused

TEXT = b"Email,Points\na@b.c,5\n"
ROW = [{"email": "a@b.c", "points": 500}]


def zipped(*entries, compression=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return out.getvalue()


def test_a_zip_and_a_gzip_of_one_file():
    assert (opened(zipped(("points.csv", TEXT))).good, opened(gzip.compress(TEXT)).good) == (ROW, ROW)
    assert opened(zipped(("in/points.csv", TEXT))).notes == ("points.csv of the zip",)
    assert opened(gzip.compress(TEXT[:9]) + gzip.compress(TEXT[9:])).notes == ("unpacked with gzip",)


def test_folders_and_what_macos_adds_are_no_files():
    content = zipped(("in/", b""), ("in/points.csv", TEXT), ("__MACOSX/in/._points.csv", b"x"))
    assert opened(content).good == ROW


def test_two_files_in_a_zip():
    assert refused(zipped(("a.csv", TEXT), ("b.csv", TEXT)), name="p.zip") == [
        "p.zip: 'a.csv, b.csv': a zip must hold one file, the one to import"
    ]


def test_an_empty_zip():
    assert refused(zipped(), name="p.zip") == [
        "p.zip: 'no file': a zip must hold one file, the one to import"
    ]


@pytest.mark.parametrize(
    "name", ["../points.csv", "in/../../points.csv", "/etc/points.csv", "..\\points.csv", "c:/points.csv"]
)
def test_a_name_that_leaves_its_folder(name):
    right = "the name in the zip leaves its folder; pack the file again under a plain name"
    assert refused(zipped((name, TEXT)), name="p.zip") == [f"p.zip: {name!r}: {right}"]


def test_a_zip_bomb():
    """40 MB of zeros in 40 kB."""
    content = zipped(("points.csv", b"0" * 40_000_000))
    (problem,) = refused(content, name="p.zip")
    assert problem.endswith(
        ": it unpacks to more than 200 times its size, as a zip bomb does; send it unpacked"
    )


def test_a_zip_that_lies_of_its_size():
    """The sizes in its directory are set to 1,000; the bytes are 40 million, and are not read."""
    content = bytearray(zipped(("points.csv", TEXT + b"0" * 40_000_000)))
    size = (40_000_000 + len(TEXT)).to_bytes(4, "little")
    assert content.count(size) >= 1
    lying = bytes(content).replace(size, (1000).to_bytes(4, "little"))
    problems = refused(lying, name="p.zip")
    assert problems[0].startswith("p.zip: '': the file is damaged or was cut off (")


def test_a_gzip_bomb():
    (problem,) = refused(gzip.compress(TEXT + (b"a@b.c,5" + b" " * 100_000 + b"\n") * 480), name="p.gz")
    assert problem.endswith(
        ": it unpacks to more than 200 times its size, as a zip bomb does; send it unpacked"
    )


def test_a_file_that_is_too_large_once_unpacked():
    content = gzip.compress(TEXT + b"x" * 5000)
    (problem,) = refused(content, name="p.gz", limits=limited(unpacked_bytes=4000))
    assert problem.endswith("bytes': a file has at most 4000 bytes once unpacked; split it")


def test_a_gzip_that_was_cut_off():
    content = gzip.compress(b"Email,Points\n" + b"".join(b"a%d@b.c,%d\n" % (i, i) for i in range(10_000)))
    (problem,) = refused(content[:-2000], name="p.gz")
    assert problem.startswith("p.gz: '': the file is damaged or was cut off (")
    assert problem.endswith("; send it again")


def test_a_zip_that_was_cut_off():
    (problem,) = refused(zipped(("points.csv", TEXT))[:-30], name="p.zip")
    assert problem == "p.zip: '': the file is damaged or was cut off (File is not a zip file); send it again"


def test_a_gzip_with_a_wrong_sum():
    content = bytearray(gzip.compress(TEXT))
    content[-6] ^= 1
    (problem,) = refused(bytes(content), name="p.gz")
    assert problem.startswith("p.gz: '': the file is damaged or was cut off (CRC check failed")


def test_packed_twice():
    right = "a packed file in a packed file; send the inner one"
    inner = zipped(("points.csv", TEXT))
    assert refused(zipped(("inner.zip", inner)), name="p.zip") == [f"p.zip: 'inner.zip of the zip': {right}"]
    assert refused(gzip.compress(gzip.compress(TEXT)), name="p.gz") == [
        f"p.gz: 'unpacked with gzip': {right}"
    ]


def test_a_zip_with_a_password():
    pyzipper = pytest.importorskip("pyzipper")
    out = io.BytesIO()
    with pyzipper.AESZipFile(out, "w", encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(b"secret")
        archive.writestr("points.csv", TEXT)
    assert refused(out.getvalue(), name="p.zip") == [
        "p.zip: 'points.csv': the zip has a password; send it without one"
    ]


def test_a_method_that_few_have():
    right = "the zip is packed by a method that is not the usual one; pack it again as a plain zip"
    content = zipped(("points.csv", TEXT), compression=zipfile.ZIP_LZMA)
    assert refused(content, name="p.zip") == [f"p.zip: 'points.csv': {right}"]


HTML = "is a web page (HTML, of a login perhaps) and no table; download the file again"
SAVE = "save the file as CSV UTF-8 or as .xlsx"


@pytest.mark.parametrize(
    ("content", "value", "right"),
    [
        (
            b"<!DOCTYPE html><html><body>Log in</body></html>",
            "<!DOCTYPE html><html><body>Log in</body>",
            HTML,
        ),
        (b"\xef\xbb\xbf\n <html>", "\ufffd\ufffd\ufffd\n <html>", HTML),
        (
            b"<table><tr><td>1</td></tr></table>",
            "<table><tr><td>1</td></tr></table>",
            HTML,
        ),  # what old tools call .xls
        (b'<?xml version="1.0"?><a/>', '<?xml version="1.0"?><a/>', f"is XML and no table; {SAVE}"),
        (b"%PDF-1.7\n", "", f"is a PDF; {SAVE}"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            "",
            f"is an old or a locked workbook; {SAVE}, without a password",
        ),
    ],
)
def test_files_that_are_no_tables(content, value, right):
    assert refused(content) == [f"p.csv: {value!r}: {right}"]
    assert refused(gzip.compress(content)) == [f"p.csv: {value!r}: {right}"]


def test_a_name_says_nothing():
    """A workbook called .csv is a workbook, and a text called .xlsx a text."""
    assert opened(TEXT, name="p.xlsx").good == ROW
