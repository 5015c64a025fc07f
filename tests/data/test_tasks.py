"""The two tasks that several experiments share: 汉字 → 拼音 and 宋词."""

from itertools import pairwise

from llmbook.data import load_corpus, pinyin_pairs, pinyin_task, song_lyrics


def test_the_vocabularies_of_pinyin_are_those_of_the_training_part():
    task, parts = pinyin_task(), pinyin_pairs()
    assert task.parts == parts
    for pair in parts.train[:50]:
        assert task.characters.unk_id not in task.characters.encode(pair.characters)
        assert task.syllables.unk_id not in task.syllables.encode(pair.syllables)
    assert pinyin_task() is task


def test_song_lyrics_hold_whole_poems_each_in_one_part():
    lyrics = song_lyrics()
    bos, decode = lyrics.characters.bos_id, lyrics.characters.decode
    poems = {row["text"] for row in load_corpus("poetry") if row["collection"] == "宋词"}
    parts = []
    for part in (lyrics.validation, lyrics.test):
        assert part[0] == bos
        starts = [*(part == bos).nonzero().flatten().tolist(), len(part)]
        parts.append([decode(part[a:b].tolist()) for a, b in pairwise(starts)])
    whole = [poem for part in parts for poem in part if "\ufffd" not in poem]
    assert len(whole) > 500
    assert set(whole) <= poems
    assert not set(parts[0]) & set(parts[1])
    assert 0.7 < len(lyrics.train) / (len(lyrics.train) + len(lyrics.validation) + len(lyrics.test)) < 0.85


def test_rare_characters_are_unknown():
    lyrics = song_lyrics()
    unknown = [(part == lyrics.characters.unk_id).float().mean().item() for part in lyrics[:3]]
    assert max(unknown) < 0.005
    assert min(unknown) > 0
    counts = lyrics.train.bincount(minlength=lyrics.characters.vocab_size)
    assert counts[4:].min() >= 3
