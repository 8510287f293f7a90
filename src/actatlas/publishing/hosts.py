"""What a folder weighs, and what static hosts take."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

MB, MIB = 1_000_000, 2**20


@dataclass(frozen=True)
class Totals:
    """files, bytes: of the whole folder; largest: (path, bytes); fullest: (folder, files in it)"""

    files: int
    bytes: int
    largest: tuple[str, int]
    fullest: tuple[str, int]

    @classmethod
    def of(cls, folder: Path) -> Totals:
        """Without hidden names, such as .git."""
        sizes: dict[str, int] = {}
        for path in folder.rglob("*"):
            name = path.relative_to(folder)
            if path.is_file() and not any(part.startswith(".") for part in name.parts):
                sizes[name.as_posix()] = path.stat().st_size
        entries = Counter(name.rpartition("/")[0] or "." for name in sizes)
        largest = max(sizes, key=lambda name: (sizes[name], name))
        return cls(len(sizes), sum(sizes.values()), (largest, sizes[largest]), entries.most_common(1)[0])


@dataclass(frozen=True)
class Host:
    """Its limits as it tells them; None where it tells none that a site could reach."""

    name: str
    most_bytes: int | None = None
    most_files: int | None = None
    most_file_bytes: int | None = None
    most_in_folder: int | None = None

    def problems(self, totals: Totals) -> list[str]:
        """Why it would not take the folder; none if it would."""
        found = []
        if self.most_bytes is not None and totals.bytes > self.most_bytes:
            found.append(f"{totals.bytes / MB:,.0f} MB, more than {self.most_bytes / MB:,.0f}")
        if self.most_files is not None and totals.files > self.most_files:
            found.append(f"{totals.files:,} files, more than {self.most_files:,}")
        if self.most_file_bytes is not None and totals.largest[1] > self.most_file_bytes:
            path, size = totals.largest
            found.append(f"{path} has {size / MB:,.1f} MB, more than {self.most_file_bytes / MB:,.0f}")
        if self.most_in_folder is not None and totals.fullest[1] > self.most_in_folder:
            folder, count = totals.fullest
            found.append(f"{folder} holds {count:,} files, more than {self.most_in_folder:,}")
        return found


HOSTS = (
    # docs.github.com: limits of GitHub Pages; files in a repository
    Host("GitHub Pages", most_bytes=1_000 * MB, most_file_bytes=100 * MIB),
    # huggingface.co/docs/hub/repositories-recommendations
    Host("Hugging Face static Space", most_files=100_000, most_in_folder=10_000),
    # developers.cloudflare.com/pages/platform/limits, free plan
    Host("Cloudflare Pages", most_files=20_000, most_file_bytes=25 * MIB),
)
