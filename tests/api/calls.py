"""Fifty requests with the call that each of them asks for: for tests on real weights."""

from typing import Any

Case = tuple[str, str, dict[str, Any]]  # question, tool, arguments that must be among the call's


def tool(name: str, description: str, required: list[str], **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": required}
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


def text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def number(description: str, kind: str = "number") -> dict[str, Any]:
    return {"type": kind, "description": description}


CITY = text("name of the city, as the user writes it")
TOOLS = [
    tool("get_weather", "Weather of a city now", ["city"], city=CITY),
    tool("get_time", "Current local time in a city", ["city"], city=CITY),
    tool(
        "convert_currency",
        "Convert an amount of money from one currency to another",
        ["amount", "source", "target"],
        amount=number("the amount"),
        source=text("ISO code of the currency to convert from, as USD"),
        target=text("ISO code of the currency to convert to, as JPY"),
    ),
    tool(
        "multiply",
        "Multiply two numbers",
        ["a", "b"],
        a=number("first factor", "integer"),
        b=number("second factor", "integer"),
    ),
    tool(
        "set_timer",
        "Start a timer that rings after some minutes",
        ["minutes"],
        minutes=number("minutes until it rings", "integer"),
    ),
    tool(
        "translate",
        "Translate a text into another language",
        ["text", "language"],
        text=text("the text, unchanged"),
        language={"type": "string", "enum": ["English", "Japanese", "French", "German"]},
    ),
    tool(
        "search_books",
        "Search the library's catalogue by an author's name",
        ["author"],
        author=text("the author's name, as the user writes it"),
    ),
    tool(
        "play_music",
        "Play music of an artist",
        ["artist"],
        artist=text("the artist's name, as the user writes it"),
    ),
]
CASES: list[Case] = [
    ("What is the weather in Tokyo?", "get_weather", {"city": "Tokyo"}),
    ("Is it raining in London right now?", "get_weather", {"city": "London"}),
    ("大阪の天気を教えて。", "get_weather", {"city": "大阪"}),
    ("札幌は今どんな天気ですか？", "get_weather", {"city": "札幌"}),
    ("How is the weather in Berlin today?", "get_weather", {"city": "Berlin"}),
    ("Tell me the weather for Nairobi.", "get_weather", {"city": "Nairobi"}),
    ("I go to Madrid now. What is the weather there?", "get_weather", {"city": "Madrid"}),
    ("What time is it in Paris?", "get_time", {"city": "Paris"}),
    ("Current time in Sydney, please.", "get_time", {"city": "Sydney"}),
    ("京都は今何時？", "get_time", {"city": "京都"}),
    ("What is the local time in Cairo?", "get_time", {"city": "Cairo"}),
    ("Tell me what time it is in Toronto.", "get_time", {"city": "Toronto"}),
    ("What time is it now in Lima?", "get_time", {"city": "Lima"}),
    (
        "Convert 100 USD to JPY.",
        "convert_currency",
        {"amount": 100, "source": "USD", "target": "JPY"},
    ),
    (
        "How much is 250 EUR in USD?",
        "convert_currency",
        {"amount": 250, "source": "EUR", "target": "USD"},
    ),
    (
        "Change 5000 JPY into EUR.",
        "convert_currency",
        {"amount": 5000, "source": "JPY", "target": "EUR"},
    ),
    (
        "What are 12.5 GBP in CHF?",
        "convert_currency",
        {"amount": 12.5, "source": "GBP", "target": "CHF"},
    ),
    (
        "Convert 80 CAD into USD, please.",
        "convert_currency",
        {"amount": 80, "source": "CAD", "target": "USD"},
    ),
    (
        "300 USD を JPY に換算して。",
        "convert_currency",
        {"amount": 300, "source": "USD", "target": "JPY"},
    ),
    ("Multiply 12 and 34.", "multiply", {"a": 12, "b": 34}),
    ("What is 7 times 8?", "multiply", {"a": 7, "b": 8}),
    ("Compute 123 * 456 with the tool.", "multiply", {"a": 123, "b": 456}),
    ("15 かける 4 は？", "multiply", {"a": 15, "b": 4}),
    ("Please multiply 99 by 3.", "multiply", {"a": 99, "b": 3}),
    ("What is the product of 11 and 21?", "multiply", {"a": 11, "b": 21}),
    ("Set a timer for 10 minutes.", "set_timer", {"minutes": 10}),
    ("Start a timer of 25 minutes.", "set_timer", {"minutes": 25}),
    ("3分のタイマーをかけて。", "set_timer", {"minutes": 3}),
    ("Ring in 45 minutes, please.", "set_timer", {"minutes": 45}),
    ("I need a 7 minute timer for my tea.", "set_timer", {"minutes": 7}),
    ("タイマーを15分にセットして。", "set_timer", {"minutes": 15}),
    ('Translate "good morning" into French.', "translate", {"language": "French"}),
    ('Translate "thank you" into Japanese.', "translate", {"language": "Japanese"}),
    ('How do you say "cat" in German? Translate it.', "translate", {"language": "German"}),
    ("「こんにちは」を英語に翻訳して。", "translate", {"language": "English"}),
    ('Translate "the house is red" into German.', "translate", {"language": "German"}),
    ('Please translate "see you tomorrow" to French.', "translate", {"language": "French"}),
    ("Search the library for Natsume Soseki.", "search_books", {"author": "Natsume Soseki"}),
    ("Which books of Jane Austen are in the library?", "search_books", {"author": "Jane Austen"}),
    ("Find books by Haruki Murakami.", "search_books", {"author": "Haruki Murakami"}),
    ("太宰治の本を探して。", "search_books", {"author": "太宰治"}),
    ("Search books written by Franz Kafka.", "search_books", {"author": "Franz Kafka"}),
    ("Look up books by Agatha Christie.", "search_books", {"author": "Agatha Christie"}),
    ("Play music by Mozart.", "play_music", {"artist": "Mozart"}),
    ("Play something by The Beatles.", "play_music", {"artist": "The Beatles"}),
    ("宇多田ヒカルの曲をかけて。", "play_music", {"artist": "宇多田ヒカル"}),
    ("I want to listen to Miles Davis.", "play_music", {"artist": "Miles Davis"}),
    ("Put on some music by Adele.", "play_music", {"artist": "Adele"}),
    ("Play music by Bach, please.", "play_music", {"artist": "Bach"}),
    ("バッハの音楽を流して。", "play_music", {"artist": "バッハ"}),
]  # fmt: skip
