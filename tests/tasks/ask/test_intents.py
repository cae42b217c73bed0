"""What somebody wants: a hundred and more turns, as people write them."""

import time

import pytest

from webui.tasks.ask.intents import Intent, understood

TURNS = {
    Intent.GREETING: (
        "こんにちは",
        "こんばんは！",
        "おはようございます",
        "はじめまして、よろしくお願いします",
        "やあ",
        "お疲れ様です。",
        "お世話になっております。",
        "Hello!",
        "Hi there",
        "Good morning",
        "hey, how are you?",
        "元気ですか？",
        "もしもし、聞こえますか",
    ),
    Intent.THANKS: (
        "That's all for today, thanks",
        "ありがとう",
        "ありがとうございます！",
        "どうもありがとうございました。",
        "助かりました",
        "ありがとう、助かりました😊",
        "thanks a lot",
        "Thank you very much!",
        "That was helpful, thanks.",
        "大変参考になりました",
        "ありがとうございます、よくわかりました。",
    ),
    Intent.FAREWELL: (
        "さようなら",
        "おやすみなさい",
        "また明日",
        "では失礼します",
        "Bye",
        "See you tomorrow!",
        "今日はここまでにします",
    ),
    Intent.HELP: (
        "助けて",
        "助けて！",
        "ヘルプ",
        "使い方を教えてください",
        "何ができますか？",
        "あなたは誰ですか",
        "help",
        "Can you help me?",
        "What can you do?",
        "どうすればいいですか",
        "困っています",
        "質問があります",
        "I'm lost",
    ),
    Intent.AGREEMENT: (
        "なるほど",
        "わかりました",
        "了解です。",
        "はい",
        "OK",
        "I see.",
        "すごいですね！",
        "なるほど、そうなんですね",
        "Great!",
        "へえ、面白いですね",
        "いいですね",
        "Perfect, got it",
    ),
    Intent.APOLOGY: (
        "すみません",
        "ごめんなさい",
        "Sorry",
    ),
    Intent.COMPLAINT: (
        "違います",
        "それは間違っています",
        "That's wrong",
        "意味がわからないです",
        "役に立たないね",
    ),
    Intent.REWORK: (
        "今の答えを英語にして",
        "もっと短く",
        "短くして",
        "英語で",
        "日本語でお願いします",
        "箇条書きにして",
        "もう一度言って",
        "もう少しやさしい言葉で",
        "今の答えを一言でまとめて",
        "表にして",
        "丁寧な言い方に直してください",
        "3行で",
        "これを英訳して",
        "メールの文面にしてもらえますか",
        "それを要約して",
        "子どもにもわかるように説明して",
        "Shorter, please",
        "Translate it into Japanese",
        "In English please",
        "Make it shorter",
        "as bullet points",
        "Can you rephrase that?",
        "Say that again",
        "in one sentence please",
        "続きをお願いします",
        "別の言い方で",
        "say it in plain words",
        "もっと丁寧に",
        "一文で",
        "もう少し短くしてくれる？",
    ),
    Intent.WHERE: (
        "それは何ページ？",
        "何ページですか",
        "どの資料に書いてありますか？",
        "どこに書いてある？",
        "出典は？",
        "根拠を示してください",
        "which page is that on?",
        "Where does it say that?",
        "What is your source?",
        "それはどのファイルですか",
    ),
    Intent.LISTING: (
        "どんな資料がありますか",
        "どんな資料がある？",
        "資料の一覧を見せて",
        "ファイルはいくつありますか",
        "どの資料を読めますか？",
        "登録されている資料の名前を教えてください",
        "What documents do you have?",
        "list the files",
        "which files are there?",
        "How many documents are there?",
        "資料は何件ありますか",
    ),
    Intent.QUESTION: (
        "年次有給休暇は何日もらえますか",
        "その条件は？",
        "パートの場合は？",
        "こんにちは。会議は何曜日ですか",
        "表示の単位は？",
        "お礼の品の予算は？",
        "助成金の申請方法",
        "ありがとうの手紙は誰が書きましたか",
        "契約書の第4条は何を定めていますか",
        "出張旅費を箇条書きで",
        "もっと詳しく",
        "What is the deadline?",
        "What about part-timers?",
        "北野みなとの電話番号",
        "すみません、経費の精算期限を教えてください",
        "会議の予定を英語で教えて",
        "挨拶文の例を要約して",
        "いつですか",
        "なぜですか",
        "誰が担当ですか",
        "ラオス",
        "梅雨とは",
        "短期契約の期限",
        "一覧表の3行目の値は",
        "はいからさんが通るの作者は",
        "こんにちは赤ちゃんの作曲者",
        "この資料を要約して",
        "HelpDeskの電話番号は",
        "OK牧場はどこにありますか",
        "違約金はいくら",
        "経理課の電話番号",
        "佐藤さんの勤務地はどこ",
        "11月27日の定例会で決まったこと",
        "盛岡で働いているのは誰ですか",
        "違いを教えて",
        "長所と短所は",
        "英語版の価格は",
        "表3の合計は",
        "メールアドレスは",
        "会社の目標は何ですか",
        "はじめに書かれている目的は",
    ),
    Intent.UNSURE: (
        "今日はいい天気ですね",
        "昨日は徹夜でした",
        "疲れたなあ",
        "お腹が空きました",
        "私は田中です",
        "I'm so tired today",
        "最近忙しくて大変です",
    ),
}


@pytest.mark.parametrize("intent", list(TURNS))
def test_what_people_write_is_understood(intent: Intent) -> None:
    assert {turn: understood(turn).intent for turn in TURNS[intent]} == dict.fromkeys(
        TURNS[intent], intent
    )


def test_a_greeting_before_a_question_is_left_out() -> None:
    assert understood("こんにちは。会議は何曜日ですか").rest == "会議は何曜日ですか"
    assert understood("Hello, when is the deadline?").rest == "when is the deadline?"
    assert understood("会議は何曜日ですか？ ").rest == "会議は何曜日ですか？"


@pytest.mark.parametrize(
    "text",
    [
        "て" * 190 + "X",
        "もっと短くしてくれますか" * 15 + "X",
        "the " * 49 + "x",
        "ありがとう" * 4000,
        "",
    ],
)
def test_nothing_takes_long(text: str) -> None:
    """Counted generously: going back through the short words would take years."""
    began_at = time.perf_counter()
    understood(text)
    assert time.perf_counter() - began_at < 5
