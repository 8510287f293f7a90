"""Looks at the shipped atlas with the base install alone. Standard library only; argument: the `actatlas` command."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

COMMAND = str(Path(sys.argv[1]).resolve())
FORBIDDEN = ("torch", "torchvision", "timm", "umap", "sklearn", "scipy", "pyarrow", "matplotlib", "transformers")
SHIPPED_LIMIT_MB = 8.0


def main() -> None:
    check_what_is_installed()
    check_help()
    shipped = check_demo()
    check_verify(shipped)
    check_view(shipped)
    check_sharing(shipped)
    check_build_names_its_extra()
    check_doctor()
    check_python_door(shipped)
    print("base: 9 passed, 0 failed")


def check_what_is_installed() -> None:
    there = [name for name in FORBIDDEN if importlib.util.find_spec(name)]
    assert not there, f"the base install brings {there}"
    files = importlib.metadata.files("actatlas") or []
    names = {str(file) for file in files}
    assert "actatlas/py.typed" in names
    for folder in ("actatlas/site/static/", "actatlas/demo/atlas/"):
        assert any(name.startswith(folder) for name in names), f"the wheel lacks {folder}"
    forbidden = [name for name in names if re.search(r"\.(jpe?g|pth?|onnx)$", name, re.IGNORECASE)]
    assert not forbidden, f"photos or weights in the wheel: {forbidden[:3]}"
    say("installed", "no " + ", ".join(FORBIDDEN))


def check_help() -> None:
    seconds = min(timed("--help")[1] for _ in range(3))
    assert seconds < 0.5, f"--help took {seconds:.2f} s"
    say("--help", f"{seconds:.2f} s")


def check_demo() -> Path:
    """The shipped atlas's folder. It opens within 3 s."""
    output, seconds = timed("demo", "--no-open", "--json")
    assert seconds < 3, f"demo took {seconds:.2f} s"
    told = json.loads(output)
    page = Path(told["site"])
    assert page.is_file() and page.name == "index.html", told
    folder = Path(told["atlas"])
    size_mb = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
    assert size_mb <= SHIPPED_LIMIT_MB, f"the shipped atlas has {size_mb:.1f} MB"
    say("demo", f"{seconds:.2f} s, {size_mb:.1f} MB, {page}")
    return folder


def check_verify(folder: Path) -> None:
    output, seconds = timed("verify", str(folder), "--json")
    json.loads(output)
    say("verify", f"{seconds:.2f} s")


def check_view(folder: Path) -> None:
    """The server says where it is and gives the page."""
    server = subprocess.Popen(
        [COMMAND, "view", str(folder), "--port", "0", "--no-open"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stderr is not None
        address = None
        for line in server.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+/", line):
                address = found.group()
                break
        assert address, "view told no address"
        pages = []
        for name in ("", "app.js", "atlas.js"):
            with urllib.request.urlopen(address + name, timeout=10) as answer:
                pages.append(answer.read().decode())
        check_lab(address, pages[0])
        assert "app.js" in pages[0] and '"class-search"' in pages[1] and "blocks.11.expanded" in pages[2]
    finally:
        server.terminate()
        server.communicate(timeout=10)
    say("view", address)


def check_lab(address: str, page: str) -> None:
    """It is closed, and says which extra opens it."""
    token = re.search(r'name="actatlas-lab" content="([^"]+)"', page)
    assert token, "the page that is served may ask"
    headers = {"X-Actatlas-Token": token.group(1)}
    question = urllib.request.Request(f"{address}lab/status", data=b"{}", headers=headers)
    with urllib.request.urlopen(question, timeout=10) as answer:
        told = json.load(answer)
    assert "actatlas[build]" in told["closed"], told


def check_sharing(folder: Path) -> None:
    """One file, and a folder for a host."""
    told = json.loads(timed("export", str(folder), "page.html", "--json")[0])
    assert Path(told["file"]).stat().st_size == told["bytes"], told
    told = json.loads(timed("publish", str(folder), "public", "--json")[0])
    assert Path(told["page"]).is_file() and all(host["fits"] for host in told["hosts"]), told
    say("export, publish", f"{told['files']} files, {told['bytes'] / 1e6:.1f} MB")


def check_build_names_its_extra() -> None:
    done = subprocess.run([COMMAND, "build", ".", "--out", "atlas"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 5, (done.returncode, done.stderr)
    assert "actatlas[build]" in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert not Path("atlas").exists(), "a build that cannot start leaves nothing"
    say("build", done.stderr.strip())


def check_doctor() -> None:
    """What is missing is no failure, and comes with the line that gets it."""
    told = json.loads(timed("doctor", "--json")[0])
    assert told["extras"]["build"]["get"] == 'pip install "actatlas[build]"', told["extras"]
    assert "torch" in told["extras"]["build"]["missing"], told["extras"]
    say("doctor", told["extras"]["build"]["get"])


def check_python_door(folder: Path) -> None:
    code = (
        "import sys, actatlas\n"
        f"atlas = actatlas.open({str(folder)!r})\n"
        "assert len(atlas.layer_names) == 4\n"
        "grid = atlas.layer(atlas.layer_names[-1]).grid(20)\n"
        "assert grid.icons.ndim == 4 and len(grid.icons) == len(grid)\n"
        "assert len(grid.table()) == len(grid)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-I", "-c", code], check=True, timeout=60)
    say("actatlas.open", "done")


def timed(*arguments: str) -> tuple[str, float]:
    """stdout, and seconds of the whole process."""
    start = time.perf_counter()
    done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, timeout=60)
    seconds = time.perf_counter() - start
    assert done.returncode == 0, f"actatlas {' '.join(arguments)}: {done.returncode}\n{done.stderr}"
    return done.stdout, seconds


def say(what: str, found: str) -> None:
    print(f"base: {what}: {found}", flush=True)


if __name__ == "__main__":
    main()
