"""What an ELF file says of itself: architecture, libraries, symbol versions, debug information.

Reading is left to pyelftools; nothing is run. A file that is no ELF file gives None.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection
from elftools.elf.segments import InterpSegment

MACHINES = {"EM_X86_64": "x86_64", "EM_AARCH64": "arm64"}


@dataclass(frozen=True, slots=True)
class Elf:
    """Facts of one ELF file. `machine` is in Lambda's words, else ELF's.

    `needs` pairs each shared library with the symbol versions asked of it; `provides` names those
    the file itself defines. `symbols` says whether a symbol table is still there.
    """

    machine: str
    interpreter: str | None
    needs: tuple[tuple[str, tuple[str, ...]], ...]
    provides: tuple[str, ...]
    debug_info: bool
    symbols: bool


def read(content: bytes) -> Elf | None:
    """Return the facts of an ELF file's bytes, or None when they are not an ELF file."""
    if not content.startswith(b"\x7fELF"):
        return None
    try:
        elf = ELFFile(io.BytesIO(content))
        libraries: list[str] = []
        asked: dict[str, tuple[str, ...]] = {}
        provides: list[str] = []
        for section in elf.iter_sections():
            if isinstance(section, DynamicSection):
                tags = section.iter_tags("DT_NEEDED")
                libraries += [str(getattr(tag, "needed", "")) for tag in tags]
            elif isinstance(section, GNUVerNeedSection):
                for library, versions in section.iter_versions():
                    asked[str(library.name)] = tuple(sorted(str(v.name) for v in versions))
            elif isinstance(section, GNUVerDefSection):
                provides += [str(next(names).name) for _, names in section.iter_versions()]
        interpreters = [s for s in elf.iter_segments() if isinstance(s, InterpSegment)]
        return Elf(
            machine=MACHINES.get(elf["e_machine"], elf["e_machine"]),
            interpreter=str(interpreters[0].get_interp_name()) if interpreters else None,
            needs=tuple((library, asked.get(library, ())) for library in libraries),
            provides=tuple(provides),
            debug_info=elf.has_dwarf_info(strict=True),
            symbols=elf.get_section_by_name(".symtab") is not None,
        )
    except (ELFError, ValueError, KeyError, StopIteration):
        return None
