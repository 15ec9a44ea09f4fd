"""Published formats as they are met in the wild: what is read, and what is refused with a line to correct."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from sets import counts, put, ssv2, write

from vmexport.data import VideoIndex, open_index
from vmexport.data.formats.lines import read_list
from vmexport.errors import ExitCode, InputError, UsageError


def named(index: VideoIndex) -> list[tuple[str, str]]:
    """File names and class names."""
    return [(sample.path.name, index.classes[sample.label]) for sample in index.samples]


def refused(path: Path, *words: str, split: str = "train") -> InputError:
    """The error that opening raises; its text holds the words."""
    with pytest.raises(InputError) as caught:
        open_index(path, split)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    for word in words:
        assert word in str(caught.value)
    return caught.value


# Kinetics and SlowFast lists


@pytest.fixture
def lists(tmp_path: Path, small_film: Path) -> Path:
    """Two classes, four videos to train, two to validate, lists without line ends at their ends."""
    put(tmp_path, [f"clips/{name}.mp4" for name in ("a1", "a2", "b1", "b2", "a3", "b3")], small_film)
    write(tmp_path / "train.csv", "clips/a1.mp4 0\nclips/a2.mp4 0\nclips/b1.mp4 1\nclips/b2.mp4 1")
    write(tmp_path / "val.csv", "clips/a3.mp4 0\nclips/b3.mp4 1")
    return tmp_path


def test_slowfast_lists(lists: Path) -> None:
    index = open_index(lists)
    assert (index.layout, index.split, counts(index)) == ("kinetics", "train", (2, 2))
    assert named(index)[2] == ("b1.mp4", "class 1")
    assert all(sample.path.is_file() for sample in index.samples)
    assert [path.name for path in index.sources] == ["train.csv", "val.csv"]
    assert named(open_index(lists / "train.csv", "val")) == [("a3.mp4", "class 0"), ("b3.mp4", "class 1")]
    assert len(open_index(lists, "all")) == 6
    assert not index.directional


@pytest.mark.parametrize("separator", [" ", ",", "\t", ", ", ";"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_line_ends_and_marks(tmp_path: Path, separator: str, end: str, encoding: str) -> None:
    names = ["a b.mp4", "c,d e.mp4", "übung (1).mp4"]
    lines = [f"{name}{separator}{number}" for number, name in enumerate(names)]
    path = write(tmp_path / "train.csv", end.join([*lines, "", "  "]), encoding)
    assert [(line.name, line.label) for line in read_list(path)] == [(n, str(i)) for i, n in enumerate(names)]


def test_headings_quotes_backslashes_and_class_names(tmp_path: Path) -> None:
    path = write(tmp_path / "train.csv", 'path,label\n"a ""b"", c.mp4",jump\nd\\e.mp4,"run"\n')
    assert [(line.name, line.label) for line in read_list(path)] == [
        ('a "b", c.mp4', "jump"),
        ("d/e.mp4", "run"),
    ]


def test_class_names_instead_of_numbers(lists: Path) -> None:
    write(lists / "train.csv", "clips/a1.mp4,walk\nclips/b1.mp4,jump\n")
    write(lists / "val.csv", "clips/a3.mp4,walk\n")
    index = open_index(lists)
    assert index.classes == ("jump", "walk")
    assert named(index) == [("a1.mp4", "walk"), ("b1.mp4", "jump")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.txt", "walk\r\njump on left foot\r\n"),
        ("classes.txt", "0 walk\n1 jump on left foot\n"),
        ("classes.txt", "1 walk\n2 jump on left foot\n"),
        ("labels.json", '["walk", "jump on left foot"]'),
        ("kinetics_classnames.json", r'{"\"jump on left foot\"": 1, "walk": 0}'),
    ],
)
def test_lists_of_class_names(lists: Path, name: str, text: str) -> None:
    write(lists / name, text)
    index = open_index(lists)
    assert index.classes == ("walk", "jump on left foot")
    assert index.directional
    assert not open_index(lists, directional=False).directional


def test_class_names_come_from_folders_where_each_class_has_one(tmp_path: Path, small_film: Path) -> None:
    put(tmp_path, ["train/run/1.mp4", "train/jump/2.mp4"], small_film)
    write(tmp_path / "train.csv", "train/run/1.mp4 0\ntrain/jump/2.mp4 1\n")
    assert open_index(tmp_path, "all").classes == ("run", "jump")


def test_absolute_paths_and_lists_elsewhere(lists: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("lists")
    write(other / "train.csv", f"{lists}/clips/a1.mp4 0\n{lists}/clips/b1.mp4 1\n")
    assert all(sample.path.is_file() for sample in open_index(other, "all").samples)
    write(other / "train.csv", "a1.mp4 0\nb1.mp4 1\n")
    refused(other, "none of the listed videos", "--videos DIR", split="all")
    index = open_index(other, "all", videos=lists / "clips")
    assert all(sample.path.is_file() for sample in index.samples)


def test_kinetics_own_annotations(tmp_path: Path, small_film: Path) -> None:
    head = "label,youtube_id,time_start,time_end,split,is_cc\n"
    write(
        tmp_path / "annotations" / "train.csv",
        head + '"air drumming",-0abc,10,20,train,0\nzumba,xy_z,0,10,train,0\n',
    )
    write(tmp_path / "annotations" / "val.csv", head + "zumba,q,3,13,val,0\n")
    put(
        tmp_path / "train",
        ["air drumming/-0abc_000010_000020.mp4", "zumba/xy_z_000000_000010.mp4"],
        small_film,
    )
    put(tmp_path / "val", ["q_000003_000013.mp4"], small_film)  # this part lies flat
    index = open_index(tmp_path)
    assert index.classes == ("air drumming", "zumba")
    assert all(sample.path.is_file() for sample in (*index.samples, *open_index(tmp_path, "val").samples))


def test_annotations_over_folders_with_underscores(tmp_path: Path, small_film: Path) -> None:
    head = "label,youtube_id,time_start,time_end,split\n"
    write(tmp_path / "train.csv", head + '"air drumming",a,10,20,train\n"arm wrestling",b,0,10,train\n')
    write(tmp_path / "val.csv", head + '"air drumming",c,3,13,val\n"arm wrestling",d,3,13,val\n')
    put(
        tmp_path / "train",
        ["air_drumming/a_000010_000020.mp4", "arm_wrestling/b_000000_000010.mp4"],
        small_film,
    )
    put(
        tmp_path / "val",
        ["air_drumming/c_000003_000013.mp4", "arm_wrestling/d_000003_000013.mp4"],
        small_film,
    )
    index = open_index(tmp_path)
    assert index.classes == ("air drumming", "arm wrestling")
    assert all(sample.path.is_file() for sample in (*index.samples, *open_index(tmp_path, "val").samples))


def test_endings_in_another_case(lists: Path) -> None:
    for name in ("a1", "b1"):
        (lists / "clips" / f"{name}.mp4").rename(lists / "clips" / f"{name}.MP4")
    (lists / "clips" / "a2.mp4").rename(lists / "clips" / "A2.Mp4")
    assert [sample.path.name for sample in open_index(lists).samples] == [
        "a1.MP4",
        "A2.Mp4",
        "b1.MP4",
        "b2.mp4",
    ]


def test_names_that_differ_in_their_case_only_are_told_apart(lists: Path, small_film: Path) -> None:
    put(lists, ["clips/A1.mp4"], small_film)
    write(lists / "train.csv", "clips/a1.mp4 0\nclips/A1.mp4 1\n")
    assert [sample.path.name for sample in open_index(lists).samples] == ["a1.mp4", "A1.mp4"]


def test_the_number_of_frames_in_a_list_is_passed_over(lists: Path) -> None:
    write(lists / "train.csv", "clips/a1.mp4 12 0\nclips/a2.mp4 12 0\nclips/b1.mp4 12 1\n")
    assert named(open_index(lists)) == [("a1.mp4", "class 0"), ("a2.mp4", "class 0"), ("b1.mp4", "class 1")]


def test_a_list_of_extracted_frames_is_named(lists: Path) -> None:
    write(lists / "train.csv", "clips/a1 120 0\nclips/a2 98 0\nclips/b1 77 1\n")
    refused(lists, "names a folder of pictures", "MMAction and TSM")


def test_names_of_other_tools_lists(lists: Path) -> None:
    (lists / "train.csv").rename(lists / "kinetics400_train_list_videos.txt")
    (lists / "val.csv").rename(lists / "kinetics400_val_list_videos.txt")
    assert len(open_index(lists)) == 4
    assert len(open_index(lists, "val")) == 2
    assert len(open_index(lists / "kinetics400_val_list_videos.txt")) == 4


def test_a_lone_list_is_divided(lists: Path) -> None:
    (lists / "train.csv").rename(lists / "mine.csv")
    training, validation = open_index(lists / "mine.csv"), open_index(lists / "mine.csv", "val")
    assert len(training) == len(validation) == 2
    assert not {s.path for s in training.samples} & {s.path for s in validation.samples}
    assert "set aside for validation" in training.notes[0]
    assert len(open_index(lists / "mine.csv", "all")) == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("clips/a1.mp4 0\nclips/b1.mp4\n", ("train.csv:2", "no label")),
        ("clips/a1.mp4 0\nclips/b1.mp4 one\n", ("train.csv:2", "no label")),
        ("clips/a1.mp4 0\nclips/b1.mp4 -1\n", ("train.csv:2", "-1 is out of range")),
        ("clips/a1.mp4 0\nclips/b1.mp4 999999999\n", ("train.csv:2", "999999999 is out of range")),
        ("clips/a1.mp4 0\nclips/a1.mp4 1\n", ("two labels", "train.csv:1", "train.csv:2")),
        ("clips/a1.mp4 0\nclips/a3.mp4 1\n", ("two labels", "val.csv:1")),
        ("clips/a1.mp4 0\nclips/a2.mp4 0\n", ("never trained",)),
        ("", ("empty",)),
        ("gone/1.mp4 0\ngone/2.mp4 1\n", ("none of the listed videos", "--videos")),
        ("clips/a1.mp4 0\nclips/x.mp4 1\nclips/y.mp4 1\n", ("2 of 3 videos", "missing", "--videos")),
    ],
)
def test_lists_with_mistakes(lists: Path, text: str, words: tuple[str, ...]) -> None:
    write(lists / "train.csv", text)
    refused(lists / "train.csv", *words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("val split", "empty")),
        ("clips/a3.mp4|0\nclips/b3.mp4|1\n", ("val.csv:1", "no label")),
        ("caf\xe9.mp4 0\n", ("val.csv", "not a text in UTF-8")),
    ],
)
def test_a_damaged_part_is_not_taken_for_none(lists: Path, text: str, words: tuple[str, ...]) -> None:
    (lists / "val.csv").write_bytes(text.encode("latin-1"))
    refused(lists, *words, split="val")


def test_a_lone_damaged_list_says_what_is_wrong(lists: Path) -> None:
    (lists / "val.csv").unlink()
    write(lists / "train.csv", "clips/a1.mp4\nclips/b1.mp4\n")
    refused(lists, "train.csv:1", "no label")
    write(lists / "train.csv", "")
    refused(lists, "lists of", "empty")
    write(lists / "train.csv", "0,clips/a1.mp4\n1,clips/b1.mp4\n")
    refused(lists, "train.csv:2", "not in a label", "path first")


def test_an_unlabelled_test_list_is_left_alone(lists: Path) -> None:
    write(lists / "test.csv", "clips/a3.mp4\nclips/b3.mp4\n")
    assert len(open_index(lists)) == 4


def test_a_video_is_no_data_set(lists: Path) -> None:
    refused(lists / "clips" / "a1.mp4", "is a video, not a data set")


def test_labels_beyond_the_class_names(lists: Path) -> None:
    write(lists / "labels.txt", "only\n")
    refused(lists, "train.csv:3", "label 1 is out of range", "there are 1 classes")
    write(lists / "labels.txt", "twice\ntwice\n")
    refused(lists, "'twice' stands there twice")
    write(lists / "labels.txt", "")
    (lists / "labels.txt").write_bytes(b"caf\xe9\nb\n")
    refused(lists, "not a text in UTF-8", "line 1")


def test_labels_that_count_from_one_are_told(lists: Path) -> None:
    for name in ("train.csv", "val.csv"):
        write(lists / name, (lists / name).read_text().replace("mp4 1", "mp4 2").replace("mp4 0", "mp4 1"))
    assert "1 of 3 classes have no video (class 0)" in open_index(lists).notes[-1]


def test_one_class_trains_nothing(lists: Path) -> None:
    write(lists / "train.csv", "clips/a1.mp4 0\nclips/a2.mp4 0\n")
    (lists / "val.csv").unlink()
    refused(lists, "all of one class", "'class 0'")


def test_duplicates_and_overlaps_are_told(lists: Path) -> None:
    write(lists / "train.csv", "clips/a1.mp4 0\nclips/a1.mp4 0\nclips/b1.mp4 1\nclips/a3.mp4 0\n")
    index = open_index(lists)
    assert len(index) == 3
    assert "listed twice" in index.notes[0]
    assert "train part and in the val part" in index.notes[1]
    assert len(open_index(lists, "all")) == 4


def test_some_missing_videos_stay_and_are_told(lists: Path) -> None:
    (lists / "clips" / "b2.mp4").unlink()
    index = open_index(lists)
    assert len(index) == 4
    assert "1 of 4 videos are missing" in index.notes[-1]
    assert "b2.mp4" in index.notes[-1]


def test_two_lists_of_one_part_are_refused(lists: Path) -> None:
    for number in (1, 2):
        shutil.copyfile(lists / "train.csv", lists / f"k400_train_{number}.txt")
    assert len(open_index(lists)) == 4  # train.csv is the plain name
    (lists / "train.csv").unlink()
    refused(lists, "2 lists of the part 'train'", "k400_train_1.txt")


# Something-Something V2

TEMPLATES = {
    1: "Moving [something] up",
    2: "Moving [something] down",
    3: "Putting [something] on [something]",
}
LABELS = ("Moving something down", "Moving something up", "Putting something on something")


@pytest.fixture
def something(tmp_path: Path, small_film: Path) -> Path:
    return ssv2(tmp_path, small_film, {"train": TEMPLATES, "validation": {4: TEMPLATES[3]}}, LABELS)


def test_ssv2(something: Path) -> None:
    index = open_index(something)
    assert (index.layout, index.classes, index.directional) == ("ssv2", LABELS, True)
    assert [sample.label for sample in index.samples] == [1, 0, 2]
    assert all(sample.path.is_file() for sample in index.samples)
    assert len(open_index(something / "something-something-v2-train.json", "val")) == 1


def test_ssv2_re_encoded_and_in_another_place(something: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    for number in TEMPLATES:
        old = something / "20bn-something-something-v2" / f"{number}.webm"
        old.rename(tmp_path / "elsewhere" / f"{number}.mp4")
    index = open_index(something, videos=tmp_path / "elsewhere")
    assert [sample.path.name for sample in index.samples] == ["1.mp4", "2.mp4", "3.mp4"]


def test_ssv2_with_the_later_archives_names(something: Path) -> None:
    for path in something.glob("*.json"):
        write(something / "labels" / path.name.removeprefix("something-something-v2-"), path.read_text())
        path.unlink()
    assert open_index(something).classes == LABELS


def test_ssv2_with_mistakes(something: Path) -> None:
    train = something / "something-something-v2-train.json"
    write(train, json.dumps([{"id": "1", "template": "Eating [something]"}]))
    refused(something, "entry 0", "no such label", "Eating something")
    write(train, json.dumps([{"id": "1"}]))
    refused(something, "no id or no template")
    write(train, '[{"id": "1", ')
    refused(something, "not valid JSON")
    write(train, '{"id": "1"}')
    refused(something, "expected a JSON list")
    labels = something / "something-something-v2-labels.json"
    write(labels, json.dumps({"a": "0", "b": "2"}))
    refused(something, "are not 0 to 1")
    labels.unlink()
    refused(something, "not a complete Something-Something V2", "labels.json")


# HMDB51


@pytest.fixture
def hmdb(tmp_path: Path, small_film: Path) -> Path:
    for name in ("brush_hair", "wave"):
        put(tmp_path / name, [f"{name} #{n}(x)_nm_np1.avi" for n in range(4)], small_film)
        for fold in (1, 2, 3):
            marks = [1, 1, 2, 0] if fold == 1 else [2, 1, 1, 1]
            lines = "".join(f"{name} #{n}(x)_nm_np1.avi {mark} \r\n" for n, mark in enumerate(marks))
            write(tmp_path / "splits" / f"{name}_test_split{fold}.txt", lines)
    return tmp_path


def test_hmdb51(hmdb: Path) -> None:
    index, test = open_index(hmdb), open_index(hmdb, "val")
    assert (index.layout, index.classes, counts(index)) == ("hmdb51", ("brush_hair", "wave"), (2, 2))
    assert counts(test) == (1, 1)
    assert "2 videos belong to neither part" in index.notes[0]
    assert "the test part stands for it" in test.notes[-1]
    assert counts(open_index(hmdb, fold=2)) == (3, 3)
    assert len(open_index(hmdb / "splits", "test")) == 2
    assert all(sample.path.is_file() for sample in index.samples)


def test_hmdb51_with_mistakes(hmdb: Path) -> None:
    with pytest.raises(UsageError, match="there is no split 4"):
        open_index(hmdb, fold=4)
    (hmdb / "splits" / "wave_test_split3.txt").unlink()
    assert "left out: wave" in open_index(hmdb, "test", fold=3).notes[-1]
    write(hmdb / "splits" / "wave_test_split1.txt", "wave #0(x)_nm_np1.avi 7\n")
    refused(hmdb, "wave_test_split1.txt:1", "0 (unused), 1 (train) or 2 (test)")
    for path in (hmdb / "splits").glob("*split2.txt"):
        path.unlink()
    with pytest.raises(InputError, match="no lists of split 2"):
        open_index(hmdb, fold=2)


# Class folders


def test_a_folder_around_the_class_folders(tmp_path: Path, small_film: Path) -> None:
    put(
        tmp_path / "UCF-101",
        [f"{name}/{item}.avi" for name in ("Archery", "Biking") for item in range(4)],
        small_film,
    )
    index = open_index(tmp_path, "all")
    assert index.classes == ("Archery", "Biking")
    assert any("UCF-101" in note for note in index.notes)


def test_class_folders_with_parts(tmp_path: Path, small_film: Path) -> None:
    put(
        tmp_path, ["Train/b/1.mp4", "Train/a/x/2.MKV", "Train/a/.hidden.mp4", "Train/a/notes.txt"], small_film
    )
    put(tmp_path, ["validation/a/3.avi", "validation/stray.mp4"], small_film)
    index = open_index(tmp_path)
    assert named(index) == [("2.MKV", "a"), ("1.mp4", "b")]
    assert named(open_index(tmp_path, "val")) == [("3.avi", "a")]
    assert "1 videos directly in" in index.notes[0]
    with pytest.raises(InputError, match="no test part"):
        open_index(tmp_path, "test")


@pytest.mark.parametrize("part", ["val", "test"])
def test_one_part_alone_can_be_evaluated(tmp_path: Path, small_film: Path, part: str) -> None:
    put(tmp_path, [f"{part}/climb/1.mp4", f"{part}/dive/2.mp4"], small_film)
    index = open_index(tmp_path, part)
    assert (index.classes, len(index)) == (("climb", "dive"), 2)
    put(tmp_path, ["jump/3.mp4"], small_film)  # so that "val" is a class among others
    assert open_index(tmp_path, "all").classes == tuple(sorted(("jump", part)))


def test_class_folders_without_parts_are_divided_by_name(tmp_path: Path, small_film: Path) -> None:
    put(tmp_path / "one", [f"{c}/{n}.mp4" for c in ("a", "b") for n in range(10)], small_film)
    training, validation = open_index(tmp_path / "one"), open_index(tmp_path / "one", "val")
    assert (counts(training), counts(validation)) == ((8, 8), (2, 2))
    assert "20% of each class" in training.notes[0]
    (tmp_path / "one").rename(tmp_path / "two")
    again = open_index(tmp_path / "two", "val")
    assert [s.path.name for s in again.samples] == [s.path.name for s in validation.samples]


def test_class_folders_in_train_alone_are_divided_too(tmp_path: Path, small_film: Path) -> None:
    put(tmp_path / "train", [f"{c}/{n}.mp4" for c in ("a", "b") for n in range(5)], small_film)
    assert counts(open_index(tmp_path)) == (4, 4)
    assert counts(open_index(tmp_path, "val")) == (1, 1)


def test_folders_with_mistakes(tmp_path: Path, small_film: Path) -> None:
    refused(tmp_path, "holds no data set", "train.csv")
    refused(tmp_path / "none", "there is no data set")
    put(tmp_path / "flat", ["1.mp4", "2.mp4"], small_film)
    refused(tmp_path / "flat", "holds no data set", "CLASS/video.mp4")
    put(tmp_path / "typo", ["train/run/1.mp4", "train/jump/2.mp4", "val/Run/3.mp4"], small_film)
    refused(tmp_path / "typo", "never trained", "Run")
    put(tmp_path / "hollow", ["train/run/1.mp4", "train/jump/2.mp4", "val/3.mp4"], small_film)
    refused(tmp_path / "hollow", "val holds no class folders with videos")
    put(tmp_path / "single", ["a/1.mp4", "a/2.mp4"], small_film)
    refused(tmp_path / "single", "all of one class")
    put(tmp_path / "two", ["train/a/1.mp4", "training/b/1.mp4"], small_film)
    refused(tmp_path / "two", "two folders of the part 'train'")
    put(tmp_path / "few", ["a/1.mp4", "b/1.mp4"], small_film)
    refused(tmp_path / "few", "the val split", "empty", split="val")


def test_links_are_followed_and_loops_are_not(tmp_path: Path, small_film: Path) -> None:
    put(tmp_path / "real", ["a/1.mp4", "b/1.mp4"], small_film)
    (tmp_path / "set").mkdir()
    for name in "ab":
        (tmp_path / "set" / name).symlink_to(tmp_path / "real" / name)
    (tmp_path / "real" / "a" / "loop").symlink_to(tmp_path / "real" / "a")
    assert counts(open_index(tmp_path / "set", "all")) == (1, 1)


# UCF101


@pytest.fixture
def ucf(tmp_path: Path, small_film: Path) -> Path:
    """Two classes, two splits; the training list names the number of the class, the test list does not."""
    names = [f"{name}/v_{name}_g0{item}_c01.avi" for name in ("Archery", "Biking") for item in (1, 2, 3)]
    put(tmp_path / "UCF-101", names, small_film)
    lists = tmp_path / "ucfTrainTestlist"
    write(lists / "classInd.txt", "1 Archery\r\n2 Biking\r\n")
    for fold, test in ((1, "g01"), (2, "g02")):
        rows = [f"{name} {1 + name.startswith('Biking')}" for name in names if test not in name]
        write(lists / f"trainlist0{fold}.txt", "\r\n".join(rows))
        write(lists / f"testlist0{fold}.txt", "\r\n".join(name for name in names if test in name))
    return tmp_path


def test_ucf101(ucf: Path) -> None:
    index = open_index(ucf)
    assert (index.layout, index.classes, counts(index)) == ("ucf101", ("Archery", "Biking"), (2, 2))
    assert named(open_index(ucf, "val")) == [
        ("v_Archery_g01_c01.avi", "Archery"),
        ("v_Biking_g01_c01.avi", "Biking"),
    ]
    assert named(open_index(ucf, "val", fold=2))[0] == ("v_Archery_g02_c01.avi", "Archery")
    assert named(open_index(ucf / "ucfTrainTestlist" / "trainlist01.txt")) == named(index)
    assert all(sample.path.is_file() for sample in index.samples)
    (ucf / "ucfTrainTestlist" / "classInd.txt").unlink()
    assert open_index(ucf).classes == ("Archery", "Biking")


def test_ucf101_with_mistakes(ucf: Path) -> None:
    with pytest.raises(InputError, match="no list of split 3"):
        open_index(ucf, fold=3)
    with pytest.raises(UsageError, match="no split 4"):
        open_index(ucf, fold=4)
    lists = ucf / "ucfTrainTestlist"
    write(lists / "trainlist01.txt", "Archery/v_Archery_g02_c01.avi 1\nJumping/b.avi 3\n")
    refused(ucf, "trainlist01.txt:2", "'Jumping' is no class")
    write(lists / "trainlist01.txt", "a.avi 1\n")
    refused(ucf, "trainlist01.txt:1", "expected CLASS/video.avi")
    write(lists / "trainlist01.txt", "Archery/v_Archery_g02_c01.avi 1\n")
    write(lists / "classInd.txt", "Archery\nBiking\n")
    refused(ucf, "no list of UCF101's classes")


# Detection


def test_two_published_sets_in_one_folder(something: Path) -> None:
    write(something / "a_test_split1.txt", "x.avi 1\n")
    refused(something, "holds two data sets", "--layout")
    assert open_index(something, layout="ssv2").layout == "ssv2"


def test_unknown_words(lists: Path) -> None:
    with pytest.raises(UsageError, match="unknown split"):
        open_index(lists, "validate")
    with pytest.raises(UsageError, match="unknown layout"):
        open_index(lists, layout="ucf102")
    with pytest.raises(InputError, match="no folder of videos"):
        open_index(lists, videos=lists / "none")
    with pytest.raises(InputError, match="holds no list of videos"):
        open_index(lists / "clips", layout="kinetics")
