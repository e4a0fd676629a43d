"""IDs for the presets: in every form, those that a service refuses, and as many as are wanted."""

from collections.abc import Callable

DID, OTHER_DID = "did:plc:z72i7hdynmk6r22z27h6tvur", "did:web:example.org%3A80"
PAPER = "649def34f8be52c8b66281af98ae884c09aef38b"
BY_NUMBER = ["12", "1" * 19, "https://x.com/i/user/12", "twitter.com/i/user/2244994945"]
POSTS = [
    "20",
    "9" * 19,
    "https://twitter.com/jack/status/20?s=46",
    "x.com/i/web/status/20",
    "https://x.com/#!/jack/statuses/20",
]
NAMED = [
    "jack",
    "@Jack",
    "A_name_of_15_ch",
    "https://x.com/jack/with_replies",
    "https://mobile.twitter.com/@jack?lang=en",
]
ACTORS = [DID, OTHER_DID, "bsky.app", "@Some-One.bsky.social", "https://bsky.app/profile/bsky.app", f"at://{DID}"]
PAPERS = [
    *(PAPER, f"https://www.semanticscholar.org/paper/A-Title/{PAPER}", "CorpusId:215416146", "MAG:112218234"),
    *("DOI:10.18653/v1/N18-3011", "DOI:10.1000/a,b", "ARXIV:2106.15928v2", "ARXIV:math.GT/0309136", "ACL:W12-3903"),
    *("PMID:19872477", "PMCID:2323736", "URL:https://arxiv.org/abs/2106.15928v1", "URL:https://dl.acm.org/doi/10.1/2"),
]
# Every form that an ID may have in a line.
LINES: dict[str, list[str]] = {
    "x/posts": POSTS,
    "x/post": POSTS,
    "x/usernames": NAMED,
    "x/replies": [*NAMED, "1234567890123456789"],
    **{f"x/{name}": BY_NUMBER for name in ("users", "followers", "following", "user_posts", "follower_posts")},
    "bluesky/posts": [
        f"at://{did}/app.bsky.feed.post/{key}" for did in (DID, OTHER_DID) for key in ("3l6oveex3ii2l", "a.b~c:d_-")
    ],
    "bluesky/profiles": [DID, OTHER_DID, f"https://bsky.app/profile/{DID}/", f"at://{DID}"],
    "bluesky/followers": ACTORS,
    "bluesky/author_feed": ACTORS,
    "mastodon/statuses": ["1", "109349000000000001"],
    "mastodon/followers": ["1", "109349000000000001"],
    "reddit/info": ["t3_abc123", "t1_0", "t5_2qh33"],
    "github/repos": [
        "octocat/Hello-World",
        "https://github.com/a_b/.github/issues",
        "git@github.com:a/b.c.git",
        "A-1/_",
    ],
    "github/users": [
        "octocat",
        "@Octocat",
        "dependabot[bot]",
        "https://github.com/octocat/?tab=stars",
        "short_company",
    ],
    "youtube/videos": [
        "dQw4w9WgXcQ",
        "https://youtu.be/-w4w9WgXcQ_?t=5",
        "https://www.youtube.com/watch?list=a&v=dQw4w9WgXcQ",
    ],
    "openalex/works": ["W2741809807", "https://openalex.org/W1", "https://api.openalex.org/works/W1"],
    "crossref/works": ["10.1000/abc", "https://doi.org/10.1016/S0140-6736(05)67889-0", "10.1002/1<1::AID#%3>2;2-é|?&="],
    "semantic_scholar/papers": PAPERS,
    "wikidata/entities": [
        "Q42",
        "P31",
        "L7",
        "http://www.wikidata.org/entity/Q42",
        "https://www.wikidata.org/wiki/Lexeme:L7#S1",
    ],
    "pubmed/summaries": ["31452104", "PMID: 1", "https://pubmed.ncbi.nlm.nih.gov/31452104/"],
    "hackernews/items": ["8863", "https://news.ycombinator.com/item?id=8863"],
}
# What a service's own pattern refuses, or what is of no kind that the endpoint gives out.
NONE_OF_THEM = {
    "x/posts": ["1" * 20, "1.5e+18", "-1", "१२", "20 "],
    "x/users": ["jack", "1" * 20],
    "x/usernames": ["a_name_of_16_chr", "é", "a b", "a-b", "@"],
    "x/followers": ["jack", "12/../13"],
    "bluesky/posts": [
        *(f"at://{DID}/app.bsky.feed.post/{key}" for key in (".", "..", "a b", "a#b", "a" * 513)),
        *(f"at://{DID}/app.bsky.feed.like/3l6a", "at://did:plc:/app.bsky.feed.post/3l6a", f"at://{DID}"),
    ],
    "bluesky/profiles": ["did:PLC:abc", "did:plc:", "did:plc:a%", "did:plc:a/b", f"did:web:{'a' * 2048}"],
    "bluesky/followers": [
        "-a.example",
        "a-.example",
        "a..example",
        "nodots",
        "a.1",
        "a_b.example",
        f"{'a' * 64}.example",
        ".".join(["a" * 60] * 5),
        "did:plc:a:",
    ],
    "mastodon/statuses": ["1a", "https://mastodon.social/@Gargron/1", "-1"],
    "reddit/info": ["t2_1w72", "t4_abc", "t6_abc", "t3_ABC", "abc123"],
    "github/repos": ["octocat", "-a/b", "a/b/c", "a/b c", f"{'a' * 40}/b"],
    "github/users": ["-a", "a" * 40, "a.b", "a/b"],
    "youtube/videos": ["dQw4w9WgXc", "dQw4w9WgXcQQ", "dQw4w9WgXc!"],
    "openalex/works": ["A5023888391", "W", "w1"],
    "crossref/works": ["10.1000", "10.1000/a,b", "10.1/a", "10.1000/a b"],
    "semantic_scholar/papers": [PAPER[:-1], "10.1000/a", "URL:https://example.org/a", "PMID:x", "PMID:1 "],
    "wikidata/entities": ["Q0", "Q01", "Q2147483648", "M1", "q"],
    "pubmed/summaries": ["PMC6710301", "0"],
    "hackernews/items": ["a", "8863.json", "-1"],
}
# What would be read as more than one ID, or as more than an ID.
TOO_MUCH = {
    "x/posts": ["20,21"],
    "x/users": ["12,13"],
    "x/usernames": ["jack,jill"],
    "x/replies": ["jack OR is:quote", "a_name_of_16_chr", "1" * 20],
    "reddit/info": ["t3_a,t3_b"],
    "youtube/videos": ["dQw4w9WgXcQ,dQw4w9WgXcQ"],
    "openalex/works": ["W1|W2", "W1,type:book"],
    "crossref/works": ["10.1000/a,type:book"],
    "wikidata/entities": ["Q1|Q2"],
    "pubmed/summaries": ["1,2"],
}
# The n-th ID of many, for a full pack.
MANY: dict[str, Callable[[int], str]] = {
    "bluesky/posts": lambda n: f"at://{DID}/app.bsky.feed.post/3l6oveex3i{n:03}",
    "bluesky/followers": lambda n: f"a{n}.example",
    "bluesky/profiles": lambda n: f"did:plc:z72i7hdynmk6r22z27h6t{n:03}",
    "crossref/works": lambda n: f"10.1016/s0140-6736(05)67889-{n}",
    "openalex/works": lambda n: f"W27418{n:05}",
    "reddit/info": lambda n: f"t3_1abc{n:03}",
    "semantic_scholar/papers": lambda n: f"{n:040x}",
    "wikidata/entities": lambda n: f"Q{n + 1}",
    "x/usernames": lambda n: f"name_{n}",
    "youtube/videos": lambda n: f"dQw4w9Wg{n:03}",
}


def many(name: str, count: int) -> tuple[str, ...]:
    nth = MANY.get(name)
    return tuple(nth(n) if nth else str(1_000 + n) for n in range(count))
