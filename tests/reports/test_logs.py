from munit_pl.reports.logs import by_domain, log_files, read_logs


def write(folder, version, text):
    file = folder / f"csv/version_{version}/metrics.csv"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return file


def test_files_come_in_the_order_of_the_runs_parts(tmp_path):
    for version in (10, 2, 0):
        write(tmp_path, version, "")
    found = [file.parent.name for file in log_files(tmp_path)]
    assert found == ["version_0", "version_2", "version_10"]
    assert log_files(tmp_path / "none") == []


def test_a_resumed_part_replaces_what_came_after_its_start(tmp_path):
    first = write(tmp_path, 0, "epoch,gen/total,step,val/image\n0,1,0,\n0,2,1,9\n0,3,2,\n")
    second = write(tmp_path, 1, "gen/total,step\n5,2\n6,3\n")
    assert read_logs([first, second]) == {
        "gen/total": {0: 1, 1: 2, 2: 5, 3: 6},
        "val/image": {1: 9},
    }


def test_gaps_infinities_and_lines_cut_short_give_no_points(tmp_path):
    file = write(tmp_path, 0, "a,b,step\n1,,0\nnan,inf,1\n2,x,2\n3,4\n5,6,3,7\n")
    assert read_logs([file]) == {"a": {0: 1, 2: 2, 3: 5}, "b": {3: 6}}


def test_both_domains_share_a_title():
    assert by_domain("gen/image_a") == ("gen/image", "a")
    assert by_domain("gen/grad_norm") == ("gen/grad_norm", "")
