# ruff: noqa: E501 (one case on one line reads best)
"""Hand-written statements about small sources, with the sentence they rest on and their faults."""

from dataclasses import dataclass

from webui.text.grounding import FlagKind

FACTS = frozenset(
    {FlagKind.NUMBER, FlagKind.NAME, FlagKind.SUBJECT, FlagKind.UNSUPPORTED, FlagKind.UNALIGNED}
)


@dataclass(frozen=True, slots=True)
class Case:
    """`source`: index of the sentence that must come first; -1 = none may; None = any."""

    name: str
    sentences: tuple[str, ...]
    statement: str
    source: int | None
    flags: tuple[tuple[str, str], ...] = ()
    kinds: frozenset[FlagKind] = FACTS


ASK_LLM = (
    "The training of large language models (LLMs) is expensive.",
    "In this paper, we study data-efficient approaches for pre-training LLMs, i.e., techniques "
    "that aim to optimize the Pareto frontier of model quality and training resource/data "
    "consumption.",
    "Our first technique, Ask-LLM, leverages the zero-shot reasoning capabilities of "
    "instruction-tuned LLMs to directly assess the quality of a training example.",
    "To target coverage, we propose Density sampling, which models the data distribution to "
    "select a diverse sample.",
    "In our comparison of 19 samplers, involving hundreds of evaluation tasks and pre-training "
    "runs, we find that Ask-LLM and Density are the best methods in their respective categories.",
    "Coverage sampling can recover the performance of the full data, while models trained on "
    "Ask-LLM data consistently outperform full-data training -- even when we reject 90% of the "
    "original dataset, while converging up to 70% faster.",
)
EARNINGS = (
    "東洋電機株式会社は2024年5月10日に決算を発表した。",
    "売上高は前年比12%増の1,250億円、営業利益は98億円となった。",
    "海外事業では、アジアが35%伸びた一方、欧州は8%減少した。",
    "山田社長は「次期は売上高1,400億円を目指す」と述べた。",
    "配当は1株あたり45円とし、前期から5円増やす。",
)
MINUTES = (
    "出席者は営業部の佐藤氏、開発部の鈴木氏、総務部の高橋氏の三名である。",
    "新製品の発売日は9月1日に決まった。",
    "佐藤氏が8月15日までに販売計画を作成する。",
    "鈴木氏は試験を7月末に終えると報告した。",
    "予算は300万円で、超過する場合は高橋氏の承認が必要である。",
    "次回の会議は7月20日午後3時から第2会議室で開く。",
)
MERGER = (
    "A社は2023年にB社を買収した。",
    "買収額は500億円で、全額を現金で支払った。",
    "C社の売上は80億円、D社の売上は120億円である。",
    "トヨタがホンダを訴えた。",
)
CONTRACT = (
    "甲は乙に対し、本件業務を委託する。",
    "委託料は月額20万円とし、毎月末日に支払う。",
    "契約期間は令和6年4月1日から1年間とする。",
    "乙は、甲の承諾なく第三者に再委託してはならない。",
    "違約金は委託料の三か月分とする。",
)
NEWS_EN = (
    "Acme Corp reported revenue of $1.2 billion for the third quarter, up 15% from a year ago.",
    "Chief executive Jane Miller said the company will open four new plants in Mexico.",
    "Shares of Globex fell 3% on March 5, 2024.",
    "About half of the workers voted for the strike.",
)

N, A, S, U = "number", "name", "subject", "unsupported"

CASES = (
    # The classic: right, then each way to be wrong about it.
    Case("ask right", ASK_LLM, "Ask-LLMで選んだデータは、90%を除いても全データより優れ、最大70%速く収束する。", 5),
    Case("ask wrong method", ASK_LLM,
         "Density samplingは元データの90%を除いても全データを上回り、最大70%速く収束する。", 5,
         ((S, "Density sampling"),)),
    Case("ask wrong share", ASK_LLM, "Ask-LLMは95%のデータを除いても全データ学習を上回る。", None, ((N, "95%"),)),
    Case("ask wrong speed", ASK_LLM, "Ask-LLMのデータは90%を除いても最大80%速く収束する。", 5, ((N, "80%"),)),
    Case("ask samplers", ASK_LLM, "19種類のサンプラーを比べ、Ask-LLMとDensityが最良だった。", 4),
    Case("ask wrong samplers", ASK_LLM, "20種類のサンプラーを比べ、Ask-LLMとDensityが最良だった。", 4,
         ((N, "20"),)),
    Case("ask unknown name", ASK_LLM, "Ask-LLMはGPT-Neoを使ってデータの質を評価する。", None, ((A, "GPT-Neo"),)),
    Case("ask english", ASK_LLM, "Density sampling models the data distribution to pick a diverse sample.", 3),
    Case("ask english wrong number", ASK_LLM,
         "Models trained on Ask-LLM data converge up to 60% faster.", 5, ((N, "60%"),)),
    Case("ask english swapped", ASK_LLM,
         "Models trained with Density sampling outperform even when rejecting 90% of the dataset.",
         5, ((S, "Density"),)),
    Case("ask nothing to compare", ASK_LLM, "大規模なモデルの学習には費用がかかる。", -1,
         (("unaligned", "大規模なモデルの学習には費用がかかる。"),)),
    # Earnings: amounts, shares, dates, people.
    Case("earnings right", EARNINGS, "売上高は1,250億円で、前年より12%増えた。", 1),
    Case("earnings written otherwise", EARNINGS, "売上高は１２５０億円（前年比１２％増）。", 1),
    Case("earnings wrong amount", EARNINGS, "売上高は前年比12%増の1,350億円となった。", 1, ((N, "1,350億円"),)),
    Case("earnings wrong share", EARNINGS, "売上高は前年比21%増の1,250億円となった。", 1, ((N, "21%"),)),
    Case("earnings wrong currency", EARNINGS, "営業利益は98億ドルとなった。", 1, ((N, "98億ドル"),)),
    Case("earnings regions swapped", EARNINGS, "欧州事業は35%伸び、アジアは8%減少した。", 2, ((S, "アジア"),)),
    Case("earnings target", EARNINGS, "山田社長は次期の売上高1,400億円を目標に掲げた。", 3),
    Case("earnings wrong person", EARNINGS, "田中社長は次期の売上高1,400億円を目指すと述べた。", 3,
         ((A, "田中社長"),)),
    Case("earnings dividend", EARNINGS, "1株あたりの配当は45円で、5円の増配とする。", 4),
    Case("earnings wrong dividend", EARNINGS, "配当は1株あたり54円とする。", 4, ((N, "54円"),)),
    Case("earnings date", EARNINGS, "決算は2024年5月10日に発表された。", 0),
    Case("earnings day and month swapped", EARNINGS, "決算は2024年10月5日に発表された。", 0,
         ((N, "10月"), (N, "5日"))),
    Case("earnings era", EARNINGS, "東洋電機株式会社は令和6年5月10日に決算を発表した。", 0),
    Case("earnings english", EARNINGS, "Revenue rose 12% to 125 billion yen.", 1),
    Case("earnings english wrong", EARNINGS, "Revenue rose 12% to 135 billion yen.", 1,
         ((N, "135 billion yen"),)),
    # Minutes: who, when, how much.
    Case("minutes right", MINUTES, "佐藤氏は8月15日までに販売計画を作る。", 2),
    Case("minutes wrong owner", MINUTES, "鈴木氏が8月15日までに販売計画を作成する。", 2, ((S, "鈴木氏"),)),
    Case("minutes wrong deadline", MINUTES, "佐藤氏が8月25日までに販売計画を作成する。", 2, ((N, "25日"),)),
    Case("minutes number of people", MINUTES, "出席者は佐藤氏、鈴木氏、高橋氏の3名だった。", 0),
    Case("minutes wrong number of people", MINUTES, "出席者は佐藤氏、鈴木氏、高橋氏ら四名である。", 0,
         ((N, "四名"),)),
    Case("minutes budget", MINUTES, "予算300万円を超えるときは高橋氏の承認が要る。", 4),
    Case("minutes wrong budget", MINUTES, "予算は3000万円である。", 4, ((N, "3000万円"),)),
    Case("minutes release", MINUTES, "新製品は9月1日に発売する。", 1),
    Case("minutes invented", MINUTES, "来年度の採用は中止され、工場は海外へ移転する見通しだ。", None,
         ((U, "来年度の採用は中止され、工場は海外へ移転する見通しだ。"),)),
    # Companies: roles and parallel numbers.
    Case("merger right", MERGER, "A社がB社を2023年に買収した。", 0),
    Case("merger roles swapped", MERGER, "B社がA社を2023年に買収した。", 0, ((S, "B社"),)),
    Case("merger passive", MERGER, "B社は2023年にA社に買収された。", 0),
    Case("merger price", MERGER, "買収額の500億円は現金で支払われた。", 1),
    Case("merger parallel right", MERGER, "売上はC社が80億円、D社が120億円だった。", 2),
    Case("merger parallel swapped", MERGER, "売上はC社が120億円、D社が80億円だった。", 2,
         ((S, "C社"), (S, "D社"))),
    Case("merger katakana roles", MERGER, "ホンダがトヨタを訴えた。", 3, ((S, "ホンダ"),)),
    # A contract.
    Case("contract fee", CONTRACT, "委託料は月20万円で、月末に支払う。", 1),
    Case("contract wrong fee", CONTRACT, "委託料は月額25万円とする。", 1, ((N, "25万円"),)),
    Case("contract era", CONTRACT, "契約は2024年4月1日から1年間。", 2),
    Case("contract penalty", CONTRACT, "違約金は委託料3か月分。", 4),
    # English news.
    Case("news right", NEWS_EN, "Acme Corp's revenue grew 15% to $1.2 billion.", 0),
    Case("news japanese", NEWS_EN, "Acme Corpの売上高は15%増の12億ドルだった。", 0),
    Case("news japanese wrong scale", NEWS_EN, "Acme Corpの売上高は15%増の1.2億ドルだった。", 0,
         ((N, "1.2億ドル"),)),
    Case("news spelled number", NEWS_EN, "Jane Millerは4つの工場を新設すると述べた。", 1),
    Case("news wrong spelled number", NEWS_EN, "Jane Millerは5つの工場を新設すると述べた。", 1, ((N, "5"),)),
    Case("news date", NEWS_EN, "Globexの株価は2024年3月5日に3%下がった。", 2),
    Case("news wrong company", NEWS_EN, "Acme Corpの株価は3%下がった。", None, ((S, "Acme Corp"),)),
    Case("news half", NEWS_EN, "労働者の50%がストライキに賛成した。", 3),
    Case("news unknown person", NEWS_EN, "Chief executive John Smith said it will open four plants.", 1,
         ((A, "John Smith"),)),
)  # fmt: skip

# Wrong, and not seen by comparing words.
LIMITS = (
    Case("limit negation", CONTRACT, "乙は、甲の承諾なく第三者に再委託してもよい。", 3),
    Case("limit opposite verb", EARNINGS, "営業利益は98億円に落ち込み、売上高は12%減となった。", 1),
    Case("limit roles across languages", NEWS_EN, "Mexicoの新工場はJane Millerに反対した。", 1),
)
