"""The keyword index: in which chunks of an owner each gram stands, and BM25 over it.

Kept in segments that never change: a document makes new ones, small ones of like size are merged,
so adding costs what the document has and a search reads few rows. A deletion writes the segments
that had the chunks anew, without them. Everything happens in the caller's transaction. (The idea is
Lucene's.) Knows nothing about documents.

A segment's postings lie in rows of about 16 kB, ordered by gram:

    key = segment << 32 | first gram      data = n, grams[n], starts[n + 1], places[m], counts[m]
"""

import json
import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from webui.storage.grams import grams

MAX_CHUNKS = 32_768  # of a segment; a place has 16 bits
MERGED_AT_ONCE = 4
_ROW_POSTINGS = 5000
_K1, _B = 1.2, 0.75


@dataclass(frozen=True, slots=True)
class _Postings:
    """Sorted by gram, then place; one item each for a gram in a chunk."""

    grams: Any  # uint32
    places: Any  # uint16: which of the segment's chunks
    counts: Any  # uint8: how often, 255 at most


@dataclass(frozen=True, slots=True)
class _Segment:
    number: int
    chunks: Any  # int64: the chunks' numbers
    documents: Any  # int64: of each chunk
    lengths: Any  # float32: how many grams each has

    def of(self, chosen: Any) -> "_Segment":
        return _Segment(0, self.chunks[chosen], self.documents[chosen], self.lengths[chosen])


@dataclass(frozen=True, slots=True)
class KeywordHits:
    scores: dict[int, float]  # of chunks, best first, all > 0
    full_score: float = 0.0  # of a chunk of mean length that has each of the question's grams once


def add(
    db: sqlite3.Connection, owner: str, document: int, texts: Sequence[tuple[int, str]]
) -> None:
    """Index a document's chunks given as (number, text)."""
    for start in range(0, len(texts), MAX_CHUNKS):
        part = texts[start : start + MAX_CHUNKS]
        found = [grams(text) for _, text in part]
        lengths = numpy.array([len(item) for item in found], dtype=numpy.float32)
        places = numpy.repeat(numpy.arange(len(part), dtype=numpy.uint64), lengths.astype(int))
        keys = numpy.concatenate(found).astype(numpy.uint64) << 16 | places
        keys, counts = numpy.unique(keys, return_counts=True)
        postings = _Postings(
            (keys >> 16).astype(numpy.uint32),
            (keys & 0xFFFF).astype(numpy.uint16),
            numpy.minimum(counts, 255).astype(numpy.uint8),
        )
        numbers = numpy.array([number for number, _ in part], dtype=numpy.int64)
        _insert(
            db, owner, _Segment(0, numbers, numpy.full_like(numbers, document), lengths), postings
        )
    _merge_small(db, owner)


def remove(db: sqlite3.Connection, owner: str, documents: Sequence[int]) -> None:
    """Nothing of these documents is left."""
    gone = numpy.array(documents, dtype=numpy.int64)
    for segment in _segments(db, owner):
        stays = ~numpy.isin(segment.documents, gone)
        if stays.all():
            continue
        postings = _read(db, segment.number)
        _delete(db, segment.number)
        if not stays.any():
            continue
        new_places = (numpy.cumsum(stays) - 1).astype(numpy.uint16)
        kept = stays[postings.places]
        rest = _Postings(
            postings.grams[kept], new_places[postings.places[kept]], postings.counts[kept]
        )
        _insert(db, owner, segment.of(stays), rest)


def num_chunks(db: sqlite3.Connection, owner: str) -> int:
    (count,) = db.execute(
        "SELECT coalesce(sum(num_chunks), 0) FROM segments WHERE owner = ?", (owner,)
    ).fetchone()
    return int(count)


def search(
    db: sqlite3.Connection,
    owner: str,
    wanted: Any,
    limit: int,
    documents: Sequence[int] | None = None,
) -> KeywordHits:
    """The best chunks for some grams by BM25, of all the owner's documents or of some."""
    segments = _segments(db, owner)
    if not segments or not len(wanted) or limit <= 0:
        return KeywordHits({})
    lengths = numpy.concatenate([segment.lengths for segment in segments])
    norms = _K1 * (1 - _B + _B * lengths / max(1.0, float(lengths.mean())))
    which, places, counts = _found(db, segments, wanted)
    in_how_many = numpy.bincount(which, minlength=len(wanted))
    rarity = numpy.log1p((len(lengths) - in_how_many + 0.5) / (in_how_many + 0.5))
    weights = rarity[which] * counts * (_K1 + 1) / (counts + norms[places])
    scores = numpy.bincount(places, weights=weights, minlength=len(lengths))
    if documents is not None:
        whose = numpy.concatenate([segment.documents for segment in segments])
        scores[~numpy.isin(whose, numpy.array(documents, dtype=numpy.int64))] = 0
    chunks = numpy.concatenate([segment.chunks for segment in segments])
    return KeywordHits(_best(scores, chunks, limit), float(rarity.sum()))


def _best(scores: Any, chunks: Any, limit: int) -> dict[int, float]:
    best = numpy.flatnonzero(scores > 0)
    if limit < len(best):
        best = best[numpy.argpartition(-scores[best], limit)[:limit]]
    ranked = sorted(zip(-scores[best], chunks[best], strict=True))
    return {int(number): -float(score) for score, number in ranked}


def _found(
    db: sqlite3.Connection, segments: Sequence[_Segment], wanted: Any
) -> tuple[Any, Any, Any]:
    """(which gram, place over all segments, count) of every posting of the wanted grams."""
    first_place = {}
    total = 0
    for segment in segments:
        first_place[segment.number] = total
        total += len(segment.chunks)
    keys = [segment.number << 32 | int(gram) for segment in segments for gram in wanted]
    rows = db.execute(
        """
        SELECT p.key, p.data FROM
            (SELECT DISTINCT (SELECT max(key) FROM postings WHERE key <= w.value) AS key
             FROM json_each(?) w) JOIN postings p USING (key)
        """,
        (json.dumps(keys),),
    )
    which: list[Any] = [numpy.zeros(0, dtype=numpy.int64)]
    places: list[Any] = [numpy.zeros(0, dtype=numpy.int64)]
    counts: list[Any] = [numpy.zeros(0, dtype=numpy.float32)]
    for key, data in rows:
        segment_number = key >> 32
        if segment_number not in first_place:
            continue  # the row before an owner's first one
        row_grams, starts, row_places, row_counts = _unpack(data)
        at = numpy.minimum(row_grams.searchsorted(wanted), len(row_grams) - 1)
        for number in numpy.flatnonzero(row_grams[at] == wanted).tolist():
            start, end = starts[at[number]], starts[at[number] + 1]
            which.append(numpy.full(end - start, number))
            places.append(row_places[start:end].astype(numpy.int64) + first_place[segment_number])
            counts.append(row_counts[start:end])
    return numpy.concatenate(which), numpy.concatenate(places), numpy.concatenate(counts)


# --- segments ------------------------------------------------------------------------------------


def _segments(db: sqlite3.Connection, owner: str) -> list[_Segment]:
    rows = db.execute(
        "SELECT number, chunks, documents, lengths FROM segments WHERE owner = ? ORDER BY number",
        (owner,),
    )
    return [
        _Segment(
            number,
            numpy.frombuffer(chunks, "<i8"),
            numpy.frombuffer(documents, "<i8"),
            numpy.frombuffer(lengths, "<f4"),
        )
        for number, chunks, documents, lengths in rows
    ]


def _merge_small(db: sqlite3.Connection, owner: str) -> None:
    """Until no MERGED_AT_ONCE segments are of like size: within the same power of four."""
    while group := _alike(_segments(db, owner)):
        parts, offset = [], 0
        for segment in group:
            part = _read(db, segment.number)
            parts.append((part, part.places.astype(numpy.uint64) + offset))
            offset += len(segment.chunks)
            _delete(db, segment.number)
        keys = numpy.concatenate(
            [part.grams.astype(numpy.uint64) << 16 | places for part, places in parts]
        )
        order = numpy.argsort(keys, kind="stable")
        keys = keys[order]
        merged = _Postings(
            (keys >> 16).astype(numpy.uint32),
            (keys & 0xFFFF).astype(numpy.uint16),
            numpy.concatenate([part.counts for part, _ in parts])[order],
        )
        whole = _Segment(
            0,
            numpy.concatenate([segment.chunks for segment in group]),
            numpy.concatenate([segment.documents for segment in group]),
            numpy.concatenate([segment.lengths for segment in group]),
        )
        _insert(db, owner, whole, merged)


def _alike(segments: Sequence[_Segment]) -> list[_Segment]:
    sizes: dict[int, list[_Segment]] = {}
    for segment in segments:
        size = int(math.log(len(segment.chunks), 4))
        group = sizes.setdefault(size, [])
        group.append(segment)
        if len(group) == MERGED_AT_ONCE and sum(len(item.chunks) for item in group) <= MAX_CHUNKS:
            return group
    return []


def _insert(db: sqlite3.Connection, owner: str, segment: _Segment, postings: _Postings) -> None:
    inserted = db.execute(
        "INSERT INTO segments (owner, num_chunks, chunks, documents, lengths)"
        " VALUES (?, ?, ?, ?, ?)",
        (
            owner,
            len(segment.chunks),
            segment.chunks.astype("<i8").tobytes(),
            segment.documents.astype("<i8").tobytes(),
            segment.lengths.astype("<f4").tobytes(),
        ),
    )
    base = (inserted.lastrowid or 0) << 32
    firsts = numpy.flatnonzero(
        numpy.diff(postings.grams.astype(numpy.int64), prepend=-1)
    )  # of each gram
    row_numbers = firsts // _ROW_POSTINGS
    row_starts = firsts[numpy.flatnonzero(numpy.diff(row_numbers, prepend=-1))]
    bounds = [*row_starts.tolist(), len(postings.grams)]
    db.executemany(
        "INSERT INTO postings (key, data) VALUES (?, ?)",
        (
            (base | int(postings.grams[start]), _pack(postings, start, end))
            for start, end in zip(bounds, bounds[1:], strict=False)
        ),
    )


def _delete(db: sqlite3.Connection, number: int) -> None:
    bounds = (number << 32, (number + 1) << 32)
    db.execute("DELETE FROM postings WHERE key >= ? AND key < ?", bounds)
    db.execute("DELETE FROM segments WHERE number = ?", (number,))


def _read(db: sqlite3.Connection, number: int) -> _Postings:
    bounds = (number << 32, (number + 1) << 32)
    rows = db.execute("SELECT data FROM postings WHERE key >= ? AND key < ? ORDER BY key", bounds)
    parts = [_unpack(data) for (data,) in rows]
    if not parts:  # chunks of punctuation only
        parts = [_unpack(bytes(8))]
    return _Postings(
        numpy.concatenate([numpy.repeat(row[0], numpy.diff(row[1])) for row in parts]),
        numpy.concatenate([row[2] for row in parts]),
        numpy.concatenate([row[3] for row in parts]),
    )


def _pack(postings: _Postings, start: int, end: int) -> bytes:
    starts = numpy.flatnonzero(
        numpy.diff(postings.grams[start:end].astype(numpy.int64), prepend=-1)
    )
    row_grams = postings.grams[start:end][starts]
    return b"".join(
        (
            len(row_grams).to_bytes(4, "little"),
            row_grams.astype("<u4").tobytes(),
            numpy.append(starts, end - start).astype("<u4").tobytes(),
            postings.places[start:end].astype("<u2").tobytes(),
            postings.counts[start:end].tobytes(),
        )
    )


def _unpack(data: bytes) -> tuple[Any, Any, Any, Any]:
    """(grams, starts, places, counts)"""
    num_grams = int.from_bytes(data[:4], "little")
    row_grams = numpy.frombuffer(data, "<u4", num_grams, 4)
    at = 4 + 4 * num_grams
    starts = numpy.frombuffer(data, "<u4", num_grams + 1, at)
    at += 4 * (num_grams + 1)
    num_postings = int(starts[-1])
    places = numpy.frombuffer(data, "<u2", num_postings, at)
    return (
        row_grams,
        starts,
        places,
        numpy.frombuffer(data, "u1", num_postings, at + 2 * num_postings),
    )
