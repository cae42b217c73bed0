"""Bytes → text, whatever their encoding. Knows nothing about files or kinds.

That bytes decode without an error proves little: half-width katakana in Shift_JIS is valid EUC-JP,
and everything is valid Windows-1252. So the readings are compared by how probable they are as
Japanese or Western text, and what is neither is left to chardet's model of the other languages.
"""

import codecs
import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import chardet

from webui.documents.errors import DocumentError

_SAMPLE_BYTES = 20_000
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_KANA = re.compile("[ぁ-んァ-ヶｦ-ﾝ]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_ESCAPES = (b"\x1b$", b"\x1b(J", b"\x1b(I")  # ISO-2022-JP
# What the names in files mean in practice (as in the WHATWG's Encoding Standard).
_MEANT = {
    "shift_jis": "cp932", "shift-jis": "cp932", "sjis": "cp932", "x-sjis": "cp932",
    "windows-31j": "cp932", "ms_kanji": "cp932", "iso-8859-1": "cp1252", "latin1": "cp1252",
    "us-ascii": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030",
    "euc-kr": "cp949", "ks_c_5601-1987": "cp949", "unicode": "utf-16", "x-euc-jp": "euc_jp",
    "iso-2022-jp": "iso2022_jp_ext", "cp50220": "iso2022_jp_ext", "cp50221": "iso2022_jp_ext",
}  # fmt: skip
_OTHERS = {  # of chardet's answers those that somebody's office writes
    "gb18030": "gb18030", "gb2312": "gb18030", "gbk": "gb18030", "hz": "hz", "big5": "big5",
    "big5-hkscs": "big5hkscs", "euc-kr": "cp949", "cp949": "cp949", "johab": "johab",
    "windows-1251": "cp1251", "koi8-r": "koi8-r", "koi8-u": "koi8-u", "windows-1253": "cp1253",
    "windows-1250": "cp1250", "windows-1254": "cp1254", "iso-2022-kr": "iso2022_kr",
}  # fmt: skip
_MIN_CONFIDENCE = 0.05  # chardet's, which is low for short texts
_MIN_UTF8_PER_ERROR = 20  # sequences that are right for each that is not
_PROBABLE = 8.0  # nats a character: real Japanese and Western text cost 3 to 6, other readings 8+


def decoded(data: bytes, declared: str = "") -> str:
    """The text in `data`. `declared` is what the file says of itself, which may be wrong.

    Raises DocumentError when it is no text, or in an encoding that cannot be told.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _checked(data.decode(encoding, "replace").lstrip("\ufeff"))
    for read in (_declared, _escaped, _utf16, _utf8, _one_of_bytes):
        text = read(data, declared)
        if text is not None:
            return _checked(text.lstrip("\ufeff"))
    raise DocumentError("documents.not_text")


def _declared(data: bytes, declared: str) -> str | None:
    name = _MEANT.get(declared.strip().lower(), declared.strip())
    if not name or name == "utf-16":
        return None
    text = _strictly(data, name)
    if text is None or name != "cp1252":  # which everything is
        return text
    return text if _utf8(data, "") is None and _one_of_bytes(data, "") in (None, text) else None


def _escaped(data: bytes, declared: str) -> str | None:
    if not any(mark in data[:100_000] for mark in _ESCAPES) or max(data) > 0x7F:
        return None
    text = data.decode("iso2022_jp_ext", "replace")
    return None if "\ufffd" in text[:-1] else text


def _utf16(data: bytes, declared: str) -> str | None:
    """Without a mark, told by its NUL bytes; without those it is one of the readings below."""
    if len(data) % 2 or b"\x00" not in data[:_SAMPLE_BYTES]:
        return None
    readings = [
        (_cost(text), text)
        for name in ("utf-16-le", "utf-16-be")
        if (text := _strictly(data, name)) is not None and not _CONTROL.search(text[:10_000])
    ]
    cost, text = min(readings, default=(_PROBABLE + 1, ""))
    if cost <= _PROBABLE:
        return text
    return text if readings and _is_one_script(text) else None


def _is_one_script(text: str) -> bool:
    """Hangul, Chinese, Cyrillic: nearly all letters from one block, as no wrong reading has."""
    letters = [ord(char) for char in text[:2_000] if not char.isascii() and char.isalpha()]
    blocks = ((0xAC00, 0xD7A4), (0x4E00, 0xA000), (0x400, 0x530))
    shares = (sum(low <= code < high for code in letters) for low, high in blocks)
    return bool(letters) and max(shares) > 0.9 * len(letters)


def _utf8(data: bytes, declared: str) -> str | None:
    """Also with some broken bytes among many that are right."""
    text = _strictly(data, "utf-8")
    if text is not None:
        return None if _CONTROL.search(text[:10_000]) else text
    text = data.decode("utf-8", "replace")
    num_right = sum(not char.isascii() and char != "\ufffd" for char in text)
    return text if num_right >= _MIN_UTF8_PER_ERROR * text.count("\ufffd") else None


def _one_of_bytes(data: bytes, declared: str) -> str | None:
    """The most probable reading as Japanese or Western text, else what chardet takes it for."""
    sample = data[:_SAMPLE_BYTES]
    possible = [("cp932", 0.0), ("euc_jp", 1.5), ("cp1252", 2.0)]
    possible += [] if len(data) % 2 else [("utf-16-le", 4.0), ("utf-16-be", 5.0)]
    readings = [
        reading
        for name, handicap in possible
        if (reading := _reading(sample, name, handicap)) is not None
    ]
    best = min(readings, key=lambda one: one.total, default=None)
    answer = chardet.detect(sample)
    other = _OTHERS.get(str(answer["encoding"]).lower(), "")
    confidence = float(answer["confidence"] or 0)
    if best is not None and best.cost <= _PROBABLE:
        text = data.decode(best.encoding, "replace")
        if best.encoding != "euc_jp" or not other or confidence < 0.1 or _KANA.search(text):
            return text  # only kanji may as well be Korean, which has the same bytes
    return _strictly(data, other) if other and confidence >= _MIN_CONFIDENCE else None


@dataclass(frozen=True, slots=True)
class _Reading:
    encoding: str
    total: float  # nats for the sample, comparable between readings of the same bytes
    cost: float  # nats a character that is no ASCII


def _reading(sample: bytes, encoding: str, handicap: float) -> _Reading | None:
    """None where it is not that: more than a broken byte among hundreds."""
    text = sample.decode(encoding, "replace")
    if _CONTROL.search(text):
        return None
    num_broken = text.count("\ufffd") - (text.endswith("\ufffd") and len(sample) == _SAMPLE_BYTES)
    if num_broken > len(text) / 200:
        return None
    num_foreign = sum(not char.isascii() for char in text)
    total = handicap + _total(text) + 15.0 * num_broken
    return _Reading(encoding, total, total / max(1, num_foreign))


def _cost(text: str) -> float:
    """Nats a character."""
    sample = text[:5_000]
    foreign = sum(not char.isascii() for char in sample)
    ascii_cost = 3.0 * (len(sample) - foreign)
    return (_total(sample) + ascii_cost) / max(1, len(sample))


def _total(text: str) -> float:
    """Minus the log probability of all that is not ASCII: its kind, and what stands before it."""
    return sum(_char_cost(before, char) for before, char in pairwise(" " + text) if char > "\x7f")


def _char_cost(before: str, char: str) -> float:
    code = ord(char)
    if 0xFF61 <= code <= 0xFF9F:
        return _half_width_cost(before, char)
    if 0x3041 <= code <= 0x3093:
        return 3.0
    if 0x30A1 <= code <= 0x30FC:
        return 4.2 if "\u30a1" <= before <= "\u30fc" else 5.5
    if char in _COMMON:
        return 2.5
    if 0x4E00 <= code <= 0x9FFF or code in (0x3005, 0x3006, 0x3007):
        return _kanji_cost(char)
    if 0xFF01 <= code <= 0xFF5E:
        return 5.5
    return _western_cost(before, char)


def _half_width_cost(before: str, char: str) -> float:
    is_inside = "\uff66" <= before <= "\uff9f"
    if char in "ﾞﾟ":
        voiced = "ｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾊﾋﾌﾍﾎｳ" if char == "ﾞ" else "ﾊﾋﾌﾍﾎ"
        return 1.8 if before in voiced else 13.0
    if char in "ｧｨｩｪｫｬｭｮｯｰﾝ":
        return 3.4 if is_inside and before not in "ｧｨｩｪｫｯ" else 9.0
    if char in "｡｢｣､･":
        return 5.5
    return 3.7 if is_inside else 5.5


@cache
def _kanji_cost(char: str) -> float:
    if char in _FREQUENT:
        return 7.0
    try:
        lead = char.encode("euc_jp")[0]
    except UnicodeEncodeError:
        return 13.0
    return 10.0 if lead < 0xD0 else 12.0  # JIS level 1 and 2


def _western_cost(before: str, char: str) -> float:
    is_joined = before > "\x7f"  # ã‚ and the like: one reading's noise
    if char in "’‘“”–—…€•·«»©®°£™":
        return 5.0 + 2.5 * is_joined
    if "\xdf" <= char <= "\xff" and char not in "÷þðý":
        return (5.0 if before.isascii() and before.isalpha() else 6.5) + 3.0 * is_joined
    if "\xc0" <= char <= "\xdd" and char not in "×ÝÐ":
        return (6.5 if not before.isalpha() else 8.0) + 3.0 * is_joined
    return 9.5 + 2.0 * is_joined


def _strictly(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError, ValueError, AssertionError):
        return None


def _checked(text: str) -> str:
    num_control = len(_CONTROL.findall(text[:20_000]))
    if num_control > 0.01 * min(len(text), 20_000):
        raise DocumentError("documents.not_text")
    return text


_COMMON = frozenset("、。「」・　（）：〜～ー→■●○◆※①②③")
_FREQUENT = frozenset(  # kanji: 93 % of those in articles and manuals
    "一万三上下不与世両並中丸主久之乗乱了予争事二互五井亡交京人今介仏仕他付代令以仮件任企伊休会伝"
    "伴似位低住佐体何余作併使例供依価侵便係保信修倉個倍倒候借値停側備催傷傾働像儀億償優元兄先光児"
    "党入全八公共兵具典内円冊再写冬冷処出分切刊刑列初判別利到制刷刻則削前割創劇力功加助労効動勘務"
    "勝勢勧包化北区医十千午半協南単博占印危即却卵厚原厳去参及友反収取受口古可台史右号司各合吉同名"
    "向否含告周味呼命和品員唯商問善営器噴四回因団困囲図固国圏園土圧在地均型埋城域執培基堂報場塚境"
    "増壁壊士声売変夏外多夜大天太夫央失契奨女好妻始委姿娘婚子字存季学宅守安完宗官定実客宣室宮害家"
    "容宿寄密富察審寺対専射将導小少就尾局居屋展属層履山岐岡岩岸島崎崩川州巡工左巨差巻市布帝師席帯"
    "帰帳常幅幕平年幼庁広序底店府度座庫庭廃延建式引弟弱張強弾当形影役彼征待律後徒従得御復徳徴心必"
    "志応念思急性息患悪情想意愛感態慮成戦戸戻所手打払扱批承技投抗折択押担拠拡持指挙振挿捕授掘掛採"
    "探接推掲描提換揮援損摘撃操支改攻放政故敗教散数整文料断新方施旅族既日旧早昇明易星映春昭時普景"
    "暇暗暦曲更書替最月有服望朝期木未末本材村条来東松板析林果染査校株核根格栽案森植検業極楽概構様"
    "標模権横樹橋機欠次欧歌止正武歩歳歴死残殖段殺殿母毎比氏民気水氷永求江池決沖没沢河油治沼沿況泉"
    "法波注洋津活派流浜海消液深混添清済減渡温測港湖湾満源準滅漁演漫漱激濃火灯災炭点為無然焼照熱燃"
    "爆爵父版物特犬犯状独献獲率王現球理環生産用田由甲申男町画界留略番異病症療発登白百的皇皮益盛盟"
    "監盤目直相省県真着督知短石砂研砲破確示礼社祖神票祭禁福私秋科称移程税種積究空突立章童端競第筆"
    "等答策算管節範築簡簿米精糸系紀約納紙級素索細終組経結絡給統絵絶継続維総線締編縁縮績繁織繰罪置"
    "署美群義翌習翼考者耐聖聞職肉育背胞能脚脱臣自至致興舎舗舞航般船艦良色花芸若英草荷菌落葉著蔵薬"
    "藤藻虫蜂血衆行術街衛表被裁装補製複襲西要見規視覚覧親観角解触言計討記訪設許訳訴証評試詩話詳誌"
    "認誕語説読誰課調談請論諸講識警議護谷豊象負財貨販貴買貸費貿賀資賞賦質購赤走起超越足距跡路身車"
    "軌軍転軽較載輸農辺込迎近返述追退送逆途通速造連週進遅遊運過道達違遠適選遺避邦郎郡部郷都配酒酬"
    "酸重野量金鉄鉱銀録鏡長門閉開間関閣闘阪防降限院除陸険陽隊階際障雄集雑離難雨雪電震露青静非面革"
    "音響頃項順須領頭頻頼題額願類顧風飛食養館首香馬駅駆騎験骨高魚鳥鹿黄黒"
)
