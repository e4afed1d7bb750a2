"""Options of many machines: what is refused before anything is imported, in one line."""

import pytest

from zoo.cli import build_parser, main


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train x --data d --output o", "the following arguments are required: --dataset"),
        ("train x --dataset camvid --data d --output o --json -", "--json is for --plan"),
        ("train x --dataset camvid --data d --output s3://b/run --folds drives", "give --output a folder"),
        ("train x --dataset camvid --data d --output o --order any", "invalid choice: 'any'"),
        ("train x --plan a100 --plan-workers 0", "must be numbers of devices"),
        ("train x --plan tpu", "a plan is for one of v100, a100, h100, not 'tpu'"),
        ("launch --workers 0 -- zoo list", "workers must be from 1 to 256, not 0"),
        ("launch --workers 2", "the following arguments are required: COMMAND"),
        ("data-service --port 99999", "--port must be from 0 to 65535, not 99999"),
        ("dataset pack none --output records", "none: no such folder"),
    ],
)
def test_it_is_one_line(words, message, capsys, monkeypatch):
    monkeypatch.setattr("zoo.cli.train.is_remote", lambda path: str(path).startswith("s3:"))
    monkeypatch.setattr("zoo.cli.parser.check_remote", str)
    try:
        status = main(words.split())
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_server_and_words_of_another_command_are_no_files():
    words = ["train", "x", "--data-service", "grpc://reader:5050"]
    assert build_parser(words).parse_args(words).data_service == "grpc://reader:5050"
    words = ["launch", "--workers", "2", "--", "zoo", "train", "x", "--output", "s3://bucket/run"]
    assert build_parser(words).parse_args(words).command[-1] == "s3://bucket/run"
