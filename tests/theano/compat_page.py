"""Writes the table of names in docs/compat-theano.md: python tests/theano/compat_page.py"""

from pathlib import Path

from deconv_legacy.theano import _lookup, _table

PAGE = Path(__file__).parents[2] / "docs" / "compat-theano.md"
MARK = "<!-- The rest of this page is written by tests/theano/compat_page.py. -->\n"


def _shown(home):
    """A place, shortly."""
    return home.target.replace("deconv_legacy.theano.old.", "old.")


def table():
    """For each module its sources, its names by how they are served, and those that are not."""
    known = _lookup.known_names()
    served = total = 0
    parts = []
    for module in sorted({*_table.SOURCES, *known}):
        names = sorted(name for name, is_module in known.get(module, {}).items() if not is_module)
        total += len(names)
        if module not in _table.SOURCES:
            parts.append(f"### {module}\n\nNot served: `import` raises ModuleNotFoundError.\n")
            continue
        homes = {name: _lookup.find(module, name) for name in sorted({*names, *_own(module)})}
        groups: dict[str, list[str]] = {}
        for name, home in homes.items():
            if home is None or home.name is None:
                continue
            served += name in known.get(module, {})
            same = home.name == name
            groups.setdefault(_shown(_lookup.Home(home.module, None)), []).append(
                f"`{name}`" if same else f"`{name}` (`{_shown(home).rpartition('.')[2]}`)"
            )
        parts.append(f"### {module}\n")
        for place in sorted(groups, key=lambda place: (not place.startswith("old."), place)):
            parts.append(f"- **{place}**: {', '.join(groups[place])}")
        missing = [name for name, home in homes.items() if home is None]
        if missing:
            parts.append(f"- not served: {', '.join(f'`{name}`' for name in missing)}")
        if not groups and not missing:
            parts.append("Only its submodules.")
        parts.append("")
    head = f"Of {total} public names of Theano 1.0.5 (imports among its own modules included), {served} are served.\n"
    return "\n".join([head, *parts])


def _own(module):
    """Names of older versions, which our module for this one adds."""
    return [name for name in _lookup.served_names(module) if f"{module}.{name}" not in _table.SOURCES]


def page():
    """The whole page, with the table anew."""
    return PAGE.read_text().partition(MARK)[0] + MARK + "\n" + table()


if __name__ == "__main__":
    PAGE.write_text(page())
