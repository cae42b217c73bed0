"""What stands on a PDF page beside its content, as pdfium tells it: form fields and notes.

Hidden ones, buttons and passwords are left out. Knows nothing about the page's text.
"""

import ctypes
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pypdfium2.raw as pdfium

from webui.documents.reader.additions import Addition
from webui.documents.reader.pdfium_objects import Placer

_MAX_ANNOTATIONS = 5_000  # of a page
_MAX_BYTES = 200_000  # of one value
_HIDDEN = (
    pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW | pdfium.FPDF_ANNOT_FLAG_INVISIBLE
)
_IS_PASSWORD = 1 << 13
_NOTES = frozenset(
    (
        pdfium.FPDF_ANNOT_TEXT,
        pdfium.FPDF_ANNOT_FREETEXT,
        pdfium.FPDF_ANNOT_HIGHLIGHT,
        pdfium.FPDF_ANNOT_UNDERLINE,
        pdfium.FPDF_ANNOT_SQUIGGLY,
        pdfium.FPDF_ANNOT_STRIKEOUT,
        pdfium.FPDF_ANNOT_STAMP,
        pdfium.FPDF_ANNOT_CARET,
        pdfium.FPDF_ANNOT_SQUARE,
        pdfium.FPDF_ANNOT_CIRCLE,
        pdfium.FPDF_ANNOT_LINE,
        pdfium.FPDF_ANNOT_POLYGON,
        pdfium.FPDF_ANNOT_POLYLINE,
        pdfium.FPDF_ANNOT_INK,
        pdfium.FPDF_ANNOT_FILEATTACHMENT,
    )
)
TICKED, NOT_TICKED = "☑", "☐"


def additions(page: Any, form: Any, place: Placer) -> list[Addition]:
    """The values of the page's fields and the texts of its notes; `form` is None without fields."""
    found: list[Addition] = []
    for index in range(min(pdfium.FPDFPage_GetAnnotCount(page), _MAX_ANNOTATIONS)):
        annotation = pdfium.FPDFPage_GetAnnot(page, index)
        if annotation:
            try:
                found += _of(annotation, form, place)
            finally:
                pdfium.FPDFPage_CloseAnnot(annotation)
    return found


def _of(annotation: Any, form: Any, place: Placer) -> Iterator[Addition]:
    kind = pdfium.FPDFAnnot_GetSubtype(annotation)
    if pdfium.FPDFAnnot_GetFlags(annotation) & _HIDDEN:
        return
    rect = pdfium.FS_RECTF()
    if not pdfium.FPDFAnnot_GetRect(annotation, rect):
        return
    box = place.box(rect.left, rect.top, rect.right, rect.bottom)
    if kind == pdfium.FPDF_ANNOT_WIDGET and form is not None:
        if value := _value(annotation, form).strip():
            yield Addition(value, box)
    elif kind in _NOTES and (said := _string(annotation, "Contents").strip()):
        is_shown = kind == pdfium.FPDF_ANNOT_FREETEXT
        author = "" if is_shown else _string(annotation, "T").strip()
        yield Addition(said, box, is_note=True, author=author)


def _value(annotation: Any, form: Any) -> str:
    kind = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
    if kind in (pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON):
        return TICKED if pdfium.FPDFAnnot_IsChecked(form, annotation) else NOT_TICKED
    if kind in (pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX):
        return "、".join(_chosen(annotation, form)) or _field_value(annotation, form)
    is_secret = pdfium.FPDFAnnot_GetFormFieldFlags(form, annotation) & _IS_PASSWORD
    if kind == pdfium.FPDF_FORMFIELD_TEXTFIELD and not is_secret:
        return _field_value(annotation, form)
    return ""


def _chosen(annotation: Any, form: Any) -> Iterator[str]:
    count = pdfium.FPDFAnnot_GetOptionCount(form, annotation)
    for index in range(min(max(count, 0), _MAX_ANNOTATIONS)):
        if pdfium.FPDFAnnot_IsOptionSelected(form, annotation, index):
            yield _utf16(partial(pdfium.FPDFAnnot_GetOptionLabel, form, annotation, index))


def _field_value(annotation: Any, form: Any) -> str:
    return _utf16(partial(pdfium.FPDFAnnot_GetFormFieldValue, form, annotation))


def _string(annotation: Any, key: str) -> str:
    return _utf16(partial(pdfium.FPDFAnnot_GetStringValue, annotation, key.encode()))


def _utf16(read: Callable[[Any, int], int]) -> str:
    """pdfium's way to give a text: asked without room it tells how many bytes it needs."""
    size = min(read(None, 0), _MAX_BYTES)
    if size <= 2:
        return ""
    buffer = (ctypes.c_ushort * (size // 2 + 1))()
    if read(buffer, 2 * len(buffer)) > 2 * len(buffer):
        return ""
    return bytes(buffer).decode("utf-16-le", "replace").partition("\0")[0].replace("\r", "\n")
