"""The journal on the real littlefs: an old or a new slot after any cut, and few erases."""

from littlefs import LittleFS

from tests.power_cuts import blocks


def test_a_cut_in_any_program_or_erase_leaves_the_old_slot_or_the_new_one() -> None:
    cuts, wrong = blocks.cut_everywhere(blocks.writes_of_job(16) + blocks.writes_of_job(4) * 3)
    assert wrong == []
    assert cuts > 1000


def test_it_sees_a_slot_that_is_removed_before_the_new_one_is_there() -> None:
    def remove_first(files: LittleFS, slot: str, content: bytes) -> None:
        with files.open("new.tmp", "wb") as file:
            file.write(content)
        if slot in files.listdir("/"):
            files.remove(slot)
        files.rename("new.tmp", slot)

    assert blocks.cut_everywhere(blocks.writes_of_job(1), how=remove_first)[1]


def test_a_job_writes_flash_twice_an_item_and_four_times_more() -> None:
    assert [len(blocks.writes_of_job(items)) for items in (1, 4, 16)] == [6, 12, 36]


def test_two_hundred_jobs_a_day_leave_the_flash_years_of_life() -> None:
    # A short run: the levelling has not gone round, so the true figure is higher.
    found = blocks.wear(300)
    assert found.writes_per_item == 2
    assert found.erases_per_job < 12
    assert found.years > 5
