"""Writes ``msgspec`` structs for what an inference has found, as code to paste."""

from __future__ import annotations

import builtins
import keyword
import re
from dataclasses import dataclass, field

from rxsocket.schema.inference import Kinds, TaggedShape
from rxsocket.schema.notes import Redact, note, percent
from rxsocket.schema.shapes import Lists, Objects, Shape, Texts

WIDTH = 100
"""Characters of a line, as far as its comment goes."""
RESERVED = {
    *keyword.kwlist, "Any", "Decimal", "Message", "bool", "datetime", "dict", "float", "int",
    "list", "msgspec", "str", "tuple",
}  # fmt: skip
"""What the names of fields and classes may not hide."""

PLAIN = re.compile(r'[^\\"\x00-\x1f]*')
"""The names that ``msgspec`` takes for a field."""

CODEC = '''
class MessageCodec:
    """For ``Socket(codec=MessageCodec())``: no single union tells these messages apart."""

    decoders = [
        msgspec.json.Decoder(kind)
        for kind in ({kinds})
    ]

    def encode(self, value: Any) -> str:
        return msgspec.json.encode(value).decode()

    def decode(self, data: str | bytes) -> Message:
        for decoder in self.decoders[:-1]:
            try:
                return decoder.decode(data)
            except msgspec.ValidationError:
                pass
        return self.decoders[-1].decode(data)
'''


def structs(kinds: Kinds, redact: Redact) -> str:
    """The code of structs that decode each of the messages that were seen.

    The last name that it defines is ``Message``, the type of all of them, for
    ``json_codec(type=Message)``; where that cannot be, there is a ``MessageCodec``.

    Args:
        kinds: What was found.
        redact: Hides secrets, in names and examples.
    """
    return _Writer(redact).write(kinds)


@dataclass
class _Writer:
    redact: Redact
    classes: list[str] = field(default_factory=list[str])
    names: set[str] = field(default_factory=lambda: RESERVED | set(dir(builtins)))
    written: set[str] = field(default_factory=set[str])
    imports: set[str] = field(default_factory=set[str])

    def write(self, kinds: Kinds) -> str:
        union, rest = self._objects(kinds)
        told_apart, arrays = self._arrays(kinds)
        scalars = [] if kinds.scalars is None else [self.type_of(kinds.scalars, "Message", "Text")]
        mixed = [*rest, *arrays, *scalars]
        ways = [part for part in (union, told_apart) if part]
        if len(rest) + len(ways) <= 1 and not (told_apart and mixed):
            ways = [" | ".join([*ways, *mixed])] if ways or mixed else []  # one union will do
        else:
            ways += [*rest, *([" | ".join([*arrays, *scalars])] if arrays or scalars else [])]
        body = "\n\n".join(self.classes)
        alias = " | ".join(_different(ways)) or "Any"
        if alias == "Any":
            self.imports.add("from typing import Any")
        body += f"\n\nMessage = {alias}\n" if self.classes else f"Message = {alias}\n"
        if len(ways) > 1:
            self.imports.add("from typing import Any")
            body += "\n" + CODEC.format(kinds=", ".join(ways))
        head = "\n".join(sorted(self.imports))
        return "\n\n".join(part for part in (head, "import msgspec", "\n" + body) if part.strip())

    # --- kinds

    def _objects(self, kinds: Kinds) -> tuple[str, list[str]]:
        """The union of the kinds that a tag tells apart, and the types of the others."""
        told_apart: list[str] = []
        rest: list[str] = []
        is_alone = len(kinds.objects) == 1
        tagged = _read_by_tag([kind for kind in kinds.objects if self._has_tag(kinds.field, kind)])
        for kind in kinds.objects:
            objects = kind.shape.objects
            if objects is None or self._is_secret(kind.tag):
                continue
            if kind not in tagged:
                name = "Item" if is_alone else "Other"
                rest.append(self._object_type(objects, "", name))
                continue
            options = [f"tag={_code(kind.tag)}"]
            if kinds.field != "type":
                options.append(f"tag_field={_code(kinds.field)}")
            name = _camel(str(kind.tag)) or "TaggedShape"
            told_apart.append(self._struct(objects, "", name, options, without=kinds.field))
        return " | ".join(told_apart), rest

    def _has_tag(self, field: str | None, kind: TaggedShape) -> bool:
        objects = kind.shape.objects
        if objects is None or objects.entries is not None or kind.tag is None:
            return False
        return field is not None and not self._is_secret(field) and not self._is_secret(kind.tag)

    def _arrays(self, kinds: Kinds) -> tuple[str, list[str]]:
        arrays = [
            kind
            for kind in kinds.arrays
            if kind.shape.lists is not None and not self._is_secret(kind.tag)
        ]
        if len(arrays) == 1 and (arrays[0].tag is None or not _read_by_tag(arrays)):
            lists = arrays[0].shape.lists
            return "", [] if lists is None else [self._list_type(lists, "", "Row")]
        return " | ".join(self._array_struct(kind) for kind in arrays), []

    def _array_struct(self, kind: TaggedShape) -> str:
        lists = kind.shape.lists
        places = [] if lists is None or lists.places is None else lists.places
        name = self._unused(_camel(str(kind.tag)) or "TaggedShape", "")
        lines = [
            self._line(f"item_{place}: {self.type_of(shape, name, f'Item{place}')}", shape)
            for place, shape in enumerate(places)
            if place
        ]
        options = ["array_like=True", f"tag={_code(kind.tag)}"]
        return self._write_class(name, options, lines)

    def _is_secret(self, name: object) -> bool:
        return isinstance(name, str) and self.redact(name) != name

    # --- classes

    def _struct(
        self,
        objects: Objects,
        parent: str,
        name: str,
        options: list[str] | None = None,
        without: str | None = None,
    ) -> str:
        name = self._unused(name, parent)
        kept = {
            key: shape
            for key, shape in objects.fields.items()
            if key != without and PLAIN.fullmatch(key) and not self._is_secret(key)
        }
        types = {
            key: self.type_of(shape, name, _camel(key) or "Item") for key, shape in kept.items()
        }
        always: list[str] = []
        at_times: list[str] = []
        used: set[str] = set()
        for key, shape in kept.items():
            attribute = _attribute(key, used | RESERVED | self.written)
            used.add(attribute)
            is_optional = shape.count < objects.count
            kind, renamed = types[key], "" if attribute == key else f"name={_code(key)}"
            if is_optional:
                kind = kind if kind == "Any" or kind.endswith("None") else f"{kind} | None"
                default = f"msgspec.field(default=None, {renamed})" if renamed else "None"
                often = f"in {percent(shape.count, objects.count)}"
                at_times.append(self._line(f"{attribute}: {kind} = {default}", shape, often))
            else:
                default = f" = msgspec.field({renamed})" if renamed else ""
                always.append(self._line(f"{attribute}: {kind}{default}", shape))
        return self._write_class(name, options or [], always + at_times)

    def _write_class(self, name: str, options: list[str], lines: list[str]) -> str:
        bases = ", ".join(["msgspec.Struct", *options])
        body = "\n".join(f"    {line}" for line in lines) or "    pass"
        self.classes.append(f"class {name}({bases}):\n{body}\n")
        return name

    def _line(self, code: str, shape: Shape, often: str = "") -> str:
        comment = ", ".join(part for part in (often, note(shape, self.redact)) if part)
        room = WIDTH - len(code) - 8
        if not comment or room < 12:
            return code
        comment = comment if len(comment) <= room else comment[: room - 1] + "…"
        return f"{code}  # {comment}"

    # --- types

    def type_of(self, shape: Shape, parent: str, name: str) -> str:
        """The type of the values at a place."""
        parts: list[str] = []
        if shape.unseen or shape.others or not shape.types:
            self.imports.add("from typing import Any")
            return "Any"
        if shape.bools:
            parts.append("bool")
        is_number = shape.ints is not None or shape.floats is not None
        if is_number:
            parts.append("int" if shape.floats is None else "float")
        if shape.texts is not None:
            parts.append(self._text_type(shape.texts, is_alone=not is_number))
        if shape.lists is not None:
            parts.append(self._list_type(shape.lists, parent, _singular(name)))
        if shape.objects is not None:
            parts.append(self._object_type(shape.objects, parent, name))
        if shape.nulls:
            parts.append("None")
        return " | ".join(parts)

    def _text_type(self, texts: Texts, *, is_alone: bool) -> str:
        if texts.is_time:
            self.imports.add("from datetime import datetime")
            return "datetime"
        varies = texts.is_cut or len(texts.values) > 1
        if is_alone and texts.is_number and texts.has_point and varies:
            self.imports.add("from decimal import Decimal")
            return "Decimal"
        return "str"

    def _list_type(self, lists: Lists, parent: str, name: str) -> str:
        if lists.places is not None:
            differs = len(set(map(self._form, lists.places))) > 1
            if differs and not lists.empty:
                types = [self.type_of(shape, parent, name) for shape in lists.places]
                return f"tuple[{', '.join(types)}]"
            whole = Lists()
            whole.add(lists)
            whole.join()
            lists = whole
        if lists.items is None:
            self.imports.add("from typing import Any")
            return "list[Any]"
        return f"list[{self.type_of(lists.items, parent, name)}]"

    def _form(self, shape: Shape) -> tuple[frozenset[str], str]:
        """What two places have in common that are of one type."""
        texts = shape.texts
        return shape.types, "" if texts is None else self._text_type(texts, is_alone=True)

    def _object_type(self, objects: Objects, parent: str, name: str) -> str:
        if not objects.is_map:
            return self._struct(objects, parent, name)
        whole = Objects()
        whole.add(objects)
        whole.join()
        if whole.more or whole.entries is None:
            self.imports.add("from typing import Any")
            return "dict[str, Any]"
        return f"dict[str, {self.type_of(whole.entries, parent, _singular(name))}]"

    def _unused(self, name: str, parent: str) -> str:
        whole = parent + name if len(parent + name) <= 40 else name
        found, number = whole, 1
        while found in self.names:
            number += 1
            found = f"{whole}{number}"
        self.names.add(found)
        self.written.add(found)
        return found


def _read_by_tag(kinds: list[TaggedShape]) -> list[TaggedShape]:
    """Those that ``msgspec`` (0.23) reads: one alone only if its tag is ASCII."""
    is_misread = len(kinds) == 1 and not str(kinds[0].tag).isascii()
    return [] if is_misread else kinds


def _different(types: list[str]) -> list[str]:
    """The members of some unions, each once."""
    return list(dict.fromkeys(types))


def _code(value: object) -> str:
    """A text or a number as Python writes it, in ASCII and double quotes where that is simple."""
    text = ascii(value)
    return f'"{text[1:-1]}"' if text.startswith("'") and '"' not in text else text


def _camel(text: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text))
    name = "".join(word[0].upper() + word[1:].lower() if word.isupper() and len(word) > 3
                   else word[0].upper() + word[1:] for word in words)  # fmt: skip
    return f"N{name}" if name[:1].isdigit() else name[:40]


def _singular(name: str) -> str:
    is_plural = len(name) > 3 and name.endswith("s") and not name.endswith(("ss", "us", "is"))
    return name[:-1] if is_plural else name


def _attribute(key: str, used: set[str]) -> str:
    """A name for a field: its own where Python and ``msgspec`` take it."""
    name = key
    if not (name.isascii() and name.isidentifier()) or name.startswith("__"):
        name = re.sub(r"[^A-Za-z0-9]+", "_", key).strip("_")[:40] or "field"
        name = f"field_{name}" if name[0].isdigit() else name
    found, number = name, 1
    while found in used:
        number += 1
        found = f"{name}_" if number == 2 else f"{name}_{number}"
    return found
